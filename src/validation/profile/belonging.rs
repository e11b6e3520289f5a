//! Whether a value belongs to a slice: its discriminators against what the slice says there (`expectation`). There are
//! three answers: a value set whose codes are not known here, a profile that is not at hand, a target that lies outside
//! of the document, or a slice without discriminators of which nothing is said can leave it open.

use super::super::place::Place;
use super::super::walk::{Scope, Walk};
use super::check::{Within, from, type_named};
use super::element::{Discriminator, DiscriminatorKind};
use super::expectation::{Expectation, collect};
use super::expected;
use crate::base::{IssueCode, Severity};
use crate::fhirpath::Expression;
use crate::fhirpath::eval::{Evaluator, Item, Node};
use crate::json::{Tree, Value};

/// Whether a value belongs to a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    Yes,
    No,
    /// Nobody here knows, for this reason.
    Unknown(String),
}

impl From<bool> for Belongs {
    fn from(belongs: bool) -> Belongs {
        if belongs { Belongs::Yes } else { Belongs::No }
    }
}

impl Belongs {
    /// The answer where each has to hold: one that does not decides.
    fn all(answers: impl IntoIterator<Item = Belongs>) -> Belongs {
        let mut whole = Belongs::Yes;
        for answer in answers {
            match answer {
                Belongs::No => return Belongs::No,
                Belongs::Unknown(_) if whole == Belongs::Yes => whole = answer,
                _ => {}
            }
        }
        whole
    }

    /// The answer where one is enough.
    fn any(answers: impl IntoIterator<Item = Belongs>) -> Belongs {
        let mut whole = Belongs::No;
        for answer in answers {
            match answer {
                Belongs::Yes => return Belongs::Yes,
                Belongs::Unknown(_) if whole == Belongs::No => whole = answer,
                _ => {}
            }
        }
        whole
    }
}

impl<'d> Walk<'_, 'd> {
    /// Whether a value belongs to a slice.
    pub(super) fn in_slice(
        &mut self,
        slice: Within<'_>,
        discriminators: &[Discriminator],
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) -> Belongs {
        if discriminators.is_empty() {
            let mut expectations = Vec::new();
            collect(slice.profile, slice.number, &mut expectations, 0);
            if expectations.is_empty() {
                let why = "the slicing has no discriminator, and no fixed value or pattern tells the slice apart";
                return Belongs::Unknown(why.to_owned());
            }
            let Some(value) = node.value else { return Belongs::No };
            let agrees = expectations.iter().all(|(path, expected)| {
                let mut at = vec![value];
                for name in path {
                    at = at.into_iter().filter_map(|v| v.get(name)).flat_map(|v| v.each()).collect();
                }
                at.into_iter().any(|v| agrees_plainly(expected, v))
            });
            return agrees.into();
        }
        // Where a slice says nothing at one of several discriminators, the others tell it apart.
        let mut wanted: Vec<_> = discriminators.iter().map(|d| (d, self.expectations(slice, d))).collect();
        wanted.retain(|(_, expectations)| !expectations.is_empty());
        if wanted.is_empty() {
            let message = format!(
                "the slice '{}' cannot be told apart: nothing is said at its discriminators{}",
                slice.rules().and_then(|r| r.slice.as_deref()).unwrap_or_default(),
                from(slice.profile)
            );
            self.note(Severity::Warning, IssueCode::Processing, place, message);
            return Belongs::No;
        }
        Belongs::all(wanted.iter().map(|(d, expectations)| self.agrees(d, expectations, node, place, scope)))
    }

    fn agrees(
        &mut self,
        discriminator: &Discriminator,
        expectations: &[Expectation],
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) -> Belongs {
        let path = &*discriminator.path;
        let to_target = path.strip_suffix("resolve()").map(|path| path.trim_end_matches('.'));
        // The type that a reference names is known, even where its target is not.
        if let Some(path) = to_target.filter(|_| discriminator.kind == DiscriminatorKind::Type) {
            let references = self.along(path, node, place, scope);
            return Belongs::any(references.into_iter().map(|reference| self.is_type(reference, expectations, scope)));
        }
        let items = match path {
            "$this" => vec![Item::Node(node)],
            _ => {
                let Some(expression) = &discriminator.expression else {
                    return Belongs::Unknown(format!("the discriminator '{path}' cannot be read"));
                };
                self.evaluate(expression, node, place, scope)
            }
        };
        if items.is_empty()
            && let Some((before, _)) = path.split_once("resolve()")
        {
            let references = self.along(before.trim_end_matches('.'), node, place, scope);
            let outside: Vec<_> = references.into_iter().filter(|r| self.pointed_to(*r, scope).is_none()).collect();
            if !outside.is_empty() {
                let answers = outside.into_iter().map(|r| self.is_outside(r, to_target.is_some(), expectations));
                return Belongs::any(answers);
            }
        }
        Belongs::all(expectations.iter().map(|expected| match expected {
            Expectation::Exists(wanted) => (items.is_empty() != *wanted).into(),
            _ => Belongs::any(items.iter().map(|item| match item {
                Item::Node(found) => self.agrees_with(expected, *found, place, scope),
                _ => Belongs::No,
            })),
        }))
    }

    /// What a path leads to.
    fn along(&mut self, path: &str, node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) -> Vec<Node<'d>> {
        if path.is_empty() || path == "$this" {
            return vec![node];
        }
        let Ok(expression) = crate::fhirpath::parse(path) else { return Vec::new() };
        let found = self.evaluate(&expression, node, place, scope);
        found.into_iter().filter_map(|item| if let Item::Node(node) = item { Some(node) } else { None }).collect()
    }

    fn evaluate(
        &mut self,
        expression: &Expression,
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) -> Vec<Item<'d>> {
        let mut budget = self.budget;
        let world = super::super::world::Around::new(self, scope);
        let evaluator = Evaluator::new(self.definitions(), scope.resource, self.validator.now(), &world);
        let evaluator = evaluator.within(scope.container.node).lenient();
        let found = evaluator.evaluate_within(expression, vec![Item::Node(node)], &mut budget);
        let exhausted = found.is_err() && evaluator.exhausted();
        drop(evaluator);
        self.budget = budget;
        if exhausted {
            self.unjudged("a discriminator", place);
        }
        found.unwrap_or_default()
    }

    fn agrees_with(
        &mut self,
        expected: &Expectation,
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) -> Belongs {
        match expected {
            Expectation::Bound(set) => match self.any_code_in(set, node) {
                Some(member) => member.into(),
                None => Belongs::Unknown(self.why_undecided(set, node)),
            },
            Expectation::Types(types) => types.iter().any(|t| self.is_of(node, t)).into(),
            Expectation::Profiles(profiles) => {
                Belongs::any(profiles.iter().map(|canonical| self.keeps_one(canonical, node, place, scope)))
            }
            Expectation::Exists(wanted) => (*wanted).into(),
            Expectation::Fixed(_) | Expectation::Pattern(_) => {
                node.value.is_some_and(|value| agrees_plainly(expected, value)).into()
            }
        }
    }

    /// Whether a value keeps a profile that tells a slice apart.
    fn keeps_one(&mut self, canonical: &str, node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) -> Belongs {
        let Some(about) = self.validator.about(canonical) else {
            return Belongs::Unknown(format!("the profile {canonical} is not known here"));
        };
        if !self.is_of(node, &about) {
            return Belongs::No;
        }
        let scope = match node.is_resource(self.definitions()) {
            true => Scope { resource: node, ..scope },
            false => scope,
        };
        match self.validator.profile(canonical) {
            Ok(Some(profile)) => self.tries(&profile, node, place, scope).into(),
            // A type of the specification.
            Ok(None) => Belongs::Yes,
            Err(why) => Belongs::Unknown(format!("the profile {canonical} cannot be used: {why}")),
        }
    }

    /// What a reference points to, where the document has it.
    fn pointed_to(&self, reference: Node<'d>, scope: Scope<'_, 'd>) -> Option<Node<'d>> {
        let text = reference.value?.get("reference")?.as_str()?;
        self.entries().resolve(&text, scope, self.definitions())
    }

    /// The type of what a reference points to, as far as it says so.
    fn named(&self, reference: Node<'d>) -> Option<String> {
        let value = reference.value?;
        let text = value.get("reference").and_then(Value::as_str);
        let named = text.as_deref().and_then(type_named).map(str::to_owned);
        named.or_else(|| Some(value.get("type")?.as_str()?.into_owned()))
    }

    /// Whether what a reference points to is of one of the expected types.
    fn is_type(&self, reference: Node<'d>, expectations: &[Expectation], scope: Scope<'_, 'd>) -> Belongs {
        let found = self.pointed_to(reference, scope).map(|found| found.type_name(self.definitions()).to_owned());
        let Some(named) = found.or_else(|| self.named(reference)) else { return untyped() };
        let fits = |expected: &Expectation| match expected {
            Expectation::Types(types) => types.iter().any(|t| **t == *named),
            _ => true,
        };
        expectations.iter().all(fits).into()
    }

    /// Whether a target that is not in the document can belong to a slice; `itself`: the expectations are on the target as
    /// such, not on something in it.
    fn is_outside(&self, reference: Node<'d>, itself: bool, expectations: &[Expectation]) -> Belongs {
        let Some(named) = self.named(reference) else { return untyped() };
        let unknown = || Belongs::Unknown("what the reference points to is not in the document".to_owned());
        let fits = |canonical: &str| match self.validator.about(canonical) {
            None => Belongs::Unknown(format!("the profile {canonical} is not known here")),
            Some(about) if about != named && about != "Resource" && about != "DomainResource" => Belongs::No,
            Some(_) if matches!(self.validator.profile(canonical), Ok(None)) => Belongs::Yes,
            Some(_) => unknown(),
        };
        Belongs::all(expectations.iter().map(|expected| match expected {
            Expectation::Profiles(profiles) if itself => Belongs::any(profiles.iter().map(|p| fits(p))),
            _ => unknown(),
        }))
    }
}

fn untyped() -> Belongs {
    Belongs::Unknown("the reference does not say of which type its target is".to_owned())
}

fn agrees_plainly(expected: &Expectation, value: Value<'_>) -> bool {
    match expected {
        Expectation::Fixed(tree) => expected::equals(tree, value),
        Expectation::Pattern(tree) => loosely(tree, value),
        _ => false,
    }
}

/// Like a pattern; where the value has a list, one of its items is enough.
fn loosely(tree: &Tree, value: Value<'_>) -> bool {
    expected::contains(tree, value)
        || match tree {
            Tree::Object(entries) => entries.iter().all(|(key, expected)| {
                value.get(key).is_some_and(|v| loosely(expected, v) || v.items().any(|item| loosely(expected, item)))
            }),
            _ => false,
        }
}
