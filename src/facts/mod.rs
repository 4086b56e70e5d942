//! The vocabulary of what is so. No I/O, no clock, no decisions: an adapter fills these in, `plan` reads them. Secret
//! values never come here: facts name a credential by its key ID.
//!
//! Reading order: [`mark`], [`credential`], [`trouble`] and [`verdict`] (what calls outside bring), [`federated`],
//! [`certificate`], [`cause`], [`record`], [`target`], [`consumer`], [`usage`], [`mine`] (what one process remembers),
//! [`observation`].

pub mod cause;
pub mod certificate;
pub mod consumer;
pub mod credential;
pub mod federated;
pub mod mark;
pub mod mine;
pub mod observation;
pub mod record;
pub mod target;
pub mod template;
pub mod trouble;
pub mod usage;
pub mod verdict;

pub use cause::{Adopted, Cause};
pub use certificate::{ListSeen, ListWritten, ListedKey, Source, Thumbprint};
pub use consumer::{
    Consumers, Hindrance, Identity, Maker, Means, PodSeen, Progress, Reading, ScheduleSeen, SeenBy, WorkloadId,
    WorkloadSeen,
};
pub use credential::{Application, Credential, ObjectId};
pub use federated::{AccountSeen, Claims, Exchange, Federated};
pub use mark::{Mark, Nonce, Owner, Sequence};
pub use mine::{
    Absent, CopyId, CopySeen, Failing, Fate, Mine, Missing, OwnAttempt, Proof, Rolled, Tried, Withheld, Work,
};
pub use observation::{
    Braked, Care, Elder, Federation, Looked, NamespaceSeen, Observation, Records, Sibling, TenantObservation,
    TenantSeen,
};
pub use record::{Attempt, Entry, Kept, Record, Stage};
pub use target::{Carried, Holder, TargetId, TargetSeen, TargetState, VaultEntry};
pub use template::{NotATemplate, Template};
pub use trouble::{Effect, Service, Trouble};
pub use usage::Usage;
pub use verdict::Verdict;
