//! Certificates: added to a list that is written whole, beside somebody else who writes it too.

mod place;

use serde_json::{Value, json};

use self::place::{Place, fit, key};
use super::*;
use crate::facts::Source;

/// As the servers of Entra take: AZURE 3.
const LAG: (f64, f64) = (4.0, 18.0);

/// Nobody reads it, and everybody knows that.
fn alone() -> Value {
    json!({"consumers": {"discovery": "None"}, "retirement": {"minOverlap": "1m"}})
}

fn demanded() -> Value {
    json!({"rotation": {"issuedAfter": "2026-11-21T09:00:00Z"}})
}

fn certain(place: &Place) -> bool {
    place.published_key().is_some()
}

/// Until the first one is published, and nothing is on its way.
fn published(patch: &Value, seed: u64) -> Place {
    let mut place = Place::asking(patch, seed, LAG);
    let until = place.later(1_800.0);
    place.live(until, |_| false);
    assert!(certain(&place), "{:#?}", place.done);
    place
}

fn from_secret() -> Value {
    let source = json!({"certificate": {"generate": null, "secretRef": {"name": "payments-tls"}}});
    let mut patch = alone();
    patch["certificate"] = source["certificate"].clone();
    patch
}

#[test]
fn a_certificate_is_kept_before_entra_hears_of_it_and_proven_before_it_is_published() {
    let place = published(&alone(), 7);
    let at = |what: &str| place.done.iter().position(|one| one.contains(what)).expect(what);
    let order = ["open record", "rehearse", "make certificate 1", "keep the new credential", "add certificate 1 to"];
    let order: Vec<_> = order.into_iter().chain(["sign in with", "publish credential 1"]).map(at).collect();
    assert!(order.is_sorted(), "{order:?} of {:#?}", place.done);
    let published = place.published_key().unwrap();
    assert!(place.has(published) && place.has(key(1)) && place.has(key(2)));
    assert_eq!(place.done.iter().filter(|one| one.starts_with("add certificate")).count(), 1);
}

#[test]
fn reads_must_agree_before_the_list_is_written() {
    let place = published(&alone(), 8);
    let added = place.done.iter().position(|one| one.starts_with("add certificate")).unwrap();
    let reads = place.done[..added].iter().filter(|one| one.starts_with("read the certificates")).count();
    assert!(reads >= 3, "{:#?}", &place.done[..added]);
}

#[test]
fn an_answer_that_was_lost_is_answered_by_a_look() {
    let mut place = Place::asking(&alone(), 9, LAG);
    place.lost_answer = true;
    let until = place.later(1_800.0);
    place.live(until, certain);
    assert!(certain(&place));
    assert_eq!(place.done.iter().filter(|one| one.starts_with("add certificate")).count(), 1, "{:#?}", place.done);
}

#[test]
fn one_that_another_process_made_and_did_not_add_is_given_up_and_another_made() {
    let mut place = Place::asking(&alone(), 10, LAG);
    let until = place.later(3_600.0);
    place.live(until, |place| place.done.last().is_some_and(|one| one.starts_with("keep the new credential")));
    place.restart();
    place.live(until, certain);
    assert_eq!(place.published().map(|entry| entry.sequence), Some(Sequence(2)), "{:#?}", place.done);
}

#[test]
fn one_that_another_process_added_goes_on_from_there() {
    let mut place = Place::asking(&alone(), 11, LAG);
    let until = place.later(3_600.0);
    place.live(until, |place| place.done.last().is_some_and(|one| one.starts_with("add certificate")));
    place.restart();
    place.live(until, certain);
    assert_eq!(place.published().map(|entry| entry.sequence), Some(Sequence(1)), "{:#?}", place.done);
}

#[test]
fn one_of_ours_that_others_drop_is_added_again_before_it_is_published() {
    let mut place = Place::asking(&alone(), 12, LAG);
    let until = place.later(3_600.0);
    place.live(until, |place| place.done.last().is_some_and(|one| one.starts_with("add certificate")));
    let ours = place.truth().iter().find(|one| one.mark().is_some()).unwrap().key_id;
    place.remove(ours);
    place.live(until, certain);
    assert!(place.has(place.published_key().unwrap()));
}

/// Servers that have not heard of it yet let it sign in for a while longer, which proves nothing any more.
#[test]
fn one_that_others_drop_while_it_is_being_proven_is_not_published_before_it_is_there_again() {
    for seed in 100..130 {
        let mut place = Place::asking(&alone(), seed, LAG);
        let until = place.later(3_600.0);
        place.live(until, |place| place.done.last().is_some_and(|one| one.starts_with("add certificate")));
        let ours = place.truth().iter().find(|one| one.mark().is_some()).unwrap().key_id;
        let proven_soon = place.later(38.0);
        place.live(proven_soon, |_| false);
        place.remove(ours);
        place.live(until, certain);
        assert!(place.has(place.published_key().unwrap()), "{seed}: {:#?}", place.done);
    }
}

#[test]
fn whoever_keeps_dropping_ours_is_told_of_and_waited_for() {
    let mut place = Place::asking(&alone(), 13, LAG);
    let until = place.later(7_200.0);
    let mut told = false;
    place.live(until, |place| {
        let decision = plan(&place.seen, &Timing::REAL, &moment(place.now));
        told |= matches!(&decision.next, Next::Wait(waits) if waits.iter().any(|one| one.reason == Reason::CertificatesContested));
        told || certain(place)
    });
    assert!(!told, "nobody drops it yet");
    let mut place = Place::asking(&alone(), 13, LAG);
    for _ in 0..400 {
        let soon = place.later(30.0);
        place.live(soon, |_| false);
        let ours: Vec<_> = place.truth().iter().filter(|one| one.mark().is_some()).map(|one| one.key_id).collect();
        for ours in ours {
            place.remove(ours);
        }
        let decision = plan(&place.seen, &Timing::REAL, &moment(place.now));
        told |= matches!(&decision.next, Next::Wait(waits) if waits.iter().any(|one| one.reason == Reason::CertificatesContested));
    }
    assert!(told && !certain(&place));
}

#[test]
fn a_rotation_adds_the_new_one_beside_the_old_and_takes_only_that_away() {
    let mut patch = alone();
    patch["rotation"] = demanded()["rotation"].clone();
    let mut place = published(&patch, 14);
    let first = place.published_key().unwrap();
    let until = place.later(36_000.0);
    place.live(until, |_| false);
    let second = place.published_key().unwrap();
    assert_ne!(first, second);
    assert!(place.has(second) && !place.has(first) && place.has(key(1)) && place.has(key(2)), "{:#?}", place.done);
}

/// Meetings with somebody who reads the list, thinks and writes it just when we do: how many of theirs were put back, and for
/// how many seconds servers had shown those that are lost.
fn meetings(seeds: u64, mutant: fn(&mut Observation)) -> (usize, Vec<f64>) {
    let (mut put_back, mut lost) = (0, vec![]);
    for seed in 0..seeds {
        let mut place = Place::asking(&alone(), seed, LAG);
        place.mutant = mutant;
        let mut rng = fastrand::Rng::with_seed(seed);
        for number in 0..3 {
            // About when we write, for the first of them.
            let reads_at = place.later(15.0 + 60.0 * f64::from(number) + 20.0 * rng.f64());
            let writes_at = reads_at + Duration::from_secs_f64(2.0 * rng.f64());
            place.rival(reads_at, writes_at, 10 + number);
        }
        let until = place.later(1_800.0);
        place.live(until, |_| false);
        let ours = place.published_key().unwrap_or_else(|| panic!("{seed}: {:#?}", place.done));
        assert!(place.has(ours), "{seed}: {:#?}", place.done);
        put_back += place.done.iter().filter(|one| one.starts_with("put back")).count();
        let gone = [1, 2, 10, 11, 12].map(key).into_iter().filter(|key| !place.has(*key));
        lost.extend(gone.map(|key| place.shown_for(key)));
    }
    (put_back, lost)
}

/// For how many seconds, of all servers together, one may have been shown and be lost all the same: a read asks one of them,
/// twice a second.
const MISSED: f64 = 12.0;

/// What somebody writes in the seconds before us, and what servers have hardly shown before they hear of our write, nobody can
/// put back. All else is.
#[test]
fn in_thousands_of_interleavings_nobody_loses_what_was_shown_and_ours_is_there_in_the_end() {
    let (put_back, lost) = meetings(700, |_| {});
    let most = lost.iter().copied().fold(0.0, f64::max);
    assert!(put_back > 50, "{put_back}: they must meet for this to say anything");
    assert!(most < MISSED && lost.len() < 50, "{} are lost, shown for as much as {most:.1} s", lost.len());
}

/// Servers hear of a write after four seconds at the soonest, so one read just after it shows nothing of it. Looking afterwards
/// would make up for that.
#[test]
fn whoever_believes_one_read_and_looks_away_is_found() {
    let mut place = Place::asking(&alone(), 18, LAG);
    place.mutant = |seen| {
        let Some(list) = &mut seen.mine.list else { return };
        if let [at] = list.row[..] {
            list.row = [60, 30, 0].map(|seconds| at - Duration::from_secs(seconds)).into();
        }
        if let Some(written) = &mut list.written {
            written.strangers.clear();
        }
    };
    place.rival(place.now, place.later(0.05), 10);
    let until = place.later(1_800.0);
    place.live(until, |_| false);
    assert!(!place.has(key(10)), "{:#?}", place.done);
    let mut honest = Place::asking(&alone(), 18, LAG);
    honest.rival(honest.now, honest.later(0.05), 10);
    honest.live(until, |_| false);
    assert!(honest.has(key(10)), "{:#?}", honest.done);
}

#[test]
fn whoever_forgets_strangers_is_found() {
    let (put_back, lost) = meetings(100, |seen| {
        let written = seen.mine.list.as_mut().and_then(|list| list.written.as_mut());
        if let Some(written) = written {
            written.strangers.clear();
        }
    });
    assert_eq!(put_back, 0);
    assert!(lost.iter().any(|shown| *shown > MISSED), "{lost:?}");
}

#[test]
fn a_secret_that_there_is_not_yet_is_waited_for_and_its_renewal_is_a_rotation() {
    let mut place = Place::asking(&from_secret(), 15, LAG);
    let soon = place.later(60.0);
    place.live(soon, |_| false);
    assert!(place.done.iter().all(|one| !one.starts_with("open")), "{:#?}", place.done);
    place.source = Some(fit(1, MORNING + SignedDuration::from_hours(2000)));
    let until = place.later(3_600.0);
    place.live(until, certain);
    let first = place.published().unwrap().kept.clone().unwrap();
    place.source = Some(fit(2, MORNING + SignedDuration::from_hours(4000)));
    let until = place.later(36_000.0);
    place.live(until, |_| false);
    let second = place.published().unwrap();
    assert_eq!(second.cause, Some(crate::facts::Cause::SourceRenewed));
    assert_ne!(second.kept.as_ref().unwrap().thumbprint, first.thumbprint);
    assert!(!place.has(first.key_id), "{:#?}", place.done);
}

#[test]
fn the_same_certificate_is_no_reason_for_another_one() {
    let mut place = Place::asking(&from_secret(), 16, LAG);
    place.source = Some(fit(1, MORNING + SignedDuration::from_hours(2000)));
    let until = place.later(90_000.0);
    place.live(until, |_| false);
    assert_eq!(place.done.iter().filter(|one| one.starts_with("open")).count(), 1);
}

#[test]
fn what_cannot_be_used_is_told_and_nothing_is_made_of_it() {
    let hours = |hours| MORNING + SignedDuration::from_hours(hours);
    for (source, words) in [
        (Source::Absent, "create it"),
        (fit(1, hours(-1)), "has expired"),
        (fit(1, hours(1)), "before everybody could have it"),
        (
            Source::Fit { thumbprint: crate::facts::Thumbprint::of(b"x"), begins: hours(1), ends: hours(900) },
            "valid from",
        ),
        (
            Source::Fit { thumbprint: crate::facts::Thumbprint::of(b"x"), begins: hours(-1), ends: hours(9000) },
            "maxValidity",
        ),
    ] {
        let mut place = Place::asking(&from_secret(), 17, LAG);
        place.source = Some(source);
        let soon = place.later(5.0);
        place.live(soon, |_| false);
        let Next::Wait(waits) = plan(&place.seen, &Timing::REAL, &moment(place.now)).next else { panic!() };
        assert!(waits.iter().any(|one| one.waiting_for.contains(words)), "{words}: {waits:?}");
        assert!(place.done.iter().all(|one| !one.starts_with("open")));
    }
}
