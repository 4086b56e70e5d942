//! The vocabulary of what is so. No I/O, no clock, no decisions: an adapter fills these in, `plan` reads them. Secret
//! values never come here: facts name a credential by its key ID.
//!
//! Reading order: [`mark`], [`credential`], [`trouble`] and [`verdict`] (what calls outside bring), [`record`],
//! [`target`], [`pod`], [`mine`] (what one process remembers), [`observation`].

pub mod credential;
pub mod mark;
pub mod mine;
pub mod observation;
pub mod pod;
pub mod record;
pub mod target;
pub mod template;
pub mod trouble;
pub mod verdict;

pub use credential::{Application, Credential, ObjectId};
pub use mark::{Mark, Nonce, Owner, Sequence};
pub use mine::{Failing, Fate, Mine, OwnAttempt, Proof, Work};
pub use observation::{Elder, Looked, NamespaceSeen, Observation, Records, TenantObservation, TenantSeen};
pub use pod::PodSeen;
pub use record::{Attempt, Entry, Kept, Record, Stage};
pub use target::{Carried, Holder, TargetId, TargetSeen, TargetState};
pub use template::{NotATemplate, Template};
pub use trouble::{Effect, Service, Trouble};
pub use verdict::Verdict;
