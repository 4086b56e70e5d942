//! Records: one writer at a time, and no doubt about what became of a write.

use keywright::{
    api::Reason,
    cluster::{Written, records::Keep},
    facts::{Effect, Entry, Record, Stage, TargetId, record::RECORD_TYPE},
};
use keywright_sandbox::{KUBERNETES, Rule};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::place::{Place, VALUE, attempt, outpaced, yes};

pub async fn a_record_lives_from_its_opening_to_its_end(place: Place) {
    let (records, namespace) = (&place.records, place.namespace.as_str());
    let record = place.opened(1).await;
    assert_eq!((record.finalized, record.deleting, &record.entry), (true, false, &place.entry(1)));

    let taken = Entry { attempts: vec![attempt(0), attempt(1)], ..place.entry(1) };
    let record = yes(records.write(namespace, &record, &taken, true).await);
    assert_eq!((record.finalized, &record.entry), (true, &taken));
    yes(records.rehearse(namespace, &record, &taken).await);
    assert_eq!(records.get(namespace, &taken.name()).await, Ok(Some(record.clone())), "a rehearsal changes nothing");

    let kept = Entry { attempts: taken.attempts.clone(), ..place.kept(1) };
    let Keep::Kept(record) = records.keep(namespace, &record, &kept, &VALUE.into()).await else { panic!() };
    assert_eq!((record.finalized, &record.entry), (true, &kept));
    assert_eq!(records.value(namespace, &record).await.unwrap().expose_secret(), VALUE);

    let published = Entry {
        stage: Stage::Publishing,
        published_to: vec![TargetId::Secret("payments-api".into())],
        verified_at: Some("2026-11-21T08:01:00Z".parse().unwrap()),
        ..kept.clone()
    };
    let record = yes(records.write(namespace, &record, &published, false).await);
    assert_eq!((record.finalized, &record.entry), (false, &published));
    let record = yes(records.write(namespace, &record, &Entry { verified_at: None, ..published.clone() }, false).await);
    assert_eq!(record.entry.verified_at, None, "what an entry no longer says goes");
    assert_eq!(records.value(namespace, &record).await.unwrap().expose_secret(), VALUE, "the value has stayed");

    let listed = records.list(namespace, &place.owner()).await.unwrap();
    assert_eq!((listed.records, listed.forged), (vec![record.clone()], vec![]));
    yes(records.delete(namespace, &record).await);
    assert_eq!(records.get(namespace, &published.name()).await, Ok(None));
    yes(records.delete(namespace, &record).await);
}

pub async fn whoever_read_an_older_version_is_outpaced(place: Place) {
    let (records, namespace) = (&place.records, place.namespace.as_str());
    let old = place.opened(1).await;
    let taken = Entry { attempts: vec![attempt(0), attempt(1)], ..place.entry(1) };
    let new = yes(records.write(namespace, &old, &taken, true).await);
    outpaced_everywhere(&place, &old).await;
    assert_eq!(records.get(namespace, &taken.name()).await, Ok(Some(new)));
}

pub async fn a_record_of_the_same_name_is_another_one(place: Place) {
    let (records, namespace) = (&place.records, place.namespace.as_str());
    let old = place.with_value(1).await;
    place.somebody_deletes(&old.entry.name()).await;
    outpaced_everywhere(&place, &old).await;
    assert_eq!(records.get(namespace, &old.entry.name()).await, Ok(None), "nothing has brought it back");
    assert_eq!(records.value(namespace, &old).await.unwrap_err().reason, Reason::Refused);

    let new = place.with_value(1).await;
    outpaced_everywhere(&place, &old).await;
    assert_eq!(records.value(namespace, &old).await.unwrap_err().reason, Reason::Refused);
    // After a restore of etcd, another Secret can come to the very version that was read.
    outpaced_everywhere(&place, &Record { version: new.version.clone(), ..old }).await;
    assert_eq!(records.get(namespace, &new.entry.name()).await, Ok(Some(new)));
}

/// Nobody who read this record may change anything.
async fn outpaced_everywhere(place: &Place, old: &Record) {
    let (records, namespace) = (&place.records, place.namespace.as_str());
    outpaced(&records.write(namespace, old, &place.kept(1), false).await);
    outpaced(&records.rehearse(namespace, old, &place.kept(1)).await);
    let keep = records.keep(namespace, old, &place.kept(1), &VALUE.into()).await;
    let Keep::DefinitelyRefused(trouble) = keep else { panic!("{keep:?}") };
    assert_eq!(trouble.effect, Effect::Refused, "{trouble:?}");
    let deleted = records.delete(namespace, old).await;
    let there = records.get(namespace, &old.entry.name()).await.unwrap().is_some();
    assert_eq!(deleted, Ok(if there { Written::Outpaced } else { Written::Yes(()) }));
}

pub async fn of_two_who_open_one_is_outpaced(place: Place) {
    let other = Entry { attempts: vec![attempt(1)], ..place.entry(1) };
    let mine = place.entry(1);
    let both = tokio::join!(place.records.open(&place.namespace, &mine), place.records.open(&place.namespace, &other));
    let (first, second) = (both.0.unwrap(), both.1.unwrap());
    let record = match (first, second) {
        (Written::Yes(record), Written::Outpaced) | (Written::Outpaced, Written::Yes(record)) => record,
        other => panic!("both have opened it, or nobody: {other:?}"),
    };
    assert_eq!(place.records.get(&place.namespace, &mine.name()).await, Ok(Some(record)));
}

pub async fn a_name_that_something_else_has_is_told(place: Place) {
    let entry = place.entry(1);
    let metadata = json!({"name": entry.name(), "labels": entry.labels(), "annotations": entry.annotations()});
    place.somebody_creates(json!({"metadata": metadata, "type": "Opaque"})).await;
    let trouble = place.records.open(&place.namespace, &entry).await.unwrap_err();
    assert_eq!(trouble.reason, Reason::RecordForged);
    assert!(trouble.message.contains(&entry.name()) && trouble.message.contains("its type is Opaque"), "{trouble:?}");
    let listed = place.records.list(&place.namespace, &place.owner()).await.unwrap();
    assert_eq!((listed.records, listed.forged), (vec![], vec![]), "published Secrets bear the same label");
}

pub async fn a_lost_answer_is_unknown_and_a_look_shows_the_truth(place: Place) {
    let (records, namespace) = (&place.records, place.namespace.as_str());
    let update = || place.at("update").times(1);
    let weather = [
        (update().cut_before(), false),
        (update().cut_after(), true),
        (update().truncate(20), true),
        (update().answer(500), false),
        (update().answer(503), false),
        (update().answer(504), false),
    ];
    for (number, (rule, effect)) in (1..).zip(weather) {
        let (record, entry) = (place.opened(number).await, place.kept(number));
        let (before, fault) = (place.sent("update"), place.proxy.faults().add(rule));
        let keep = records.keep(namespace, &record, &entry, &VALUE.into()).await;
        assert!(matches!(&keep, Keep::Unknown(trouble) if trouble.effect == Effect::Unknown), "{number}: {keep:?}");
        assert_eq!((fault.applied(), place.sent("update") - before), (1, 1), "{number}: sent once");

        let there = records.get(namespace, &entry.name()).await.unwrap().unwrap();
        assert_eq!(there.entry.kept.is_some(), effect, "{number}");
        if effect {
            assert_eq!(records.value(namespace, &there).await.unwrap().expose_secret(), VALUE);
        } else {
            let keep = records.keep(namespace, &record, &entry, &VALUE.into()).await;
            assert!(matches!(keep, Keep::Kept(_)), "{number}: {keep:?}");
        }
    }
}

pub async fn an_answer_that_never_comes_is_unknown(place: Place) {
    let record = place.opened(1).await;
    place.proxy.faults().add(place.at("update").times(1).hang());
    let keep = place.records.keep(&place.namespace, &record, &place.kept(1), &VALUE.into()).await;
    let Keep::Unknown(trouble) = keep else { panic!("{keep:?}") };
    assert!(trouble.message.ends_with("no answer from the API server within 10s"), "{trouble:?}");
    assert_eq!(place.sent("update"), 1);
}

pub async fn what_is_written_once_is_sent_once(place: Place) {
    let record = place.opened(1).await;
    let (records, namespace, entry) = (&place.records, place.namespace.as_str(), place.entry(2));
    for (verb, rule) in [
        ("create", place.at("create").times(1).answer(503)),
        ("create", place.at("create").times(1).cut_before()),
        ("patch", place.at("patch").times(1).answer(503)),
        ("patch", place.at("patch").times(1).cut_before()),
        ("delete", place.at("delete").times(1).answer(503)),
        ("delete", place.at("delete").times(1).cut_before()),
        ("list", place.at("list").times(1).answer(429)),
    ] {
        let (before, fault) = (place.sent(verb), place.proxy.faults().add(rule));
        let trouble = match verb {
            "create" => records.open(namespace, &entry).await.unwrap_err(),
            "patch" => records.write(namespace, &record, &place.entry(1), true).await.unwrap_err(),
            "delete" => records.delete(namespace, &record).await.unwrap_err(),
            _ => records.list(namespace, &place.owner()).await.unwrap_err(),
        };
        assert_eq!((fault.applied(), place.sent(verb) - before), (1, 1), "{verb}: {trouble:?}");
        assert_eq!(trouble.effect == Effect::Unknown, verb != "list", "{verb}: {trouble:?}");
    }
    // The other client asks again.
    let pods = Rule::at(KUBERNETES, "list", "/api/v1/namespaces/*/pods").times(2).answer(503);
    let fault = place.proxy.faults().add(pods);
    let before = place.sent("list");
    keywright::cluster::pods::seen(&place.way.client, namespace).await.unwrap();
    assert_eq!((fault.applied(), place.sent("list") - before), (2, 3));
}

pub async fn a_kept_value_stays_as_it_is(place: Place) {
    let record = place.with_value(1).await;
    let (records, namespace) = (&place.records, place.namespace.as_str());
    let again = records.keep(namespace, &record, &place.kept(1), &"another".into()).await;
    let Keep::DefinitelyRefused(trouble) = again else { panic!("{again:?}") };
    assert!(trouble.message.contains("immutable"), "{trouble:?}");
    let scribble = json!({"data": {"value": "eA=="}});
    let patch = kube::api::Patch::Merge(&scribble);
    assert!(place.others().patch(&record.entry.name(), &kube::api::PatchParams::default(), &patch).await.is_err());
    assert_eq!(records.value(namespace, &record).await.unwrap().expose_secret(), VALUE);

    let other = Entry { kept: place.kept(2).kept, ..place.kept(1) };
    let other = yes(records.write(namespace, &record, &other, true).await);
    assert_eq!(records.value(namespace, &record).await.unwrap_err().reason, Reason::Refused, "another key ID");
    assert!(records.value(namespace, &other).await.is_ok());
}

pub async fn what_others_have_written_on_a_record_stays(place: Place) {
    let record = place.opened(1).await;
    let (records, namespace, name) = (&place.records, place.namespace.as_str(), record.entry.name());
    let theirs = json!({"metadata": {
        "annotations": {"backup.example.com/at": "noon"}, "finalizers": ["backup.example.com/wait", "keywright.dev/mint-in-flight"],
    }});
    place.somebody_changes(&name, theirs).await;
    let record = records.get(namespace, &name).await.unwrap().unwrap();
    yes(records.write(namespace, &record, &place.entry(1), false).await);
    let secret = place.others().get(&name).await.unwrap();
    assert_eq!(secret.metadata.finalizers.as_deref(), Some(&["backup.example.com/wait".to_owned()][..]));
    assert_eq!(secret.metadata.annotations.unwrap()["backup.example.com/at"], "noon");
    place.somebody_changes(&name, json!({"metadata": {"finalizers": null}})).await;
}

pub async fn forged_records_are_named_and_others_not_listed(place: Place) {
    let record = place.opened(2).await;
    let first = place.opened(1).await;
    let (labels, annotations) = (record.entry.labels(), record.entry.annotations());
    let forge = async |name: &str, labels: serde_json::Value, annotations: serde_json::Value| {
        let metadata = json!({"name": name, "labels": labels, "annotations": annotations});
        place.somebody_creates(json!({"metadata": metadata, "type": RECORD_TYPE})).await;
    };
    forge("copied", json!(labels), json!(annotations)).await;
    forge("empty", json!(labels), json!({})).await;
    let other = Entry { owner: keywright::facts::Owner::of("another", "cluster", "s"), ..place.entry(1) };
    forge(&other.name(), json!(other.labels()), json!(other.annotations())).await;

    let listed = place.records.list(&place.namespace, &place.owner()).await.unwrap();
    assert_eq!(listed.records, [first, record.clone()], "by their sequence");
    let mut forged: Vec<(String, String)> =
        listed.forged.iter().map(|(name, why)| (name.clone(), why.to_string())).collect();
    forged.sort();
    let misnamed = format!("its name should be {}", record.entry.name());
    assert_eq!(forged, [("copied".into(), misnamed), ("empty".into(), "keywright.dev/resource is missing".into())]);
    assert_eq!(place.records.get(&place.namespace, "empty").await.unwrap_err().reason, Reason::RecordForged);
}
