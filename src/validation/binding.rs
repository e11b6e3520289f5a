//! Required bindings of Coding, CodeableConcept and Quantity, and what messages about codes say. Value sets that
//! are not known in full (those with filters on large code systems) are not judged here.

use super::place::Place;
use super::walk::{Walk, shown};
use crate::base::IssueCode;
use crate::definitions::{Definitions, Element, ValueSet};
use crate::json::Value;

/// The value set that an element is bound to.
pub(super) fn required<'d>(definitions: &'d Definitions, element: &Element) -> Option<&'d ValueSet> {
    definitions.value_sets.get(&element.binding.as_ref()?.value_set)
}

/// The codes to choose from, for a message, if they are few.
pub(super) fn choices(set: &ValueSet) -> String {
    if set.codes.len() > 12 {
        return String::new();
    }
    let mut codes: Vec<&str> = set.codes.keys().map(|c| &**c).collect();
    codes.sort_unstable();
    format!(" (one of: {})", codes.join(", "))
}

impl<'d> Walk<'_, 'd> {
    /// A coded object with a required binding: one of its codings must be in the value set.
    pub(super) fn bound_object(&mut self, element: &Element, value: Value<'d>, place: &Place<'_>) {
        let Some(set) = required(self.definitions(), element) else { return };
        let legal = match &*element.type_name {
            "CodeableConcept" => {
                value.get("coding").is_some_and(|codings| codings.items().any(|coding| in_set(set, coding)))
            }
            "Coding" | "Quantity" => in_set(set, value),
            _ => return,
        };
        if legal || absent_with_reason(value) {
            return;
        }
        let found = value.get("coding").and_then(|c| c.items().next()).unwrap_or(value);
        let code = found.get("code").and_then(Value::as_str);
        let what = match code {
            Some(code) => format!("'{}' (system and code together) is not", shown(&code)),
            None => "no code is given that is".to_owned(),
        };
        let message = format!("{what} in the value set {}, which is required here{}", set.url, choices(set));
        self.report(IssueCode::CodeInvalid, place, message);
    }
}

/// Whether there is no code at all, and an extension says why. Any other extension excuses nothing.
pub(super) fn absent_with_reason(value: Value<'_>) -> bool {
    const REASONS: [&str; 2] = [
        "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "http://hl7.org/fhir/StructureDefinition/iso21090-nullFlavor",
    ];
    let extensions = value.get("extension").into_iter().flat_map(Value::items);
    let mut urls = extensions.filter_map(|e| e.get("url")?.as_str());
    value.get("coding").is_none() && value.get("code").is_none() && urls.any(|url| REASONS.contains(&&*url))
}

fn in_set(set: &ValueSet, coding: Value<'_>) -> bool {
    let (system, code) = (coding.get("system").and_then(Value::as_str), coding.get("code").and_then(Value::as_str));
    code.is_some_and(|code| set.contains(Some(system.as_deref().unwrap_or_default()), &code))
}
