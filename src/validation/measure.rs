//! MeasureReports against their Measure (R4 measurereport.html): are the groups and populations those of the Measure,
//! and is a score given only where there is one? What is counted is not recounted. How bad a difference is, is for the
//! caller to say: `$validate` calls it an error, a write does not.

use super::place::Place;
use super::walk::{Walk, shown};
use crate::base::{IssueCode, Severity};
use crate::json::{Document, Limits, Value};

impl<'d> Walk<'_, 'd> {
    /// A MeasureReport, where its Measure is at hand.
    pub(super) fn measure_report(&mut self, report: Value<'d>, place: &Place<'_>) {
        let Some(canonical) = report.get("measure").and_then(Value::as_str) else { return };
        let at = place.child("measure");
        let registry = self.validator.registry.clone();
        let Some(found) = registry.find("Measure", &canonical) else {
            let message =
                format!("the Measure {} is not known here: the report was not held against it", shown(&canonical));
            return self.note(Severity::Information, IssueCode::NotFound, &at, message);
        };
        let json = found.json();
        match Document::parse(&json, &Limits::NONE) {
            Ok(document) => self.groups(document.root(), report, place),
            Err(why) => self.unusable(&canonical, &why.to_string(), &at),
        }
    }

    fn groups(&mut self, measure: Value<'_>, report: Value<'d>, place: &Place<'_>) {
        let groups: Vec<Value<'_>> = all(measure, "group").collect();
        let reported: Vec<Value<'_>> = all(report, "group").collect();
        let subjects = report.get("type").and_then(Value::as_plain) == Some("subject-list");
        let cohort = all_codes(measure.get("scoring")).any(|(_, code)| code == "cohort");
        for (i, group) in reported.iter().enumerate() {
            let at = place.child("group").item(i);
            let of = match (groups.as_slice(), group.get("code")) {
                ([only], None) if reported.len() == 1 => Some(*only),
                (_, None) => None,
                (_, Some(code)) => groups.iter().copied().find(|g| g.get("code").is_some_and(|own| alike(own, code))),
            };
            match of {
                Some(of) => self.populations(of, *group, subjects, &at),
                None => {
                    let message = "the group has a code that is the one of a group of its Measure";
                    self.note(self.asked.other_than_measure, IssueCode::Invalid, &at, message);
                }
            }
            if cohort && group.get("measureScore").is_some() {
                let message = "there is no score where the scoring of the Measure is 'cohort'";
                self.note(self.asked.other_than_measure, IssueCode::Invalid, &at.child("measureScore"), message);
            }
        }
    }

    fn populations(&mut self, of: Value<'_>, group: Value<'d>, subjects: bool, place: &Place<'_>) {
        for (i, population) in all(group, "population").enumerate() {
            let at = place.child("population").item(i);
            let known = population
                .get("code")
                .is_none_or(|code| all(of, "population").any(|p| p.get("code").is_some_and(|own| alike(own, code))));
            if !known {
                let message = "the Measure has no population with this code in the group";
                self.note(self.asked.other_than_measure, IssueCode::Invalid, &at.child("code"), message);
            }
            if !subjects && population.get("subjectResults").is_some() {
                let message = "subjects are listed only by a report of the type 'subject-list'";
                self.note(self.asked.other_than_measure, IssueCode::Invalid, &at.child("subjectResults"), message);
            }
        }
    }
}

fn all<'v>(of: Value<'v>, name: &str) -> impl Iterator<Item = Value<'v>> {
    of.get(name).into_iter().flat_map(Value::items)
}

/// Systems and codes of a concept.
fn all_codes<'v>(concept: Option<Value<'v>>) -> impl Iterator<Item = (String, String)> + use<'v> {
    let text = |coding: Value<'v>, name: &str| coding.get(name).and_then(Value::as_str).map(|t| t.into_owned());
    concept
        .into_iter()
        .flat_map(|c| all(c, "coding"))
        .filter_map(move |c| Some((text(c, "system").unwrap_or_default(), text(c, "code")?)))
}

/// Whether two concepts have a code in common, or, where one has none, the text.
fn alike(one: Value<'_>, other: Value<'_>) -> bool {
    let codes: Vec<_> = all_codes(Some(one)).collect();
    if codes.is_empty() || all_codes(Some(other)).next().is_none() {
        let text = |c: Value<'_>| c.get("text").and_then(Value::as_str).map(|t| t.trim().to_owned());
        return text(one).is_some_and(|t| Some(t) == text(other));
    }
    all_codes(Some(other)).any(|code| codes.contains(&code))
}
