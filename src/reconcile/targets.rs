//! The arms of `act` for targets: looking at what is there, and writing what a record has.

use super::{
    act::{Act, Values},
    connections::Connection,
};
use crate::{
    api::{Reason, publish::SecretTarget},
    cluster::{
        Written,
        wanted::{Issued, Wanted},
    },
    facts::{Carried, Looked, Record, Service, TargetId, TargetState, Trouble, VaultEntry},
    plan::Outcome,
    vault::Projection,
};

impl Act<'_> {
    pub(super) async fn read_target(&self, target: &TargetId, record: Option<&Record>, values: &Values) -> Outcome {
        let at = self.hands.clock.now();
        let found = match self.look_at(target, record, values).await {
            Ok(state) => state,
            Err(trouble) => TargetState::Troubled(trouble),
        };
        Outcome::Target(Looked { at, found })
    }

    async fn look_at(
        &self,
        target: &TargetId,
        record: Option<&Record>,
        values: &Values,
    ) -> Result<TargetState, Trouble> {
        match (target, record) {
            (TargetId::Secret(name), None) => {
                self.hands.secrets.look(self.namespace, name.as_str(), self.declared_secret()).await
            }
            (TargetId::Secret(name), Some(record)) => {
                let wanted = self.wanted(name.as_str(), record, values);
                self.hands.secrets.read(self.namespace, name.as_str(), wanted).await
            }
            (TargetId::Vault(entry), None) => Ok(self.connection().await?.vaults.read(entry, None).await),
            (TargetId::Vault(entry), Some(record)) => {
                let connection = self.connection().await?;
                let projection = self.projection(&connection, entry, record, values).await?;
                Ok(connection.vaults.read(entry, Some(&projection)).await)
            }
        }
    }

    /// What a Secret is to be. One under a name that is not declared any more is only looked at.
    async fn wanted(&self, name: &str, record: &Record, values: &Values) -> Result<Wanted, Trouble> {
        let entry = &record.entry;
        let mut wanted = if entry.claims.is_some() {
            let connection = self.connection().await?;
            Wanted::without_credential(self.declared_secret(), entry, connection.cloud.authority())
        } else {
            let value = self.value(record, values).await?;
            let connection = self.connection().await?;
            Wanted::new(
                self.declared_secret(),
                &Issued { entry, value: &value, authority_host: connection.cloud.authority() },
            )
        }
        .map_err(|why| unpublishable(&why))?;
        wanted.leaving = entry.claims.is_none() && self.spec.federated.is_some();
        name.clone_into(&mut wanted.name);
        Ok(wanted)
    }

    fn declared_secret(&self) -> Option<&SecretTarget> {
        self.spec.publish.as_ref()?.secret.as_ref()
    }

    async fn projection(
        &self,
        connection: &Connection,
        place: &VaultEntry,
        record: &Record,
        values: &Values,
    ) -> Result<Projection, Trouble> {
        let value = self.value(record, values).await?;
        super::project::vault_entry(self.spec, place, &record.entry, &value, connection.cloud.authority())
            .map_err(|why| unpublishable(&why))
    }

    pub(super) async fn publish(
        &self,
        record: &Record,
        target: &TargetId,
        over: Option<&Carried>,
        values: &Values,
    ) -> Result<Outcome, Trouble> {
        let found = match target {
            TargetId::Secret(name) => {
                let wanted = self.wanted(name.as_str(), record, values).await?;
                if !self.is_still_so(record).await? {
                    return Ok(Outcome::Outpaced);
                }
                if self.is_late() {
                    return Ok(Outcome::Expired);
                }
                match self.hands.secrets.write(self.namespace, &wanted, over).await? {
                    Written::Yes(carried) => carried,
                    Written::Outpaced => return Ok(Outcome::Overtaken),
                }
            }
            TargetId::Vault(entry) => {
                let connection = self.connection().await?;
                let projection = self.projection(&connection, entry, record, values).await?;
                if !self.is_still_so(record).await? {
                    return Ok(Outcome::Outpaced);
                }
                if self.is_late() {
                    return Ok(Outcome::Expired);
                }
                connection.vaults.write(entry, &projection, self.in_time()).await?
            }
        };
        Ok(Outcome::Target(Looked { at: self.hands.clock.now(), found: TargetState::Present(found) }))
    }
}

fn unpublishable(why: &dyn std::fmt::Display) -> Trouble {
    Trouble::unsent(
        Service::Kubernetes,
        Reason::InvalidTemplate,
        format!("could not make what is to be published: {why}"),
        "Correct the template.",
    )
}
