//! What is done to secrets for whoever may do it: reading, writing, lists, and the way of deleted secrets, each as one operation
//! on one vault, answered in JSON. Who may, has been decided.

use hyper::StatusCode;
use serde_json::Value;

use super::asked::{Collection, Wish};
use super::errors::Error;
use super::refusal::Refusal;
use super::secrets::{Secret, Version};
use super::shape::{Body, Page, Shape};
use super::vaults::{By, Vault};
use crate::azure::call::Call;
use crate::azure::dice::Dice;

/// An answer in the making.
pub(super) type Answered = Result<(StatusCode, Option<Value>), Error>;

pub(super) fn carry_out(vault: &mut Vault, wish: Wish, call: &Call, by: By, dice: &mut Dice) -> Answered {
    let settings = vault.settings;
    let shape = Shape { origin: &call.origin, settings: &settings };
    let body = match wish {
        Wish::List => list(vault, shape, call, by)?,
        Wish::Versions(name) => versions(vault.secrets.here(&name, by.now)?, shape, call)?,
        Wish::ListDeleted => list_deleted(vault, shape, call, by)?,
        Wish::Get(name, version) => {
            let (secret, version) = vault.secrets.get(&name, version.as_deref(), by.now)?;
            shape.whole(secret, version)
        }
        Wish::Put(name) => {
            let mut body = Body::of(call)?;
            let value = body.value.take().ok_or_else(Error::bad_property)?;
            let (secret, version) = vault.put(&name, value, body.edit(), by, dice)?;
            shape.whole(secret, version)
        }
        Wish::Edit(name, version) => {
            let (secret, version) =
                vault.edit(Collection::Secrets, &name, version.as_deref(), Body::of(call)?.edit(), by)?;
            shape.version(secret, version)
        }
        Wish::Delete(name) => deleted(shape, vault.delete(Collection::Secrets, &name, by, dice)?)?,
        Wish::GetDeleted(name) => deleted(shape, vault.secrets.deleted(&name, by.now)?)?,
        Wish::Recover(name) => {
            let secret = vault.recover(Collection::Secrets, &name, by, dice)?;
            let latest = secret.latest().ok_or(Refusal::NotFound(name))?;
            shape.version(secret, latest)
        }
        Wish::Purge(name) => {
            vault.purge(Collection::Secrets, &name, by)?;
            return Ok((StatusCode::NO_CONTENT, None));
        }
    };
    Ok((StatusCode::OK, Some(body)))
}

fn list(vault: &Vault, shape: Shape<'_>, call: &Call, by: By) -> Result<Value, Error> {
    let page = Page::of(call)?;
    let listed = |secret: &Secret| Some((secret.name.clone(), shape.listed(secret)?));
    Ok(page.told(call, vault.secrets.all(&page.after, by.now).filter_map(listed)))
}

/// By their IDs, which are random: nobody promises an order of time.
fn versions(secret: &Secret, shape: Shape<'_>, call: &Call) -> Result<Value, Error> {
    let page = Page::of(call)?;
    let mut rest: Vec<&Version> = secret.versions.iter().filter(|version| version.id > page.after).collect();
    rest.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    Ok(page.told(call, rest.into_iter().map(|version| (version.id.clone(), shape.version(secret, version)))))
}

fn list_deleted(vault: &Vault, shape: Shape<'_>, call: &Call, by: By) -> Result<Value, Error> {
    let page = Page::of(call)?;
    let listed = |secret: &Secret| Some((secret.name.clone(), shape.deleted(secret, secret.deletion()?, true)?));
    Ok(page.told(call, vault.secrets.all_deleted(&page.after, by.now).filter_map(listed)))
}

fn deleted(shape: Shape<'_>, secret: &Secret) -> Result<Value, Error> {
    let shown = secret.deletion().and_then(|deletion| shape.deleted(secret, deletion, false));
    shown.ok_or_else(|| Refusal::NotDeleted(secret.name.clone()).into())
}
