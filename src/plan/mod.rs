//! What is to be said and done about a resource, and why. Pure: facts in, decision out. Nothing here waits, reads a
//! clock, talks to a server or writes a log; time is an argument.
//!
//! Reading order: this file, then [`readable`] (what can be spoken of at all), [`policy`] (the values in force),
//! [`admit`] (what the tenant allows), [`supported`] (what is still to be built), [`report`] (what people see).

pub mod admit;
mod pattern;
pub mod policy;
pub mod readable;
pub mod report;
pub mod supported;
pub mod tenant;

use crate::{
    api::{Reason, status::EffectivePolicy},
    facts::Observation,
};

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Why nothing further happens to this resource until a person does something.
    pub refusal: Option<Refusal>,
    /// The policy in force, where it could be found out.
    pub effective: Option<EffectivePolicy>,
}

/// A refusal: why in one word, and in a sentence what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The word.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Decide about a resource. The first check that speaks is the reason people read.
#[must_use]
pub fn plan(seen: &Observation) -> Decision {
    let request = match readable::request(seen) {
        Ok(request) => request,
        Err(refusal) => {
            return Decision { refusal: Some(refusal), effective: None };
        }
    };
    let policy = policy::resolve(&request);
    let refusal = admit::refusal(&request)
        .or_else(|| policy::refusal(&request, &policy))
        .or_else(|| supported::refusal(request.spec));
    Decision { refusal, effective: Some(policy.effective(&request)) }
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
