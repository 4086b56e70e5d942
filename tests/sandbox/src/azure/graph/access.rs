//! Who may do what in Graph (AZURE 1.1): `OwnedBy` reads everything and writes what it owns, `All` writes everything, and
//! without any permission an application may still read itself. Pure.

use super::errors::Error;
use crate::azure::applications::Application;
use crate::azure::tokens::Caller;

const OWNED: &str = "Application.ReadWrite.OwnedBy";
const ALL: &str = "Application.ReadWrite.All";

fn has(caller: &Caller, any_of: &[&str]) -> bool {
    caller.roles.iter().any(|role| any_of.contains(&role.as_str()))
}

/// May read all applications and service principals.
pub(super) fn reads_all(caller: &Caller) -> Result<(), Error> {
    let roles = ["Application.Read.All", OWNED, ALL, "Directory.Read.All", "Directory.ReadWrite.All"];
    if has(caller, &roles) { Ok(()) } else { Err(Error::denied()) }
}

/// May read changes; the permission of the older page (AZURE 1.1).
pub(super) fn reads_changes(caller: &Caller) -> Result<(), Error> {
    let roles = ["Directory.Read.All", "Directory.ReadWrite.All", ALL];
    if has(caller, &roles) { Ok(()) } else { Err(Error::denied()) }
}

/// May read who signs in with what (AZURE 1.7).
pub(super) fn reads_reports(caller: &Caller) -> Result<(), Error> {
    if has(caller, &["AuditLog.Read.All", "Directory.Read.All"]) { Ok(()) } else { Err(Error::denied()) }
}

/// May read this application.
pub(super) fn reads(caller: &Caller, application: &Application) -> Result<(), Error> {
    if application.client_id == caller.client_id { Ok(()) } else { reads_all(caller) }
}

/// May write to this application.
pub(super) fn writes(caller: &Caller, application: &Application) -> Result<(), Error> {
    let is_owner = || application.owners.contains(&caller.object_id);
    if has(caller, &[ALL, "Directory.ReadWrite.All"]) || has(caller, &[OWNED]) && is_owner() {
        Ok(())
    } else {
        Err(Error::denied())
    }
}
