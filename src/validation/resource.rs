//! A resource as such, standing for itself or contained: is its type one of R4 and the one that is expected, which rules are
//! those of its type, and which profiles does it say that it keeps. Its content is the matter of `walk`.

use super::Level;
use super::place::Place;
use super::reference::Container;
use super::walk::{Scope, Walk, a, shown};
use crate::base::IssueCode;
use crate::definitions::TypeId;
use crate::fhirpath::eval::{Node, NodeType};
use crate::json::{Kind, Value};

impl<'d> Walk<'_, 'd> {
    /// A resource that stands for itself: the whole document, or one in a bundle or parameter.
    pub(super) fn standing(&mut self, expected: Option<TypeId>, resource: Value<'d>, place: &Place<'_>) {
        let container = Container::new(resource, self.definitions());
        let scope = Scope { container: &container, resource: container.node, contained: false };
        self.resource(expected, resource, place, scope);
    }

    /// A resource: its type, then its content.
    pub(super) fn resource(
        &mut self,
        expected: Option<TypeId>,
        value: Value<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        if value.kind() != Kind::Object {
            return self.report(IssueCode::Structure, place, format!("a resource is a JSON object, not {}", a(value)));
        }
        let Some(property) = value.get("resourceType") else {
            let message = "resourceType is missing: a resource names its type";
            return self.report(IssueCode::Required, &place.child("resourceType"), message);
        };
        let Some(name) = property.as_str() else {
            let message = format!("resourceType is a JSON string, not {}", a(property));
            return self.report(IssueCode::Structure, &place.child("resourceType"), message);
        };
        let Some(kind) = self.definitions().resource(&name) else {
            let message = format!("'{}' is not a resource type of FHIR R4", shown(&name));
            return self.report(IssueCode::Structure, &place.child("resourceType"), message);
        };
        if let Some(expected) = expected.filter(|e| *e != kind) {
            let expected = self.definitions().name(expected);
            let message = format!("a resource of type {expected} is expected here, this is one of type {name}");
            return self.report(IssueCode::Invalid, &place.child("resourceType"), message);
        }
        if scope.contained {
            self.contained_meta(value, place);
        }
        let resource = Node { value: Some(value), extra: None, kind: NodeType::Complex(kind) };
        let scope = Scope { resource, ..scope };
        let place = place.starting();
        self.object(kind, value, &place, scope);
        if self.asked.level == Level::Full {
            self.declared(resource, &place, scope);
        }
    }

    /// The profiles that a resource says it keeps, and for the whole document those that the caller names.
    fn declared(&mut self, resource: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        if let Some(bundle) = resource.value.filter(|_| resource.is("Bundle", self.definitions())) {
            self.bundle(bundle, place);
        }
        if let Some(response) = resource.value.filter(|_| resource.is("QuestionnaireResponse", self.definitions())) {
            self.answers_form(response, place, scope);
        }
        if let (Some(value), NodeType::Complex(kind)) = (resource.value, resource.kind) {
            match self.definitions().name(kind) {
                "StructureDefinition" => self.definition(value, place),
                "SearchParameter" => self.search_parameter(value, place),
                "Questionnaire" => self.conditions(value, place),
                "MeasureReport" => self.measure_report(value, place),
                "CapabilityStatement" => self.search_parameters_of(value, place),
                "CodeSystem" | "ValueSet" => self.vocabulary(value, place),
                _ => {}
            }
        }
        let declared = resource.value.and_then(|r| r.get("meta")).and_then(|meta| meta.get("profile"));
        let declared: Vec<_> = declared.into_iter().flat_map(Value::items).filter_map(Value::as_str).collect();
        for canonical in &declared {
            self.against(canonical, false, resource, place, scope);
        }
        if resource.value.map(Value::place) == Some(self.root.place()) {
            for canonical in self.asked.profiles.iter().filter(|p| !declared.iter().any(|d| **d == ***p)) {
                self.against(canonical, true, resource, place, scope);
            }
        }
    }

    /// `asked`: the caller named it, and is not answered as if it had been looked at.
    fn against(&mut self, canonical: &str, asked: bool, resource: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        match self.validator.profile(canonical) {
            Ok(Some(profile)) if self.is_of(resource, &profile.about) => self.keeps(&profile, resource, place, scope),
            Ok(Some(profile)) => {
                let message = format!("the profile {} is about {}", profile.canonical, profile.about);
                self.report(IssueCode::Invalid, place, message);
            }
            Ok(None) => match self.validator.about(canonical) {
                Some(about) if self.is_of(resource, &about) => {}
                Some(about) => {
                    let message = format!("the profile {} is about {about}", shown(canonical));
                    self.report(IssueCode::Invalid, place, message);
                }
                None => self.unknown_profile(canonical, place),
            },
            Err(why) if asked => {
                let message = format!("the profile {} cannot be used: {why}", shown(canonical));
                self.report(IssueCode::Processing, place, message);
            }
            Err(why) => self.unusable(canonical, &why, place),
        }
    }

    /// The rules dom-4 and dom-5: a contained resource has no version and no security labels of its own.
    fn contained_meta(&mut self, resource: Value<'d>, place: &Place<'_>) {
        let Some(meta) = resource.get("meta") else { return };
        for (name, key) in [("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5")] {
            if meta.get(name).is_some() {
                let message = format!("a contained resource has no meta.{name} ({key})");
                self.report(IssueCode::Invariant, &place.child("meta").child(name), message);
            }
        }
    }
}
