//! Microsoft's side of identity, an adapter: it signs the operator in, reads and writes applications in Microsoft Graph,
//! and says what came of it in the words of [`crate::facts`]. It decides nothing, repeats nothing and waits for nothing:
//! every call is sent once and has a time limit. Values of secrets pass through it and stay nowhere.
//!
//! Reading order: [`cloud`], [`identity`] with `assertion`, `tokens` and `no_token` (how the operator signs in), [`graph`]
//! with `call`, `refusal` and `shape` (a call and its end), [`changes`] (a whole tenant at once), [`federation`] (whom else
//! an application trusts), [`list`] (its certificates), [`usage`] (when its credentials were last used); [`codes`] (what
//! Entra's refusals mean; pure), [`mod@sign_in`] with [`key`] and `presented` (the proof of a credential).

mod assertion;
mod call;
pub mod changes;
pub mod cloud;
pub mod codes;
pub mod federation;
pub mod graph;
pub mod identity;
pub mod key;
pub mod list;
mod no_token;
mod pages;
mod presented;
mod refusal;
mod shape;
pub mod sign_in;
mod tokens;
pub mod usage;

use std::sync::Arc;

use azure_core::credentials::TokenCredential;

pub use self::{
    changes::{Changes, Concern, Since},
    cloud::Cloud,
    graph::{Directory, Minted, Removal},
    identity::Identity,
    key::Key,
    sign_in::{exchange, prove, sign_in},
};
use crate::{api::TenantId, facts::Trouble, wire};

/// A credential of the SDK for what is neither Graph nor a proof: it asks for the token of whichever service it is given to.
pub fn credential(
    wire: &wire::Client,
    tenant: TenantId,
    cloud: &Cloud,
    identity: &Identity,
) -> Result<Arc<dyn TokenCredential>, Trouble> {
    let unusable = |why| no_token::of_identity(&no_token::SignIn { tenant, cloud, identity }, &why);
    identity.credential(wire, tenant, cloud).map_err(unusable)
}
