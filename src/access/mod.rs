//! Floor 6: who may see and do what. A verified token says who asks ([`Principal`], with its SMART [`Scopes`]); the
//! [`Grant`] says what that means for each resource type: nothing, everything, or a [`Restriction`], which is a
//! condition for the store and, independently of it, a judgement on one resource. It is made of
//!
//! - the scopes (`scope`), with the patient of the launch and what belongs to a patient (`reach`),
//! - the [`Policy`] of the role (`policy`), with the elements that it hides (`field`),
//! - guarded security labels (`label`) and the Consents of patients (`consent`).
//!
//! How a token is issued and verified is the matter of `authorization`; that nothing leaves or enters past a grant is
//! the matter of the gate in `interaction`.

mod consent;
mod field;
mod grant;
mod label;
mod policy;
mod principal;
mod proof;
mod reach;
mod rule;
mod scope;

pub use consent::{Asker, Consents, Statement};
pub use field::{Hidden, looks_inside};
pub use grant::{Access, Circumstances, Grant};
pub use label::guarded;
pub use policy::{CLIENT, Policy, PolicyRule, Within, names as policy_names};
pub use principal::{Caller, Principal, Role, UserReference};
pub use reach::{Reach, UNIVERSAL, reach};
pub use rule::{Restriction, Subject};
pub use scope::{Action, ClinicalScope, Rights, ScopeContext, ScopeError, Scopes};
