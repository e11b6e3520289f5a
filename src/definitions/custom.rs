//! Search parameters beyond those of the specification, as they are kept: each with a number of its own, under which
//! resources have terms in the index. A parameter that is changed gets another number, so that a number never means
//! two things. Whether an expression can be used is not known here.

use super::model::{ByType, Component, Definitions, SearchKind, SearchParameter, TypeId};
use serde::{Deserialize, Serialize};

/// Custom search parameters at most.
pub const MOST_CUSTOM: usize = 2_000;
/// The first number of a custom parameter. Those below are the specification's.
pub const FIRST_CUSTOM: u16 = 4_096;
/// The first number that is none any more.
const END: u16 = 60_000;
/// The type that takes no custom parameters: the audit trail is indexed in ways of its own.
const FIXED: &str = "AuditEvent";

/// A search parameter as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomParameter {
    /// Its number; 0 where it has none yet.
    pub number: u16,
    /// Where it comes from: `SearchParameter/[id]`, or name and version of a package.
    pub origin: String,
    /// Canonical.
    pub url: String,
    /// The name in a query string.
    pub code: String,
    /// Its type.
    pub kind: SearchKind,
    /// The resource types it is for, or `Resource` or `DomainResource`.
    pub bases: Vec<String>,
    /// FHIRPath expression.
    pub expression: String,
    /// Resource types a reference may point to; empty: any.
    pub targets: Vec<String>,
    /// Components of a composite.
    pub components: Vec<CustomComponent>,
}

/// A component of a composite, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomComponent {
    /// Canonical of the parameter whose type it has.
    pub definition: String,
    /// That type.
    pub kind: SearchKind,
    /// Its expression, relative to what the composite's expression gives.
    pub expression: String,
}

impl CustomParameter {
    /// Whether it is found by the same terms as another one and called the same, wherever both come from.
    pub fn means_the_same(&self, other: &CustomParameter) -> bool {
        CustomParameter { number: 0, origin: String::new(), ..self.clone() }
            == CustomParameter { number: 0, origin: String::new(), ..other.clone() }
    }

    /// The resource types that it is for.
    pub fn kinds(&self, definitions: &Definitions) -> Vec<TypeId> {
        let is_for = |kind: &TypeId| {
            let structure = definitions.structure(*kind);
            let named = |base: &String| match base.as_str() {
                "Resource" => true,
                // Bundle, Binary and Parameters are no DomainResources: they have no text.
                "DomainResource" => structure.by_name.contains_key("text"),
                name => *structure.name == *name,
            };
            *structure.name != *FIXED && self.bases.iter().any(named)
        };
        definitions.resources.iter().copied().filter(is_for).collect()
    }

    fn definition(&self, definitions: &Definitions) -> SearchParameter {
        let component = |component: &CustomComponent| Component {
            definition: component.definition.as_str().into(),
            expression: component.expression.as_str().into(),
        };
        SearchParameter {
            number: self.number,
            url: self.url.as_str().into(),
            code: self.code.as_str().into(),
            kind: self.kind,
            bases: self.bases.iter().map(|base| base.as_str().into()).collect(),
            expression: self.expression.as_str().into(),
            targets: self.targets.iter().filter_map(|name| definitions.resource(name)).collect(),
            components: self.components.iter().map(component).collect(),
            multiple_or: None,
            multiple_and: None,
            comparators: Vec::new(),
            modifiers: Vec::new(),
            chain: Vec::new(),
        }
    }
}

/// All custom search parameters of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomParameters {
    /// The number that was given last.
    last: u16,
    /// The parameters, in order of their numbers.
    pub parameters: Vec<CustomParameter>,
}

impl CustomParameters {
    /// Where a store keeps them: collection and key of an item of the tenant 0.
    pub const PLACE: (&'static str, &'static str) = ("search-parameter", "numbers");

    /// Reads them; none if the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Option<CustomParameters> {
        serde_json::from_slice(bytes).ok()
    }

    /// Writes them.
    pub fn encode(&self) -> Vec<u8> {
        // Strings and numbers can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// A number that says which list this is; 0 for the one before any was added. As numbers are given once, a list
    /// that was left never comes again: what was indexed by a list of this mark needs nothing more for it.
    pub fn mark(&self) -> u64 {
        if *self == CustomParameters::default() {
            return 0;
        }
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        let mut add = |text: &str| {
            // FNV-1a, with a byte between texts.
            for byte in text.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            }
        };
        add(&self.last.to_string());
        for parameter in &self.parameters {
            add(&format!("{} {} {:?}", parameter.number, parameter.code, parameter.kind));
            add(&parameter.expression);
        }
        hash.max(1)
    }

    /// These parameters: one that means what one of before meant keeps its number, all others get a new one.
    pub fn renewed(&self, wanted: Vec<CustomParameter>) -> CustomParameters {
        let mut next = CustomParameters { last: self.last, parameters: Vec::with_capacity(wanted.len()) };
        for mut parameter in wanted.into_iter().take(MOST_CUSTOM) {
            let before = self.parameters.iter().find(|p| p.means_the_same(&parameter));
            parameter.number = match before {
                Some(before) if next.parameters.iter().all(|p| p.number != before.number) => before.number,
                _ => self.fresh(&mut next),
            };
            next.parameters.push(parameter);
        }
        next.parameters.sort_by_key(|p| p.number);
        next
    }

    /// A number that none has and, as long as there are such, none ever had.
    fn fresh(&self, next: &mut CustomParameters) -> u16 {
        let used = |number: u16| self.parameters.iter().chain(&next.parameters).any(|p| p.number == number);
        let mut number = next.last.max(FIRST_CUSTOM - 1);
        loop {
            number = if number + 1 >= END { FIRST_CUSTOM } else { number + 1 };
            if !used(number) {
                break;
            }
        }
        next.last = number;
        number
    }
}

impl Definitions {
    /// The specification's definitions with these search parameters; those that are not ready are not found by
    /// searches.
    pub fn with_custom(&self, all: &CustomParameters, is_ready: impl Fn(u16) -> bool) -> Definitions {
        let mut definitions = self.bare();
        let (mut ready, mut pending) = (ByType::default(), ByType::default());
        for parameter in &all.parameters {
            let by_type = if is_ready(parameter.number) { &mut ready } else { &mut pending };
            for kind in parameter.kinds(&definitions) {
                by_type.entry(kind).or_default().entry(parameter.code.as_str().into()).or_insert(parameter.number);
            }
        }
        definitions.custom = all.parameters.iter().map(|p| p.definition(&definitions)).collect();
        definitions.custom.sort_by_key(|p| p.number);
        (definitions.ready, definitions.pending, definitions.mark) = (ready, pending, all.mark());
        definitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(code: &str, expression: &str) -> CustomParameter {
        CustomParameter {
            number: 0,
            origin: "SearchParameter/x".into(),
            url: format!("http://x/{code}"),
            code: code.into(),
            kind: SearchKind::Token,
            bases: vec!["Patient".into()],
            expression: expression.into(),
            targets: Vec::new(),
            components: Vec::new(),
        }
    }

    fn numbers(of: &CustomParameters) -> Vec<(&str, u16)> {
        of.parameters.iter().map(|p| (p.code.as_str(), p.number)).collect()
    }

    #[test]
    fn a_number_means_one_thing() {
        let none = CustomParameters::default();
        let two = none.renewed(vec![parameter("a", "Patient.gender"), parameter("b", "Patient.gender")]);
        assert_eq!(numbers(&two), [("a", 4_096), ("b", 4_097)]);
        let changed = two.renewed(vec![parameter("a", "Patient.active"), parameter("b", "Patient.gender")]);
        assert_eq!(numbers(&changed), [("b", 4_097), ("a", 4_098)]);
        let gone = changed.renewed(Vec::new());
        let back = gone.renewed(vec![parameter("a", "Patient.active")]);
        assert_eq!(numbers(&back), [("a", 4_099)]);
        let marks: std::collections::HashSet<u64> = [&none, &two, &changed, &gone, &back].map(|of| of.mark()).into();
        assert_eq!((marks.len(), none.mark()), (5, 0), "a list that was left never comes again");
        assert_eq!(CustomParameters::decode(&back.encode()), Some(back.clone()));
        let worn = CustomParameters { last: END - 2, ..back };
        let more = worn.renewed(vec![parameter("a", "Patient.active"), parameter("c", "x"), parameter("d", "x")]);
        assert_eq!(numbers(&more), [("d", 4_096), ("a", 4_099), ("c", END - 1)]);
    }

    #[test]
    fn what_is_pending_is_not_found() {
        let core = Definitions::core();
        let all = CustomParameters::default().renewed(vec![parameter("x-a", "Patient.gender")]);
        let patient = core.resource("Patient").expect("a type");
        let pending = core.with_custom(&all, |_| false);
        assert!(pending.search_parameter(patient, "x-a").is_none());
        assert!(pending.pending_search_parameter(patient, "x-a").is_some());
        let count = core.search_parameters_of(patient).len();
        assert_eq!(
            (pending.search_parameters_of(patient).len(), pending.indexed_parameters_of(patient).len()),
            (count, count + 1)
        );
        let ready = pending.with_custom(&all, |_| true);
        assert_eq!((pending.is_ready(FIRST_CUSTOM), ready.is_ready(FIRST_CUSTOM)), (false, true));
        assert_eq!((core.custom_mark(), ready.custom_mark()), (0, all.mark()));
        assert!(ready.search_parameter(patient, "x-a").is_some_and(|p| ready.is_custom(p)));
        assert!(ready.search_parameter(patient, "gender").is_some_and(|p| !ready.is_custom(p)));
        let observation = core.resource("Observation").expect("a type");
        assert!(ready.search_parameter(observation, "x-a").is_none());
        assert!(core.search_parameter(patient, "x-a").is_none());
    }
}
