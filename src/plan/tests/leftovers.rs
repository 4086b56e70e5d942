//! What is left over, and what people are told about it.

use std::sync::Arc;

use super::*;

/// A published credential of ours, with its mark.
fn settled() -> Observation {
    let mark = Mark { owner: world().seen().owner, sequence: Sequence(1), nonce: Nonce::of([2; 10]) };
    published(&mark.display_name("payments", "payments-api"))
}

/// A credential with our mark on the application of which no record says anything.
fn unknown(seen: &mut Observation, number: u8) -> KeyId {
    let key_id = KeyId(uuid::Uuid::from_u128(number.into()));
    let mark = Mark { owner: seen.owner.clone(), sequence: Sequence(9), nonce: Nonce::of([number; 10]) };
    let credential = Credential {
        key_id,
        kind: CredentialKind::ClientSecret,
        display_name: Some(mark.display_name("payments", "payments-api")),
        hint: None,
        start: None,
        end: None,
    };
    seen.application.as_mut().unwrap().found.credentials.push(credential);
    key_id
}

fn advice(seen: &Observation) -> Vec<String> {
    let retiring = told(seen, MORNING).status.retiring;
    retiring.into_iter().flat_map(|one| one.waiting_for).map(|line| line.0).collect()
}

#[test]
fn advice_is_a_command_that_does_what_it_says() {
    let mut seen = settled();
    let key_id = unknown(&mut seen, 20);
    let command = format!("kubectl annotate eac payments-api -n payments --overwrite keywright.dev/forget={key_id}");
    assert!(advice(&seen)[0].ends_with(&command), "{:?}", advice(&seen));
}

#[test]
fn advice_keeps_what_was_acknowledged_before() {
    let mut seen = settled();
    let (before, now) = (unknown(&mut seen, 20), unknown(&mut seen, 21));
    let gone = KeyId(uuid::Uuid::from_u128(22));
    let said = [("keywright.dev/forget".to_owned(), format!("{gone},{before}"))];
    Arc::make_mut(&mut seen.resource).metadata.annotations = Some(said.into());
    let told = advice(&seen);
    assert_eq!(told.len(), 1, "what was acknowledged is not told: {told:?}");
    assert!(told[0].ends_with(&format!("forget={before},{now}")), "{told:?}");
}

/// An open record with attempts that were made so long ago, by others.
fn attempted(ages: &[u64]) -> Observation {
    let mut seen = settled();
    let attempts = ages.iter().enumerate().map(|(number, age)| Attempt {
        nonce: Nonce::of([u8::try_from(number).unwrap(); 10]),
        holder: "another".into(),
        at: MORNING - Duration::from_secs(*age),
    });
    let entry = &mut seen.records.list[0].entry;
    (entry.attempts, entry.kept, entry.stage) = (attempts.collect(), None, Stage::Unpublished);
    (seen.application.as_mut().unwrap().found.credentials, seen.mine.proof) = (vec![], None);
    seen
}

/// A credential of the application that an attempt of this number has made.
fn minted(seen: &mut Observation, number: u8) {
    unknown(seen, number);
    let credential = seen.application.as_mut().unwrap().found.credentials.last_mut().unwrap();
    let mark = Mark { owner: seen.owner.clone(), sequence: Sequence(1), nonce: Nonce::of([number; 10]) };
    credential.display_name = Some(mark.display_name("payments", "payments-api"));
}

fn taken_over(seen: &Observation) -> Vec<Nonce> {
    match decided(seen).next {
        Next::Do(Step::TakeOver { entry, .. }) => entry.attempts.into_iter().map(|one| one.nonce).collect(),
        next => panic!("it is not taken over: {next:?}"),
    }
}

#[test]
fn an_attempt_that_can_have_left_nothing_is_forgotten() {
    let mut seen = attempted(&[900, 800, 700, 100]);
    minted(&mut seen, 1);
    let nonces = [Nonce::of([1; 10]), Nonce::of([3; 10]), moment(MORNING).chance];
    assert_eq!(taken_over(&seen), nonces, "what it minted lives, and what it sent may still arrive");
    let mut old = attempted(&[900, 100]);
    old.application.as_mut().unwrap().at = MORNING - Duration::from_secs(29);
    old.records.list[0].entry.attempts[0].at = MORNING - Duration::from_secs(195);
    assert_eq!(taken_over(&old).len(), 3, "the application was read before all could be shown");
}

#[test]
fn more_attempts_than_a_record_can_hold_are_not_made() {
    let mut seen = attempted(&[900; 100]);
    for number in 0..100 {
        minted(&mut seen, number);
    }
    let Next::Wait(waits) = decided(&seen).next else { panic!("there is no room: {:?}", decided(&seen).next) };
    assert_eq!(waits[0].reason, Reason::TooManyCredentials);
    assert!(waits[0].waiting_for.contains(&format!("kw1:{}.1.", seen.owner)), "{}", waits[0].waiting_for);
    seen.application.as_mut().unwrap().found.credentials.remove(0);
    assert_eq!(taken_over(&seen).len(), 100);
}

#[test]
fn what_overtook_an_attempt_is_published_when_no_start_after_it_can_be_told_as_one_before() {
    let waits_until = |age: u64| {
        let mut seen = settled();
        let entry = &mut seen.records.list[0].entry;
        let first = Attempt { nonce: Nonce::of([1; 10]), ..entry.attempts[0].clone() };
        entry.attempts.insert(0, first);
        entry.attempts[1].at = MORNING - Duration::from_secs(age);
        (entry.stage, entry.verified_at) = (Stage::Unpublished, None);
        match decided(&seen).next {
            Next::Do(Step::Note { entry, .. }) => (entry.stage == Stage::Publishing).then_some(MORNING),
            Next::Wait(waits) => waits.iter().find(|wait| wait.reason == Reason::Maturing)?.until,
            next @ Next::Do(_) => panic!("{next:?}"),
        }
    };
    let timing = Timing::REAL;
    let forgotten = (timing.settle + timing.margin).as_secs();
    // The start of a pod that waited for the Secret is told as the whole second in which it was.
    assert_eq!(waits_until(forgotten), Some(MORNING + Duration::from_secs(1)));
    assert_eq!(waits_until(forgotten + 1), Some(MORNING));
}

#[test]
fn what_was_published_for_another_application_is_told_and_never_projected() {
    let mut seen = settled();
    seen.records.list[0].entry.client_id = ClientId(OTHER.parse().unwrap());
    seen.records.list[0].entry.published_at = Some(MORNING);
    let next = decided(&seen).next;
    assert!(!matches!(next, Next::Do(Step::Publish { .. })), "{next:?}");
    let name = seen.records.list[0].entry.name();
    let told = advice(&seen);
    let told = told.iter().find(|line| line.contains("which this resource was about before")).expect("it is told");
    assert!(told.contains(OTHER) && told.ends_with(&format!("kubectl delete secret {name} -n payments")), "{told}");
}

#[test]
fn only_what_no_record_knows_is_announced_as_unknown_and_only_once() {
    let announced = |seen: &Observation| {
        let events = told(seen, MORNING).events.into_iter();
        events.filter(|event| event.reason == Reason::UnknownCredential).map(|event| event.note).collect::<Vec<_>>()
    };
    let mut seen = settled();
    let mut replaced = seen.records.list[0].clone();
    replaced.entry.sequence = Sequence(0);
    seen.records.list.insert(0, replaced);
    assert_eq!(told(&seen, MORNING).status.retiring.len(), 1);
    assert!(announced(&seen).is_empty(), "it is replaced, and its record knows it");
    let key_id = unknown(&mut seen, 20);
    assert!(announced(&seen)[0].contains(&key_id.to_string()));
    let status = told(&seen, MORNING).status;
    Arc::make_mut(&mut seen.resource).status = Some(status);
    assert!(announced(&seen).is_empty(), "it was announced");
}
