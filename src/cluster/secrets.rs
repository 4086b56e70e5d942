//! Published Secrets: what is there, and writing what is wanted over exactly what was read. Whether it may be written is
//! `plan`'s to decide; here is only said whose it is and what stands in the way.

use std::borrow::Borrow;

use base64::{Engine, prelude::BASE64_STANDARD};
use kube::{
    Client,
    api::{DeleteParams, GetParams, Patch, PatchParams, PostParams, Preconditions},
    core::Status,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    Error, Written,
    call::{ask, hiding},
    connect::Connection,
    stored::{Stored, bytes, is_ours, manager, secrets},
    trouble::{rivals, trouble},
    wanted::{Wanted, type_of},
};
use crate::{
    api::{
        Reason,
        publish::{SecretCreationPolicy, SecretTarget},
    },
    facts::{
        Carried, Effect, Holder, TargetState, Trouble,
        record::{KEY_ID, NONCE, OWNER, SEQUENCE},
    },
};

/// The published Secrets of this cluster.
#[derive(Clone)]
pub struct Secrets {
    once: Client,
}

impl Secrets {
    /// The Secrets of a cluster.
    #[must_use]
    pub fn new(cluster: &Connection) -> Self {
        Self { once: cluster.once.clone() }
    }

    /// What there is, compared with what is wanted there; that is found out only if there is anything.
    pub async fn read(
        &self,
        namespace: &str,
        name: &str,
        wanted: impl Future<Output = Result<impl Borrow<Wanted>, Trouble>>,
    ) -> Result<TargetState, Trouble> {
        Ok(match stored(&self.once, namespace, name).await? {
            Some(stored) => TargetState::Present(compared(&stored, wanted.await?.borrow())),
            None => TargetState::Absent,
        })
    }

    /// What there is, before there is anything to compare it with: it agrees with nothing, but it is already said what
    /// stands in the way of what is declared.
    pub async fn look(
        &self,
        namespace: &str,
        name: &str,
        declared: Option<&SecretTarget>,
    ) -> Result<TargetState, Trouble> {
        Ok(match stored(&self.once, namespace, name).await? {
            Some(stored) => TargetState::Present(carried(&stored, type_of(declared).as_deref(), false)),
            None => TargetState::Absent,
        })
    }

    /// The value of a key, if there is one and it is text: what those who read the Secret sign in with.
    pub async fn held(&self, namespace: &str, name: &str, key: &str) -> Result<Option<SecretString>, Trouble> {
        Ok(stored(&self.once, namespace, name).await?.and_then(|stored| stored.text(key)))
    }

    /// Write what is wanted over what was read: nothing, or this very version of this very Secret. What comes back is what
    /// the API server has stored, which a webhook may have made something else.
    pub async fn write(
        &self,
        namespace: &str,
        wanted: &Wanted,
        over: Option<&Carried>,
    ) -> Result<Written<Carried>, Trouble> {
        let doing = || format!("publish to Secret {namespace}/{}", wanted.name);
        let post = PostParams { field_manager: Some(manager(&wanted.owner)), ..PostParams::default() };
        let body = body(namespace, wanted, over);
        let asked = match (wanted.policy, over) {
            (SecretCreationPolicy::Merge, None) => return Err(missing(&doing())),
            (SecretCreationPolicy::Merge, Some(_)) => {
                // Never with force: what somebody else claims in a Secret of theirs is theirs.
                let apply = PatchParams::apply(&manager(&wanted.owner));
                secrets(namespace).patch(&wanted.name, &apply, &Patch::Apply(&body))
            }
            (_, None) => secrets(namespace).create(&post, bytes(&body)),
            (_, Some(_)) => secrets(namespace).replace(&wanted.name, &post, bytes(&body)),
        };
        match ask::<Stored>(&self.once, doing, asked).await {
            Ok(stored) => Ok(Written::Yes(compared(&stored, wanted))),
            Err(error) if over.is_none() && error.status().is_some_and(Status::is_already_exists) => {
                Ok(Written::Outpaced)
            }
            Err(error) => {
                let rivals = error.status().map(rivals).unwrap_or_default();
                if are_ourselves(&rivals, wanted) {
                    return self.claim_anew(namespace, wanted, &body).await;
                }
                if !rivals.is_empty() {
                    return Err(without_values(contested(&doing(), &rivals), wanted));
                }
                error.unless_outpaced().map_err(|error| without_values(error.into(), wanted))
            }
        }
    }

    /// What was written whole, before it was to be merged, is claimed by us in another way, which is in the way of an apply.
    async fn claim_anew(&self, namespace: &str, wanted: &Wanted, body: &Value) -> Result<Written<Carried>, Trouble> {
        let doing = || format!("publish to Secret {namespace}/{}", wanted.name);
        let apply = PatchParams::apply(&manager(&wanted.owner)).force();
        let asked = secrets(namespace).patch(&wanted.name, &apply, &Patch::Apply(body));
        match ask::<Stored>(&self.once, doing, asked).await {
            Ok(stored) => Ok(Written::Yes(compared(&stored, wanted))),
            Err(error) => error.unless_outpaced().map_err(|error| without_values(error.into(), wanted)),
        }
    }

    /// Delete a Secret, if it is still as it was read.
    pub async fn delete(&self, namespace: &str, name: &str, over: &Carried) -> Result<Written<()>, Trouble> {
        let read = Preconditions { uid: over.uid.clone(), resource_version: Some(over.version.clone()) };
        let params = DeleteParams { preconditions: Some(read), ..DeleteParams::default() };
        let asked = secrets(namespace).delete(name, &params);
        match ask::<Value>(&self.once, || format!("delete Secret {namespace}/{name}"), asked).await {
            Ok(_) => Ok(Written::Yes(())),
            Err(error) if error.is_gone() => Ok(Written::Yes(())),
            Err(error) => Ok(error.unless_outpaced()?),
        }
    }
}

/// A Secret as it is now, if there is one.
pub(super) async fn stored(client: &Client, namespace: &str, name: &str) -> Result<Option<Stored>, Error> {
    let doing = || format!("read Secret {namespace}/{name}");
    match ask(client, doing, secrets(namespace).get(name, &GetParams::default())).await {
        Ok(stored) => Ok(Some(stored)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is sent: all of a Secret that is ours, or our part of somebody's.
fn body(namespace: &str, wanted: &Wanted, over: Option<&Carried>) -> Value {
    let coded = |value: &SecretString| json!(BASE64_STANDARD.encode(value.expose_secret()));
    let data: serde_json::Map<_, _> = wanted.data.iter().map(|(key, value)| (key.clone(), coded(value))).collect();
    let mut body = json!({
        "apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {
            "name": wanted.name, "namespace": namespace, "labels": wanted.labels, "annotations": wanted.annotations,
        },
    });
    if let Some(over) = over {
        // Both: with the version alone, an apply would bring back what somebody has deleted.
        body["metadata"]["uid"] = json!(over.uid);
        body["metadata"]["resourceVersion"] = json!(over.version);
    }
    if let (Some(type_), false) = (&wanted.type_, wanted.policy == SecretCreationPolicy::Merge) {
        body["type"] = json!(type_);
    }
    body
}

/// What a Secret carries, compared with what is wanted there.
fn compared(stored: &Stored, wanted: &Wanted) -> Carried {
    carried(stored, wanted.type_.as_deref(), agrees(stored, wanted))
}

/// What a Secret carries.
fn carried(stored: &Stored, type_: Option<&str>, agrees: bool) -> Carried {
    let owner = stored.label(OWNER).and_then(|owner| owner.parse().ok());
    Carried {
        holder: owner.map_or(Holder::Unowned, Holder::Owned),
        key_id: stored.annotation(KEY_ID).and_then(|key_id| key_id.parse().ok()).map(crate::api::KeyId),
        sequence: stored.annotation(SEQUENCE).and_then(|number| number.parse().ok()).map(crate::facts::Sequence),
        nonce: stored.annotation(NONCE).and_then(|nonce| nonce.parse().ok()),
        agrees,
        obstacle: obstacle(stored, type_),
        version: stored.metadata.resource_version.clone().unwrap_or_default(),
        uid: stored.metadata.uid.clone(),
    }
}

/// Whether a Secret is as wanted: ours has no key besides, somebody's may.
fn agrees(stored: &Stored, wanted: &Wanted) -> bool {
    let keys = wanted.compared().all(|(key, value)| stored.data.get(key).is_some_and(|there| there.is(value)));
    let may_have_more = wanted.policy == SecretCreationPolicy::Merge || wanted.leaving;
    let nothing_else = may_have_more || stored.data.len() == wanted.data.len();
    let counts = |key: &str| !wanted.leaving || is_ours(key);
    let labels = wanted.labels.iter().all(|(key, text)| !counts(key) || stored.label(key) == Some(text));
    let annotations = wanted.annotations.iter().all(|(key, text)| !counts(key) || stored.annotation(key) == Some(text));
    keys && nothing_else && labels && annotations && has_type(stored, wanted.type_.as_deref())
}

fn has_type(stored: &Stored, type_: Option<&str>) -> bool {
    type_.is_none_or(|type_| stored.type_ == type_)
}

fn obstacle(stored: &Stored, type_: Option<&str>) -> Option<Trouble> {
    let name = stored.name();
    if stored.immutable == Some(true) {
        let remedy =
            "Delete it (it is written again within seconds), or choose another name in spec.publish.secret.name.";
        let message = format!("{name} is immutable, so it cannot carry a new credential");
        return Some(trouble((Reason::SecretImmutable, Effect::NotSent, remedy), message));
    }
    let declared = type_.filter(|_| !has_type(stored, type_))?;
    let remedy = "Delete it (it is written again within seconds), or declare in spec.publish.secret.template.type the \
                  type that it has.";
    let message = format!("{name} has the type {}, not {declared}, and nobody can change it", stored.type_);
    Some(trouble((Reason::SecretTypeDiffers, Effect::NotSent, remedy), message))
}

fn missing(doing: &str) -> Trouble {
    let remedy = "Create it, or set spec.publish.secret.creationPolicy to Owner.";
    let message = format!("could not {doing}: creationPolicy is Merge, and there is no Secret of that name");
    trouble((Reason::SecretMissing, Effect::NotSent, remedy), message)
}

/// Whether somebody is in the way of an apply, and all of them are us.
fn are_ourselves(rivals: &[String], wanted: &Wanted) -> bool {
    let ours = format!("conflict with \"{}\"", manager(&wanted.owner));
    !rivals.is_empty() && rivals.iter().all(|rival| rival.starts_with(&ours))
}

fn contested(doing: &str, rivals: &[String]) -> Trouble {
    let remedy = "Take these fields out of what the other manager applies, or choose another Secret.";
    let message = format!("could not {doing}: somebody else keeps what is to be merged: {}", rivals.join("; "));
    trouble((Reason::SecretNotOurs, Effect::Refused, remedy), message)
}

fn without_values(trouble: Trouble, wanted: &Wanted) -> Trouble {
    let values = wanted.secrets().map(ExposeSecret::expose_secret);
    Trouble { message: hiding(trouble.message, values), ..trouble }
}
