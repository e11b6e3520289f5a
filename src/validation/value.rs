//! Primitive values: their JSON form and their lexical rules. The rules themselves are in `primitive`.

use super::place::Place;
use super::plan::Row;
use super::walk::{Walk, a, shown};
use super::{Level, binding, narrative};
use crate::base::IssueCode;
use crate::definitions::Element;
use crate::json::{Kind, Value};
use crate::primitive::{self, Decimal, JsonForm, Primitive};
use std::borrow::Cow;

impl<'d> Walk<'_, 'd> {
    /// One value of a primitive element.
    pub(super) fn primitive(
        &mut self,
        element: &Element,
        row: &Row,
        primitive: Primitive,
        value: Value<'d>,
        place: &Place<'_>,
    ) {
        let text: Cow<'_, str> = match (primitive.json_form(), value.kind()) {
            (JsonForm::Boolean, Kind::Bool) => return,
            (JsonForm::Number, Kind::Number) => value.raw().into(),
            (JsonForm::String, Kind::String) => value.as_str().unwrap_or_default(),
            (form, _) => {
                let form = match form {
                    JsonForm::Boolean => "true or false without quotes",
                    JsonForm::Number => "a JSON number without quotes",
                    JsonForm::String => "a JSON string",
                };
                let message = format!("{} is written as {form}, not as {}", element.type_name, a(value));
                return self.report(IssueCode::Structure, place, message);
            }
        };
        if text.is_empty() {
            let message = format!("an empty string is not a value: leave '{}' out", element.name);
            return self.report(IssueCode::Value, place, message);
        }
        if primitive == Primitive::Xhtml {
            if let Err(fault) = narrative::check(&text) {
                self.note(fault.severity, fault.code, place, fault.message);
            }
            return;
        }
        if let Err(rule) = primitive::check(primitive, &text) {
            let message = format!("'{}' is not a legal {}: {rule}", shown(&text), element.type_name);
            return self.report(IssueCode::Value, place, message);
        }
        if primitive == Primitive::Decimal && text.contains(['e', 'E']) && Decimal::parse(&text).is_none() {
            let message = format!("the exponent of '{}' is beyond ±10000: no search would find it", shown(&text));
            return self.report(IssueCode::Value, place, message);
        }
        if row.bound
            && let Some(set) = binding::required(self.definitions(), element)
            && !set.contains(None, &text)
        {
            let message = format!("'{}' is not in the value set {}{}", shown(&text), set.url, binding::choices(set));
            self.report(IssueCode::CodeInvalid, place, message);
        }
        if primitive == Primitive::Code && !row.bound && self.asked.level == Level::Full {
            self.bare_code(element, &text, place);
        }
    }

    /// The `id` of a primitive, beside its extensions.
    pub(super) fn element_id(&mut self, value: Value<'d>, place: &Place<'_>) {
        if value.as_str().is_none_or(|id| id.is_empty() || id.contains(char::is_whitespace)) {
            self.report(IssueCode::Value, place, "the id of an element is a string without white space");
        }
    }
}
