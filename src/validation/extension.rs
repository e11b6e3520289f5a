//! Extensions (R4 extensibility.html): what is known is held against its definition and may stand only where that
//! allows it; a modifier extension that nobody knows is refused, because it may change the meaning of everything.

use super::place::Place;
use super::profile::Profile;
use super::walk::{Scope, Walk, shown};
use crate::base::{IssueCode, Severity};
use crate::definitions::{ElementType, StructureKind};
use crate::fhirpath::eval::{Evaluator, Item, Node, NodeType};
use crate::json::Value;

/// The element that an extension stands on, by the names that contexts may give it.
struct Parent<'d> {
    /// `Patient.name`, `HumanName`, `Element`, …
    names: Vec<String>,
    node: Node<'d>,
    /// The url of the extension that it is in.
    within: Option<String>,
}

impl<'d> Walk<'_, 'd> {
    /// An extension that stands on the element at `parent`.
    pub(super) fn extension(
        &mut self,
        extension: Value<'d>,
        modifier: bool,
        parent: &Place<'_>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        let Some(url) = extension.get("url").and_then(Value::as_str) else { return };
        let kind = match self.validator.extension {
            Some(id) => NodeType::Complex(id),
            None => return,
        };
        let node = Node { value: Some(extension), extra: None, kind };
        match self.validator.profile(&url) {
            Ok(Some(profile)) if &*profile.about == "Extension" => {
                self.context(&profile, &url, parent, place, scope);
                if profile.modifier != modifier {
                    let (is, stands) = if modifier { ("is no", "modifierExtension") } else { ("is a", "extension") };
                    let message = format!("{} {is} modifier extension, but stands under '{stands}'", shown(&url));
                    self.report(IssueCode::Extension, place, message);
                }
                self.keeps(&profile, node, place, scope);
            }
            Ok(Some(_)) => {
                let message = format!("{} is a profile, not an extension", shown(&url));
                self.report(IssueCode::Extension, place, message);
            }
            Ok(None) if modifier => {
                let message = format!(
                    "the modifier extension {} is not known here, so that nobody can tell what it changes",
                    shown(&url)
                );
                let severity = if is_example(&url) { Severity::Warning } else { Severity::Error };
                self.note(severity, IssueCode::Extension, place, message);
            }
            // The parts of a complex extension have names that mean something only in there.
            Ok(None) if !url.contains(':') => {}
            Ok(None) => {
                if let Some(severity) = self.asked.unknown_extensions
                    && !is_example(&url)
                {
                    let message =
                        format!("the extension {} is not known here, so that nothing was held against it", shown(&url));
                    self.note(severity, IssueCode::Extension, place, message);
                }
            }
            Err(why) => self.unusable(&url, &why, place),
        }
    }

    /// Whether an extension may stand where it does.
    fn context(&mut self, profile: &Profile, url: &str, at: &Place<'_>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        if profile.contexts.is_empty() && profile.context_rules.is_empty() {
            return;
        }
        let Some(parent) = self.parent(at, scope) else { return };
        let fits = profile.contexts.is_empty()
            || profile.contexts.iter().any(|(kind, expression)| match &**kind {
                "extension" => parent.within.as_deref() == Some(&**expression),
                "fhirpath" => self.names_node(expression, parent.node, place, scope),
                // It may stand on everything, also on a resource (R4 defining-extensions.html#context).
                _ if &**expression == "Element" => true,
                _ if self.by_erratum(url, &parent) => true,
                _ => {
                    let expression = expression.strip_suffix("[x]").unwrap_or(expression);
                    parent.names.iter().any(|name| name == expression) || self.names_slice(expression, &parent)
                }
            });
        if !fits {
            let allowed: Vec<&str> = profile.contexts.iter().map(|(_, e)| &**e).collect();
            let here = parent.names.first().map_or("this element", String::as_str);
            let message = format!("the extension {} belongs on {}, not on {here}", shown(url), allowed.join(" or "));
            self.report(IssueCode::Extension, place, message);
        }
        for rule in &profile.context_rules {
            self.invariant(rule, parent.node, place, scope);
        }
    }

    /// Where the specification's own resources have an extension that its context does not allow there; the context is
    /// what later versions mended.
    fn by_erratum(&self, url: &str, parent: &Parent<'d>) -> bool {
        match url.strip_prefix("http://hl7.org/fhir/StructureDefinition/structuredefinition-") {
            Some("fhir-type") => parent.names.iter().any(|name| name == "ElementDefinition.type"),
            Some("normative-version") => parent.node.is("DomainResource", self.definitions()),
            _ => false,
        }
    }

    /// Contexts of some packages name the type of a choice: `Observation.valueQuantity`.
    fn names_slice(&self, expression: &str, parent: &Parent<'d>) -> bool {
        let own = parent.node.type_name(self.definitions());
        parent.names.iter().any(|name| {
            expression
                .strip_prefix(name.as_str())
                .is_some_and(|rest| !rest.is_empty() && rest.eq_ignore_ascii_case(own))
        })
    }

    /// Whether an expression on the resource leads to a node.
    fn names_node(&mut self, expression: &str, node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) -> bool {
        let Ok(parsed) = crate::fhirpath::parse(expression) else { return false };
        let world = super::world::Around::new(self, scope);
        let evaluator = Evaluator::new(self.definitions(), scope.resource, self.validator.now(), &world).lenient();
        // It is read at every use.
        let mut budget = self.budget.saturating_sub(expression.len() as u64);
        let found = evaluator.evaluate_within(&parsed, vec![Item::Node(scope.resource)], &mut budget);
        let exhausted = found.is_err() && evaluator.exhausted();
        drop(evaluator);
        self.budget = budget;
        if exhausted {
            self.unjudged(&format!("the context {}", shown(expression)), place);
            return true;
        }
        let wanted = node.value.map(Value::place);
        found.is_ok_and(|items| {
            items.iter().any(|item| match item {
                Item::Node(one) => one.value.map(Value::place) == wanted,
                _ => false,
            })
        })
    }

    /// The element at a place, with its names.
    fn parent(&self, at: &Place<'_>, scope: Scope<'_, 'd>) -> Option<Parent<'d>> {
        let definitions = self.definitions();
        let NodeType::Complex(root) = scope.resource.kind else { return None };
        let mut node = scope.resource;
        let mut names = vec![definitions.name(root).to_owned(), "Resource".to_owned()];
        if node.is("DomainResource", definitions) {
            names.push("DomainResource".to_owned());
        }
        let mut within = None;
        for (name, index) in at.within_resource() {
            let NodeType::Complex(id) = node.kind else { return None };
            let structure = definitions.structure(id);
            let value = node.value?;
            let element = structure.elements.iter().find(|e| {
                *e.fhirpath == *name && (value.get(&e.name).is_some() || value.get(&format!("_{}", e.name)).is_some())
            })?;
            let item = |v: Value<'d>| v.each().nth(index.unwrap_or(0) as usize);
            let kind = match element.kind {
                ElementType::Primitive(primitive) => NodeType::Primitive(primitive),
                ElementType::Complex(id) => NodeType::Complex(id),
                ElementType::Resource => return None,
            };
            let extra = value.get(&format!("_{}", element.name)).and_then(item);
            node = Node { value: value.get(&element.name).and_then(item), extra, kind };
            names = names.iter().map(|n| format!("{n}.{name}")).collect();
            names.extend(self.types_of(node));
            if Some(node.kind) == self.validator.extension.map(NodeType::Complex) {
                within = node.value.and_then(|v| v.get("url")?.as_str()).map(|url| url.into_owned());
            }
        }
        if node.value.is_none() {
            node.value = node.extra;
        }
        Some(Parent { names, node, within })
    }

    fn types_of(&self, node: Node<'d>) -> Vec<String> {
        let mut names = Vec::new();
        if let NodeType::Complex(id) = node.kind {
            let backbone = self.definitions().structure(id).kind == StructureKind::Backbone;
            names.extend(backbone.then(|| "BackboneElement".to_owned()));
            // That of a backbone element is its path, also where other elements refer to it.
            names.push(self.definitions().name(id).to_owned());
            names.extend(node.is("Quantity", self.definitions()).then(|| "Quantity".to_owned()));
        } else {
            names.push(node.type_name(self.definitions()).to_owned());
        }
        names.push("Element".to_owned());
        names
    }
}

/// Whether a url is of the domain that nobody owns: what it means is for the reader of an example.
fn is_example(url: &str) -> bool {
    ["http://example.org/", "https://example.org/"].iter().any(|start| url.starts_with(start))
}
