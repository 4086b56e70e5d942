//! The shipped planner in a world that is small enough to be looked at in every state.

#[cfg(test)]
mod act;
#[cfg(test)]
mod good_end;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod people;
#[cfg(test)]
mod print;
#[cfg(test)]
mod search;
#[cfg(test)]
mod town;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{
        mutants::Mutant,
        search::search,
        town::{EVERYTHING, Fault, Town},
    };

    fn bound() -> usize {
        std::env::var("KEYWRIGHT_MODEL_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
    }

    #[track_caller]
    fn holds(name: &str, town: &Town) {
        let found = search(town, bound());
        writeln!(std::io::stderr(), "{name}: {found}, at most {} faults", town.most_faults).unwrap();
        if let Some(story) = found.broken {
            panic!("{name}: {story}");
        }
    }

    /// A deeper search: `KEYWRIGHT_MODEL="2 operators, secret vault pod, Silence Crash, 2 faults"`.
    #[test]
    fn whatever_is_asked_for() {
        let Ok(asked) = std::env::var("KEYWRIGHT_MODEL") else { return };
        let parts: Vec<&str> = asked.split(", ").collect();
        let [operators, targets, faults, most] = parts[..] else { panic!("four parts, please") };
        let number = |text: &str| text.split(' ').next().unwrap().parse::<usize>().unwrap();
        let faults: Vec<Fault> = EVERYTHING
            .iter()
            .copied()
            .filter(|one| faults == "*" || faults.split(' ').any(|name| format!("{one:?}") == name))
            .collect();
        let named: Vec<&str> = targets.split(' ').filter(|name| *name != "pod").collect();
        let town = Town::new(number(operators), &named, faults.leak(), number(most));
        holds(&asked, &if targets.contains("pod") { town.with_a_pod() } else { town });
    }

    #[test]
    fn without_faults_one_operator_mints_once() {
        holds("one operator, no faults", &Town::new(1, &["secret", "vault"], &[], 0));
    }

    #[test]
    fn without_faults_two_operators_mint_once() {
        holds("two operators, no faults", &Town::new(2, &["secret", "vault"], &[], 0).with_a_pod());
    }

    #[test]
    fn one_operator_and_every_fault() {
        holds("one operator, one fault", &Town::new(1, &["secret", "vault"], EVERYTHING, 1).with_a_pod());
    }

    #[test]
    fn two_operators_and_every_fault() {
        holds("two operators, one fault", &Town::new(2, &["secret", "vault"], EVERYTHING, 1).with_a_pod());
    }

    #[test]
    fn one_operator_and_every_pair_of_faults() {
        holds("one operator, two faults", &Town::new(1, &["secret"], EVERYTHING, 2).with_a_pod());
    }

    #[track_caller]
    fn is_found(mutant: Mutant, town: Town) {
        is_found_within(bound(), mutant, town);
    }

    #[track_caller]
    fn is_found_within(states: usize, mutant: Mutant, town: Town) {
        let found = search(&town.with(mutant), states);
        writeln!(std::io::stderr(), "{mutant:?}: {found}").unwrap();
        let story = found.broken.expect("the bug to be found");
        writeln!(std::io::stderr(), "{story}").unwrap();
    }

    #[test]
    fn taking_over_at_once_is_found() {
        is_found(Mutant::TakesOverAtOnce, Town::new(2, &["secret"], &[], 0));
    }

    #[test]
    fn trusting_one_read_is_found() {
        is_found(Mutant::TrustsOneRead, Town::new(1, &["secret"], &[Fault::Silence], 1));
    }

    #[test]
    fn removing_on_a_conflict_is_found() {
        is_found(Mutant::RemovesOnConflict, Town::new(1, &["secret"], &[Fault::Repeat], 1));
    }

    #[test]
    fn skipping_the_look_is_found() {
        is_found(Mutant::SkipsTheLook, Town::new(1, &["secret"], &[Fault::Silence], 1));
    }

    #[test]
    fn publishing_blindly_is_found() {
        let town = Town::new(2, &["secret"], &[Fault::Pause, Fault::Restore], 2);
        is_found_within(bound().max(500_000), Mutant::PublishesBlindly, town);
    }

    #[test]
    fn ignoring_pods_is_found() {
        is_found(Mutant::IgnoresPods, Town::new(1, &["secret"], &[Fault::Crash, Fault::Restore], 2).with_a_pod());
    }

    #[test]
    fn forgetting_the_nonce_is_found() {
        is_found(Mutant::ForgetsTheNonce, Town::new(1, &["secret"], &[Fault::Crash, Fault::Restore], 2));
    }
}
