//! Certificates. Key and certificate are made, or taken from a Secret, and kept before Entra hears of them: one that gets
//! lost on the way costs nothing, and what becomes of adding it is answered by a look, since its key ID is known before.
//! From there on a certificate is proven, published, brought to everybody and replaced like a secret.
//!
//! Reading order: this file (making one), [`source`] (the Secret that one is taken from), [`list`] (the application's
//! certificates, which are written whole or not at all), [`fold`].

pub(super) mod fold;
pub(super) mod list;
pub(super) mod source;

use std::time::Duration;

use super::{
    scene::{Ruling, Scene, after, before},
    step::{Origin, Step},
};
use crate::{
    api::{grant::CredentialKind, kinds::Generate},
    certificate::made::Wish,
    facts::Record,
};

/// So much before it is made a certificate begins, for those whose clock is behind.
const EARLY: Duration = Duration::from_mins(5);

/// How many bits a key has, if nobody says.
const BITS: i32 = 2048;

/// Whether it is certificates that a scene is about.
pub(super) fn is_about_them(scene: &Scene<'_>) -> bool {
    scene.request.kind == CredentialKind::Certificate
}

/// Make it, or take it. Nothing outside of this process changes by that.
pub(super) fn make(scene: &Scene<'_>, record: &Record) -> Ruling {
    let from = match source::name(scene) {
        Some(name) => match source::usable(scene) {
            Ok(thumbprint) => Origin::Secret { name: name.clone(), thumbprint: thumbprint.clone() },
            Err(ruling) => return ruling,
        },
        None => Origin::Generated(wish(scene)),
    };
    scene.attempt(Step::Make { record: Box::new(record.clone()), from })
}

fn wish(scene: &Scene<'_>) -> Wish {
    let none = Generate { validity: None, private_key: None, common_name: None };
    let declared = scene.request.spec.certificate.as_ref().and_then(|one| one.generate.as_ref()).unwrap_or(&none);
    // What a policy allows counts from the beginning.
    let validity = scene.policy.validity.map_or(Duration::ZERO, |validity| validity.0);
    let begins = before(scene.now, EARLY.min(validity / 100));
    Wish {
        common_name: declared.common_name.clone().unwrap_or_else(|| scene.request.name.to_owned()),
        bits: declared.private_key.as_ref().and_then(|key| key.size).unwrap_or(BITS),
        begins,
        ends: after(begins, validity),
    }
}
