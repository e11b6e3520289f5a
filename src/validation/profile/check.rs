//! A node against the rules of a profile: number, type, fixed value, pattern, binding, invariants, and everything
//! below. Slices are told apart in `slicing`.

use super::super::coded::Binding;
use super::super::narrative;
use super::super::place::Place;
use super::super::reference::Container;
use super::super::walk::{Scope, Walk, shown};
use super::element::{ElementRules, Languages, Profile, TypeRules};
use super::expected;
use super::slicing::Member;
use crate::base::{Issue, IssueCode, Severity};
use crate::fhirpath::eval::{Item, Node, NodeType};
use crate::json::{Kind, Tree, Value};
use crate::primitive::{DateTime, Primitive};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Profiles within profiles at most.
const DEEPEST: usize = 40;
/// Steps that a node held against a profile counts as.
const STEPS_OF_A_NODE: u64 = 100;

/// A profile and the number of an element in it.
#[derive(Clone, Copy)]
pub(super) struct Within<'p> {
    pub profile: &'p Profile,
    pub number: u32,
}

impl<'p> Within<'p> {
    pub(super) fn rules(self) -> Option<&'p ElementRules> {
        self.profile.elements.get(self.number as usize)
    }

    pub(super) fn with(self, number: u32) -> Within<'p> {
        Within { number, ..self }
    }
}

impl<'d> Walk<'_, 'd> {
    /// Holds a node against a profile. What is being held against the same already is not held again.
    pub(in super::super) fn keeps(
        &mut self,
        profile: &Arc<Profile>,
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        let Some(value) = node.value else { return };
        let key = (Arc::as_ptr(profile) as usize, value.place());
        if self.held.contains(&key) || self.held.len() >= DEEPEST {
            return;
        }
        // Profiles that name each other can make more work than any document has nodes.
        if self.budget == 0 {
            return self.unjudged(&profile.canonical, place);
        }
        self.budget = self.budget.saturating_sub(STEPS_OF_A_NODE);
        self.held.push(key);
        self.node(Within { profile, number: 0 }, node, place, scope);
        self.held.pop();
    }

    /// Whether a node keeps a profile; notes nothing.
    pub(in super::super) fn tries(
        &mut self,
        profile: &Arc<Profile>,
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) -> bool {
        let key = (Arc::as_ptr(profile) as usize, node.value.map_or(0, Value::place));
        if let Some(known) = self.tried.get(&key) {
            return *known;
        }
        let (before, exhausted) = (std::mem::take(&mut self.issues), self.exhausted);
        // What is only said once is not to be lost with what is said here.
        let said = std::mem::take(&mut self.undecided);
        self.keeps(profile, node, place, scope);
        self.undecided = said;
        let found = std::mem::replace(&mut self.issues, before);
        // That the steps are used up is said once, and not only to the one who tries.
        if self.exhausted && !exhausted {
            self.issues.extend(found.iter().find(|issue| issue.code == IssueCode::TooCostly).cloned());
        }
        let kept = !found.iter().any(Issue::is_error);
        self.tried.insert(key, kept);
        kept
    }

    /// A node against the rules of one element.
    pub(super) fn node(&mut self, of: Within<'_>, node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        self.own_rules(of, node, place, scope);
        self.below(of, node, place, scope);
    }

    /// The rules on the node itself.
    fn own_rules(&mut self, of: Within<'_>, node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        let Some(rules) = of.rules() else { return };
        self.own_value(of, rules, node, place);
        self.languages(of, rules, node, place, scope);
        for bound in rules.binding.iter().chain(&rules.more_bindings) {
            let binding = Binding {
                strength: bound.strength,
                value_set: &bound.value_set,
                most: bound.most.as_deref(),
                profile: Some(&of.profile.canonical),
            };
            self.bound(binding, node, place);
        }
        for rule in &rules.rules {
            self.invariant(rule, node, place, scope);
        }
    }

    /// The rules on what is below the node.
    fn below(&mut self, of: Within<'_>, node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        let Some(rules) = of.rules() else { return };
        for child in &rules.children {
            self.child(of.with(*child), node, place, scope);
        }
        if let Some(path) = &rules.same_as {
            let same = of.profile.elements.iter().position(|e| e.id == *path);
            let target = same.map(|number| of.with(number as u32));
            let children = target.and_then(Within::rules).map(|r| r.children.as_slice()).unwrap_or_default();
            for child in children {
                self.child(of.with(*child), node, place, scope);
            }
        }
    }

    /// The values of one element below a node.
    fn child(&mut self, of: Within<'_>, parent: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        let Some(rules) = of.rules() else { return };
        let mut values = Vec::new();
        parent.children(Some(&rules.name), self.definitions(), &mut values);
        let nodes: Vec<(usize, Node<'d>)> = values
            .into_iter()
            .filter_map(|item| match item {
                Item::Node(node) => Some(node),
                _ => None,
            })
            .enumerate()
            .collect();
        self.number(of, rules, nodes.len()..=nodes.len(), place);
        if nodes.is_empty() && rules.slices.is_empty() {
            return;
        }
        let many = self.repeats(parent, &rules.name);
        for (i, node) in &nodes {
            let inner = place.child(&rules.name);
            let inner = if many { inner.item(*i) } else { inner };
            if node.is_resource(self.definitions()) && &*rules.name != "contained" {
                let Some(value) = node.value else { continue };
                let container = Container::new(value, self.definitions());
                let own = Scope { container: &container, resource: *node, contained: false };
                self.types(of, rules, *node, &inner, own);
                // What is said of the element is said within the outer resource.
                self.own_rules(of, *node, &inner, scope);
                self.below(of, *node, &inner, own);
                continue;
            }
            let own = match node.is_resource(self.definitions()) {
                true => Scope { resource: *node, contained: true, ..scope },
                false => scope,
            };
            self.types(of, rules, *node, &inner, own);
            self.own_rules(of, *node, &inner, scope);
            self.below(of, *node, &inner, own);
        }
        if rules.slicing.is_some() && !rules.slices.is_empty() {
            let member = |(at, node): &(usize, Node<'d>)| Member { at: *at, node: *node, certain: true };
            let members: Vec<_> = nodes.iter().map(member).collect();
            self.slices(of, rules, &members, many, place, scope);
        }
    }

    fn repeats(&self, parent: Node<'d>, name: &str) -> bool {
        let NodeType::Complex(id) = parent.kind else { return name == "extension" };
        self.definitions().structure(id).element(name).is_some_and(|e| e.many)
    }

    /// Cardinality. `found` is how many there are for certain, and how many with those that may be more.
    pub(super) fn number(
        &mut self,
        of: Within<'_>,
        rules: &ElementRules,
        found: RangeInclusive<usize>,
        place: &Place<'_>,
    ) {
        let (what, least, found, most) = (rules.called(), rules.min, *found.start(), *found.end());
        if most < least as usize {
            let message = format!("{what} is there {least} times at least, not {found} times{}", from(of.profile));
            self.report(IssueCode::Required, &place.child(&rules.name), message);
        }
        if let Some(max) = rules.max.filter(|max| found > *max as usize) {
            let message = format!("{what} is there {max} times at most, not {found} times{}", from(of.profile));
            self.report(IssueCode::Structure, &place.child(&rules.name), message);
        }
    }

    /// Fixed value, pattern, length, range.
    fn own_value(&mut self, of: Within<'_>, rules: &ElementRules, node: Node<'d>, place: &Place<'_>) {
        let from = || from(of.profile);
        if let (Some(instead), None, Some(extra)) = (&rules.without_value, node.value, node.extra) {
            let mut extensions = extra.get("extension").into_iter().flat_map(Value::items);
            let named = |e: Value<'d>| e.get("url").and_then(Value::as_str);
            if !extensions.any(|e| named(e).is_some_and(|url| instead.iter().any(|i| **i == *url))) {
                let or = if instead.is_empty() { String::new() } else { format!(", or {}", instead.join(" or ")) };
                let message = format!("there is a value here{or}{}", from());
                self.report(IssueCode::Required, place, message);
            }
        }
        let Some(value) = node.value else { return };
        if let Some(fixed) = rules.fixed.as_ref().filter(|fixed| !expected::equals(fixed, value)) {
            self.report(IssueCode::Value, place, format!("the value is {}{}", expected::shown(fixed), from()));
        }
        if let Some(pattern) = rules.pattern.as_ref().filter(|pattern| !expected::contains(pattern, value)) {
            let message = format!("the value contains {}{}", expected::shown(pattern), from());
            self.report(IssueCode::Value, place, message);
        }
        if let (Some(most), Some(text)) = (rules.max_length, value.as_str())
            && text.chars().count() as u64 > most
        {
            self.report(IssueCode::TooLong, place, format!("the value has {most} characters at most{}", from()));
        }
        for (i, bound) in rules.range.iter().enumerate() {
            let Some(bound) = bound else { continue };
            if beyond(value, node.kind, bound, i == 1) {
                let word = if i == 0 { "at least" } else { "at most" };
                let message = format!("the value is {word} {}{}", expected::shown(bound), from());
                self.report(IssueCode::Value, place, message);
            }
        }
    }

    /// The languages of a narrative.
    fn languages(
        &mut self,
        of: Within<'_>,
        rules: &ElementRules,
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        let Some(div) = node.value.and_then(|v| v.get("div")).and_then(Value::as_str) else { return };
        if rules.languages.is_empty() {
            return;
        }
        let found = narrative::languages(&div);
        let own = scope.resource.value.and_then(|r| r.get("language")).and_then(Value::as_str);
        for wanted in &rules.languages {
            let wrong = match wanted {
                Languages::Sections => found.is_empty().then(|| "a section for each language".to_owned()),
                Languages::NoSections => (!found.is_empty()).then(|| "no sections for languages".to_owned()),
                Languages::OfResource => match &own {
                    Some(own) if found.iter().any(|f| *f == **own) => None,
                    _ => Some("a section in the language of the resource".to_owned()),
                },
                Languages::One(code) => (!found.iter().any(|f| *f == **code)).then(|| format!("a section in {code}")),
            };
            if let Some(what) = wrong {
                let message = format!("the narrative has {what}{}", from(of.profile));
                self.report(IssueCode::Structure, &place.child("div"), message);
            }
        }
    }

    /// The type of a value, and the profiles of the type.
    pub(super) fn types(
        &mut self,
        of: Within<'_>,
        rules: &ElementRules,
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        if rules.types.is_empty() {
            return;
        }
        let fitting: Vec<&TypeRules> = rules.types.iter().filter(|t| self.is_of(node, &t.code)).collect();
        if fitting.is_empty() {
            let allowed: Vec<&str> = rules.types.iter().map(|t| &*t.code).collect();
            let found = node.type_name(self.definitions());
            let message = format!("the type is {}, not {found}{}", allowed.join(" or "), from(of.profile));
            return self.report(IssueCode::Structure, place, message);
        }
        let profiles: Vec<&str> = fitting.iter().flat_map(|t| &t.profiles).map(|p| &**p).collect();
        if !profiles.is_empty() && fitting.iter().all(|t| !t.profiles.is_empty()) {
            self.one_of(&profiles, of.profile, node, place, scope);
        }
        let targets: Vec<&str> = fitting.iter().flat_map(|t| &t.targets).map(|p| &**p).collect();
        if !targets.is_empty() && node.type_name(self.definitions()) == "Reference" {
            self.targets(&targets, of.profile, node, place, scope);
        }
    }

    /// Whether a node is of a type that a profile names.
    pub(in super::super) fn is_of(&self, node: Node<'d>, code: &str) -> bool {
        let code = code.strip_prefix("http://hl7.org/fhirpath/System.").unwrap_or(code);
        let definitions = self.definitions();
        match node.kind {
            // The package names system types for the values of primitives (`System.String` for ids).
            NodeType::Primitive(kind) => {
                kind.name().eq_ignore_ascii_case(code)
                    || code == "String" && !matches!(kind, Primitive::Boolean | Primitive::Integer | Primitive::Decimal)
            }
            NodeType::Complex(_) => node.is(code, definitions) || code == "Element" || code == "BackboneElement",
        }
    }

    /// A value keeps one of some profiles.
    fn one_of(
        &mut self,
        profiles: &[&str],
        from_profile: &Profile,
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        // An extension is held against its definition wherever it stands.
        if node.type_name(self.definitions()) == "Extension" {
            let url = node.value.and_then(|v| v.get("url")).and_then(Value::as_str);
            if profiles.iter().any(|p| url.as_deref() == Some(crate::definitions::split_canonical(p).0)) {
                return;
            }
        }
        let scope = match node.is_resource(self.definitions()) {
            true => Scope { resource: node, ..scope },
            false => scope,
        };
        if let [one] = profiles {
            match self.validator.profile(one) {
                Ok(Some(profile)) => self.keeps(&profile, node, place, scope),
                Ok(None) => match self.validator.about(one) {
                    Some(about) if !self.is_of(node, &about) => {
                        let message = format!("the value is of type {about}{}", from(from_profile));
                        self.report(IssueCode::Structure, place, message);
                    }
                    Some(_) => {}
                    None => self.unknown_profile(one, place),
                },
                Err(why) => self.unusable(one, &why, place),
            }
            return;
        }
        for canonical in profiles {
            match self.validator.profile(canonical) {
                Ok(Some(profile)) => {
                    if self.tries(&profile, node, place, scope) {
                        return;
                    }
                }
                // Nothing can be said against a profile that is not known.
                Ok(None) => return,
                Err(why) => return self.unusable(canonical, &why, place),
            }
        }
        let message = format!("the value keeps none of the profiles {}{}", profiles.join(", "), from(from_profile));
        self.report(IssueCode::Structure, place, message);
    }

    /// What a reference points to, where the document has it, keeps one of the profiles; otherwise its type fits.
    fn targets(
        &mut self,
        targets: &[&str],
        from_profile: &Profile,
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        let Some(value) = node.value else { return };
        let reference = value.get("reference").and_then(Value::as_str);
        let found = reference.as_ref().and_then(|r| self.entries().resolve(r, scope, self.definitions()));
        let named = match (&found, &reference) {
            (Some(found), _) => Some(found.type_name(self.definitions()).to_owned()),
            (None, Some(text)) => type_named(text).map(str::to_owned),
            (None, None) => None,
        };
        let named = named.or_else(|| value.get("type").and_then(Value::as_str).map(|t| t.into_owned()));
        let Some(named) = named.filter(|n| self.definitions().resource(n).is_some()) else { return };
        let mut kept = false;
        let mut unknown = false;
        for canonical in targets {
            let about = match self.validator.about(canonical) {
                Some(about) => about,
                None => {
                    unknown = true;
                    continue;
                }
            };
            if about != named && about != "Resource" && about != "DomainResource" {
                continue;
            }
            kept |= match (found, self.validator.profile(canonical)) {
                (Some(found), Ok(Some(profile))) => {
                    let scope = Scope { resource: found, ..scope };
                    self.tries(&profile, found, place, scope)
                }
                _ => true,
            };
        }
        if !kept && !unknown {
            let message = format!("the reference points to one of {}{}", targets.join(", "), from(from_profile));
            self.report(IssueCode::Structure, place, message);
        }
    }

    /// Says that a profile is not known.
    pub(in super::super) fn unknown_profile(&mut self, canonical: &str, place: &Place<'_>) {
        let canonical = shown(canonical);
        let message = format!("the profile {canonical} is not known here, so that nothing was held against it");
        self.note(self.asked.unknown_profiles, IssueCode::NotFound, place, message);
    }

    /// Says that a profile cannot be used; nothing else is affected.
    pub(in super::super) fn unusable(&mut self, canonical: &str, why: &str, place: &Place<'_>) {
        let message = format!("the profile {canonical} cannot be used: {why}");
        self.note(Severity::Warning, IssueCode::Processing, place, message);
    }
}

/// The end of a message: which profile says so.
pub(super) fn from(profile: &Profile) -> String {
    format!(" (profile {})", profile.canonical)
}

/// The type that a literal reference names.
pub(in super::super) fn type_named(reference: &str) -> Option<&str> {
    let plain = reference.split_once("/_history/").map_or(reference, |(before, _)| before);
    let plain = plain.split('?').next().unwrap_or(plain);
    let mut parts = plain.rsplit('/');
    let last = parts.next()?;
    let named = if reference.contains('?') { last } else { parts.next()? };
    named.starts_with(|c: char| c.is_ascii_uppercase()).then_some(named)
}

/// Whether a value lies beyond a bound.
fn beyond(value: Value<'_>, kind: NodeType, bound: &Tree, upper: bool) -> bool {
    use crate::fhirpath::eval::{Number, Quantity};
    let order = match (kind, bound) {
        (NodeType::Primitive(_), Tree::Number(bound)) if value.kind() == Kind::Number => {
            match (Number::parse(value.raw()), Number::parse(bound)) {
                (Some(value), Some(bound)) => Some(value.cmp(&bound)),
                _ => None,
            }
        }
        (NodeType::Primitive(_), Tree::String(bound)) => {
            let text = value.as_str();
            match (text.as_deref().and_then(DateTime::parse), DateTime::parse(bound)) {
                (Some(value), Some(bound)) if value.end() < bound.start() => Some(std::cmp::Ordering::Less),
                (Some(value), Some(bound)) if value.start() >= bound.end() => Some(std::cmp::Ordering::Greater),
                _ => None,
            }
        }
        (NodeType::Complex(_), Tree::Object(_)) => {
            let text = |name: &str| bound.get(name).and_then(Tree::as_str);
            let unit = value.get("code").or_else(|| value.get("unit")).and_then(Value::as_str);
            let number = value.get("value").and_then(Value::as_number).and_then(Number::parse);
            match (number, bound.get("value")) {
                (Some(number), Some(Tree::Number(least))) => Number::parse(least).and_then(|least| {
                    let own = Quantity::of(number, unit.as_deref().unwrap_or("1"));
                    own.compare(&Quantity::of(least, text("code").or(text("unit")).unwrap_or("1")), false)
                }),
                _ => None,
            }
        }
        _ => None,
    };
    order.is_some_and(|o| if upper { o.is_gt() } else { o.is_lt() })
}
