//! Parameters that shape the answer instead of choosing resources (R4 search.html#return): page size, order, total,
//! summary, elements and includes. Only reads them; what they do to the answer is for whoever writes it.

use super::filter::Filters;
use super::include::{self, Direction, Include};
use super::plan::{Options, Summary, Total};
use super::refusal::{Refusal, brief};
use super::sort;
use crate::definitions::TypeId;
use crate::store::Sort;

/// What the parameters of the answer say.
#[derive(Debug, Default)]
pub(super) struct Controls {
    pub count: Option<usize>,
    pub summary: Option<Summary>,
    pub elements: Vec<String>,
    pub total: Total,
    pub sort: Vec<Sort>,
    pub includes: Vec<Include>,
    pub revincludes: Vec<Include>,
    /// Contained resources are looked for; true: besides those that stand alone.
    pub contained: Option<bool>,
    /// `_containedType=contained`
    pub contained_themselves: bool,
    pub explain: bool,
    /// Those that may stand only once, with their values.
    seen: Vec<(&'static str, String)>,
}

/// What was used of one parameter, as it is written again, and what was not.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub used: Option<String>,
    pub refusals: Vec<Refusal>,
}

impl From<Result<String, Refusal>> for Read {
    fn from(result: Result<String, Refusal>) -> Self {
        match result {
            Ok(used) => Read { used: Some(used), refusals: Vec::new() },
            Err(refusal) => Read { used: None, refusals: vec![refusal] },
        }
    }
}

/// The parameters read here. `_format` and `_pretty` belong to whoever writes the answer and are only passed on.
pub const NAMES: [&str; 12] = [
    "_sort",
    "_count",
    "_total",
    "_summary",
    "_elements",
    "_include",
    "_revinclude",
    "_contained",
    "_containedType",
    "_explain",
    "_format",
    "_pretty",
];

/// The control parameter that a name stands for.
pub(super) fn control(name: &str) -> Option<&'static str> {
    let plain = name.split(':').next().unwrap_or_default();
    NAMES.into_iter().find(|n| *n == plain)
}

impl Controls {
    /// Reads one parameter; `control` is what [`control`] gave for its `name`.
    pub fn read(
        &mut self,
        control: &'static str,
        (name, value): (&str, &str),
        kinds: &[TypeId],
        filters: &Filters<'_>,
        options: &Options,
    ) -> Read {
        let value = value.trim();
        if value.is_empty() {
            return Err(Refusal::empty(name)).into();
        }
        match control {
            "_include" | "_revinclude" => return self.include(name, value, kinds, filters).into(),
            _ if name != control => {
                return Err(Refusal::illegal(format!("'{control}' takes no modifier, as in '{}'", brief(name)))).into();
            }
            "_sort" => return self.sort(value, kinds, filters),
            _ => {}
        }
        if let Err(refusal) = self.once(control, value) {
            return Err(refusal).into();
        }
        match control {
            "_count" => self.count(value, options).into(),
            "_total" => self.total(value).into(),
            "_summary" => self.summary(value).into(),
            "_elements" => self.elements(value, kinds, filters),
            "_contained" => {
                self.contained = match value {
                    "false" => None,
                    "true" => Some(false),
                    "both" => Some(true),
                    _ => return Err(Refusal::value(name, value, "true, false or both")).into(),
                };
                Ok(value.to_owned()).into()
            }
            "_containedType" => {
                self.contained_themselves = match value {
                    "container" => false,
                    "contained" => true,
                    _ => return Err(Refusal::value(name, value, "container or contained")).into(),
                };
                Ok(value.to_owned()).into()
            }
            "_explain" => {
                self.explain = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err(Refusal::value(name, value, "true or false")).into(),
                };
                Ok(value.to_owned()).into()
            }
            _ => Ok(value.to_owned()).into(),
        }
    }

    /// Refuses a parameter that stands twice with different values.
    fn once(&mut self, control: &'static str, value: &str) -> Result<(), Refusal> {
        match self.seen.iter().find(|(name, _)| *name == control) {
            Some((_, before)) if before != value => {
                let values = format!("'{}' and '{}'", brief(before), brief(value));
                Err(Refusal::illegal(format!("'{control}' stands twice, with {values}")))
            }
            Some(_) => Ok(()),
            None => {
                self.seen.push((control, value.to_owned()));
                Ok(())
            }
        }
    }

    fn count(&mut self, value: &str, options: &Options) -> Result<String, Refusal> {
        if !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::value("_count", value, "a number of 0 or more"));
        }
        // Too many digits are only a very large number.
        let count = value.parse().unwrap_or(usize::MAX).min(options.max_count.max(1));
        self.count = Some(count);
        Ok(count.to_string())
    }

    fn total(&mut self, value: &str) -> Result<String, Refusal> {
        self.total = match value {
            "none" => Total::None,
            "estimate" => Total::Estimate,
            "accurate" => Total::Accurate,
            _ => return Err(Refusal::value("_total", value, "none, estimate or accurate")),
        };
        Ok(value.to_owned())
    }

    fn summary(&mut self, value: &str) -> Result<String, Refusal> {
        self.summary = match value {
            "true" => Some(Summary::True),
            "text" => Some(Summary::Text),
            "data" => Some(Summary::Data),
            "count" => Some(Summary::Count),
            "false" => None,
            _ => return Err(Refusal::value("_summary", value, "true, text, data, count or false")),
        };
        Ok(value.to_owned())
    }

    fn elements(&mut self, value: &str, kinds: &[TypeId], filters: &Filters<'_>) -> Read {
        let mut read = Read::default();
        for name in value.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let name = top_level(name);
            let definitions = filters.reader.definitions;
            let known = |k: &TypeId| {
                let structure = definitions.structure(*k);
                name == "resourceType"
                    || structure.element(name).is_some()
                    || structure.choices.iter().any(|c| &*c.name == name)
            };
            if kinds.iter().any(known) {
                if !self.elements.iter().any(|e| e == name) {
                    self.elements.push(name.to_owned());
                }
            } else {
                let reason = format!("'_elements': there is no element '{}' at the top level", brief(name));
                read.refusals.push(Refusal::unusable(reason));
            }
        }
        if !self.elements.is_empty() {
            read.used = Some(self.elements.join(","));
        }
        read
    }

    fn sort(&mut self, value: &str, kinds: &[TypeId], filters: &Filters<'_>) -> Read {
        let (keys, refusals) = sort::read(filters, kinds, value);
        let mut used = Vec::new();
        for (text, key) in keys {
            used.push(text);
            self.sort.push(key);
        }
        Read { used: Some(used.join(",")).filter(|u| !u.is_empty()), refusals }
    }

    fn include(&mut self, name: &str, value: &str, kinds: &[TypeId], filters: &Filters<'_>) -> Result<String, Refusal> {
        let (direction, found) = include::read(filters.reader.definitions, kinds, name, value)?;
        let all = if direction == Direction::Forward { &mut self.includes } else { &mut self.revincludes };
        for include in found {
            if !all.contains(&include) {
                all.push(include);
            }
        }
        Ok(value.to_owned())
    }

    /// What is wrong only together.
    pub fn contradiction(&self) -> Option<Refusal> {
        let includes = !self.includes.is_empty() || !self.revincludes.is_empty();
        (includes && self.summary == Some(Summary::Text))
            .then(|| Refusal::illegal("'_summary=text' cannot be combined with '_include' or '_revinclude'"))
    }
}

/// The top-level element that a name of `_elements` means (R4 search.html#elements: only base elements have names
/// there). `Patient.name` and `name.family` mean `name`: more than was asked for may be shown, less may not.
pub fn top_level(name: &str) -> &str {
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or(name);
    let is_type = first.starts_with(|c: char| c.is_ascii_uppercase());
    let element = parts.next().filter(|_| is_type).unwrap_or(first);
    element.strip_suffix("[x]").unwrap_or(element)
}
