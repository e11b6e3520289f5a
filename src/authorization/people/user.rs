//! A user: who it is, in which role, and how it is known again. A record; what may be done with it is `accounts`.

use super::passkey::Passkey;
use super::totp::Shared;
use crate::access::Role;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// A user as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// Its id, which never changes.
    pub id: String,
    /// The name it signs in with, as it was given.
    pub name: String,
    /// What it is called, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// Its role.
    #[serde(with = "role_code")]
    pub role: Role,
    /// The resource that stands for it, such as `Practitioner/7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// It cannot sign in, and nothing that was given to it is of use.
    #[serde(default)]
    pub disabled: bool,
    /// The hash of its password; none if it signs in elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The password was chosen by somebody else and has to be changed.
    #[serde(default)]
    pub must_change: bool,
    /// What it shares with its authenticator app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<Shared>,
    /// Hashes of the recovery codes that are left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<String>,
    /// Its passkeys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passkeys: Vec<Passkey>,
    /// Who it is at an outside provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
    /// When it was made, in microseconds since the epoch.
    pub created: i64,
    /// Counts what ends its sessions: a new password, being disabled.
    #[serde(default)]
    pub epoch: u32,
}

/// Who a user is at an outside OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// The name of the provider in the settings.
    pub provider: String,
    /// The subject there.
    pub subject: String,
}

impl User {
    /// What it is called on pages.
    pub fn shown(&self) -> &str {
        self.display.as_deref().unwrap_or(&self.name)
    }

    /// Type and id of the resource that stands for it.
    pub fn resource_parts(&self) -> Option<(&str, &str)> {
        self.resource.as_deref()?.split_once('/')
    }

    /// Whether a second factor is asked for.
    pub fn has_second_factor(&self) -> bool {
        self.totp.is_some()
    }
}

/// The types of resources that can stand for a user.
pub const KINDS: [&str; 5] = ["Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Person"];

/// A name as names are compared: what looks alike is the same name. `None` if it can be no name.
pub fn compared(name: &str) -> Option<String> {
    let folded: String = name.trim().nfkc().flat_map(char::to_lowercase).nfkc().collect();
    let legal = (1..=100).contains(&folded.chars().count())
        && folded.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+' | '\'' | ' '));
    legal.then_some(folded)
}

mod role_code {
    use super::Role;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(role: &Role, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(role.code())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Role, D::Error> {
        let code = String::deserialize(from)?;
        Role::from_code(&code).ok_or_else(|| D::Error::custom(format_args!("no role '{code}'")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_one() {
        let check = |name: &str, expected: Option<&str>| assert_eq!(compared(name).as_deref(), expected, "{name:?}");
        check("K.Asante", Some("k.asante"));
        check(" k.asante ", Some("k.asante"));
        check("ｋ.asante", Some("k.asante"));
        check("Zoe\u{301}", Some("zoé"));
        check("Zoé", Some("zoé"));
        check("", None);
        check("a\u{202e}b", None);
        check("a\nb", None);
        check("a/b", None);
        check(&"a".repeat(101), None);
    }
}
