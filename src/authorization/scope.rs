//! Scopes as OAuth handles them: read, compared, and joined as texts (SMART App Launch 2.2, scopes; v1 and v2). What a
//! scope lets somebody do is judged by `access`.

/// Whose data a clinical scope is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reach {
    Patient,
    User,
    System,
}

impl Reach {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Reach::Patient => "patient",
            Reach::User => "user",
            Reach::System => "system",
        }
    }
}

/// A scope on resources: `patient/Observation.rs?category=laboratory`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clinical {
    /// Whose data.
    pub context: Reach,
    /// A resource type, or `*`.
    pub kind: String,
    /// What, as it was written: `rs`, or `read`.
    pub permissions: String,
    /// The search parameters, without `?`.
    pub query: Option<String>,
}

/// A scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `openid`, `launch/patient`, `offline_access` …
    Named(&'static str),
    /// On resources.
    Clinical(Clinical),
}

/// The scopes that are names.
pub const NAMED: &[&str] = &[
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
];

/// Why a scope cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is none that is known here: left out (RFC 6749 3.3).
    Unknown,
    /// It looks like a scope on resources and is written wrongly: refused, so that nobody gets less than they think.
    Malformed,
}

/// Reads one scope.
pub fn read(text: &str) -> Result<Scope, Wrong> {
    if let Some(name) = NAMED.iter().find(|name| **name == text) {
        return Ok(Scope::Named(name));
    }
    let (context, rest) = text.split_once('/').ok_or(Wrong::Unknown)?;
    let context = match context {
        "patient" => Reach::Patient,
        "user" => Reach::User,
        "system" => Reach::System,
        _ => return Err(Wrong::Unknown),
    };
    let (head, query) = match rest.split_once('?') {
        Some((head, query)) => (head, Some(query)),
        None => (rest, None),
    };
    let (kind, permissions) = head.split_once('.').ok_or(Wrong::Malformed)?;
    let typed = kind == "*" || (!kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphabetic()));
    if !typed || letters(permissions).is_none() {
        return Err(Wrong::Malformed);
    }
    if query.is_some_and(|query| query.is_empty() || query.split('&').any(|pair| !is_condition(pair))) {
        return Err(Wrong::Malformed);
    }
    let query = query.map(str::to_owned);
    Ok(Scope::Clinical(Clinical { context, kind: kind.to_owned(), permissions: permissions.to_owned(), query }))
}

/// `category=laboratory`: a plain parameter; a chain, a modifier or a parameter of the result is none.
fn is_condition(pair: &str) -> bool {
    pair.split_once('=').is_some_and(|(name, value)| {
        !value.is_empty()
            && !name.is_empty()
            && !name.contains([':', '.'])
            && (!name.starts_with('_') || name == "_tag")
    })
}

/// The permissions of a scope as v2 letters: `read` of v1 is `rs`, `write` is `cud`, `*` is `cruds`.
fn letters(permissions: &str) -> Option<&str> {
    match permissions {
        "read" => return Some("rs"),
        "write" => return Some("cud"),
        "*" => return Some("cruds"),
        "" => return None,
        _ => {}
    }
    let mut rest = "cruds".chars();
    permissions.chars().all(|letter| rest.any(|next| next == letter)).then_some(permissions)
}

/// Whether whoever has the first scope loses nothing by the second in its place: the second is the same or narrower.
pub fn covers(wide: &str, narrow: &str) -> bool {
    if wide == narrow {
        return true;
    }
    let (Ok(Scope::Clinical(wide)), Ok(Scope::Clinical(narrow))) = (read(wide), read(narrow)) else { return false };
    let (Some(all), Some(some)) = (letters(&wide.permissions), letters(&narrow.permissions)) else { return false };
    wide.context == narrow.context
        && (wide.kind == "*" || wide.kind == narrow.kind)
        && some.chars().all(|letter| all.contains(letter))
        && match (&wide.query, &narrow.query) {
            (None, _) => true,
            (Some(_), None) => false,
            // More conditions are narrower.
            (Some(wide), Some(narrow)) => wide.split('&').all(|pair| narrow.split('&').any(|other| other == pair)),
        }
}

/// Whether one of some scopes covers a scope.
pub fn covered(by: &[String], scope: &str) -> bool {
    by.iter().any(|wide| covers(wide, scope))
}

/// The scopes of a request, in order, each once. Unknown ones are left out; the first malformed one is the error.
pub fn list(text: &str) -> Result<Vec<String>, String> {
    let mut all: Vec<String> = Vec::new();
    for scope in text.split(' ').filter(|s| !s.is_empty()) {
        match read(scope) {
            Ok(_) if !all.iter().any(|s| s == scope) => all.push(scope.to_owned()),
            Ok(_) | Err(Wrong::Unknown) => {}
            Err(Wrong::Malformed) => return Err(scope.to_owned()),
        }
    }
    Ok(all)
}

/// Whether some scope is on the data of one patient, so that there must be a patient in context.
pub fn needs_patient(scopes: &[String]) -> bool {
    scopes.iter().any(|scope| scope == "launch/patient" || scope.starts_with("patient/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read() {
        let check = |text: &str, expected: Option<Wrong>| assert_eq!(read(text).err(), expected, "{text}");
        for good in ["openid", "launch/patient", "patient/*.rs", "user/Observation.cruds", "system/*.*"] {
            check(good, None);
        }
        for good in ["patient/Patient.read", "patient/*.write", "user/Observation.rs?category=a|b&status=final"] {
            check(good, None);
        }
        for bad in ["patient/Patient.sr", "patient/Patient.x", "patient/Patient", "patient/.rs", "patient/Patient."] {
            check(bad, Some(Wrong::Malformed));
        }
        for bad in ["patient/A.rs?", "patient/A.rs?x:not=1", "patient/A.rs?p.name=1", "patient/A.rs?_include=x"] {
            check(bad, Some(Wrong::Malformed));
        }
        check("email", Some(Wrong::Unknown));
        check("other/Patient.rs", Some(Wrong::Unknown));
    }

    #[test]
    fn wide_scopes_cover_narrow_ones() {
        let check = |wide: &str, narrow: &str, expected| assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        check("patient/*.rs", "patient/Observation.rs", true);
        check("patient/*.rs", "patient/Observation.read", true);
        check("patient/*.read", "patient/Observation.r", true);
        check("patient/*.*", "patient/Observation.cruds", true);
        check("patient/*.rs", "patient/Observation.cruds", false);
        check("patient/*.rs", "user/Observation.rs", false);
        check("patient/Observation.rs", "patient/*.rs", false);
        check("patient/Observation.rs", "patient/Observation.rs?category=a", true);
        check("patient/Observation.rs?category=a", "patient/Observation.rs", false);
        check("patient/Observation.rs?category=a", "patient/Observation.rs?category=a&status=b", true);
        check("openid", "openid", true);
        check("openid", "launch", false);
    }

    #[test]
    fn lists() {
        assert_eq!(list("openid  x openid patient/*.rs").expect("legal"), ["openid", "patient/*.rs"]);
        assert_eq!(list("openid patient/*.sr").expect_err("malformed"), "patient/*.sr");
    }
}
