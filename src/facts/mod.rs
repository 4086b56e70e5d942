//! The vocabulary of what is so. No I/O, no clock, no decisions: an adapter fills these in, `plan` reads them. Secret
//! values never come here: facts name a credential by its key ID.
//!
//! Reading order: [`mark`], [`credential`], [`trouble`] and [`verdict`] (what calls outside bring), [`record`],
//! [`target`], [`observation`].

pub mod credential;
pub mod mark;
pub mod observation;
pub mod record;
pub mod target;
pub mod trouble;
pub mod verdict;

pub use credential::{Application, Credential, ObjectId};
pub use mark::{Mark, Nonce, Owner, Sequence};
pub use observation::{Observation, TenantObservation, TenantSeen};
pub use record::{Attempt, Entry, Kept, Record, Stage};
pub use target::{Carried, Holder, TargetId, TargetSeen, TargetState};
pub use trouble::{Effect, Service, Trouble};
pub use verdict::Verdict;
