//! Federated credentials that somebody else uses, has made, or has rewritten.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::facts::Sibling;

impl Place {
    /// Somebody deletes the resource.
    fn delete(&mut self) {
        Arc::make_mut(&mut self.seen.resource).metadata.deletion_timestamp = Some(Time(self.now));
    }
}

/// One that is to take its credentials with it.
fn revoking() -> Place {
    let mut place = Place::of(&[api()]);
    place.declare(&[api()], &json!({"deletionPolicy": "Revoke"}));
    place.live("5m");
    assert!(place.is_detained() && place.ready().0 == "True", "{:?}", place.ready());
    place
}

/// Another resource of the namespace that declares these.
fn sibling(identities: &[Value]) -> Sibling {
    let identities = identities.iter().map(|one| serde_json::from_value(one.clone()).unwrap()).collect();
    Sibling { name: "other".into(), namespace: "payments".into(), identities }
}

#[test]
fn what_another_resource_wants_is_not_revoked_until_it_wants_it_no_more() {
    let mut place = revoking();
    place.seen.siblings = vec![sibling(&[github()]), sibling(&[api()])];
    place.delete();
    place.live("2h");
    assert_eq!((place.accepts.len(), place.is_detained()), (1, true));
    let told = place.waits(Reason::StillInUse);
    assert!(told.contains("eac/other") && told.contains("Retain"), "{told}");
    place.seen.siblings.pop();
    place.live("1h");
    assert_eq!((place.accepts.len(), place.is_detained()), (0, false));
}

#[test]
fn what_another_resource_wants_stays_when_it_is_declared_no_more() {
    let mut place = Place::of(&[api(), github()]);
    place.live("5m");
    place.seen.siblings = vec![sibling(&[api()])];
    place.declare(&[github()], &json!({}));
    place.live("48h");
    assert_eq!((place.accepts.len(), place.count("withdraw"), place.ready().0.as_str()), (2, 0, "True"));
    place.seen.siblings.clear();
    place.annotate("keywright.dev/confirmed.github", &place.accepts[1].id.to_string());
    place.live("1h");
    assert_eq!((place.accepts.len(), place.count("withdraw")), (1, 1));
}

#[test]
fn beside_a_resource_with_a_secret_it_is_used_when_every_server_has_surely_heard_of_it() {
    let mut place = Place::of(&[api()]);
    place.seen.siblings = vec![sibling(&[])];
    place.live("10m");
    assert_eq!((place.count("annotate"), place.ready().1.as_str()), (0, "Maturing"));
    place.live("10m");
    assert_eq!((place.count("annotate"), place.ready().0.as_str()), (1, "True"));
}

#[test]
fn one_that_was_rewritten_keeps_a_resource_that_revokes_until_it_is_acknowledged_or_gone() {
    for acknowledged in [true, false] {
        let mut place = revoking();
        place.accepts[0].claims = Some(claims(ISSUER, "somebody-else"));
        place.live("1h");
        assert_eq!(place.accepts.len(), 2);
        let id = place.accepts[0].id;
        place.delete();
        place.live("1h");
        assert_eq!((place.accepts.len(), place.is_detained()), (2, true));
        let told = place.waits(Reason::UnknownCredential);
        assert!(told.contains(&id.to_string()) && told.contains("Remove it in Entra"), "{told}");
        if acknowledged {
            place.annotate("keywright.dev/forget", &id.to_string());
        } else {
            place.accepts.remove(0);
        }
        place.live("1h");
        let left: Vec<KeyId> = place.accepts.iter().map(|one| one.id).collect();
        let theirs = if acknowledged { vec![id] } else { vec![] };
        assert_eq!((left, place.is_detained()), (theirs, false));
    }
}

#[test]
fn pods_that_were_made_before_somebody_elses_credential_was_used_are_restarted() {
    let mut place = Place::of(&[api()]);
    place.add(claims(ISSUER, "api"), None);
    deploy(&mut place, "web", true);
    place.live("1h");
    assert_eq!(place.count("roll"), 1, "{:?}", place.done);
}

/// One that is proven, and whose account somebody else keeps from being told.
fn proven_and_untold() -> Place {
    let mut place = Place::of(&[api()]);
    loop {
        match place.decision().next {
            Next::Do(Step::Annotate { .. }) => return place,
            Next::Do(step) => place.act(&step),
            Next::Wait(waits) => place.now = waits.iter().filter_map(|wait| wait.until).min().expect("a time"),
        }
    }
}

#[test]
fn what_was_about_to_be_used_goes_with_its_resource_unless_somebody_may_sign_in_by_it() {
    type Happens = fn(&mut Place);
    let cases: [(Happens, usize); 5] = [
        (|_| (), 0),
        (|place| drop(place.accounts.remove("api")), 0),
        (|place| place.accounts.get_mut("api").unwrap().client_id = Some(CLIENT.into()), 1),
        (|place| place.pods = vec![pod("web-1", "api", Some(CLIENT))], 1),
        (|place| place.seen.siblings = vec![sibling(&[api()])], 1),
    ];
    for (number, (happens, left)) in cases.into_iter().enumerate() {
        let mut place = proven_and_untold();
        happens(&mut place);
        place.declare(&[], &json!({}));
        place.seen.gone = true;
        place.now += SignedDuration::from_mins(1); // what was read before is no evidence any more
        place.live("1h");
        let records = place.seen.records.list.len();
        assert_eq!((place.accepts.len(), records), (left, left), "case {number}: {:?}", place.done);
    }
}

#[test]
fn nothing_is_begun_in_a_namespace_that_is_being_deleted() {
    let mut place = Place::of(&[api()]);
    place.exchange = |_, _| Exchange::Judged(Verdict::Refused(trouble(Reason::CredentialUnknown)));
    place.live("5m");
    place.seen.namespace.terminating = true;
    place.exchange = honest;
    place.done.clear();
    place.live("1h");
    assert_eq!(place.done, [""; 0]);
    assert!(place.waits(Reason::NamespaceTerminating).contains("nothing is set up in it"));
}
