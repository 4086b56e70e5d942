//! Identities outside the cluster, such as a pipeline that an issuer of its own vouches for: their tokens are not to be had,
//! so nothing is proven, and everything is said.

use keywright_sandbox::{Operator, azure::OutsideIssuer};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    federation::{accepts, accepts_so_many, account},
    town::{Firm, RESOURCE, Town, chain, change, insist, read, same},
};

/// A pipeline.
const PIPELINE: &str = "repo:contoso/pay:environment:prod";

fn pipeline(issuer: &OutsideIssuer) -> Value {
    json!({"name": "pipeline", "external": {"issuer": issuer.url(), "subject": PIPELINE}})
}

/// A firm with a pipeline that its resource names.
async fn declared(town: &Town, name: &str) -> Result<(Firm, OutsideIssuer), Failed> {
    let firm = town.federating(name, true).await?;
    let issuer = firm.azure.open_issuer().await.map_err(chain)?;
    firm.federate(&[pipeline(&issuer)], &json!({})).await?;
    Ok((firm, issuer))
}

/// The same where its issuer is granted, and the pipeline has signed in.
async fn in_use(town: &Town, name: &str) -> Result<(Firm, OutsideIssuer, Operator), Failed> {
    let (firm, issuer) = declared(town, name).await?;
    firm.grant_federation(&[issuer.url()]).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    same("what the operator has asked of the issuer", issuer.journal().len(), 0)?;
    is_let_in(&firm, &issuer).await?;
    Ok((firm, issuer, operator))
}

/// Wait until the pipeline is let in.
async fn is_let_in(firm: &Firm, issuer: &OutsideIssuer) -> Result<(), Failed> {
    is_let_in_as(firm, issuer, PIPELINE).await
}

/// The same of any subject.
async fn is_let_in_as(firm: &Firm, issuer: &OutsideIssuer, subject: &str) -> Result<(), Failed> {
    firm.until(|| async {
        let status = firm.signs_in_from_outside(issuer, subject).await?;
        Ok(if status == 200 { Ok(()) } else { Err(format!("Entra answers {status}")) })
    })
    .await
}

pub async fn one_that_is_granted_is_used_and_said_to_be_unproven(town: Town) -> Result<(), Failed> {
    let (firm, _issuer, operator) = in_use(&town, "out-granted").await?;
    let resource = firm.read(RESOURCE).await?;
    let proof: String = read(&resource, "/status/identities/0/proof").unwrap_or_default();
    insist(proof.starts_with("IssuerOnly"), proof)?;
    let told = firm.told(RESOURCE, "Published").await?.message;
    insist(told.contains("identity pipeline (not proven"), told)?;
    firm.comes_to_rest().await?;
    same("added", firm.minted().await?.len(), 1)?;
    firm.ends_clean(&operator).await
}

pub async fn one_that_is_not_granted_is_told_and_set_up_when_it_is(town: Town) -> Result<(), Failed> {
    let (firm, issuer) = declared(&town, "out-refused").await?;
    let operator = firm.operator().await?;
    let told = firm.told(RESOURCE, "IssuerNotGranted").await?.message;
    for words in [issuer.url(), PIPELINE, "federation.externalIssuers", "federation.externalSubjects"] {
        insist(told.contains(words), format!("{words} is not in: {told}"))?;
    }
    firm.settled("marker").await?;
    same("accepted", accepts(&firm)?, vec![])?;
    same("records", firm.records().await?.len(), 0)?;
    firm.grant_federation(&[issuer.url()]).await?;
    firm.told(RESOURCE, "Published").await?;
    is_let_in(&firm, &issuer).await?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}

pub async fn one_whose_grant_is_withdrawn_is_let_in_all_the_same_and_nothing_is_done(town: Town) -> Result<(), Failed> {
    let (firm, issuer, operator) = in_use(&town, "out-withdrawn").await?;
    firm.comes_to_rest().await?;
    let before = accepts(&firm)?;
    firm.grant_federation(&[]).await?;
    firm.told(RESOURCE, "IssuerNotGranted").await?;
    // Not even what is granted by itself.
    firm.service_account("api", None).await?;
    firm.federate(&[pipeline(&issuer), account("api")], &json!({})).await?;
    firm.rounds(2).await?;
    firm.settled("frozen").await?;
    firm.told(RESOURCE, "IssuerNotGranted").await?;
    same("accepted", accepts(&firm)?, before.clone())?;
    is_let_in(&firm, &issuer).await?;
    firm.grant_federation(&[issuer.url()]).await?;
    firm.told(RESOURCE, "Published").await?;
    insist(accepts(&firm)?.contains(&before[0]), "what was accepted is another one now")?;
    is_let_in(&firm, &issuer).await?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}

pub async fn one_goes_when_somebody_confirms_what_takes_its_place(town: Town) -> Result<(), Failed> {
    let (firm, issuer, operator) = in_use(&town, "out-confirmed").await?;
    let subject = "repo:contoso/pay:environment:staging";
    let other = json!({"name": "pipeline", "external": {"issuer": issuer.url(), "subject": subject}});
    firm.federate(&[other], &json!({})).await?;
    firm.condition_says("Rotating", "NotConfirmed", "keywright.dev/confirmed.pipeline").await?;
    firm.told(RESOURCE, "Published").await?;
    firm.rounds(2).await?;
    same("accepted", accepts(&firm)?.len(), 2)?;
    is_let_in(&firm, &issuer).await?;
    is_let_in_as(&firm, &issuer, subject).await?;
    let id: String = read(&firm.read(RESOURCE).await?, "/status/identities/0/id").unwrap_or_default();
    let confirmed = json!({"metadata": {"annotations": {"keywright.dev/confirmed.pipeline": id}}});
    change(&firm.resources(), RESOURCE, &confirmed).await?;
    accepts_so_many(&firm, 1).await?;
    same("who is accepted", accepts(&firm)?[0].subject.as_deref(), Some(subject))?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}

pub async fn one_that_is_taken_out_of_the_spec_goes_when_what_takes_its_place_is_in_use(
    town: Town,
) -> Result<(), Failed> {
    let (firm, issuer, operator) = in_use(&town, "out-over").await?;
    let identities = json!({"spec": {"federated": {"identities": [account("api")]}}});
    change(&firm.resources(), RESOURCE, &identities).await?;
    firm.told(RESOURCE, "AccountMissing").await?;
    firm.settled("marker").await?;
    is_let_in(&firm, &issuer).await?;
    firm.service_account("api", None).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.until(|| async {
        let there = accepts(&firm)?;
        let goes = there.iter().all(|one| one.issuer != issuer.url());
        Ok(if goes && there.len() == 1 { Ok(()) } else { Err(format!("{there:?}")) })
    })
    .await?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}
