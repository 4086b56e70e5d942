//! What the tests of both halves ask of a search.

use std::io::Write;

use super::{
    mutants::Mutant,
    scene::{Due, Rotation, Who},
    search::search,
    town::{EVERYTHING, Fault, Town},
};

/// How many states are looked at, at the most.
pub fn bound(otherwise: usize) -> usize {
    std::env::var("KEYWRIGHT_MODEL_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Nothing that can happen in a town breaks a promise.
#[track_caller]
pub fn holds(name: &str, states: usize, town: &Town) {
    let found = search(town, bound(states));
    writeln!(std::io::stderr(), "{name}: {found}, at most {} faults", town.most_faults).unwrap();
    if let Some(story) = found.broken {
        panic!("{name}: {story}");
    }
}

/// A planted bug breaks this one.
#[track_caller]
pub fn is_found(mutant: Mutant, promise: &str, states: usize, town: Town) {
    let found = search(&town.with(mutant), bound(states).max(states));
    writeln!(std::io::stderr(), "{mutant:?}: {found}").unwrap();
    let story = found.broken.expect("the bug to be found");
    assert!(story.what.starts_with(promise), "{story}");
    writeln!(std::io::stderr(), "{story}").unwrap();
}

/// A search that is described in words: `2 operators secret vault pod, Silence Crash, 2 faults`, or
/// `rotation web worker bare sso reported unknown ending compromised foreign window two cloned, *, 1 faults`.
pub fn described(text: &str) -> Town {
    let parts: Vec<&str> = text.split(", ").collect();
    let [what, faults, most] = parts[..] else { panic!("three parts, please") };
    let number = |text: &str| text.split(' ').next().unwrap().parse::<usize>().unwrap();
    let has = |word: &str| what.split(' ').any(|one| one == word);
    let faults: Vec<Fault> = EVERYTHING
        .iter()
        .copied()
        .filter(|one| faults == "*" || faults.split(' ').any(|name| format!("{one:?}") == name))
        .collect();
    let faults = faults.leak();
    let town = if has("rotation") {
        let rotation = Rotation {
            workloads: usize::from(has("web")) + usize::from(has("worker")),
            bare: has("bare"),
            outside: match (has("sso"), has("reported"), has("unknown")) {
                (true, ..) => Who::Named,
                (_, true, _) => Who::Reported,
                (.., true) => Who::Unknown,
                _ => Who::Nobody,
            },
            due: match (has("ending") || has("window"), has("compromised")) {
                (true, _) => Due::Ending,
                (_, true) => Due::Compromised,
                _ => Due::Demanded,
            },
            foreign: has("foreign"),
            window: has("window").then_some(300),
        };
        Town::rotating(rotation, faults, number(most))
    } else {
        let targets: Vec<&str> = ["secret", "vault"].into_iter().filter(|one| has(one)).collect();
        Town::new(number(what), &targets, faults, number(most))
    };
    let town = if has("rotation") && has("two") { town.with_two_operators() } else { town };
    let town = if has("cloned") { town.cloned() } else { town };
    if has("pod") { town.with_a_pod() } else { town }
}

#[test]
fn whatever_is_asked_for() {
    if let Ok(asked) = std::env::var("KEYWRIGHT_MODEL") {
        holds(&asked, 100_000, &described(&asked));
    }
}
