//! Who asks: what a token says once it is verified. Judges nothing and verifies nothing.

use super::Scopes;
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use std::sync::Arc;

/// What a verified token says. Equal principals are given equal rights.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Stable id of the user or, without a user, of the client.
    pub subject: String,
    /// `client_id` of the app; none for a session of the server's own pages.
    pub client: Option<String>,
    /// The user as a resource.
    pub user: Option<UserReference>,
    /// The role of the user; none for backend services.
    pub role: Option<Role>,
    /// What was granted.
    pub scopes: Scopes,
    /// The patient of the launch context.
    pub patient: Option<ResourceId>,
    /// The encounter of the launch context.
    pub encounter: Option<ResourceId>,
    /// Codes of the purposes of use that were stated (`TREAT`, …).
    pub purposes: Vec<String>,
    /// The reason that was stated for an emergency access.
    pub break_glass: Option<String>,
    /// The tenant that the token is for.
    pub tenant: TenantId,
    /// The id of the token (`jti`), for the audit trail.
    pub token: Option<String>,
}

impl Principal {
    /// A principal of whom nothing more is known, with nothing granted.
    pub fn new(subject: impl Into<String>) -> Principal {
        Principal {
            subject: subject.into(),
            client: None,
            user: None,
            role: None,
            scopes: Scopes::default(),
            patient: None,
            encounter: None,
            purposes: Vec::new(),
            break_glass: None,
            tenant: TenantId::default(),
            token: None,
        }
    }
}

/// A user as a resource: Practitioner, PractitionerRole, Patient, RelatedPerson or Person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserReference {
    /// Its type.
    pub kind: TypeId,
    /// Its id.
    pub id: ResourceId,
}

/// The roles that users have. What each may do is written in its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Role {
    Administrator,
    Doctor,
    Nurse,
    Pharmacist,
    LaboratoryTechnician,
    Receptionist,
    CivilAuthority,
    Patient,
    Auditor,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 9] = [
        Role::Administrator,
        Role::Doctor,
        Role::Nurse,
        Role::Pharmacist,
        Role::LaboratoryTechnician,
        Role::Receptionist,
        Role::CivilAuthority,
        Role::Patient,
        Role::Auditor,
    ];

    /// Its code, as accounts and policies name it.
    pub fn code(self) -> &'static str {
        match self {
            Role::Administrator => "administrator",
            Role::Doctor => "doctor",
            Role::Nurse => "nurse",
            Role::Pharmacist => "pharmacist",
            Role::LaboratoryTechnician => "laboratory-technician",
            Role::Receptionist => "receptionist",
            Role::CivilAuthority => "civil-authority",
            Role::Patient => "patient",
            Role::Auditor => "auditor",
        }
    }

    /// The role of a code.
    pub fn from_code(code: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.code() == code)
    }
}

/// Who makes a request.
#[derive(Clone, Debug, Default)]
pub enum Caller {
    /// Anybody: access control is off.
    #[default]
    Open,
    /// Somebody whose token was verified.
    Known(Arc<Principal>),
}

impl Caller {
    /// The principal, if access control is on.
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        match self {
            Caller::Open => None,
            Caller::Known(principal) => Some(principal),
        }
    }
}
