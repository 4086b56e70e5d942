//! Adoption: a credential that somebody made becomes the current one. Nothing is minted and nobody is restarted; only its
//! successor, some day, is a rotation like any other.

use super::{
    admit, proof,
    scene::{Ruling, Scene, after},
    step::Step,
};
use crate::{
    api::{KeyId, Reason, grant::Allowance, rotation::Adopt},
    facts::{Adopted, Application, Cause, Credential, Entry, Kept, Record, TargetId},
};

/// Make the credential that the spec names the first one, in place of minting one. `blank` is what a new record says.
pub(super) fn adopt(scene: &Scene<'_>, application: &Application, blank: Entry) -> Ruling {
    match &scene.request.spec.adopt {
        Some(adopt) => keep(scene, application, adopt, None, blank),
        None => Ruling::Pass,
    }
}

/// The same in a record that was opened for it, and in which nothing was kept.
pub(super) fn go_on(scene: &Scene<'_>, record: &Record) -> Ruling {
    let Some(adopt) = &scene.request.spec.adopt else { return proof::give_up(scene, record, None) };
    match scene.application() {
        Ok(application) => keep(scene, application, adopt, Some(record), record.entry.clone()),
        Err(ruling) => ruling,
    }
}

fn keep(scene: &Scene<'_>, application: &Application, adopt: &Adopt, record: Option<&Record>, blank: Entry) -> Ruling {
    let all = || application.credentials.iter().filter(|one| one.kind == scene.request.kind);
    let found = all().find(|one| one.key_id == adopt.key_id && !one.is_expired(scene.now));
    let Some(found) = found else {
        let what = format!(
            "spec.adopt.keyId: application {} has no valid credential {} of this kind; correct it, or remove spec.adopt to have one minted",
            scene.request.spec.client_id, adopt.key_id
        );
        return Ruling::wait(Reason::AdoptionRefused, what, Some(after(scene.now, scene.timing.drift)));
    };
    let like_it = |one: &Credential| one.hint.is_some() && one.hint == found.hint && one.key_id != found.key_id;
    let adopted = if all().any(like_it) { Adopted::OneOfSeveral } else { Adopted::Certain };
    // Whoever reads it where it is now is a reader of it like any other.
    let source = adopt.value_from.secret_key_ref.as_ref().map(|source| TargetId::Secret(source.name.clone()));
    let kept = Kept {
        key_id: found.key_id,
        issued_at: found.start.unwrap_or(scene.now),
        expires_at: found.end,
        thumbprint: None,
    };
    let entry = Entry {
        cause: Some(Cause::Adopted),
        adopted: Some(adopted),
        kept: Some(kept),
        published_to: source.into_iter().collect(),
        ..blank
    };
    let record = record.map(|record| Box::new(record.clone()));
    scene.effect(Step::Adopt { record, entry: Box::new(entry), from: adopt.value_from.clone() })
}

/// Whether the spec names a credential as adopted: without that, a record that says so is nobody's word.
pub(super) fn is_named(scene: &Scene<'_>, key_id: KeyId) -> bool {
    scene.request.spec.adopt.as_ref().is_some_and(|adopt| adopt.key_id == key_id)
}

/// Whether an adopted credential may be removed after it was replaced: it is certain which it is, and the tenant allows it.
pub(super) fn may_go(scene: &Scene<'_>, key_id: KeyId) -> bool {
    let certain = scene.records().any(|record| {
        let entry = &record.entry;
        entry.adopted == Some(Adopted::Certain) && entry.kept.as_ref().is_some_and(|kept| kept.key_id == key_id)
    });
    certain && is_named(scene, key_id) && admit::allows(scene.request, Allowance::RetireForeign)
}
