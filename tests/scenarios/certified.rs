//! An application that has certificates beside what Keywright keeps for it: pods sign in with either, and what is somebody
//! else's is left to them.

use jiff::Timestamp;
use keywright_sandbox::{
    azure::{SelfSigned, X509},
    ledger::{Blame, Offence},
};
use libtest_mimic::Failed;
use serde_json::json;

use crate::{
    rotation::{demand, ends, published},
    town::{Firm, PATIENCE, RESOURCE, Reads, Town, chain, insist, same},
};

/// The Secret that somebody else keeps, and the file with all of it, as cert-manager writes it.
const ISSUED: (&str, &str) = ("issued", "tls-combined.pem");

pub async fn a_rotation_of_secrets_leaves_certificates_alone(town: Town) -> Result<(), Failed> {
    let firm = town.firm("certified").await?;
    let operator = firm.operator().await?;
    let [old, new] = [made()?, made()?];
    let given = firm.azure.seed_certificate(&firm.payments, old.entry("CN=payments")).map_err(chain)?;
    firm.provide(ISSUED.0, &old, &old).await?;
    firm.run_certificate("follower", 2, ISSUED, Reads::EachTime).await?;
    firm.run_certificate("library", 1, ISSUED, Reads::AtStart).await?;
    firm.deploy("web", 2, RESOURCE).await?;
    published(&firm, &json!({})).await?;
    firm.pods_sign_in_with(3, &given.x509).await?;

    // While ours is rotated somebody renews theirs, with a tool that writes the whole list.
    let draft = firm.azure.draft_certificates(&firm.payments).map_err(chain)?;
    demand(&firm).await?;
    draft.with(new.entry("CN=payments")).write().await.map_err(chain)?;
    let renewed = X509::read(new.der()).ok_or("what was made cannot be read")?;
    is_known(&firm, &renewed).await?;
    firm.provide(ISSUED.0, &new, &new).await?;
    firm.pods_sign_in_with(2, &renewed).await?;
    ends(&firm, 2).await?;
    firm.pods_sign_in_again(20).await?;
    let thumbprints: Vec<String> =
        firm.azure.certificates(&firm.payments).map_err(chain)?.iter().map(|one| one.x509.thumbprint()).collect();
    same("certificates", thumbprints, vec![given.x509.thumbprint(), renewed.thumbprint()])?;
    firm.ledger().await?.assert_clean().map_err(chain)?;

    // Then they take the old one away, which one of their programs still has.
    firm.azure.remove_certificate(&firm.payments, given.key_id).map_err(chain)?;
    firm.witnesses().wait_for(|seen| !seen.refusals.is_empty(), PATIENCE).await.map_err(chain)?;
    let early = firm.ledger().await?.verdict().early_removals;
    let told: Vec<_> = early.iter().map(|one| (one.credential.key_id, one.pods.len())).collect();
    insist(told == [(given.key_id, 1)], format!("removed while held: {early:?}"))?;
    firm.ends_with(&operator, &[Offence::RemovedWhileHeld, Offence::Refused(Blame::StaleContainer)]).await
}

fn made() -> Result<SelfSigned, Failed> {
    SelfSigned::for_days("payments", 90).map_err(chain)
}

/// Wait until every replica knows a certificate.
async fn is_known(firm: &Firm, x509: &X509) -> Result<(), Failed> {
    firm.until(|| async {
        let credentials = firm.ledger().await?.verdict().credentials;
        let found = credentials.iter().find(|one| one.fingerprint == x509.fingerprint());
        let is_known = found.is_some_and(|one| one.known <= Timestamp::now());
        Ok(if is_known { Ok(()) } else { Err(format!("{} is not known everywhere", x509.thumbprint())) })
    })
    .await
}
