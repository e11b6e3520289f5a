//! A quick look at the bytes of a stored body that can show that a resource is inside a restriction, without reading it
//! as a document. It only ever says "surely yes": whatever is unusual (an escape, an absolute reference, a label, an
//! element of several values) is left to the judgement on the whole resource. Most reads are of the usual kind.
//!
//! A body is what `store::Body` writes: minified JSON that begins inside `meta`, each key once.

use super::rule::Rule;
use crate::base::ResourceId;
use crate::definitions::TypeId;
use crate::index::Extractor;
use memchr::memmem;
use rustc_hash::{FxHashMap, FxHashSet};

/// What has to be seen in a body.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// Nothing can be seen.
    Unsure,
    /// All of these.
    All(Vec<Proof>),
    /// One of these.
    Any(Vec<Proof>),
    /// One of these ids.
    Itself(FxHashSet<ResourceId>),
    /// No security label.
    Unlabelled,
    /// A plain reference to one of these patients in one of these elements of the resource itself.
    Refers { elements: Vec<Box<str>>, patients: FxHashSet<ResourceId> },
    /// No mention of any of these patients; for a Patient itself that it is none of them.
    Without { itself: bool, patients: FxHashSet<ResourceId> },
}

impl Proof {
    /// What shows that a rule holds.
    pub fn of(rule: &Rule, kind: TypeId, extractor: &Extractor) -> Proof {
        match rule {
            Rule::All(all) => Proof::All(all.iter().map(|rule| Proof::of(rule, kind, extractor)).collect()),
            Rule::Any(any) => Proof::Any(any.iter().map(|rule| Proof::of(rule, kind, extractor)).collect()),
            Rule::Itself(ids) => Proof::Itself(ids.clone()),
            Rule::Refers { parameters, patients } => {
                let elements =
                    parameters.iter().flat_map(|number| extractor.plain_references(kind, *number, "Patient"));
                Proof::Refers { elements: elements.collect(), patients: patients.clone() }
            }
            Rule::Not(inner) => match &**inner {
                Rule::Labelled(_) => Proof::Unlabelled,
                Rule::OfPatients { parameters, patients } => without(parameters.is_none(), patients),
                _ => Proof::Unsure,
            },
            _ => Proof::Unsure,
        }
    }

    /// Whether the body of the resource with this id shows it.
    pub fn shows(&self, id: &ResourceId, body: &[u8]) -> bool {
        match self {
            Proof::Unsure => false,
            Proof::All(all) => all.iter().all(|proof| proof.shows(id, body)),
            Proof::Any(any) => any.iter().any(|proof| proof.shows(id, body)),
            Proof::Itself(ids) => ids.contains(id),
            // The labels stand in `meta`, with which the body begins.
            Proof::Unlabelled => close(body, 0)
                .and_then(|end| body.get(..end))
                .is_some_and(|meta| memmem::find(meta, b"\"security\"").is_none()),
            Proof::Refers { elements, patients } => refers(body, elements, patients),
            Proof::Without { itself: true, patients } => !patients.contains(id),
            Proof::Without { itself: false, patients } => {
                // An escape could write an id in another way.
                let plain = !escapes(body);
                let mut ids = memmem::find_iter(body, b"Patient/").map(|at| id_at(body, at + b"Patient/".len()));
                plain && ids.all(|found| found.is_some_and(|id| !patients.contains(&id)))
            }
        }
    }
}

fn without(itself: bool, patients: &FxHashMap<ResourceId, Rule>) -> Proof {
    Proof::Without { itself, patients: patients.keys().cloned().collect() }
}

/// Whether there is an escape that can hide a letter or a slash.
fn escapes(body: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', body).any(|at| matches!(body.get(at + 1), Some(b'u' | b'/')))
}

/// The id that begins at a place.
fn id_at(body: &[u8], start: usize) -> Option<ResourceId> {
    let rest = body.get(start..)?;
    let end = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')))?;
    ResourceId::new(std::str::from_utf8(rest.get(..end)?).ok()?)
}

/// Whether one of the elements is a single reference to one of the patients, written in the plainest way.
fn refers(body: &[u8], elements: &[Box<str>], patients: &FxHashSet<ResourceId>) -> bool {
    const BEGINS: &[u8] = b"{\"reference\":\"Patient/";
    let mut members = Members::of(body);
    while let Some((key, value)) = members.next() {
        if !elements.iter().any(|name| name.as_bytes() == key) {
            continue;
        }
        let Some(start) = body.get(value..).filter(|rest| rest.starts_with(BEGINS)).map(|_| value + BEGINS.len())
        else {
            continue;
        };
        let Some(id) = id_at(body, start) else { continue };
        // Not a version of it, and nothing longer.
        if body.get(start + id.as_str().len()) == Some(&b'"') && patients.contains(&id) {
            return true;
        }
    }
    false
}

/// The members of the resource that a body is of: key and place of the value. Ends where the text is not as expected.
struct Members<'b> {
    body: &'b [u8],
    at: usize,
}

impl<'b> Members<'b> {
    fn of(body: &'b [u8]) -> Members<'b> {
        // The body begins inside `meta`.
        let at = close(body, 0).unwrap_or(body.len());
        Members { body, at }
    }

    fn next(&mut self) -> Option<(&'b [u8], usize)> {
        let rest = self.body.get(self.at..)?.strip_prefix(b",\"")?;
        let start = self.at + 2;
        let length = memchr::memchr(b'"', rest)?;
        let key = rest.get(..length)?;
        let value = start + length + 2;
        if self.body.get(value - 1) != Some(&b':') {
            self.at = self.body.len();
            return None;
        }
        self.at = end(self.body, value).unwrap_or(self.body.len());
        Some((key, value))
    }
}

/// The place behind the value that begins at a place.
fn end(body: &[u8], at: usize) -> Option<usize> {
    match body.get(at)? {
        b'"' => string_end(body, at + 1),
        b'{' | b'[' => close(body, at + 1),
        _ => Some(at + memchr::memchr2(b',', b'}', body.get(at..)?)?),
    }
}

/// The place behind the bracket that closes what is open at a place.
fn close(body: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 1;
    while open > 0 {
        match body.get(at)? {
            b'"' => {
                at = string_end(body, at + 1)?;
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            _ => {}
        }
        at += 1;
    }
    Some(at)
}

/// The place behind the string whose text begins at a place.
fn string_end(body: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', body.get(at..)?)?;
        match body.get(at) {
            Some(b'"') => return Some(at + 1),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;
    use crate::json::{Document, Limits};
    use crate::store::Body;

    fn body(json: &str) -> Vec<u8> {
        let document = Document::parse(json.as_bytes(), &Limits::NONE).expect("legal");
        Body::of(document.root()).0
    }

    fn ids(ids: &[&str]) -> FxHashSet<ResourceId> {
        ids.iter().filter_map(|id| ResourceId::new(id)).collect()
    }

    #[test]
    fn only_a_plain_reference_of_the_resource_itself_is_a_proof() {
        let elements = ["subject".into(), "patient".into()];
        let check = |json: &str, expected: bool| {
            assert_eq!(refers(&body(json), &elements, &ids(&["a", "a-1"])), expected, "{json}");
        };
        check(r#"{"resourceType":"Observation","subject":{"reference":"Patient/a"}}"#, true);
        check(
            r#"{"resourceType":"X","meta":{"tag":[{"code":"}"}]},"n":-1.5,"b":true,"patient":{"reference":"Patient/a-1","display":"x"}}"#,
            true,
        );
        check(
            r#"{"resourceType":"X","text":{"div":"<p class=\"x\">\\</p>"},"subject":{"reference":"Patient/a"}}"#,
            true,
        );
        for other in [
            r#"{"resourceType":"X","subject":{"reference":"Patient/b"}}"#,
            r#"{"resourceType":"X","subject":{"reference":"Patient/a/_history/1"}}"#,
            r#"{"resourceType":"X","subject":{"reference":"Patient/ab"}}"#,
            r#"{"resourceType":"X","subject":{"reference":"Patient/a-1-2"}}"#,
            r#"{"resourceType":"X","subject":{"reference":"http://elsewhere/Patient/a"}}"#,
            r#"{"resourceType":"X","subject":{"reference":"Group/a"}}"#,
            r#"{"resourceType":"X","focus":[{"reference":"Patient/a"}],"subject":{"reference":"Patient/b"}}"#,
            r#"{"resourceType":"X","contained":[{"resourceType":"Y","subject":{"reference":"Patient/a"}}]}"#,
            r#"{"resourceType":"X","code":{"text":",\"subject\":{\"reference\":\"Patient/a\"}"}}"#,
            r#"{"resourceType":"X","meta":{"extension":[{"subject":{"reference":"Patient/a"}}]}}"#,
            r#"{"resourceType":"X","component":[{"patient":{"reference":"Patient/a"}}],"note":[{"text":"x"}]}"#,
            r#"{"resourceType":"X","subject":{"display":"Patient/a","reference":"Patient/b"}}"#,
            r#"{"resourceType":"X","_subject":{"reference":"Patient/a"}}"#,
            r#"{"resourceType":"X"}"#,
        ] {
            check(other, false);
        }
        for end in 0..60 {
            let whole = body(r#"{"resourceType":"X","a":"\\\"","subject":{"reference":"Patient/b"},"z":[[{}]]}"#);
            assert!(!refers(&whole[..end.min(whole.len())], &elements, &ids(&["a"])));
        }
    }

    #[test]
    fn labels_are_looked_for_where_they_stand() {
        let id = ResourceId::new("x").expect("an id");
        let check = |json: &str, expected: bool| {
            assert_eq!(Proof::Unlabelled.shows(&id, &body(json)), expected, "{json}");
        };
        check(r#"{"resourceType":"X","status":"final"}"#, true);
        check(r#"{"resourceType":"X","meta":{"tag":[{"code":"security"}]},"note":"x"}"#, false);
        check(r#"{"resourceType":"X","meta":{"tag":[{"code":"t"}]},"security":[{"code":"R"}]}"#, true);
        check(r#"{"resourceType":"X","meta":{"tag":[{"code":"{"}]},"note":"\"security\""}"#, true);
        check(r#"{"resourceType":"X","meta":{"security":[{"code":"R"}]}}"#, false);
        check(r#"{"resourceType":"X","meta":{"tag":[{"code":"}"}],"secur\u0069ty":[{"code":"R"}]}}"#, false);
        assert!(!Proof::Unlabelled.shows(&id, b"\"cut"), "what is cut off shows nothing");
    }

    #[test]
    fn patients_who_deny_are_looked_for_everywhere() {
        let proof = |itself| Proof::Without { itself, patients: ids(&["b"]) };
        let id = ResourceId::new("b").expect("an id");
        let check = |json: &str, expected: bool| assert_eq!(proof(false).shows(&id, &body(json)), expected, "{json}");
        check(r#"{"resourceType":"X","subject":{"reference":"Patient/a"},"code":{"text":"line\nbreak"}}"#, true);
        check(r#"{"resourceType":"X","subject":{"reference":"Patient/b"}}"#, false);
        check(r#"{"resourceType":"X","subject":{"reference":"https://h/Patient/b/_history/2"}}"#, false);
        check(r#"{"resourceType":"X","subject":{"reference":"Patient\/b"}}"#, false);
        check("{\"resourceType\":\"X\",\"subject\":{\"reference\":\"Patient/\\u0062\"}}", false);
        assert!(!proof(true).shows(&id, b"}}"));
    }

    #[test]
    fn elements_of_compartment_parameters_are_known() {
        let definitions = Definitions::core();
        let extractor = Extractor::new(definitions.clone(), Vec::new());
        let of = |kind: &str, code: &str| {
            let kind = definitions.resource(kind).expect(kind);
            let parameter = definitions.search_parameter(kind, code).expect(code);
            extractor.plain_references(kind, parameter.number, "Patient")
        };
        assert_eq!(of("Observation", "subject"), ["subject".into()]);
        assert_eq!(of("Observation", "patient"), ["subject".into()]);
        assert_eq!(of("AllergyIntolerance", "patient"), ["patient".into()]);
        assert!(of("Observation", "code").is_empty());
        assert!(of("Appointment", "actor").is_empty(), "it stands deeper");
    }
}
