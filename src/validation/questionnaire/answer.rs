//! One answer: its type, its options, its bounds.

use super::super::elsewhere::Coded;
use super::super::place::Place;
use super::super::walk::{Walk, shown};
use super::{extension, text};
use crate::base::IssueCode;
use crate::definitions::Codes;
use crate::fhirpath::eval::{Number, Quantity};
use crate::json::{Kind, Value};
use crate::primitive::DateTime;
use std::cmp::Ordering;

pub(super) type Order = Ordering;

const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// The value of a choice element, with the name of its type as the property has it.
pub(super) fn value<'v>(of: Value<'v>, stem: &str) -> Option<(String, Value<'v>)> {
    of.entries().find_map(|(key, value)| {
        let rest = key.strip_prefix(stem).filter(|r| r.starts_with(|c: char| c.is_ascii_uppercase()))?;
        Some((rest.to_owned(), value))
    })
}

/// How two values stand to each other; none where they cannot be compared. What is only equal or not is never less.
pub(super) fn order(a: Value<'_>, b: Value<'_>) -> Option<Order> {
    match (a.kind(), b.kind()) {
        (Kind::Bool, Kind::Bool) => Some(a.as_bool().cmp(&b.as_bool())),
        (Kind::Number, Kind::Number) => Some(Number::parse(a.raw())?.cmp(&Number::parse(b.raw())?)),
        (Kind::String, Kind::String) => {
            let (a, b) = (a.as_str()?, b.as_str()?);
            match (DateTime::parse(&a), DateTime::parse(&b)) {
                (Some(x), Some(y)) if a.len() != b.len() => Some(if x.end() <= y.start() {
                    Ordering::Less
                } else if x.start() >= y.end() {
                    Ordering::Greater
                } else {
                    Ordering::Equal
                }),
                (Some(x), Some(y)) => Some(x.start().cmp(&y.start())),
                _ => Some(a.cmp(&b)),
            }
        }
        (Kind::Object, Kind::Object) if a.get("value").is_some() => quantity(a)?.compare(&quantity(b)?, false),
        (Kind::Object, Kind::Object) => {
            let same = |name: &str| text(a, name) == text(b, name);
            let equal = match a.get("reference") {
                Some(_) => same("reference"),
                None => same("code") && (same("system") || b.get("system").is_none()),
            };
            Some(if equal { Ordering::Equal } else { Ordering::Less })
        }
        _ => None,
    }
}

fn quantity(of: Value<'_>) -> Option<Quantity> {
    let number = Number::parse(of.get("value")?.as_number()?)?;
    Some(Quantity::of(number, &text(of, "code")?))
}

/// Whether an answer is one of the options of a question.
pub(super) fn same_option(option: Value<'_>, answer: Value<'_>) -> bool {
    match (value(option, "value"), value(answer, "value")) {
        (Some((a, option)), Some((b, answer))) => a == b && order(answer, option) == Some(Ordering::Equal),
        _ => false,
    }
}

/// The types of answers to a question of a type.
fn types(kind: &str, question: Value<'_>) -> Vec<&'static str> {
    let option = |name: &str| {
        let mut options = question.get("answerOption").into_iter().flat_map(Value::items);
        options.any(|o| value(o, "value").is_some_and(|(n, _)| n == name))
    };
    match kind {
        "boolean" => vec!["Boolean"],
        "decimal" => vec!["Decimal"],
        "integer" => vec!["Integer"],
        "date" => vec!["Date"],
        "dateTime" => vec!["DateTime"],
        "time" => vec!["Time"],
        "string" | "text" => vec!["String"],
        "url" => vec!["Uri"],
        "attachment" => vec!["Attachment"],
        "reference" => vec!["Reference"],
        "quantity" => vec!["Quantity"],
        "choice" | "open-choice" => {
            let mut all = vec!["Coding"];
            let others = ["String", "Integer", "Date", "Time", "Reference"];
            all.extend(others.into_iter().filter(|n| option(n) || kind == "open-choice" && *n == "String"));
            all
        }
        _ => vec![],
    }
}

impl<'d> Walk<'_, 'd> {
    /// `contained`: knows the value sets that the Questionnaire contains.
    pub(super) fn answer(
        &mut self,
        question: Value<'_>,
        contained: Option<&dyn Codes>,
        kind: &str,
        answer: Value<'d>,
        place: &Place<'_>,
    ) {
        let Some((name, found)) = value(answer, "value") else { return };
        let at = place.child("value");
        let allowed = types(kind, question);
        if !allowed.is_empty() && !allowed.contains(&name.as_str()) {
            let message =
                format!("the answer to a question of type {kind} is a {}, not a {name}", allowed.join(" or "));
            return self.report(IssueCode::Structure, &at, message);
        }
        let options: Vec<Value<'_>> = question.get("answerOption").into_iter().flat_map(Value::items).collect();
        let free = kind == "open-choice" && name == "String";
        if !options.is_empty() && !free && !options.iter().any(|o| same_option(*o, answer)) {
            self.report(IssueCode::CodeInvalid, &at, "the answer is none of the options of the question");
        }
        if let (Some(set), Some(code)) =
            (text(question, "answerValueSet").filter(|_| name == "Coding"), text(found, "code"))
        {
            let contained = contained.filter(|_| set.starts_with('#'));
            let coded = Coded { system: text(found, "system"), version: text(found, "version"), code };
            self.answer_of_set(contained, &set, coded, &at, "the answer");
        }
        self.bounds(question, found, &at);
        match name.as_str() {
            "Attachment" => self.attachment(question, found, &at),
            "Quantity" => self.units(question, found, &at),
            "Reference" => self.referenced(question, found, &at),
            "Uri" => self.uri(found, &at),
            _ => {}
        }
    }

    /// Whether a code is in the value set of a question, which may be one that the Questionnaire contains.
    fn answer_of_set(
        &mut self,
        contained: Option<&dyn Codes>,
        set: &str,
        coded: Coded<'_>,
        at: &Place<'_>,
        what: &str,
    ) {
        let found = match contained {
            Some(known) => known.contains(set, coded.system.as_deref(), None, &coded.code),
            None => self.member(set, &coded),
        };
        let coded = [coded];
        match found {
            Some(true) => {}
            Some(false) => {
                let says = self.by_whom(set, &coded);
                self.report(IssueCode::CodeInvalid, at, format!("{what} is not in the value set {set}{says}"));
            }
            None => {
                let role = format!(", from which {what} is to be");
                let all = self.validator.codes.clone();
                self.undecided_by(contained.unwrap_or(&*all), set, &coded, at, &role);
            }
        }
    }

    fn bounds(&mut self, question: Value<'_>, found: Value<'d>, at: &Place<'_>) {
        for (upper, names) in [
            (
                false,
                [
                    format!("{CORE}minValue"),
                    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-minQuantity".into(),
                ],
            ),
            (
                true,
                [
                    format!("{CORE}maxValue"),
                    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-maxQuantity".into(),
                ],
            ),
        ] {
            for url in names {
                let Some((_, bound)) = extension(question, &url).and_then(|e| value(e, "value")) else { continue };
                let order = order(found, bound);
                let word = if upper { "at most" } else { "at least" };
                if order.is_none() {
                    let message =
                        format!("the answer cannot be compared with {}: it is {word} that", shown(bound.raw()));
                    self.report(IssueCode::Invariant, at, message);
                } else if order.is_some_and(|o| if upper { o.is_gt() } else { o.is_lt() }) {
                    self.report(IssueCode::Invariant, at, format!("the answer is {word} {}", shown(bound.raw())));
                }
            }
        }
        let Some(text_found) = found.as_str() else { return };
        let length = text_found.chars().count();
        let whole = |v: Value<'_>| v.as_number().and_then(|n| n.parse::<usize>().ok());
        if let Some(most) = question.get("maxLength").and_then(whole).filter(|most| length > *most) {
            self.report(IssueCode::TooLong, at, format!("the answer has {most} characters at most"));
        }
        let least = extension(question, &format!("{CORE}minLength")).and_then(|e| whole(e.get("valueInteger")?));
        if let Some(least) = least.filter(|least| length < *least) {
            self.report(IssueCode::Value, at, format!("the answer has {least} characters at least"));
        }
        let pattern = extension(question, &format!("{CORE}regex")).and_then(|e| text(e, "valueString"));
        if let Some(pattern) = pattern {
            let whole = format!("^(?:{pattern})$");
            let regex = regex::RegexBuilder::new(&whole).size_limit(1 << 20).build();
            if regex.is_ok_and(|regex| !regex.is_match(&text_found)) {
                self.report(IssueCode::Value, at, format!("the answer has the form {}", shown(&pattern)));
            }
        }
    }

    fn attachment(&mut self, question: Value<'_>, found: Value<'d>, at: &Place<'_>) {
        let all = || question.get("extension").into_iter().flat_map(Value::items);
        let of = |name: &'static str| {
            let url = format!("{CORE}{name}");
            all().filter(move |e| text(*e, "url").is_some_and(|u| *u == url))
        };
        let kinds: Vec<String> = of("mimeType").filter_map(|e| Some(text(e, "valueCode")?.into_owned())).collect();
        let own = text(found, "contentType");
        if !kinds.is_empty() && !own.as_ref().is_some_and(|own| kinds.iter().any(|k| **k == **own)) {
            let message = format!("the content type is {}", kinds.join(" or "));
            self.report(IssueCode::Value, &at.child("contentType"), message);
        }
        let most = of("maxSize").find_map(|e| Number::parse(value(e, "value")?.1.as_number()?));
        let size = found.get("size").and_then(Value::as_number).and_then(Number::parse).or_else(|| {
            let data = text(found, "data")?;
            Some(Number::whole(data.trim_end_matches('=').len() as i64 * 3 / 4))
        });
        if let (Some(most), Some(size)) = (most, size)
            && size > most
        {
            self.report(IssueCode::TooLong, at, format!("the attachment has {most} bytes at most"));
        }
    }

    fn units(&mut self, question: Value<'_>, found: Value<'d>, at: &Place<'_>) {
        let options = format!("{CORE}questionnaire-unitOption");
        let all = question.get("extension").into_iter().flat_map(Value::items);
        let units: Vec<Value<'_>> = all
            .filter(|e| text(*e, "url").is_some_and(|u| *u == options))
            .filter_map(|e| e.get("valueCoding"))
            .collect();
        let same = |unit: &Value<'_>| {
            text(*unit, "code") == text(found, "code") && text(*unit, "system") == text(found, "system")
        };
        if !units.is_empty() && !units.iter().any(same) {
            self.report(IssueCode::CodeInvalid, at, "the unit is none of those that the question allows");
        }
        let set = extension(question, &format!("{CORE}questionnaire-unitValueSet"));
        if let Some(set) = set.and_then(|e| text(e, "valueCanonical")) {
            let (system, code) = (text(found, "system"), text(found, "code"));
            match code {
                Some(code) => {
                    let coded = Coded { system: Some(system.unwrap_or_default()), version: None, code };
                    self.answer_of_set(None, &set, coded, at, "the unit");
                }
                None => self.report(IssueCode::CodeInvalid, at, format!("the unit is not in the value set {set}")),
            }
        }
    }

    fn referenced(&mut self, question: Value<'_>, found: Value<'d>, at: &Place<'_>) {
        let url = format!("{CORE}questionnaire-referenceResource");
        let all = question.get("extension").into_iter().flat_map(Value::items);
        let kinds: Vec<String> = all
            .filter(|e| text(*e, "url").is_some_and(|u| *u == url))
            .filter_map(|e| Some(text(e, "valueCode")?.into_owned()))
            .collect();
        let Some(reference) = text(found, "reference") else { return };
        if reference.contains(char::is_whitespace) {
            return self.report(IssueCode::Value, at, "a reference has no white space");
        }
        let named = crate::validation::profile::type_named(&reference);
        if let Some(named) = named.filter(|n| !kinds.is_empty() && !kinds.iter().any(|k| k == n)) {
            let message = format!("the reference points to {}, not to {}", kinds.join(" or "), shown(named));
            self.report(IssueCode::Invariant, at, message);
        }
    }

    /// UUIDs and OIDs have a form of their own also where any URI is legal.
    fn uri(&mut self, found: Value<'d>, at: &Place<'_>) {
        use crate::primitive::{Primitive, check};
        let Some(uri) = found.as_str() else { return };
        let kind = match () {
            () if uri.starts_with("urn:uuid:") => Primitive::Uuid,
            () if uri.starts_with("urn:oid:") => Primitive::Oid,
            () => return,
        };
        if let Err(rule) = check(kind, &uri) {
            self.report(IssueCode::Value, at, format!("'{}' is not legal: {rule}", shown(&uri)));
        }
    }
}
