//! What is done to certificates for whoever may do it: importing, reading, lists, and the way of deleted ones, each as one
//! operation on one vault, answered in JSON. Each is the secret of its name at the same time, and a key. A vault makes no
//! certificates here, and takes none in PKCS #12. Who may, has been decided.

mod body;
mod imported;
mod shape;

use hyper::StatusCode;
use serde_json::Value;

use self::body::Body;
pub(super) use self::imported::Imported;
use self::shape::Certificates;
use super::asked::{Collection, Wish};
use super::errors::Error;
use super::operations::Answered;
use super::refusal::Refusal;
use super::secrets::{Secret, SecretEdit, Version};
use super::shape::{Page, Shape};
use super::vaults::{By, Vault};
use crate::azure::call::Call;
use crate::azure::dice::Dice;

const THIS: Collection = Collection::Certificates;

/// A refusal in the words that there are for certificates.
fn refused(refusal: Refusal) -> Error {
    Error::about(THIS, refusal)
}

pub(super) fn carry_out(vault: &mut Vault, wish: Wish, call: &Call, by: By, dice: &mut Dice) -> Answered {
    let settings = vault.settings;
    let shape = Certificates(Shape { origin: &call.origin, settings: &settings });
    let body = match wish {
        Wish::List => list(vault, shape, call, by)?,
        Wish::Versions(name) => versions(certificate(vault, &name, by)?, shape, call)?,
        Wish::ListDeleted => list_deleted(vault, shape, call, by)?,
        Wish::Get(name, version) => {
            let (secret, version) = vault.secrets.find(&name, version.as_deref(), by.now).map_err(refused)?;
            shape.whole(secret, version).ok_or_else(|| refused(Refusal::NotFound(name)))?
        }
        Wish::Put(name) => {
            let body = Body::of(call)?;
            let imported = Imported::of(&body, by.now).map_err(refused)?;
            let edit = body.about(&imported.x509);
            let (secret, version) = vault.import(&name, imported, edit, by, dice).map_err(refused)?;
            shape.whole(secret, version).ok_or_else(|| refused(Refusal::NotFound(name)))?
        }
        Wish::Edit(name, version) => {
            let (secret, version) = edit(vault, &name, version.as_deref(), Body::of(call)?, by)?;
            shape.whole(secret, version).ok_or_else(|| refused(Refusal::NotFound(name)))?
        }
        Wish::Delete(name) => deleted(shape, vault.delete(THIS, &name, by, dice).map_err(refused)?)?,
        Wish::GetDeleted(name) => deleted(shape, vault.secrets.deleted(&name, by.now).map_err(refused)?)?,
        Wish::Recover(name) => {
            let secret = vault.recover(THIS, &name, by, dice).map_err(refused)?;
            let latest = secret.latest().and_then(|latest| shape.whole(secret, latest));
            latest.ok_or_else(|| refused(Refusal::NotDeleted(name)))?
        }
        Wish::Purge(name) => {
            vault.purge(THIS, &name, by).map_err(refused)?;
            return Ok((StatusCode::NO_CONTENT, None));
        }
    };
    Ok((StatusCode::OK, Some(body)))
}

/// The key that comes with a certificate; of keys there is nothing else.
pub(super) fn tell_key(vault: &Vault, wish: &Wish, call: &Call, by: By) -> Answered {
    let refused = |refusal| Error::about(Collection::Keys, refusal);
    let Wish::Get(name, version) = wish else {
        return Err(Error::no_such_operation(call.method.as_str(), &call.path));
    };
    let (secret, version) = vault.secrets.find(name, version.as_deref(), by.now).map_err(refused)?;
    let shape = Certificates(Shape { origin: &call.origin, settings: &vault.settings });
    let told = shape.key(secret, version).ok_or_else(|| refused(Refusal::NotFound(name.clone())))?;
    Ok((StatusCode::OK, Some(told)))
}

/// Policies are not changed here, and certainly not those of one version.
fn edit<'a>(
    vault: &'a mut Vault,
    name: &str,
    version: Option<&str>,
    body: Body,
    by: By,
) -> Result<(&'a Secret, &'a Version), Error> {
    if body.policy.is_some() {
        return Err(Error::bad_property());
    }
    let edit: SecretEdit = body.edit();
    vault.edit(THIS, name, version, edit, by).map_err(refused)
}

fn certificate<'a>(vault: &'a Vault, name: &str, by: By) -> Result<&'a Secret, Error> {
    let found = vault.secrets.here(name, by.now).map_err(refused)?;
    if found.is_managed() { Ok(found) } else { Err(refused(Refusal::NotFound(name.to_owned()))) }
}

fn list(vault: &Vault, shape: Certificates<'_>, call: &Call, by: By) -> Result<Value, Error> {
    let page = Page::of(call)?;
    let listed = |secret: &Secret| Some((secret.name.clone(), shape.listed(secret)?));
    Ok(page.told(call, vault.secrets.all(&page.after, by.now).filter_map(listed)))
}

/// By their IDs, which are random: nobody promises an order of time.
fn versions(secret: &Secret, shape: Certificates<'_>, call: &Call) -> Result<Value, Error> {
    let page = Page::of(call)?;
    let mut rest: Vec<&Version> = secret.versions.iter().filter(|version| version.id > page.after).collect();
    rest.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let listed = |version: &Version| Some((version.id.clone(), shape.version(secret, version)?));
    Ok(page.told(call, rest.into_iter().filter_map(listed)))
}

fn list_deleted(vault: &Vault, shape: Certificates<'_>, call: &Call, by: By) -> Result<Value, Error> {
    let page = Page::of(call)?;
    let listed = |secret: &Secret| Some((secret.name.clone(), shape.deleted(secret, secret.deletion()?, true)?));
    Ok(page.told(call, vault.secrets.all_deleted(&page.after, by.now).filter_map(listed)))
}

fn deleted(shape: Certificates<'_>, secret: &Secret) -> Result<Value, Error> {
    let shown = secret.deletion().and_then(|deletion| shape.deleted(secret, deletion, false));
    shown.ok_or_else(|| refused(Refusal::NotDeleted(secret.name.clone())))
}
