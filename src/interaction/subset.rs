//! Parts of a resource: `_summary` and `_elements` (R4 search.html#summary, #elements). What stays in any case: the
//! type, id, meta and mandatory elements. Whoever receives a part is told so by the tag SUBSETTED.

use super::incoming::parse;
use crate::base::{Failure, IssueCode};
use crate::definitions::{Definitions, Element, ElementType, Structure, StructureKind, TypeId};
use crate::json::{Kind, Limits, Value, escape_into, minify_into};
use crate::search::Summary;

const SUBSETTED: &str =
    "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationValue\",\"code\":\"SUBSETTED\"}";

/// Which part of a resource is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subset {
    /// The elements that are marked as summary, at all levels.
    Summary,
    /// The narrative.
    Text,
    /// All but the narrative.
    Data,
    /// These top-level elements.
    Elements(Vec<String>),
}

impl Subset {
    /// What the parameters of a read or history ask for. (`_summary=count` is for searches.)
    pub(crate) fn of_query(pairs: &[(String, String)]) -> Result<Option<Subset>, Failure> {
        let mut subset = None;
        for (name, value) in pairs {
            match (name.as_str(), value.as_str()) {
                (_, "") | ("_summary", "false") => {}
                ("_summary", "true") => subset = Some(Subset::Summary),
                ("_summary", "text") => subset = Some(Subset::Text),
                ("_summary", "data") => subset = Some(Subset::Data),
                ("_summary", _) => {
                    return Err(Failure::malformed(
                        IssueCode::Value,
                        "'_summary' is one of true, text, data and false, and count where there is something to count",
                    )
                    .at("_summary"));
                }
                ("_elements", list) => {
                    subset = Some(Subset::Elements(
                        list.split(',').map(|e| crate::search::top_level(e.trim()).to_owned()).collect(),
                    ));
                }
                _ => {}
            }
        }
        Ok(subset)
    }

    /// What a search asks for.
    pub(crate) fn of_plan(summary: Option<Summary>, elements: &[String]) -> Option<Subset> {
        match summary {
            Some(Summary::True) => Some(Subset::Summary),
            Some(Summary::Text) => Some(Subset::Text),
            Some(Summary::Data) => Some(Subset::Data),
            Some(Summary::Count) => None,
            None if elements.is_empty() => None,
            None => Some(Subset::Elements(elements.to_vec())),
        }
    }

    /// The part of a resource, as JSON.
    pub(crate) fn apply(&self, definitions: &Definitions, json: &[u8]) -> Result<Vec<u8>, Failure> {
        let document = parse(json, &Limits::NONE)?;
        let resource = document.root();
        let kind = resource.get("resourceType").and_then(Value::as_str);
        let Some(kind) = kind.and_then(|name| definitions.resource(&name)) else {
            return Ok(json.to_vec());
        };
        let mut out = String::with_capacity(json.len() / 2);
        self.resource(definitions, definitions.structure(kind), resource, &mut out);
        Ok(out.into_bytes())
    }

    fn resource(&self, definitions: &Definitions, structure: &Structure, resource: Value<'_>, out: &mut String) {
        let mut members = Members::new(out);
        let mut tagged = false;
        for (key, value) in resource.entries() {
            if key == "meta" {
                tagged = true;
                write_meta(value, members.key("meta"));
                continue;
            }
            let element = structure.element(key.strip_prefix('_').unwrap_or(&key));
            if !matches!(&*key, "resourceType" | "id") && !self.keeps(structure, &key, element) {
                continue;
            }
            let out = members.key(&key);
            match element {
                Some(element) if *self == Subset::Summary => summary(definitions, element, value, out),
                _ => minify_into(value, out),
            }
        }
        if !tagged {
            members.key("meta").push_str(&format!("{{\"tag\":[{SUBSETTED}]}}"));
        }
        out.push('}');
    }

    /// Whether a top-level element stays.
    fn keeps(&self, structure: &Structure, key: &str, element: Option<&Element>) -> bool {
        let name = key.strip_prefix('_').unwrap_or(key);
        let mandatory = element.is_some_and(|e| is_mandatory(structure, e));
        match self {
            Subset::Summary => mandatory || element.is_some_and(|e| e.summary),
            Subset::Text => mandatory || name == "text",
            Subset::Data => name != "text",
            Subset::Elements(names) => {
                mandatory
                    || element.is_some_and(|e| e.modifier)
                    || names.iter().any(|n| n == name || element.is_some_and(|e| **n == *e.fhirpath))
            }
        }
    }
}

fn is_mandatory(structure: &Structure, element: &Element) -> bool {
    element.min > 0
        || element.choice.and_then(|c| structure.choices.get(c as usize)).is_some_and(|choice| choice.min > 0)
}

/// Writes a value of the summary; of data types and backbone elements only what is in the summary or mandatory.
fn summary(definitions: &Definitions, element: &Element, value: Value<'_>, out: &mut String) {
    let ElementType::Complex(kind) = element.kind else {
        return minify_into(value, out);
    };
    if value.kind() != Kind::Array {
        return part(definitions, kind, value, out);
    }
    out.push('[');
    for (i, item) in value.items().enumerate() {
        if i > 0 {
            out.push(',');
        }
        part(definitions, kind, item, out);
    }
    out.push(']');
}

fn part(definitions: &Definitions, kind: TypeId, value: Value<'_>, out: &mut String) {
    let structure = definitions.structure(kind);
    // Data types are shown whole where none of their elements is marked (such as Extension and Narrative).
    let marked = structure.elements.iter().any(|e| e.summary);
    let whole = !marked || (structure.kind != StructureKind::Backbone && !has_unmarked(structure, value));
    if value.kind() != Kind::Object || whole {
        return minify_into(value, out);
    }
    let start = out.len();
    let mut members = Members::new(out);
    for (key, value) in value.entries() {
        let Some(element) = structure.element(key.strip_prefix('_').unwrap_or(&key)) else { continue };
        if element.summary || is_mandatory(structure, element) {
            summary(definitions, element, value, members.key(&key));
        }
    }
    if members.first {
        // Nothing of it is in the summary; an empty object would not be legal.
        out.truncate(start);
        return minify_into(value, out);
    }
    out.push('}');
}

/// Whether there is something in a value that is not in the summary.
fn has_unmarked(structure: &Structure, value: Value<'_>) -> bool {
    value.entries().any(|(key, _)| !structure.element(key.strip_prefix('_').unwrap_or(&key)).is_some_and(|e| e.summary))
}

/// Writes the members of an object.
struct Members<'o> {
    out: &'o mut String,
    first: bool,
}

impl<'o> Members<'o> {
    fn new(out: &'o mut String) -> Self {
        out.push('{');
        Members { out, first: true }
    }

    fn key(&mut self, key: &str) -> &mut String {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        escape_into(key, self.out);
        self.out.push(':');
        self.out
    }
}

fn write_meta(meta: Value<'_>, out: &mut String) {
    let mut members = Members::new(out);
    let mut tagged = false;
    for (key, value) in meta.entries() {
        let out = members.key(&key);
        if key != "tag" || value.kind() != Kind::Array {
            minify_into(value, out);
            continue;
        }
        tagged = true;
        out.push('[');
        for tag in value.items().filter(|t| t.get("code").and_then(Value::as_plain) != Some("SUBSETTED")) {
            minify_into(tag, out);
            out.push(',');
        }
        out.push_str(SUBSETTED);
        out.push(']');
    }
    if !tagged {
        let tag = members.key("tag");
        tag.push('[');
        tag.push_str(SUBSETTED);
        tag.push(']');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"1","meta":{"versionId":"1","tag":[{"code":"x"}]},"text":{"status":"generated","div":"<div/>"},"extension":[{"url":"u","valueString":"v"}],"active":true,"name":[{"family":"A"}],"gender":"male","_birthDate":{"id":"b"},"deceasedBoolean":false,"contact":[{"gender":"male"}]}"#;

    /// The top-level elements that stay.
    fn keys(query: &str) -> String {
        let pairs = crate::search::pairs(query).expect("a query");
        let subset = Subset::of_query(&pairs).expect("legal").expect("a subset");
        let json = subset.apply(&Definitions::core(), PATIENT.as_bytes()).expect("applied");
        let document = crate::json::Document::parse(&json, &Limits::default()).expect("JSON");
        assert!(document.text().contains("SUBSETTED"), "{}", document.text());
        document.root().entries().map(|(k, _)| k.into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_stays() {
        for (query, expected) in [
            ("_summary=true", "resourceType id meta active name gender _birthDate deceasedBoolean"),
            ("_summary=text", "resourceType id meta text"),
            ("_summary=data", "resourceType id meta extension active name gender _birthDate deceasedBoolean contact"),
            ("_elements=contact,text", "resourceType id meta text active deceasedBoolean contact"),
            ("_elements=deceased", "resourceType id meta active deceasedBoolean"),
            ("_elements=Patient.contact,text.div", "resourceType id meta text active deceasedBoolean contact"),
        ] {
            assert_eq!(keys(query), expected, "{query}");
        }
    }

    #[test]
    fn a_summary_reaches_into_backbones() {
        let json = br#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"code":{"text":"c"},"valueInteger":1,"interpretation":[{"text":"i"}]}]}"#;
        let out = Subset::Summary.apply(&Definitions::core(), json).expect("applied");
        let text = String::from_utf8_lossy(&out);
        assert!(text.contains(r#""component":[{"code":{"text":"c"},"valueInteger":1}]"#), "{text}");
        assert!(text.contains(r#""meta":{"tag":[{"#), "{text}");
    }
}
