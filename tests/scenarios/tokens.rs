//! What pods of a firm are given to sign in with that is no secret. Nothing of the product: only that scenarios about
//! federated credentials stand on what they think.

use keywright_sandbox::{
    webhook::CLIENT_ID,
    witness::{Fingerprint, Testimonies},
};
use kube::api::DeleteParams;
use libtest_mimic::Failed;
use serde_json::json;

use crate::town::{PATIENCE, Town, chain, change, same};

pub async fn pods_with_the_label_have_a_token_and_the_client_id_of_their_account(town: Town) -> Result<(), Failed> {
    let firm = town.firm("token-files").await?;
    firm.service_account("told", Some(firm.payments.client_id)).await?;
    firm.service_account("untold", None).await?;
    firm.run_federated("Deployment", "told", 2, "told").await?;
    firm.run_federated("StatefulSet", "untold", 1, "untold").await?;
    firm.run_with("Deployment", "unlabelled", 1, &json!({})).await?;
    firm.pods_have_token(3).await?;
    firm.pods_have_no_token(1).await?;

    let shown = |account: &str| {
        let subject = format!("system:serviceaccount:{}:{account}", firm.name);
        Fingerprint::of_federated(
            &firm.payments.client_id.to_string(),
            &town.plane().url(),
            &subject,
            "api://AzureADTokenExchange",
        )
    };
    let (told, untold) = (shown("told"), shown("untold"));
    let witnesses = firm.witnesses();
    witnesses.wait_for(|seen| seen.holders_of(told).count() == 2, PATIENCE).await.map_err(chain)?;
    let as_whom = |seen: &Testimonies| {
        seen.held().map(|held| (held.what.tenant.clone(), held.what.client.clone())).collect::<Vec<_>>()
    };
    let payments = (firm.payments.tenant.to_string(), firm.payments.client_id.to_string());
    same("as whom they sign in", witnesses.read(as_whom), vec![payments.clone(), payments])?;

    // A pod keeps what it began with: one that is told later is another.
    let annotation = json!({"metadata": {"annotations": {CLIENT_ID: firm.payments.client_id}}});
    change(&firm.service_accounts(), "untold", &annotation).await?;
    same("who holds it", witnesses.read(|seen| seen.holders_of(untold).count()), 0)?;
    firm.pods().delete("untold-0", &DeleteParams::default()).await?;
    witnesses.wait_for(|seen| seen.holders_of(untold).count() == 1, PATIENCE).await.map_err(chain)
}
