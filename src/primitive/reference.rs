//! The forms of a literal reference and of a canonical (R4 references.html#literal, datatypes.html#canonical), told
//! apart by their text alone. Whether the target exists or its type is known is not asked.

use crate::base::ResourceId;

/// What a reference or canonical points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'t> {
    /// `Patient/1` or `Patient/1/_history/2`
    Relative {
        /// Resource type.
        kind: &'t str,
        /// Logical id.
        id: &'t str,
        /// Version id.
        version: Option<&'t str>,
    },
    /// `http://x/y/Patient/1` or with `/_history/2`
    Absolute {
        /// What stands before the type, without the last slash.
        base: &'t str,
        /// Resource type.
        kind: &'t str,
        /// Logical id.
        id: &'t str,
        /// Version id.
        version: Option<&'t str>,
    },
    /// `#id`: a contained resource; an empty id is the container itself.
    Fragment(&'t str),
    /// `urn:uuid:…`, `urn:oid:…` and other URNs, whole.
    Urn(&'t str),
    /// `http://x/ValueSet/y|1.0`
    Canonical {
        /// What stands before the bar, without a fragment.
        url: &'t str,
        /// What stands after the bar, without a fragment.
        version: Option<&'t str>,
    },
    /// `Patient?identifier=…` (only in transactions, R4 http.html#trules)
    Conditional {
        /// Resource type.
        kind: &'t str,
        /// What stands after the question mark.
        query: &'t str,
    },
    /// Any other URI.
    Other(&'t str),
}

impl<'t> Reference<'t> {
    /// Tells the form of a reference. Every text has one.
    pub fn parse(text: &'t str) -> Reference<'t> {
        if let Some(id) = text.strip_prefix('#') {
            return Reference::Fragment(id);
        }
        if text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:")) {
            return match text.split_once('|') {
                Some((url, version)) => Reference::Canonical { url, version: Some(version) },
                None => Reference::Urn(text),
            };
        }
        if let Some((kind, query)) = text.split_once('?')
            && is_type_name(kind)
        {
            return Reference::Conditional { kind, query };
        }
        if let Some((url, version)) = text.split_once('|') {
            let version = version.split('#').next().unwrap_or_default();
            return Reference::Canonical { url, version: Some(version) };
        }
        if let Some((url, fragment)) = text.split_once('#')
            && !fragment.is_empty()
            && url.contains("://")
        {
            return Reference::Canonical { url, version: None };
        }
        instance(text).unwrap_or(Reference::Other(text))
    }
}

/// `[base/]Type/id[/_history/version]`
fn instance(text: &str) -> Option<Reference<'_>> {
    let (before, last) = text.rsplit_once('/')?;
    let (path, id, version) = match before.rsplit_once('/') {
        Some((path, "_history")) => {
            let (path, id) = path.rsplit_once('/')?;
            (path, id, Some(last).filter(|v| ResourceId::is_legal(v)).map(Some)?)
        }
        _ => (before, last, None),
    };
    if !ResourceId::is_legal(id) {
        return None;
    }
    match path.rsplit_once('/') {
        None => is_type_name(path).then_some(Reference::Relative { kind: path, id, version }),
        Some((base, kind)) => {
            let absolute = base.split_once("://").is_some_and(|(scheme, host)| {
                !host.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) && !scheme.is_empty()
            });
            (absolute && is_type_name(kind)).then_some(Reference::Absolute { base, kind, id, version })
        }
    }
}

/// Whether a text has the form of a resource type's name.
fn is_type_name(text: &str) -> bool {
    text.len() >= 4 && text.as_bytes()[0].is_ascii_uppercase() && text.bytes().all(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let relative = |version| Reference::Relative { kind: "Patient", id: "1", version };
        let absolute = |base, version| Reference::Absolute { base, kind: "Patient", id: "1", version };
        for (text, form) in [
            ("Patient/1", relative(None)),
            ("Patient/1/_history/2", relative(Some("2"))),
            ("http://x/y/Patient/1", absolute("http://x/y", None)),
            ("https://x:8080/Patient/1/_history/a", absolute("https://x:8080", Some("a"))),
            (
                "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
                Reference::Urn("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
            ),
            ("URN:oid:1.2.3", Reference::Urn("URN:oid:1.2.3")),
            ("#p", Reference::Fragment("p")),
            ("#", Reference::Fragment("")),
            ("Patient?identifier=a|b#c", Reference::Conditional { kind: "Patient", query: "identifier=a|b#c" }),
            ("http://x/ValueSet/y|1.0", Reference::Canonical { url: "http://x/ValueSet/y", version: Some("1.0") }),
            ("http://x/ValueSet/y|1.0#z", Reference::Canonical { url: "http://x/ValueSet/y", version: Some("1.0") }),
            ("http://x/Questionnaire/y#z", Reference::Canonical { url: "http://x/Questionnaire/y", version: None }),
            ("urn:x:y|2", Reference::Canonical { url: "urn:x:y", version: Some("2") }),
        ] {
            assert_eq!(Reference::parse(text), form, "{text}");
        }
        for text in [
            "",
            "/",
            "Patient",
            "Patient/",
            "/Patient/1",
            "patient/1",
            "Patient/a b",
            "Patient/1/2",
            "http://x",
            "x?y=z",
            "http:///Patient/1",
            "Patient/1/_history/",
            "Patient/1/_history/2/3",
            "é",
            "ééé/1",
            "http://x/y?Patient/1x=",
        ] {
            assert_eq!(Reference::parse(text), Reference::Other(text), "{text}");
        }
    }
}
