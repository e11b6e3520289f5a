//! Floor 6: who may see and do what. A verified token says who asks ([`Principal`], with its SMART [`Scopes`]); this
//! room turns that into decisions and conditions. How a token is issued and verified is the matter of
//! `authorization`; that every decision is kept is the matter of the gate in `interaction`.

mod principal;
mod scope;

pub use principal::{Caller, Principal, Role, UserReference};
pub use scope::{Action, ClinicalScope, Rights, ScopeContext, ScopeError, Scopes};
