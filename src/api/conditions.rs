//! Conditions as Kubernetes has them: one per type, and the time of the last transition kept until the status changes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Reason;

/// A proven, unexpired credential is published; for a tenant, that the operator can do its work there.
pub const READY: &str = "Ready";
/// A credential is on its way; the reason is its stage.
pub const ROTATING: &str = "Rotating";
/// Everybody who is known to use the published credential has it.
pub const ROLLED_OUT: &str = "RolledOut";
/// This generation is being worked on for the first time.
pub const RECONCILING: &str = "Reconciling";
/// A tenant has paused itself.
pub const PAUSED: &str = "Paused";
/// Nothing more happens until a person does something.
pub const STALLED: &str = "Stalled";

/// The longest message that the API server takes for a condition is 32 KiB; nobody reads more than this.
const LONGEST_MESSAGE: usize = 2048;

/// Whether what a condition says is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is.
    True,
    /// It is not.
    False,
    /// It was not found out.
    Unknown,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is to be said, without the times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Says {
    /// The type of the condition.
    pub type_: &'static str,
    /// Whether it is so.
    pub status: Status,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, and what to do.
    pub message: String,
}

/// The conditions that say `now_true`, each with the time since when its status is what it is. What is not said is gone.
#[must_use]
pub fn conditions(before: &[Condition], said: Vec<Says>, generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    said.into_iter()
        .map(|says| {
            let status = says.status.as_str();
            let old = find(before, says.type_);
            let message = shortened(says.message, LONGEST_MESSAGE);
            let message = match old.filter(|_| says.reason.is_trouble()) {
                Some(old) => settled(&old.message, message),
                None => message,
            };
            let since =
                old.filter(|old| old.status == status).map_or(Time(now), |old| old.last_transition_time.clone());
            Condition {
                type_: says.type_.to_owned(),
                status: status.to_owned(),
                reason: says.reason.as_str().to_owned(),
                message,
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

/// The old message, if the new one says the same but for the IDs and times of a service's answer: each answer has its own,
/// and a status that repeated them would be written at every try.
#[must_use]
pub fn settled(old: &str, new: String) -> String {
    if but_for_ids(old).eq(but_for_ids(&new)) { old.to_owned() } else { new }
}

/// The words of a message that are no ID and no time.
fn but_for_ids(message: &str) -> impl Iterator<Item = &str> {
    let words = message.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.')));
    words.map(|word| word.trim_matches(['.', ':', '-'])).filter(|word| {
        let id = word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let time =
            word.len() >= 8 && word.as_bytes()[0].is_ascii_digit() && (word.contains(':') || word.ends_with('Z'));
        let date = word.len() == 10 && word.bytes().filter(|byte| *byte == b'-').count() == 2;
        !(id || time || date)
    })
}

/// The condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// At most `most` bytes of a text, cut between two characters.
#[must_use]
pub fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MORNING: Timestamp = Timestamp::constant(1_795_248_000, 0);
    const NOON: Timestamp = Timestamp::constant(1_795_262_400, 0);

    fn ready(status: Status, message: &str) -> Vec<Says> {
        vec![Says { type_: READY, status, reason: Reason::TenantNotFound, message: message.into() }]
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let first = conditions(&[], ready(Status::False, "one"), Some(1), MORNING);
        let second = conditions(&first, ready(Status::False, "two"), Some(2), NOON);
        assert_eq!(second[0].last_transition_time, Time(MORNING));
        assert_eq!((second[0].message.as_str(), second[0].observed_generation), ("two", Some(2)));
    }

    #[test]
    fn a_condition_takes_the_new_time_when_its_status_changes() {
        let first = conditions(&[], ready(Status::False, "one"), Some(1), MORNING);
        let second = conditions(&first, ready(Status::Unknown, "one"), Some(1), NOON);
        assert_eq!(second[0].last_transition_time, Time(NOON));
    }

    #[test]
    fn a_message_that_differs_only_in_ids_and_times_stays_as_it_was() {
        let says = |id: &str, time: &str| format!("Graph refused (403 Denied, request {id}, {time}). Add an owner.");
        let old = says("5b1e2c3d-0000-4000-8000-000000000001", "2026-11-21T08:01:07Z");
        let again = says("9f8e7d6c-0000-4000-8000-000000000002", "2026-11-21 08:02:09Z");
        assert_eq!(settled(&old, again.clone()), old);
        let other = again.replace("403", "404");
        assert_eq!(settled(&old, other.clone()), other);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(shortened("ä".repeat(10), 12), "ääää…");
        assert_eq!(shortened("short".into(), 12), "short");
    }
}
