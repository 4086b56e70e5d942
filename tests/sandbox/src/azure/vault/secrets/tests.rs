//! The rules of a vault's secrets, without waiting.

use super::*;

const NAME: &str = "payments-api";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn put(secrets: &mut Secrets, value: &str, second: i64) -> Result<String, Refusal> {
    let id = format!("{:032x}", second.unsigned_abs());
    secrets.put(NAME, id.clone(), value.into(), SecretEdit::default(), at(second)).map(|_| id)
}

fn value(secrets: &Secrets, version: Option<&str>, second: i64) -> Result<String, Refusal> {
    secrets.get(NAME, version, at(second)).map(|(_, version)| version.value.tell().to_owned())
}

/// Being deleted from second 10 to 20, purged at 1000.
fn deleted() -> Secrets {
    let mut secrets = Secrets::default();
    put(&mut secrets, "one", 1).unwrap();
    put(&mut secrets, "two", 2).unwrap();
    secrets.delete(NAME, at(20), at(1_000), at(10)).unwrap();
    secrets
}

/// AZURE 6: a PUT always makes a new version; the latest is read; names and IDs have no case.
#[test]
fn every_put_is_a_new_version() {
    let mut secrets = Secrets::default();
    let first = put(&mut secrets, "same", 1).unwrap();
    let second = put(&mut secrets, "same", 10).unwrap();
    let third = put(&mut secrets, "other", 11).unwrap();
    assert_eq!(value(&secrets, None, 12), Ok("other".into()));
    assert_eq!(value(&secrets, Some(&first), 12), Ok("same".into()));
    assert_eq!(value(&secrets, Some(&third.to_uppercase()), 12), Ok("other".into()));
    assert!(secrets.get(&NAME.to_uppercase(), Some(&second), at(12)).is_ok());
    assert_eq!(value(&secrets, Some("0"), 12), Err(Refusal::NotFound(NAME.into())));
}

/// AZURE 6: `enabled: false` blocks GET of that version; nbf and exp block nothing.
#[test]
fn only_what_is_disabled_cannot_be_read() {
    let mut secrets = Secrets::default();
    let old = put(&mut secrets, "old", 1).unwrap();
    let new = put(&mut secrets, "new", 2).unwrap();
    let disable = SecretEdit { enabled: Some(false), ..SecretEdit::default() };
    secrets.edit(NAME, Some(&old), disable.clone(), at(3)).unwrap();
    assert_eq!(value(&secrets, Some(&old), 4), Err(Refusal::Disabled));
    assert_eq!(value(&secrets, None, 4), Ok("new".into()));
    let times = SecretEdit { not_before: Some(i64::MAX), expires: Some(0), ..SecretEdit::default() };
    secrets.edit(NAME, Some(&new), times, at(5)).unwrap();
    assert_eq!(value(&secrets, None, 6), Ok("new".into()));
    secrets.edit(NAME, None, disable, at(7)).unwrap();
    assert_eq!(value(&secrets, None, 8), Err(Refusal::Disabled), "the latest, not the latest that is enabled");
}

/// AZURE 6: PATCH changes content type, attributes and tags, and leaves what is not named.
#[test]
fn an_edit_leaves_what_it_does_not_name() {
    let mut secrets = Secrets::default();
    put(&mut secrets, "value", 1).unwrap();
    let tags = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".into(), "2".into())]);
    let edit = SecretEdit { tags: Some(tags), content_type: Some("text".into()), ..SecretEdit::default() };
    secrets.edit(NAME, None, edit, at(2)).unwrap();
    let tags = BTreeMap::from([("c".to_owned(), "3".to_owned())]);
    secrets.edit(NAME, None, SecretEdit { tags: Some(tags.clone()), ..SecretEdit::default() }, at(3)).unwrap();
    let (_, version) = secrets.get(NAME, None, at(4)).unwrap();
    assert_eq!((&version.tags, version.content_type.as_deref()), (&tags, Some("text")), "tags are replaced as a whole");
    assert_eq!((version.created, version.updated, version.value.tell()), (at(1), at(3), "value"));
}

/// AZURE 6: while it is being deleted it is neither here nor there, and nothing can be done about it.
#[test]
fn deletion_takes_a_while() {
    let mut secrets = deleted();
    assert_eq!(value(&secrets, None, 11), Err(Refusal::NotFound(NAME.into())));
    assert_eq!(secrets.deleted(NAME, at(11)).err(), Some(Refusal::NotDeleted(NAME.into())));
    let being_deleted = || Some(Refusal::BeingDeleted(NAME.into()));
    assert_eq!(put(&mut secrets, "three", 11).err(), being_deleted());
    assert_eq!(secrets.edit(NAME, None, SecretEdit::default(), at(11)).err(), being_deleted());
    assert_eq!(secrets.recover(NAME, at(11), at(11), at(11)).err(), being_deleted());
    assert_eq!(secrets.purge(NAME, at(11)).err(), being_deleted());
    assert!(secrets.deleted(NAME, at(20)).is_ok());
}

/// AZURE 6: the name of a deleted secret is taken until it is purged.
#[test]
fn a_deleted_name_is_taken_until_it_is_purged() {
    let mut secrets = deleted();
    assert_eq!(put(&mut secrets, "three", 30), Err(Refusal::DeletedButRecoverable(NAME.into())));
    assert_eq!(secrets.delete(NAME, at(30), at(1_000), at(30)).err(), Some(Refusal::NotFound(NAME.into())));
    secrets.purge(NAME, at(31)).unwrap();
    assert_eq!(secrets.purge(NAME, at(32)).err(), Some(Refusal::NotDeleted(NAME.into())));
    put(&mut secrets, "three", 33).unwrap();
    assert_eq!(secrets.here(NAME, at(34)).unwrap().versions.len(), 1, "of the purged one nothing is left");
}

/// AZURE 6: after 7 to 90 days it is purged.
#[test]
fn a_deleted_secret_is_purged_in_time() {
    let mut secrets = deleted();
    assert!(secrets.deleted(NAME, at(999)).is_ok());
    assert_eq!(secrets.recover(NAME, at(1_000), at(1_000), at(1_000)).err(), Some(Refusal::NotDeleted(NAME.into())));
    assert_eq!(secrets.all_deleted("", at(1_000)).count(), 0);
    put(&mut secrets, "three", 1_001).unwrap();
    assert_eq!(secrets.here(NAME, at(1_002)).unwrap().versions.len(), 1);
}

/// AZURE 6: a recovery restores all versions, and takes some seconds in which a PUT is refused.
#[test]
fn recovery_restores_all_and_takes_a_while() {
    let mut secrets = deleted();
    secrets.recover(NAME, at(35), at(40), at(30)).unwrap();
    assert_eq!(value(&secrets, None, 31), Err(Refusal::NotFound(NAME.into())));
    assert!(secrets.deleted(NAME, at(31)).is_err());
    assert_eq!(put(&mut secrets, "three", 31), Err(Refusal::BeingRecovered(NAME.into())));
    assert_eq!(value(&secrets, None, 35), Ok("two".into()), "it is read before it can be written to");
    assert_eq!(put(&mut secrets, "three", 35), Err(Refusal::BeingRecovered(NAME.into())));
    put(&mut secrets, "three", 40).unwrap();
    assert_eq!(secrets.here(NAME, at(41)).unwrap().versions.len(), 3);
}

#[test]
fn a_value_is_printed_as_its_fingerprint() {
    let mut secrets = Secrets::default();
    put(&mut secrets, "abc8Q~hidden", 1).unwrap();
    let printed = format!("{secrets:?}");
    assert!(!printed.contains("hidden") && printed.contains(&Fingerprint::of("abc8Q~hidden").to_string()), "{printed}");
}
