//! Codes against what the terminology knows: is it one of its system, is the display right, is it in the value set that
//! the element is bound to. What the terminology does not know, and nobody elsewhere either, is said once and refused
//! nowhere.

use super::binding::absent_with_reason;
use super::elsewhere::{Answer, Coded};
use super::place::Place;
use super::plan::Row;
use super::walk::{Walk, shown};
use crate::base::{IssueCode, Severity};
use crate::definitions::{BindingStrength, Codes, Element, Standing};
use crate::fhirpath::eval::{Node, NodeType};
use crate::json::{Kind, Value};
use crate::ucum;

/// A binding, of a profile or of the base definitions.
#[derive(Clone, Copy)]
pub(super) struct Binding<'b> {
    pub strength: BindingStrength,
    pub value_set: &'b str,
    /// What codes beyond an extensible or preferred value set must be in all the same (`maxValueSet`).
    pub most: Option<&'b str>,
    /// The profile that says so; none: the base definitions.
    pub profile: Option<&'b str>,
}

impl<'d> Walk<'_, 'd> {
    /// A value of a coded type, beyond what the tables of the base definitions decide.
    pub(super) fn coded(&mut self, element: &Element, row: &Row, value: Value<'d>, place: &Place<'_>) {
        if value.kind() != Kind::Object {
            return;
        }
        let name = &*element.type_name;
        if name != "CodeableConcept" {
            self.coding(value, name, place);
        }
        // What is bound as required and known in full was judged by the tables.
        if row.bound || !matches!(name, "CodeableConcept" | "Coding") {
            return;
        }
        if let Some(binding) = &element.binding {
            let node = Node { value: Some(value), extra: None, kind: kind_of(row) };
            let value_set = &binding.value_set;
            let binding = Binding { strength: binding.strength, value_set, most: None, profile: None };
            self.bound(binding, node, place);
        }
    }

    /// A code with its system and display.
    fn coding(&mut self, coding: Value<'d>, kind: &str, place: &Place<'_>) {
        let text = |name: &str| coding.get(name).and_then(Value::as_str);
        let (Some(system), Some(code)) = (text("system"), text("code")) else { return };
        // Of amounts only those in UCUM are judged: other systems of units are rare, and nobody binds them.
        if kind != "Coding" && *system != *ucum::SYSTEM {
            return;
        }
        let display = if kind == "Coding" { text("display") } else { None };
        match self.validator.codes.standing(&system, text("version").as_deref(), &code, display.as_deref()) {
            Standing::Known { instead_of_display: None } => {}
            Standing::Known { instead_of_display: Some(right) } => {
                let message = format!(
                    "'{}' is not a display of '{}' in {}: it is called '{right}'",
                    shown(&display.unwrap_or_default()),
                    shown(&code),
                    shown(&system)
                );
                self.note(Severity::Warning, IssueCode::Invalid, &place.child("display"), message);
            }
            Standing::Missing if *system == *ucum::SYSTEM => {
                // Not an error where nothing requires a unit: official examples count in `TAB` and `ea`.
                let message = format!("'{}' is not a unit of UCUM", shown(&code));
                self.note(Severity::Warning, IssueCode::CodeInvalid, &place.child("code"), message);
            }
            Standing::Missing => self.no_code(&system, &code, "", place),
            Standing::Unknown if *system == *ucum::SYSTEM => {}
            Standing::Unknown => match self.stands_elsewhere(&system, text("version").as_deref(), &code) {
                Some(Answer::Is(true)) => {}
                Some(Answer::Is(false)) => {
                    self.no_code(&system, &code, ", says the outside terminology server", place);
                }
                Some(Answer::Open(why)) => {
                    self.unknown_system(&system, &format!("; the outside terminology server {why}"), place);
                }
                None => self.unknown_system(&system, "", place),
            },
        }
    }

    fn no_code(&mut self, system: &str, code: &str, says: &str, place: &Place<'_>) {
        let message = format!("'{}' is not a code of {}{says}", shown(code), shown(system));
        self.note(Severity::Warning, IssueCode::CodeInvalid, &place.child("code"), message);
    }

    /// Says once that a code system is not known.
    fn unknown_system(&mut self, system: &str, elsewhere: &str, place: &Place<'_>) {
        if self.unknown_systems.insert(system.to_owned()) {
            let system = shown(system);
            let message = format!("the code system {system} is not known here, its codes are not judged{elsewhere}");
            self.note(Severity::Information, IssueCode::NotFound, &place.child("system"), message);
        }
    }

    /// A bare code, where the tables do not have all codes of its value set.
    pub(super) fn bare_code(&mut self, element: &Element, code: &str, place: &Place<'_>) {
        let Some(binding) = element.binding.as_ref().filter(|b| b.strength == BindingStrength::Required) else {
            return;
        };
        let coded = [Coded::bare(code)];
        match self.any_in(&binding.value_set, &coded) {
            Some(true) => {}
            None => self.undecided(&binding.value_set, &coded, place, ", which is required here"),
            Some(false) => {
                let says = self.by_whom(&binding.value_set, &coded);
                let message = format!("'{}' is not in the value set {}{says}", shown(code), binding.value_set);
                self.report(IssueCode::CodeInvalid, place, message);
            }
        }
    }

    /// A coded value against a binding.
    pub(super) fn bound(&mut self, binding: Binding<'_>, node: Node<'d>, place: &Place<'_>) {
        let Some(value) = node.value else { return };
        let (severity, word) = match binding.strength {
            BindingStrength::Required => (Severity::Error, "which is required here"),
            BindingStrength::Extensible => (Severity::Warning, "which is to be used where it has a fitting code"),
            BindingStrength::Preferred => (Severity::Information, "which is preferred here"),
            BindingStrength::Example => return,
        };
        let from = binding.profile.map(|p| format!(" (profile {p})")).unwrap_or_default();
        let codes = self.codes_of(node);
        match self.any_in(binding.value_set, &codes) {
            Some(true) => {}
            None if severity == Severity::Information => {}
            None => self.undecided(binding.value_set, &codes, place, &format!(", {word}{from}")),
            Some(false) if absent_with_reason(value) => {}
            // A concept in words alone is legal where the set may be extended.
            Some(false) if severity != Severity::Error && codes.is_empty() => {}
            Some(false) => {
                let what = match codes.first() {
                    Some(coded) => format!("'{}' is not", shown(&coded.code)),
                    None => "no code is given that is".to_owned(),
                };
                let says = self.by_whom(binding.value_set, &codes);
                let message = format!("{what} in the value set {}, {word}{from}{says}", binding.value_set);
                self.note(severity, IssueCode::CodeInvalid, place, message);
            }
        }
        let Some(most) = binding.most.filter(|_| !codes.is_empty()) else { return };
        match self.any_in(most, &codes) {
            Some(true) => {}
            None => self.undecided(most, &codes, place, &format!(", beyond which there are none{from}")),
            Some(false) => {
                let says = self.by_whom(most, &codes);
                let message =
                    format!("the codes are not in the value set {most}, beyond which there are none{from}{says}");
                self.note(Severity::Error, IssueCode::CodeInvalid, place, message);
            }
        }
    }

    /// Says once that codes could not be held against a value set, and why.
    fn undecided(&mut self, set: &str, codes: &[Coded<'_>], place: &Place<'_>, role: &str) {
        let known = self.validator.codes.clone();
        self.undecided_by(&*known, set, codes, place, role);
    }

    /// The same by a terminology of its own.
    pub(super) fn undecided_by(
        &mut self,
        known: &dyn Codes,
        set: &str,
        codes: &[Coded<'_>],
        place: &Place<'_>,
        role: &str,
    ) {
        if !self.undecided.insert(set.to_owned()) {
            return;
        }
        let mut reasons = codes.iter().map(|coded| known.undecided(set, coded.system.as_deref(), &coded.code));
        let Some(unfit) = reasons.find_map(|reason| reason) else { return };
        let at = unfit.place.map(|place| format!(" ({place})")).unwrap_or_default();
        let elsewhere = self.not_even_elsewhere(set, codes);
        let message =
            format!("it is not known whether the code is in the value set {set}{role}: {}{at}{elsewhere}", unfit.why);
        self.note(Severity::Warning, unfit.code, place, message);
    }

    /// Whether one of the codes of a value is in a value set; none if that is not known.
    pub(super) fn any_code_in(&self, set: &str, node: Node<'d>) -> Option<bool> {
        self.any_in(set, &self.codes_of(node))
    }

    /// The same as far as it is known here: nobody else is asked.
    pub(super) fn any_code_in_here(&self, set: &str, node: Node<'d>) -> Option<bool> {
        any(self.codes_of(node).iter().map(|coded| self.member_here(set, coded)))
    }

    /// Why that is not known.
    pub(super) fn why_undecided(&self, set: &str, node: Node<'d>) -> String {
        self.why_undecided_of(set, &self.codes_of(node))
    }

    /// The same of some codes.
    pub(super) fn why_undecided_of(&self, set: &str, codes: &[Coded<'_>]) -> String {
        let known = &self.validator.codes;
        match codes.iter().find_map(|coded| known.undecided(set, coded.system.as_deref(), &coded.code)) {
            Some(unfit) => {
                let at = unfit.place.map(|place| format!(" ({place})")).unwrap_or_default();
                format!("value set {set}: {}{at}{}", unfit.why, self.not_even_elsewhere(set, codes))
            }
            None => format!("nobody here has all codes of the value set {set}"),
        }
    }

    fn any_in(&self, set: &str, codes: &[Coded<'_>]) -> Option<bool> {
        any(codes.iter().map(|coded| self.member(set, coded)))
    }

    /// The codings of a value.
    fn codes_of(&self, node: Node<'d>) -> Vec<Coded<'d>> {
        let Some(value) = node.value else { return Vec::new() };
        let coding = |value: Value<'d>| {
            let text = |name: &str| value.get(name).and_then(Value::as_str);
            Some(Coded {
                system: Some(text("system").unwrap_or_default()),
                version: text("version"),
                code: text("code")?,
            })
        };
        match node.kind {
            NodeType::Primitive(_) => {
                value.as_str().map(|code| Coded { system: None, version: None, code }).into_iter().collect()
            }
            NodeType::Complex(_) => match node.type_name(self.definitions()) {
                "CodeableConcept" => {
                    value.get("coding").into_iter().flat_map(Value::items).filter_map(coding).collect()
                }
                _ => coding(value).into_iter().collect(),
            },
        }
    }
}

/// Whether any is so; not known, where none is and one is not known.
fn any(mut all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = true;
    let found = all.any(|one| {
        known &= one.is_some();
        one == Some(true)
    });
    if found { Some(true) } else { known.then_some(false) }
}

fn kind_of(row: &Row) -> NodeType {
    match row.kind {
        crate::definitions::ElementType::Complex(id) => NodeType::Complex(id),
        crate::definitions::ElementType::Primitive(primitive) => NodeType::Primitive(primitive),
        crate::definitions::ElementType::Resource => NodeType::Complex(crate::definitions::TypeId(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Asked, Validator};
    use crate::definitions::{Conformance, Definitions, PackageInfo, Registry};
    use crate::json::{Document, Limits};
    use std::sync::Arc;

    /// What a full validation says of a resource, beside a package with a profile and its value sets.
    #[track_caller]
    fn check(resource: &str, expected: &[&str]) {
        let profile = r#"{"resourceType":"StructureDefinition","url":"http://x/p","type":"Observation","kind":"resource",
            "derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation",
            "differential":{"element":[
            {"id":"Observation.interpretation","path":"Observation.interpretation","binding":{"strength":"extensible",
             "valueSet":"http://x/some","extension":[{"valueCanonical":"http://x/most",
             "url":"http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"}]}},
            {"id":"Observation.method","path":"Observation.method","binding":{"strength":"preferred",
             "valueSet":"http://x/some"}},
            {"id":"Observation.value[x]","path":"Observation.value[x]","type":[{"code":"Quantity"}],
             "binding":{"strength":"required","valueSet":"http://x/units"}},
            {"id":"Observation.code","path":"Observation.code","constraint":[{"key":"c-1","severity":"error","human":"",
             "expression":"coding.empty() or coding.exists(memberOf('http://x/most'))"}]}]}}"#;
        let system = r#"{"resourceType":"CodeSystem","url":"http://x/s","content":"complete","concept":[
            {"code":"a"},{"code":"b"},{"code":"c"}]}"#;
        let set = |url: &str, codes: &str| {
            format!(
                r#"{{"resourceType":"ValueSet","url":"{url}","compose":{{"include":[{{"system":"http://x/s","concept":[{codes}]}}]}}}}"#
            )
        };
        let units = r#"{"resourceType":"ValueSet","url":"http://x/units","compose":{"include":[{"system":"http://unitsofmeasure.org"}]}}"#;
        let resources = [
            ("StructureDefinition", "http://x/p", "Observation", profile.to_owned()),
            ("CodeSystem", "http://x/s", "", system.to_owned()),
            ("ValueSet", "http://x/some", "", set("http://x/some", r#"{"code":"a"}"#)),
            ("ValueSet", "http://x/most", "", set("http://x/most", r#"{"code":"a"},{"code":"b"}"#)),
            ("ValueSet", "http://x/units", "", units.to_owned()),
        ];
        let of = |(kind, url, about, json): &(&str, &str, &str, String)| {
            Conformance::new(kind, url, "1", about, "p#1".into(), json.as_bytes())
        };
        let info = PackageInfo { name: "p".into(), version: "1".into(), resources: 0, guides: vec![] };
        let registry = Arc::new(Registry::core().with(info, resources.iter().map(of).collect()));
        let resource = format!(r#"{{"resourceType":"Observation","status":"final",{resource}}}"#);
        let document = Document::parse(resource.as_bytes(), &Limits::default()).expect(&resource);
        let issues = Validator::new(Definitions::core()).over(registry).judge(None, document.root(), &Asked::full());
        let shown = |i: &crate::base::Issue| {
            format!("{} {} {}", i.severity.code(), i.code.code(), i.expression.as_deref().unwrap_or_default())
        };
        assert_eq!(issues.iter().map(shown).collect::<Vec<_>>(), expected, "{resource}");
    }

    #[test]
    fn codes_and_displays() {
        let category = "http://terminology.hl7.org/CodeSystem/observation-category";
        let with = |code: &str, expected: &[&str]| {
            check(
                &format!(r#""code":{{"text":"x"}},"category":[{{"coding":[{{"system":"{category}",{code}}}]}}]"#),
                expected,
            );
        };
        with(r#""code":"vital-signs","display":"Vital Signs""#, &[]);
        with(r#""code":"vital-signs","display":"vital  signs""#, &[]);
        with(
            r#""code":"vital-signs","display":"Laboratory""#,
            &["warning invalid Observation.category[0].coding[0].display"],
        );
        with(
            r#""code":"vital""#,
            &[
                "warning code-invalid Observation.category[0].coding[0].code",
                "information code-invalid Observation.category[0]",
            ],
        );
        // A system that is not known is named once.
        check(
            r#""code":{"coding":[{"system":"http://y/s","code":"a"},{"system":"http://y/s","code":"b"}]}"#,
            &["information not-found Observation.code.coding[0].system"],
        );
    }

    #[test]
    fn units() {
        let ucum = "http://unitsofmeasure.org";
        let with = |code: &str, profile: &str, expected: &[&str]| {
            let meta =
                if profile.is_empty() { String::new() } else { format!(r#""meta":{{"profile":["{profile}"]}},"#) };
            let value = format!(r#""valueQuantity":{{"value":1,"system":"{ucum}","code":"{code}"}}"#);
            check(&format!(r#"{meta}"code":{{"text":"x"}},{value}"#), expected);
        };
        with("mm[Hg]", "", &[]);
        with("{score}", "", &[]);
        with("mmHg", "", &["warning code-invalid Observation.value.code"]);
        with("mm[Hg]", "http://x/p", &[]);
        with(
            "mmHg",
            "http://x/p",
            &["warning code-invalid Observation.value.code", "error code-invalid Observation.value"],
        );
    }

    #[test]
    fn bindings() {
        let with = |element: &str, code: &str, expected: &[&str]| {
            let coding = format!(r#"{{"coding":[{{"system":"http://x/s","code":"{code}"}}]}}"#);
            let value = if element == "interpretation" { format!("[{coding}]") } else { coding };
            let code = if element == "code" { "" } else { r#""code":{"text":"x"},"# };
            check(&format!(r#"{code}"meta":{{"profile":["http://x/p"]}},"{element}":{value}"#), expected);
        };
        with("interpretation", "a", &["warning code-invalid Observation.interpretation[0]"]);
        with(
            "interpretation",
            "b",
            &[
                "warning code-invalid Observation.interpretation[0]",
                "warning code-invalid Observation.interpretation[0]",
            ],
        );
        with(
            "interpretation",
            "c",
            &[
                "warning code-invalid Observation.interpretation[0]",
                "warning code-invalid Observation.interpretation[0]",
                "error code-invalid Observation.interpretation[0]",
            ],
        );
        with("method", "a", &[]);
        with("method", "b", &["information code-invalid Observation.method"]);
        with("code", "b", &[]);
        with("code", "c", &["error invariant Observation.code"]);
    }
}
