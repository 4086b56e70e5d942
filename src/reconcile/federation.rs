//! Carrying out what concerns federated credentials: an arm each, as in `act`.

use super::act::Act;
use crate::{
    api::KeyId,
    cluster::{Written, issuer::issuer},
    entra::exchange,
    facts::{AccountSeen, Claims, Exchange, Looked, Mark, Record, Trouble},
    plan::Outcome,
};

impl Act<'_> {
    pub(super) async fn read_issuer(&self) -> Result<Outcome, Trouble> {
        let at = self.hands.clock.now();
        Ok(Outcome::Issuer(Looked { at, found: issuer(&self.hands.client).await? }))
    }

    pub(super) async fn read_federation(&self) -> Result<Outcome, Trouble> {
        let at = self.hands.clock.now();
        let connection = self.connection().await?;
        Ok(Outcome::Federation(Looked { at, found: connection.directory.federated(self.spec.client_id).await? }))
    }

    /// Have the application accept what a record speaks of.
    pub(super) async fn establish(&self, record: &Record) -> Result<Outcome, Trouble> {
        let entry = &record.entry;
        let (Some(claims), Some(last)) = (&entry.claims, entry.last_attempt()) else { return Ok(Outcome::Expired) };
        let connection = self.connection().await?;
        let _turn = self.hands.turns.take(entry.client_id)?;
        if self.is_late() {
            return Ok(Outcome::Expired);
        }
        let mark = Mark { owner: entry.owner.clone(), sequence: entry.sequence, nonce: last.nonce.clone() };
        let (name, description) = (mark.federated_name(), mark.display_name(self.namespace, &entry.resource));
        let in_time = self.in_time();
        let added = connection.directory.establish(entry.client_id, &name, claims, &description, in_time).await?;
        Ok(Outcome::Established(added))
    }

    /// Exchange a token of an account once, as its pods do.
    pub(super) async fn exchange(&self, account: &str, claims: &Claims) -> Result<Outcome, Trouble> {
        let Some(scope) = self.scope else { return Ok(Outcome::Expired) };
        let connection = self.connection().await?;
        let token = match self.hands.tokens.issue(self.namespace, account, &claims.audience).await {
            Ok(token) => token,
            Err(no_token) => return Ok(Outcome::Exchanged(no_token.into())),
        };
        let (authority, client_id) = (connection.cloud.authority().into(), self.spec.client_id);
        let verdict = exchange(&self.hands.wire, &authority, self.tenant()?, client_id, &token, scope, claims).await;
        self.hands.metrics.proof(&verdict);
        Ok(Outcome::Exchanged(Exchange::Judged(verdict)))
    }

    pub(super) async fn read_account(&self, account: &str) -> Result<Outcome, Trouble> {
        let at = self.hands.clock.now();
        let found = self.hands.accounts.read(self.namespace, account, &self.seen.owner).await?;
        Ok(Outcome::Account(Looked { at, found }))
    }

    pub(super) async fn annotate(&self, account: &str, told: bool, over: &AccountSeen) -> Result<Outcome, Trouble> {
        if self.is_late() {
            return Ok(Outcome::Expired);
        }
        let at = self.hands.clock.now();
        let about = (self.spec.client_id, self.tenant()?);
        let owner = &self.seen.owner;
        let written = if told {
            self.hands.accounts.annotate(self.namespace, (account, over), owner, about).await?
        } else {
            self.hands.accounts.take_back(self.namespace, (account, over), owner).await?
        };
        Ok(match written {
            Written::Yes(seen) => Outcome::Account(Looked { at, found: Some(seen) }),
            Written::Outpaced => Outcome::Outpaced,
        })
    }

    pub(super) async fn withdraw(&self, key_id: KeyId) -> Result<Outcome, Trouble> {
        let connection = self.connection().await?;
        let client_id = self.spec.client_id;
        let _turn = self.hands.turns.take(client_id)?;
        if self.is_late() {
            return Ok(Outcome::Expired);
        }
        connection.directory.withdraw(client_id, key_id, self.in_time()).await?;
        Ok(Outcome::Removed)
    }
}
