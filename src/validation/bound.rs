//! Bindings of profiles: what a value set must, should or may hold. A code of which nobody knows whether it is in the
//! set is not judged.

use super::binding::absent_with_reason;
use super::place::Place;
use super::profile::{Bound, Profile};
use super::walk::{Walk, shown};
use crate::base::{IssueCode, Severity};
use crate::definitions::BindingStrength;
use crate::fhirpath::eval::{Node, NodeType};
use crate::json::Value;

impl<'d> Walk<'_, 'd> {
    /// A coded value against a binding.
    pub(super) fn bound(&mut self, bound: &Bound, profile: &Profile, node: Node<'d>, place: &Place<'_>) {
        let Some(value) = node.value else { return };
        let (severity, word) = match bound.strength {
            BindingStrength::Required => (Severity::Error, "is required here"),
            BindingStrength::Extensible => (Severity::Warning, "is to be used where it has a fitting code"),
            BindingStrength::Preferred | BindingStrength::Example => return,
        };
        let from = format!(" (profile {})", profile.canonical);
        match self.any_code_in(&bound.value_set, node) {
            Some(true) => {}
            Some(false) if absent_with_reason(value) => {}
            // A concept in words alone is legal where the set may be extended.
            Some(false) if severity == Severity::Warning && self.codes_of(node).is_empty() => {}
            Some(false) => {
                let codes = self.codes_of(node);
                let what = match codes.first() {
                    Some((_, code)) => format!("'{}' is not", shown(code)),
                    None => "no code is given that is".to_owned(),
                };
                let message = format!("{what} in the value set {}, which {word}{from}", bound.value_set);
                self.note(severity, IssueCode::CodeInvalid, place, message);
            }
            None => {}
        }
        if let Some(most) = &bound.most
            && self.any_code_in(most, node) == Some(false)
            && !absent_with_reason(value)
        {
            let message = format!("the codes are not in the value set {most}, beyond which there are none{from}");
            self.note(Severity::Error, IssueCode::CodeInvalid, place, message);
        }
    }

    /// Whether one of the codes of a value is in a value set; none if that is not known.
    pub(super) fn any_code_in(&self, set: &str, node: Node<'d>) -> Option<bool> {
        let mut known = true;
        for (system, code) in self.codes_of(node) {
            match self.validator.codes.contains(set, system.as_deref(), None, &code) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => known = false,
            }
        }
        known.then_some(false)
    }

    /// System and code of the codings of a value.
    fn codes_of(&self, node: Node<'d>) -> Vec<(Option<String>, String)> {
        let text = |value: Value<'_>, name: &str| value.get(name).and_then(Value::as_str).map(|t| t.into_owned());
        let Some(value) = node.value else { return Vec::new() };
        let coding = |value: Value<'_>| Some((Some(text(value, "system").unwrap_or_default()), text(value, "code")?));
        match node.kind {
            NodeType::Primitive(_) => value.as_str().map(|code| (None, code.into_owned())).into_iter().collect(),
            NodeType::Complex(_) => match node.type_name(self.definitions()) {
                "CodeableConcept" => {
                    value.get("coding").into_iter().flat_map(Value::items).filter_map(coding).collect()
                }
                _ => coding(value).into_iter().collect(),
            },
        }
    }
}
