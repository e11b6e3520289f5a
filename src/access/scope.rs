//! SMART scopes (SMART App Launch 2.2, scopes and launch context): `patient/Observation.rs?category=laboratory`,
//! `user/*.read`, and the words such as `openid` and `launch/patient`. Reads what a scope says; whether its search
//! parameters can be enforced on a resource is judged with the search itself.
//!
//! Decisions where the specification leaves room:
//! - In one list all clinical scopes are written alike, version 1 (`read`, `write`, `*`) or version 2 (`cruds`):
//!   a mixture is refused, because nobody could say what was meant.
//! - `system/` scopes do not stand beside `patient/` or `user/` ones: they belong to another way of signing in.
//! - Search parameters are plain ones of that type: no modifier, chain, `_has`, `_include` or parameter of the answer.

use crate::definitions::{Definitions, TypeId};
use std::fmt;

/// What is done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// create
    Create,
    /// read, vread and history of an instance
    Read,
    /// update and patch
    Update,
    /// delete
    Delete,
    /// search, and history of a type or the system
    Search,
}

impl Action {
    /// All of them, in the order of their letters.
    pub const ALL: [Action; 5] = [Action::Create, Action::Read, Action::Update, Action::Delete, Action::Search];

    /// Its letter in a scope.
    pub fn letter(self) -> char {
        match self {
            Action::Create => 'c',
            Action::Read => 'r',
            Action::Update => 'u',
            Action::Delete => 'd',
            Action::Search => 's',
        }
    }
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(u8);

impl Rights {
    /// No action.
    pub const NONE: Rights = Rights(0);
    /// All actions.
    pub const ALL: Rights = Rights(0b1_1111);

    /// The set of some actions.
    pub fn of(actions: &[Action]) -> Rights {
        Rights(actions.iter().fold(0, |set, action| set | 1 << (*action as u8)))
    }

    /// The set that letters name: some of `cruds`, in that order, at least one.
    pub fn parse(letters: &str) -> Option<Rights> {
        let mut rights = Rights::NONE;
        let mut order = Action::ALL.into_iter();
        for letter in letters.chars() {
            let action = order.find(|action| action.letter() == letter)?;
            rights = rights.with(Rights::of(&[action]));
        }
        (rights != Rights::NONE).then_some(rights)
    }

    /// Whether an action is among them.
    pub fn has(self, action: Action) -> bool {
        self.0 & 1 << (action as u8) != 0
    }

    /// These and those.
    pub fn with(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// What is in both.
    pub fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Action::ALL
            .into_iter()
            .filter(|action| self.has(*action))
            .try_for_each(|action| write!(f, "{}", action.letter()))
    }
}

/// Whose data a scope is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScopeContext {
    /// `patient/`: those of the patient of the launch context.
    Patient,
    /// `user/`: those that the user may see.
    User,
    /// `system/`: without a user.
    System,
}

impl ScopeContext {
    /// The word before the slash.
    pub fn word(self) -> &'static str {
        match self {
            ScopeContext::Patient => "patient",
            ScopeContext::User => "user",
            ScopeContext::System => "system",
        }
    }
}

/// A scope on resources.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClinicalScope {
    /// Whose data.
    pub context: ScopeContext,
    /// Which resource type; none for `*`.
    pub kind: Option<TypeId>,
    /// What may be done.
    pub rights: Rights,
    /// Search parameters and their values, decoded; all must hold.
    pub filters: Vec<(String, String)>,
    /// Whether it was written with `read`, `write` or `*`.
    pub version_1: bool,
    /// As it was written.
    pub text: String,
}

/// The scopes of a token, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes {
    /// Scopes on resources.
    pub clinical: Vec<ClinicalScope>,
    /// All others: `openid`, `fhirUser`, `profile`, `launch`, `launch/patient`, `offline_access`, `online_access`, …
    pub words: Vec<String>,
}

/// Why a scope is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeError {
    /// The scope.
    pub scope: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the scope '{}' is not granted: {}", self.scope, self.reason)
    }
}

impl std::error::Error for ScopeError {}

impl Scopes {
    /// Reads a list of scopes, separated by spaces.
    pub fn parse(text: &str, definitions: &Definitions) -> Result<Scopes, ScopeError> {
        let mut scopes = Scopes::default();
        for scope in text.split_ascii_whitespace() {
            match clinical(scope, definitions) {
                Ok(Some(clinical)) if scopes.clinical.iter().any(|c| c.text == clinical.text) => {}
                Ok(Some(clinical)) => scopes.clinical.push(clinical),
                Ok(None) if scopes.has_word(scope) => {}
                Ok(None) => scopes.words.push(scope.to_owned()),
                Err(reason) => return Err(ScopeError { scope: brief(scope), reason }),
            }
        }
        scopes.alike()?;
        Ok(scopes)
    }

    /// Refuses what does not stand together.
    fn alike(&self) -> Result<(), ScopeError> {
        let Some(first) = self.clinical.first() else { return Ok(()) };
        for scope in &self.clinical {
            let refuse = |reason: &str| {
                let reason = format!("{reason} '{}'", brief(&first.text));
                Err(ScopeError { scope: brief(&scope.text), reason })
            };
            if scope.version_1 != first.version_1 {
                return refuse(
                    "scopes of version 1 (.read, .write) and of version 2 (.cruds) are not mixed; another is",
                );
            }
            if (scope.context == ScopeContext::System) != (first.context == ScopeContext::System) {
                return refuse("system/ scopes do not stand beside those of a user; another is");
            }
        }
        Ok(())
    }

    /// Whether a word such as `openid` is among them.
    pub fn has_word(&self, word: &str) -> bool {
        self.words.iter().any(|w| w == word)
    }

    /// Whether nothing is among them.
    pub fn is_empty(&self) -> bool {
        self.clinical.is_empty() && self.words.is_empty()
    }

    /// Whether a clinical scope is of this context.
    pub fn has_context(&self, context: ScopeContext) -> bool {
        self.clinical.iter().any(|scope| scope.context == context)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.words.iter().chain(self.clinical.iter().map(|c| &c.text));
        for (i, text) in all.enumerate() {
            write!(f, "{}{text}", if i > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// Text of a client, not too much of it.
fn brief(text: &str) -> String {
    text.chars().take(120).collect()
}

/// Reads one scope; `None` if it is a word that says nothing of resources.
fn clinical(text: &str, definitions: &Definitions) -> Result<Option<ClinicalScope>, String> {
    let Some((context, rest)) = text.split_once('/') else { return Ok(None) };
    let context = match context {
        "patient" => ScopeContext::Patient,
        "user" => ScopeContext::User,
        "system" => ScopeContext::System,
        // `launch/patient` and whatever else has a slash in it.
        _ => return Ok(None),
    };
    let (target, query) = rest.split_once('?').map_or((rest, None), |(target, query)| (target, Some(query)));
    let (name, letters) = target.split_once('.').ok_or("it is not of the form context/Type.rights")?;
    let kind = match name {
        "*" => None,
        name => Some(definitions.resource(name).ok_or("there is no such resource type in FHIR R4")?),
    };
    let (rights, version_1) =
        rights(letters).ok_or("its rights are some of 'cruds', in that order, or read, write or *")?;
    let filters = match query {
        None => Vec::new(),
        Some(_) if version_1 => return Err("search parameters belong to scopes of version 2 (.cruds)".to_owned()),
        Some(query) => filters(query, kind, definitions)?,
    };
    Ok(Some(ClinicalScope { context, kind, rights, filters, version_1, text: text.to_owned() }))
}

/// The rights that are written, and whether in the way of version 1.
fn rights(letters: &str) -> Option<(Rights, bool)> {
    match letters {
        "read" => Some((Rights::of(&[Action::Read, Action::Search]), true)),
        "write" => Some((Rights::of(&[Action::Create, Action::Update, Action::Delete]), true)),
        "*" => Some((Rights::ALL, true)),
        letters => Rights::parse(letters).map(|rights| (rights, false)),
    }
}

/// The search parameters of a scope.
fn filters(query: &str, kind: Option<TypeId>, definitions: &Definitions) -> Result<Vec<(String, String)>, String> {
    let mut filters = Vec::new();
    for piece in query.split('&') {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let name = decoded(name)?;
        let value = decoded(value)?;
        if name.contains([':', '.']) {
            return Err(format!("'{}' has a modifier or is a chain, which a scope may not have", brief(&name)));
        }
        let known = match kind {
            Some(kind) => definitions.search_parameter(kind, &name).is_some(),
            None => definitions.resources.iter().all(|kind| definitions.search_parameter(*kind, &name).is_some()),
        };
        if !known {
            let of = kind.map_or("every resource type", |kind| definitions.name(kind));
            return Err(format!("'{}' is not a search parameter of {of}", brief(&name)));
        }
        if value.is_empty() {
            return Err(format!("the search parameter '{}' has no value", brief(&name)));
        }
        filters.push((name, value));
    }
    Ok(filters)
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| "it is not UTF-8 when percent-decoded")?;
    if decoded.contains('\0') { Err("it holds the character U+0000".to_owned()) } else { Ok(decoded.into_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scopes_say() {
        let definitions = Definitions::core();
        for (text, expected) in [
            ("patient/Observation.rs", "patient Observation rs"),
            ("patient/Observation.read", "patient Observation rs"),
            ("patient/*.write", "patient * cud"),
            ("user/*.*", "user * cruds"),
            ("system/Patient.cruds", "system Patient cruds"),
            ("system/Patient.d", "system Patient d"),
            ("patient/*.rs?_tag=a", "patient * rs _tag=a"),
            (
                "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
                "patient Observation rs category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
            ),
            ("patient/Observation.r?category=a%26b,c&code=x+y", "patient Observation r category=a&b,c code=x+y"),
            ("patient/Observation.rs patient/Observation.rs", "patient Observation rs"),
            ("launch openid fhirUser launch/patient launch/encounter offline_access launch", ""),
            ("http://x/y.z", ""),
        ] {
            let scopes = Scopes::parse(text, &definitions).expect(text);
            let shown = scopes.clinical.iter().map(|c| {
                let kind = c.kind.map_or("*", |kind| definitions.name(kind));
                let filters: String = c.filters.iter().map(|(n, v)| format!(" {n}={v}")).collect();
                format!("{} {kind} {}{filters}", c.context.word(), c.rights)
            });
            assert_eq!(shown.collect::<Vec<_>>().join("; "), expected, "{text}");
        }
        let scopes = Scopes::parse("launch/patient openid patient/Patient.r openid", &definitions).expect("legal");
        assert_eq!(scopes.to_string(), "launch/patient openid patient/Patient.r");
        assert!(scopes.has_word("openid") && !scopes.has_word("fhirUser"));
    }

    #[test]
    fn what_is_refused() {
        let definitions = Definitions::core();
        for text in [
            "patient/Observation",
            "patient/",
            "patient/Observation.",
            "patient/Observation.sr",
            "patient/Observation.rr",
            "patient/Observation.rx",
            "patient/Observation.Read",
            "patient/Observation.reads",
            "patient/observation.rs",
            "patient/Nothing.rs",
            "patient/Resource.rs",
            "patient/HumanName.rs",
            "patient/.rs",
            "patient/Observation.read?category=x",
            "patient/Observation.rs?",
            "patient/Observation.rs?category=",
            "patient/Observation.rs?category",
            "patient/Observation.rs?category:not=x",
            "patient/Observation.rs?subject.name=x",
            "patient/Observation.rs?subject:Patient.name=x",
            "patient/Observation.rs?_has:Provenance:target:agent=x",
            "patient/Observation.rs?_include=Observation:subject",
            "patient/Observation.rs?_count=1",
            "patient/Observation.rs?nothing=1",
            "patient/Observation.rs?category=%FF",
            "patient/*.rs?category=x",
            "patient/Observation.rs patient/Patient.read",
            "system/Observation.rs patient/Patient.rs",
            "user/Observation.rs system/Patient.rs",
        ] {
            let refused = Scopes::parse(text, &definitions);
            assert!(refused.is_err(), "{text}: {refused:?}");
        }
    }

    #[test]
    fn letters_and_back() {
        for letters in ["c", "cruds", "rs", "cud", "ds"] {
            assert_eq!(Rights::parse(letters).expect(letters).to_string(), letters);
        }
        assert_eq!(Rights::parse(""), None);
        assert_eq!(Rights::parse("rs").map(|r| (r.has(Action::Read), r.has(Action::Create))), Some((true, false)));
    }
}
