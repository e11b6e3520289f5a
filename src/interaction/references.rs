//! References inside a transaction (R4 http.html#trules, bundle.html#references): where a resource refers to
//! something, and how references to other entries and conditional references become references to what is stored.
//! Only the places that change are written anew; the rest of the text stays as it was sent.

use crate::definitions::{Definitions, ElementType, TypeId};
use crate::json::{Kind, Value, escape_into};
use crate::primitive::{Primitive, Reference};
use rustc_hash::FxHashMap;

/// What sort of place refers to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// `Reference.reference`
    Reference,
    /// An element of type uri, url, oid or uuid. (Canonicals are not rewritten: R4 http.html#trules.)
    Uri,
    /// A narrative, with `href` and `src` in it.
    Narrative,
}

/// All places of a resource that may refer to something, in the order of the text.
pub(crate) fn sites<'d>(definitions: &Definitions, kind: TypeId, resource: Value<'d>) -> Vec<(Site, Value<'d>)> {
    let mut walk = Walk { definitions, reference: definitions.type_named("Reference"), found: Vec::new() };
    walk.structure(kind, resource);
    walk.found
}

struct Walk<'a, 'd> {
    definitions: &'a Definitions,
    reference: Option<TypeId>,
    found: Vec<(Site, Value<'d>)>,
}

impl<'d> Walk<'_, 'd> {
    fn structure(&mut self, kind: TypeId, value: Value<'d>) {
        let structure = self.definitions.structure(kind);
        for (key, value) in value.entries() {
            if let Some(name) = key.strip_prefix('_') {
                if structure.element(name).is_some() {
                    value.each().for_each(|item| self.extensions(item));
                }
                continue;
            }
            if key == "reference" && Some(kind) == self.reference {
                self.found.extend((value.kind() == Kind::String).then_some((Site::Reference, value)));
                continue;
            }
            let Some(element) = structure.element(&key) else { continue };
            for item in value.each() {
                self.element(element.kind, item);
            }
        }
    }

    fn element(&mut self, kind: ElementType, value: Value<'d>) {
        match kind {
            ElementType::Complex(kind) => self.structure(kind, value),
            ElementType::Resource => {
                let name = value.get("resourceType").and_then(Value::as_plain);
                if let Some(kind) = name.and_then(|name| self.definitions.resource(name)) {
                    self.structure(kind, value);
                }
            }
            ElementType::Primitive(primitive) => {
                let site = match primitive {
                    Primitive::Uri | Primitive::Url | Primitive::Oid | Primitive::Uuid => Site::Uri,
                    Primitive::Xhtml => Site::Narrative,
                    _ => return,
                };
                self.found.extend((value.kind() == Kind::String).then_some((site, value)));
            }
        }
    }

    /// The extensions of a primitive.
    fn extensions(&mut self, primitive: Value<'d>) {
        let Some(kind) = self.definitions.type_named("Extension") else { return };
        for extension in primitive.get("extension").into_iter().flat_map(Value::items) {
            self.structure(kind, extension);
        }
    }
}

/// What a reference to an entry becomes.
#[derive(Debug)]
struct Target {
    /// `Patient/1`
    address: String,
    /// The version that the transaction makes, where that is known before the commit.
    version: Option<u64>,
}

/// What references become.
#[derive(Debug, Default)]
pub(crate) struct Rewriter {
    /// `fullUrl` of an entry to what it becomes.
    targets: FxHashMap<String, Target>,
    /// Whether there are other targets than URNs.
    addresses: bool,
    /// `Patient?identifier=…` to `Patient/1`.
    conditional: FxHashMap<String, String>,
}

impl Rewriter {
    /// References to this `fullUrl` become references to `address`, and those to a version of it references to
    /// `version`.
    pub(crate) fn add(&mut self, full_url: &str, address: String, version: Option<u64>) {
        if full_url != address {
            self.addresses |= !full_url.starts_with("urn:");
            self.targets.insert(full_url.to_owned(), Target { address, version });
        }
    }

    /// This conditional reference becomes a reference to `target`.
    pub(crate) fn resolve(&mut self, conditional: String, target: String) {
        self.conditional.insert(conditional, target);
    }

    /// Whether a conditional reference is resolved already.
    pub(crate) fn knows(&self, conditional: &str) -> bool {
        self.conditional.contains_key(conditional)
    }

    /// Whether a text could hold anything that is rewritten.
    fn concerns(&self, text: &str) -> bool {
        let has = |needle: &[u8]| memchr::memmem::find(text.as_bytes(), needle).is_some();
        (!self.targets.is_empty() && (self.addresses || has(b"urn:"))) || (!self.conditional.is_empty() && has(b"?"))
    }

    /// The text of a resource with its references rewritten; `None` if there is nothing to rewrite. `full_url` is
    /// that of its entry: relative references are relative to it.
    pub(crate) fn rewrite(
        &self,
        definitions: &Definitions,
        kind: TypeId,
        resource: Value<'_>,
        full_url: Option<&str>,
    ) -> Option<String> {
        let raw = resource.raw();
        if !self.concerns(raw) {
            return None;
        }
        let start = resource.span().start;
        let mut out = String::new();
        let mut done = 0;
        for (site, value) in sites(definitions, kind, resource) {
            let Some(text) = value.as_str() else { continue };
            let Some(new) = self.replacement(site, &text, full_url) else { continue };
            let span = value.span();
            out.push_str(raw.get(done..span.start - start)?);
            escape_into(&new, &mut out);
            done = span.end - start;
        }
        if done == 0 {
            return None;
        }
        out.push_str(raw.get(done..)?);
        Some(out)
    }

    fn replacement(&self, site: Site, text: &str, full_url: Option<&str>) -> Option<String> {
        match site {
            Site::Reference => self.target(text, full_url).or_else(|| self.conditional.get(text).cloned()),
            Site::Uri => self.target(text, None),
            Site::Narrative => self.narrative(text),
        }
    }

    /// What a link becomes. A fragment stays; a version-specific link stays one (R4 http.html#trules).
    fn target(&self, text: &str, full_url: Option<&str>) -> Option<String> {
        let (address, fragment) = match text.find('#') {
            Some(at) => text.split_at_checked(at)?,
            None => (text, ""),
        };
        let (address, versioned) = match address.split_once("/_history/") {
            Some((address, _)) => (address, true),
            None => (address, false),
        };
        let target = self.targets.get(address).or_else(|| self.sibling(address, full_url?))?;
        match (versioned, target.version) {
            (false, _) => Some(format!("{}{fragment}", target.address)),
            (true, Some(version)) => Some(format!("{}/_history/{version}{fragment}", target.address)),
            (true, None) => None,
        }
    }

    /// The target of a relative reference: it is relative to the `fullUrl` of the entry that it stands in.
    fn sibling(&self, text: &str, full_url: &str) -> Option<&Target> {
        if !self.addresses {
            return None;
        }
        let Reference::Relative { kind, id, version: None } = Reference::parse(text) else { return None };
        match Reference::parse(full_url) {
            Reference::Absolute { base, .. } => self.targets.get(&format!("{base}/{kind}/{id}")),
            _ => None,
        }
    }

    /// The narrative with the addresses in its attributes rewritten.
    fn narrative(&self, div: &str) -> Option<String> {
        let mut out = String::new();
        let mut done = 0;
        for (at, _) in div.match_indices('=') {
            let before = div.get(..at)?.trim_end();
            if !before.ends_with("href") && !before.ends_with("src") {
                continue;
            }
            let after = div.get(at + 1..)?;
            let trimmed = after.trim_start();
            let Some(quote) = trimmed.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
            let start = at + 1 + (after.len() - trimmed.len()) + 1;
            let Some(length) = div.get(start..)?.find(quote) else { continue };
            if let Some(target) = self.target(div.get(start..start + length)?, None) {
                out.push_str(div.get(done..start)?);
                out.push_str(&target);
                done = start + length;
            }
        }
        if done == 0 {
            return None;
        }
        out.push_str(div.get(done..)?);
        Some(out)
    }
}

/// The conditional references of a resource: their text and where it stands.
pub(crate) fn conditional<'d>(
    definitions: &Definitions,
    kind: TypeId,
    resource: Value<'d>,
) -> Vec<(String, Value<'d>)> {
    if memchr::memchr(b'?', resource.raw().as_bytes()).is_none() {
        return Vec::new();
    }
    let references = sites(definitions, kind, resource).into_iter().filter(|(site, _)| *site == Site::Reference);
    references
        .filter_map(|(_, value)| {
            let text = value.as_str()?;
            matches!(Reference::parse(&text), Reference::Conditional { .. }).then(|| (text.into_owned(), value))
        })
        .collect()
}

/// The path from `from` to a value in it, such as `.performer[0]`; `.reference` at the end is left out.
pub(crate) fn path_to(from: Value<'_>, sought: Value<'_>) -> String {
    let mut path = String::new();
    let mut at = from;
    'down: while at.place() != sought.place() {
        let inside =
            |value: Value<'_>| value.span().start <= sought.span().start && sought.span().end <= value.span().end;
        for (key, value) in at.entries() {
            if inside(value) {
                path.push('.');
                path.push_str(&key);
                at = value;
                continue 'down;
            }
        }
        for (i, item) in at.items().enumerate() {
            if inside(item) {
                path.push_str(&format!("[{i}]"));
                at = item;
                continue 'down;
            }
        }
        break;
    }
    path.strip_suffix(".reference").map(str::to_owned).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    fn rewriter() -> Rewriter {
        let mut rewriter = Rewriter::default();
        rewriter.add("urn:uuid:1", "Patient/a".into(), Some(1));
        rewriter.add("http://x/fhir/Patient/1", "Patient/b".into(), None);
        rewriter.resolve("Patient?identifier=s|v".into(), "Patient/c".into());
        rewriter
    }

    #[test]
    fn what_is_rewritten() {
        for (kind, before, after) in [
            ("Observation", r#""subject":{"reference":"urn:uuid:1"}"#, Some(r#""subject":{"reference":"Patient/a"}"#)),
            (
                "Observation",
                r#""subject" : {"display":"é", "reference": "Patient?identifier=s|v" }"#,
                Some(r#""subject" : {"display":"é", "reference": "Patient/c" }"#),
            ),
            ("Observation", r#""subject":{"reference":"Patient/1"}"#, Some(r#""subject":{"reference":"Patient/b"}"#)),
            ("Observation", r#""subject":{"reference":"Patient/2"}"#, None),
            (
                "Observation",
                r##""subject":{"reference":"urn:uuid:1/_history/7"},"device":{"reference":"urn:uuid:1#part"}"##,
                Some(r##""subject":{"reference":"Patient/a/_history/1"},"device":{"reference":"Patient/a#part"}"##),
            ),
            // Which version this will be is not known.
            ("Observation", r#""subject":{"reference":"http://x/fhir/Patient/1/_history/7"}"#, None),
            ("QuestionnaireResponse", r#""questionnaire":"urn:uuid:1""#, None),
            (
                "Basic",
                r#""extension":[{"url":"u","valueCanonical":"urn:uuid:1|2"},{"url":"u","valueUrl":"urn:uuid:1"},{"url":"u","valueOid":"urn:uuid:1"}]"#,
                Some(
                    r#""extension":[{"url":"u","valueCanonical":"urn:uuid:1|2"},{"url":"u","valueUrl":"Patient/a"},{"url":"u","valueOid":"Patient/a"}]"#,
                ),
            ),
            ("Observation", r#""identifier":[{"system":"s","value":"urn:uuid:1"}]"#, None),
            ("Observation", r#""subject":{"display":"urn:uuid:1"}"#, None),
            (
                "Observation",
                r#""text":{"div":"<div><a href=\"urn:uuid:1\">x</a> urn:uuid:1 <img src = 'http://x/fhir/Patient/1'/></div>"}"#,
                Some(r#""text":{"div":"<div><a href=\"Patient/a\">x</a> urn:uuid:1 <img src = 'Patient/b'/></div>"}"#),
            ),
            (
                "Patient",
                r#""extension":[{"url":"u","valueUri":"urn:uuid:1"}],"_birthDate":{"extension":[{"url":"v","valueReference":{"reference":"urn:uuid:1"}}]}"#,
                Some(
                    r#""extension":[{"url":"u","valueUri":"Patient/a"}],"_birthDate":{"extension":[{"url":"v","valueReference":{"reference":"Patient/a"}}]}"#,
                ),
            ),
            (
                "Patient",
                r##""contained":[{"resourceType":"Observation","performer":[{"reference":"#x"},{"reference":"urn:uuid:1"}]}]"##,
                Some(
                    r##""contained":[{"resourceType":"Observation","performer":[{"reference":"#x"},{"reference":"Patient/a"}]}]"##,
                ),
            ),
        ] {
            let definitions = Definitions::core();
            let text = format!("[ {{\"resourceType\":\"{kind}\",{before}}}]");
            let document = Document::parse(text.as_bytes(), &Limits::default()).expect("legal");
            let resource = document.root().items().next().expect("a resource");
            let kind_id = definitions.resource(kind).expect("a type");
            let new = rewriter().rewrite(&definitions, kind_id, resource, Some("http://x/fhir/Observation/9"));
            let expected = after.map(|after| format!("{{\"resourceType\":\"{kind}\",{after}}}"));
            assert_eq!(new, expected, "{before}");
        }
    }

    #[test]
    fn conditional_references_and_their_places() {
        let definitions = Definitions::core();
        let text =
            r#"{"resourceType":"Observation","performer":[{"reference":"Patient/1"},{"reference":"Patient?a=b"}]}"#;
        let document = Document::parse(text.as_bytes(), &Limits::default()).expect("legal");
        let kind = definitions.resource("Observation").expect("a type");
        let found = conditional(&definitions, kind, document.root());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "Patient?a=b");
        assert_eq!(path_to(document.root(), found[0].1), ".performer[1]");
    }
}
