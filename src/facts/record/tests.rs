use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

use super::*;
use crate::{api::publish::VaultObjectType, facts::VaultEntry};

fn times() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_000_000_000, 0_i32..1_000_000_000).prop_map(|(second, nano)| Timestamp::new(second, nano).unwrap())
}

fn ids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn attempts() -> impl Strategy<Value = Attempt> {
    (any::<[u8; 10]>(), ".{0,20}", times()).prop_map(|(chance, holder, at)| Attempt {
        nonce: Nonce::of(chance),
        holder,
        at,
    })
}

fn places() -> impl Strategy<Value = TargetId> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,20}".prop_map(|name| TargetId::Secret(name.as_str().into())),
        ("[a-z][a-z0-9-]{0,20}", any::<bool>()).prop_map(|(name, is_secret)| {
            let object = if is_secret { VaultObjectType::Secret } else { VaultObjectType::Certificate };
            let url = format!("https://{name}.vault.azure.net").as_str().into();
            TargetId::Vault(VaultEntry { url, name: name.as_str().into(), object })
        }),
    ]
}

prop_compose! {
    fn entries()(
        resource in "[a-z]{1,20}", (tenant, client, key) in (ids(), ids(), option::of(ids())), sequence in 1_u32..,
        attempts in vec(attempts(), 1..4), (issued, expires) in (times(), option::of(times())),
        stage in select(vec![Stage::Unpublished, Stage::Publishing, Stage::Abandoned]), published_to in vec(places(), 0..3),
        replaces in option::of(ids()), marks in (option::of(times()), option::of(times()), option::of(times()), option::of(times()), option::of(times()), option::of(times())),
        cause in option::of(select(Cause::ALL)), adopted in option::of(select(vec![Adopted::Certain, Adopted::OneOfSeveral])), again in 0_u32..3,
        is_certificate in any::<bool>(), claims in option::of((".{0,40}", ".{0,40}", ".{0,40}")),
        kind in select(vec![CredentialKind::ClientSecret, CredentialKind::Certificate, CredentialKind::Federated]),
    ) -> Entry {
        Entry {
            owner: Owner::of("cluster", "namespace", &resource), resource, tenant: TenantId(tenant),
            client_id: ClientId(client), kind, sequence: Sequence(sequence), attempts, stage, published_to,
            kept: key.map(|key| Kept { key_id: KeyId(key), issued_at: issued, expires_at: expires, thumbprint: is_certificate.then(|| Thumbprint::of(issued.to_string().as_bytes())) }),
            replaces: replaces.map(KeyId), verified_at: marks.0, published_at: marks.1, proven_at: marks.2, abandoned_at: marks.3,
            retired_at: marks.4, taken_out_at: marks.5, cause, adopted, again,
            claims: claims.map(|(issuer, subject, audience)| Claims { issuer, subject, audience }),
        }
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(entry in entries()) {
        prop_assert_eq!(Entry::read(&entry.name(), &entry.labels(), &entry.annotations()), Ok(entry));
    }

    #[test]
    fn a_record_that_somebody_scribbled_on_is_no_surprise(entry in entries(), key in 0_usize..20, text in ".{0,40}") {
        let mut annotations = entry.annotations();
        if let Some(value) = annotations.values_mut().nth(key) {
            *value = text;
        }
        if let Ok(read) = Entry::read(&entry.name(), &entry.labels(), &annotations) {
            prop_assert_eq!(Entry::read(&entry.name(), &read.labels(), &read.annotations()), Ok(read));
        }
    }
}

#[test]
fn a_record_under_another_name_is_none() {
    let owner = Owner::of("c", "n", "x");
    let entry = Entry::opened(
        owner.clone(),
        "x",
        (TenantId(Uuid::nil()), ClientId(Uuid::nil()), CredentialKind::ClientSecret),
        Sequence(2),
        Attempt { nonce: Nonce::of([0; 10]), holder: "one".into(), at: Timestamp::UNIX_EPOCH },
    );
    let read = |name: &str, entry: &Entry| Entry::read(name, &entry.labels(), &entry.annotations());
    let named = name_of(&owner, Sequence(2));
    assert_eq!(read(&name_of(&owner, Sequence(1)), &entry), Err(NotARecord::Misnamed(named.clone())));
    assert_eq!(read(&named, &Entry { attempts: vec![], ..entry }), Err(NotARecord::Missing(ATTEMPTS)));
}
