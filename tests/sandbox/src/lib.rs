//! What Keywright is tried against. It shares no code with the product: a misreading of a service must not be made
//! twice.
//!
//! The rooms, in the order in which they know each other:
//!
//! - `places`, `progress`: where things are on disk; the one line about something slow.
//! - `hold`, `ports`, `pki`, `kubeconfig`: programs that never outlive us; free ports; keys and certificates; access.
//! - `go`, `programs`: programs that Go builds once; which of them are the control plane's.
//! - `run`: the directory of one run.
//! - `components`, `running`, `snapshot`, `plane`: a control plane.
//! - `journal`, `faults`: what was asked of a service, and weather on purpose. They know no service.
//! - `listen`, `answers`, `weather`: doors, answers whole or cut short, and how a rule is carried out, for any service.
//! - `verbs`, `proxy`: journal and weather for the API server.
//! - `rights`, `chart`: what roles give and requests need; the product's chart, as its users install it.
//! - `operator`: the product, as a process.
//! - `controllers`: other people's controllers, as processes that end with their plane.
//! - `witness`, `node`: what pods have seen; nodes whose pods really sign in.
//! - `webhook`: what gives pods their federated tokens.
//! - `azure`: Graph and the token endpoint, with replicas that lag, and Key Vault. It knows no Kubernetes.
//! - `ledger`: what must be true in the end, of Azure's log and what pods have seen.
//! - `points`: where a run can be hit, of what was asked in another.
//!
//! A scenario begins with [`Plane::start`], puts a [`Proxy`] in front of it, and runs an [`Operator`] under a
//! ServiceAccount that a [`Release`] of the chart brings, with [`Plane::kubeconfig_for`].

mod answers;
pub mod azure;
pub mod chart;
mod components;
pub mod controllers;
pub mod faults;
mod go;
mod hold;
pub mod journal;
mod kubeconfig;
pub mod ledger;
mod listen;
pub mod node;
mod operator;
mod pki;
mod places;
mod plane;
pub mod points;
mod ports;
mod programs;
mod progress;
mod proxy;
pub mod rights;
mod run;
mod running;
mod snapshot;
mod verbs;
mod weather;
pub mod webhook;
pub mod witness;

pub use azure::Azure;
pub use chart::{Chart, Release};
pub use controllers::Controller;
pub use faults::{Faults, Rule};
pub use hold::{Fuse, KillSwitch};
pub use journal::Journal;
pub use ledger::Ledger;
pub use node::Nodes;
pub use operator::Operator;
pub use plane::{Options, Plane, Via};
pub use programs::Programs;
pub use proxy::{KUBERNETES, Proxy};
pub use rights::Right;
pub use run::newest_alive;
pub use webhook::Webhook;
pub use witness::Witnesses;
