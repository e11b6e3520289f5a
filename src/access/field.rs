//! Elements that are hidden from a role: leaving them out of what is shown, telling what a search would draw on, and
//! keeping them when somebody writes who does not see them. Which they are is written in the policies.

use super::policy::Policy;
use crate::definitions::{Definitions, SearchParameter, TypeId};
use crate::json::Tree;

/// The hidden elements of one resource type.
#[derive(Debug)]
pub struct Hidden {
    /// JSON properties, with those of primitive extensions. The narrative is among them: it may tell the same.
    properties: Vec<String>,
    /// Numbers of the search parameters that draw on them, sorted.
    parameters: Vec<u16>,
}

impl Hidden {
    /// Those of a type under a policy; none if there are none.
    pub(super) fn of(definitions: &Definitions, kind: TypeId, policy: &Policy) -> Option<Hidden> {
        let mut elements: Vec<&str> = policy.hidden_of(kind).collect();
        if elements.is_empty() {
            return None;
        }
        elements.push("text");
        let structure = definitions.structure(kind);
        let hidden = structure.elements.iter().filter(|e| elements.contains(&&*e.fhirpath));
        let properties = hidden.flat_map(|e| [e.name.to_string(), format!("_{}", e.name)]).collect();
        let of_type = definitions.search_parameters_of(kind);
        let named = |p: &SearchParameter, element: &str| {
            p.expression.contains(element) || p.components.iter().any(|c| c.expression.contains(element))
        };
        let draws = |p: &SearchParameter| {
            // Those that were added are written in all sorts of ways: where the element is named, it is drawn on.
            let custom = definitions.is_custom(p);
            let name = definitions.name(kind);
            elements.iter().any(|element| draws_on(p, name, element) || (custom && named(p, element)))
        };
        let mut parameters: Vec<u16> = of_type.iter().filter(|p| draws(p)).map(|p| p.number).collect();
        for composite in &of_type {
            let part = |url: &str| definitions.search_parameter_by_url(url).map(|p| p.number);
            let drawn =
                composite.components.iter().filter_map(|c| part(&c.definition)).any(|n| parameters.contains(&n));
            if drawn && !parameters.contains(&composite.number) {
                parameters.push(composite.number);
            }
        }
        parameters.sort_unstable();
        parameters.dedup();
        Some(Hidden { properties, parameters })
    }

    /// Whether a search parameter draws on a hidden element.
    pub fn concerns(&self, parameter: u16) -> bool {
        self.parameters.binary_search(&parameter).is_ok()
    }

    /// Takes the hidden elements out of a resource; says whether there were any.
    pub fn strip(&self, resource: &mut Tree) -> bool {
        let mut found = false;
        for property in &self.properties {
            found |= resource.remove(property).is_some();
        }
        found
    }

    /// A hidden element that is there, other than the narrative.
    pub fn shown_in<'h>(&'h self, resource: &Tree) -> Option<&'h str> {
        let there = |property: &&String| *property != "text" && resource.get(property).is_some();
        self.properties.iter().find(there).map(String::as_str)
    }

    /// Puts the hidden elements of what was stored before into what shall be stored. A narrative that was written now
    /// stays.
    pub fn keep(&self, before: &Tree, after: &mut Tree) -> bool {
        let mut kept = false;
        for property in &self.properties {
            if let Some(value) = before.get(property).filter(|_| after.get(property).is_none()) {
                after.set(property, value.clone());
                kept = true;
            }
        }
        kept
    }
}

/// Whether a search parameter draws on the resources inside another: words come from everywhere, and one that was added
/// may lead there.
pub fn looks_inside(definitions: &Definitions, parameter: u16) -> bool {
    const WAYS: [&str; 5] = ["contained", "resource", "children", "descendants", "repeat"];
    definitions.search_parameter_numbered(parameter).is_some_and(|p| match definitions.is_custom(p) {
        false => matches!(&*p.code, "_text" | "_content"),
        true => {
            let leads = |expression: &str| WAYS.iter().any(|way| expression.contains(way));
            leads(&p.expression) || p.components.iter().any(|c| leads(&c.expression))
        }
    })
}

/// Whether the expression of a parameter leads through an element of a type.
fn draws_on(p: &SearchParameter, kind: &str, element: &str) -> bool {
    let whole = |text: &str, at: usize, length: usize| {
        let part = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        !part(text.as_bytes().get(at + length)) && (at == 0 || !part(text.as_bytes().get(at - 1)))
    };
    let leads = |path: &str| p.expression.match_indices(path).any(|(at, _)| whole(&p.expression, at, path.len()));
    let component = |text: &str| text.find(element).is_some_and(|at| at == 0 && whole(text, 0, element.len()));
    leads(&format!("{kind}.{element}"))
        || leads(&format!("Resource.{element}"))
        || leads(&format!("DomainResource.{element}"))
        || (&*p.expression == kind && p.components.iter().any(|c| component(&c.expression)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_draws_on_what() {
        let definitions = Definitions::core();
        let mut policy = Policy::standard("nurse", &definitions).expect("a policy");
        let of = |name: &str| definitions.resource(name).expect(name);
        let (patient, observation) = (of("Patient"), of("Observation"));
        policy.hidden = vec![
            (patient, "telecom".into()),
            (patient, "deceased".into()),
            (observation, "value".into()),
            (observation, "component".into()),
        ];
        let shown = |kind: TypeId| {
            let hidden = Hidden::of(&definitions, kind, &policy).expect("hidden");
            let all = definitions.search_parameters_of(kind);
            all.iter().filter(|p| hidden.concerns(p.number)).map(|p| p.code.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(patient), "death-date deceased email phone telecom");
        assert_eq!(
            shown(observation),
            "code-value-concept code-value-date code-value-quantity code-value-string combo-code \
             combo-code-value-concept combo-code-value-quantity combo-data-absent-reason combo-value-concept \
             combo-value-quantity component-code component-code-value-concept component-code-value-quantity \
             component-data-absent-reason component-value-concept component-value-quantity value-concept value-date \
             value-quantity value-string"
        );
        assert!(Hidden::of(&definitions, of("Condition"), &policy).is_none());
    }

    #[test]
    fn what_was_added_draws_on_what_it_names() {
        use crate::definitions::{CustomComponent, CustomParameter, CustomParameters, SearchKind};
        let core = Definitions::core();
        let added = |code: &str, expression: &str, component: Option<&str>| CustomParameter {
            number: 0,
            origin: "SearchParameter/x".into(),
            url: format!("http://x/{code}"),
            code: code.into(),
            kind: if component.is_some() { SearchKind::Composite } else { SearchKind::Token },
            bases: vec!["Patient".into()],
            expression: expression.into(),
            targets: Vec::new(),
            components: component
                .map(|expression| CustomComponent {
                    definition: "http://x/x-a".into(),
                    kind: SearchKind::Token,
                    expression: expression.into(),
                })
                .into_iter()
                .collect(),
        };
        let all = CustomParameters::default().renewed(vec![
            added("x-a", "Patient.gender", None),
            added("x-b", "Patient.where(active = true).telecom.value", None),
            added("x-c", "%resource.telecom.value", None),
            added("x-d", "Patient", Some("telecom.value")),
            added("x-e", "Patient.contained.telecom.value", None),
        ]);
        let definitions = core.with_custom(&all, |_| true);
        let patient = definitions.resource("Patient").expect("a type");
        let mut policy = Policy::standard("nurse", &core).expect("a policy");
        policy.hidden = vec![(patient, "telecom".into())];
        let hidden = Hidden::of(&definitions, patient, &policy).expect("hidden");
        let concerned = |code: &str| hidden.concerns(definitions.search_parameter(patient, code).expect(code).number);
        assert_eq!(["x-a", "x-b", "x-c", "x-d"].map(concerned), [false, true, true, true]);
        let inside =
            |code: &str| looks_inside(&definitions, definitions.search_parameter(patient, code).expect(code).number);
        let looked = ["x-a", "x-b", "x-c", "x-e", "_text", "_content", "name"].map(inside);
        assert_eq!(looked, [false, false, true, true, true, true, false]);
    }

    #[test]
    fn what_is_left() {
        let definitions = Definitions::core();
        let mut policy = Policy::standard("nurse", &definitions).expect("a policy");
        let patient = definitions.resource("Patient").expect("a type");
        policy.hidden = vec![(patient, "birthDate".into()), (patient, "deceased".into())];
        let hidden = Hidden::of(&definitions, patient, &policy).expect("hidden");
        let before =
            br#"{"gender":"male","birthDate":"1970","_birthDate":{"id":"x"},"deceasedBoolean":true,"text":{}}"#;
        let before = Tree::parse(before).expect("JSON");
        let mut shown = before.clone();
        assert!(hidden.strip(&mut shown));
        assert_eq!(shown.to_json(), r#"{"gender":"male"}"#);
        assert_eq!(hidden.shown_in(&before), Some("birthDate"));
        assert_eq!(hidden.shown_in(&shown), None);
        assert!(hidden.keep(&before, &mut shown));
        assert_eq!(shown.to_json().len(), before.to_json().len());
    }
}
