//! Conditions: what a search asks of a resource's terms, and their plain meaning.

use super::encode::{bound_length, split_parts};
use super::{Position, Term, Terms};
use crate::definitions::TypeId;

/// In place of the number of a parameter: what is asked is asked of a contained resource.
pub const INSIDE: u16 = super::encode::CONTAINED;

/// What a search asks of one resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Every resource.
    Everything,
    /// No resource.
    Nothing,
    /// The resource is of this type. (Where several types are searched at once: compartments, access.)
    Kind(TypeId),
    /// The opposite.
    Not(Box<Condition>),
    /// All of them.
    And(Vec<Condition>),
    /// At least one of them.
    Or(Vec<Condition>),
    /// The resource has this term.
    Term(Term),
    /// The resource has a term in this range.
    Range(Range),
    /// The resource refers, under a reference parameter, to a current resource of one of the types that fulfils a
    /// condition (chained parameters).
    Chain {
        /// Number of the reference parameter.
        parameter: u16,
        /// Types of the resource referred to.
        targets: Vec<TypeId>,
        /// What is asked of it.
        condition: Box<Condition>,
    },
    /// A current resource of a type fulfils a condition and refers to this one under a reference parameter (`_has`).
    Reverse {
        /// The type that refers.
        source: TypeId,
        /// Number of its reference parameter.
        parameter: u16,
        /// What is asked of it.
        condition: Box<Condition>,
    },
}

/// A range of terms, with a test on each where order alone does not decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// First term that is in.
    pub from: Box<[u8]>,
    /// First term that is out.
    pub to: Box<[u8]>,
    /// A further test on the term.
    pub test: Option<Test>,
}

/// A test on the bytes of one term, for what the order of terms does not decide.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// From byte `skip` on, the term contains these bytes (before the first NUL, if `until_nul`).
    Contains {
        /// Bytes to skip.
        skip: usize,
        /// Look only before the first NUL after them.
        until_nul: bool,
        /// What to look for.
        needle: Box<[u8]>,
    },
    /// What follows the first `skip` bytes is not before `from` and is before `below`.
    Within {
        /// Bytes to skip.
        skip: usize,
        /// Least that passes.
        from: Box<[u8]>,
        /// Least that is too much.
        below: Box<[u8]>,
    },
    /// After `skip` bytes stand two bounds of an interval of numbers; the upper one is not before `from` and is
    /// before `below`.
    Upper {
        /// Bytes to skip.
        skip: usize,
        /// Least that passes.
        from: Box<[u8]>,
        /// Least that is too much.
        below: Box<[u8]>,
    },
    /// The term ends with these bytes.
    EndsWith(Box<[u8]>),
    /// The term ends with a unit (NUL, system, NUL, code, NUL, human unit) that is this one: system and code, or,
    /// without a system, code or human unit.
    Unit {
        /// System of the code, where it was given.
        system: Option<Box<[u8]>>,
        /// Code or human unit.
        code: Box<[u8]>,
    },
    /// After `skip` bytes stand the components of a composite, then two bytes for each component but the last:
    /// where it ends. Each component is in one of its ranges.
    Parts {
        /// Bytes to skip.
        skip: usize,
        /// For each component the ranges of which one must hold.
        parts: Vec<Vec<Range>>,
    },
    /// After `skip` bytes stand pairs of bytes, and this one is among them.
    Lists {
        /// Bytes to skip.
        skip: usize,
        /// The pair.
        item: [u8; 2],
    },
    /// After `skip` bytes stands a place that is not farther from the centre than so many metres.
    Near {
        /// Bytes to skip.
        skip: usize,
        /// The centre.
        centre: Position,
        /// Most metres.
        metres: f64,
    },
    /// All of them.
    All(Vec<Test>),
}

impl Test {
    /// Whether a term passes.
    pub fn accepts(&self, term: &[u8]) -> bool {
        match self {
            Test::Contains { skip, until_nul, needle } => {
                let rest = term.get(*skip..).unwrap_or_default();
                let end = if *until_nul { memchr::memchr(0, rest).unwrap_or(rest.len()) } else { rest.len() };
                memchr::memmem::find(&rest[..end], needle).is_some()
            }
            Test::Within { skip, from, below } => within(term.get(*skip..), from, below),
            Test::Upper { skip, from, below } => {
                let upper = term.get(*skip..).and_then(|bounds| bounds.get(bound_length(bounds)..));
                within(upper, from, below)
            }
            Test::EndsWith(suffix) => term.ends_with(suffix),
            Test::Unit { system, code } => {
                let mut tail = term.rsplitn(4, |b| *b == 0);
                let (Some(unit), Some(own), Some(of)) = (tail.next(), tail.next(), tail.next()) else { return false };
                match system {
                    Some(system) => own == &**code && of == &**system,
                    None => own == &**code || unit == &**code,
                }
            }
            Test::Parts { skip, parts } => {
                let Some(slices) = split_parts(term.get(*skip..).unwrap_or_default(), parts.len()) else {
                    return false;
                };
                parts.iter().zip(slices).all(|(ranges, slice)| ranges.iter().any(|range| range.holds(slice)))
            }
            Test::Lists { skip, item } => {
                term.get(*skip..).unwrap_or_default().chunks_exact(2).any(|pair| pair == &item[..])
            }
            Test::Near { skip, centre, metres } => {
                let place = term.get(*skip..).and_then(Position::read);
                place.is_some_and(|place| centre.distance(place) <= *metres)
            }
            Test::All(tests) => tests.iter().all(|test| test.accepts(term)),
        }
    }

    /// Whether it depends on where the term ends.
    pub(super) fn looks_at_end(&self) -> bool {
        match self {
            Test::EndsWith(_) | Test::Unit { .. } | Test::Parts { .. } => true,
            Test::All(tests) => tests.iter().any(Test::looks_at_end),
            Test::Contains { .. }
            | Test::Within { .. }
            | Test::Upper { .. }
            | Test::Lists { .. }
            | Test::Near { .. } => false,
        }
    }

    /// The same test on bytes that have `by` more in front.
    pub(super) fn behind(self, by: usize) -> Test {
        match self {
            Test::Contains { skip, until_nul, needle } => Test::Contains { skip: skip + by, until_nul, needle },
            Test::Within { skip, from, below } => Test::Within { skip: skip + by, from, below },
            Test::Upper { skip, from, below } => Test::Upper { skip: skip + by, from, below },
            Test::Parts { skip, parts } => Test::Parts { skip: skip + by, parts },
            Test::Lists { skip, item } => Test::Lists { skip: skip + by, item },
            Test::Near { skip, centre, metres } => Test::Near { skip: skip + by, centre, metres },
            Test::All(tests) => Test::All(tests.into_iter().map(|test| test.behind(by)).collect()),
            other @ (Test::EndsWith(_) | Test::Unit { .. }) => other,
        }
    }
}

fn within(bytes: Option<&[u8]>, from: &[u8], below: &[u8]) -> bool {
    bytes.is_some_and(|bytes| from <= bytes && bytes < below)
}

/// What chains need to know of other resources, as of the same moment.
pub trait Related {
    /// Terms of the current resources that `terms` refers to under the parameter, of the given types.
    fn referred(&self, terms: &Terms, parameter: u16, targets: &[TypeId]) -> Vec<Terms>;
    /// Terms of the current resources of a type that refer, under their parameter, to the resource with these terms.
    fn referring(&self, kind: TypeId, terms: &Terms, source: TypeId, parameter: u16) -> Vec<Terms>;
}

/// For a resource that is looked at alone: it has no relations.
pub struct Alone;

impl Related for Alone {
    fn referred(&self, _: &Terms, _: u16, _: &[TypeId]) -> Vec<Terms> {
        Vec::new()
    }

    fn referring(&self, _: TypeId, _: &Terms, _: TypeId, _: u16) -> Vec<Terms> {
        Vec::new()
    }
}

impl Condition {
    /// Whether a resource of type `kind` with these terms fulfils the condition: the meaning that every store keeps.
    pub fn matches(&self, kind: TypeId, terms: &Terms, related: &dyn Related) -> bool {
        match self {
            Condition::Everything => true,
            Condition::Nothing => false,
            Condition::Kind(only) => kind == *only,
            Condition::Not(inner) => !inner.matches(kind, terms, related),
            Condition::And(all) => all.iter().all(|c| c.matches(kind, terms, related)),
            Condition::Or(any) => any.iter().any(|c| c.matches(kind, terms, related)),
            Condition::Term(term) => terms.as_slice().binary_search(term).is_ok(),
            Condition::Range(range) => range.any(terms),
            Condition::Chain { parameter, targets, condition } => targets.iter().any(|target| {
                related
                    .referred(terms, *parameter, std::slice::from_ref(target))
                    .iter()
                    .any(|t| condition.matches(*target, t, related))
            }),
            Condition::Reverse { source, parameter, condition } => related
                .referring(kind, terms, *source, *parameter)
                .iter()
                .any(|t| condition.matches(*source, t, related)),
        }
    }

    /// All of them, without needless nesting.
    pub fn all(conditions: impl IntoIterator<Item = Condition>) -> Condition {
        let mut all = Vec::new();
        for condition in conditions {
            match condition {
                Condition::Everything => {}
                Condition::Nothing => return Condition::Nothing,
                Condition::And(inner) => all.extend(inner),
                other => all.push(other),
            }
        }
        if all.len() > 1 { Condition::And(all) } else { all.pop().unwrap_or(Condition::Everything) }
    }

    /// At least one of them, without needless nesting.
    pub fn any(conditions: impl IntoIterator<Item = Condition>) -> Condition {
        let mut any = Vec::new();
        for condition in conditions {
            match condition {
                Condition::Nothing => {}
                Condition::Everything => return Condition::Everything,
                Condition::Or(inner) => any.extend(inner),
                other => any.push(other),
            }
        }
        if any.len() > 1 { Condition::Or(any) } else { any.pop().unwrap_or(Condition::Nothing) }
    }

    /// The numbers of the parameters that it asks for of the resource itself; with them `u16::MAX` where it asks which
    /// parameters have a value, and [`INSIDE`] where it asks for anything of a contained resource. What it asks of other resources stands under the parameter that leads there.
    pub fn parameters(&self, numbers: &mut Vec<u16>) {
        let of = |bytes: &[u8]| bytes.first_chunk().map(|number| u16::from_be_bytes(*number));
        match self {
            Condition::Not(inner) => inner.parameters(numbers),
            Condition::And(all) | Condition::Or(all) => all.iter().for_each(|c| c.parameters(numbers)),
            Condition::Term(term) => numbers.extend(of(&term.0)),
            Condition::Range(range) => {
                numbers.extend(of(&range.from));
                if let Some(Test::Lists { item, .. }) = &range.test {
                    numbers.extend(of(item));
                }
            }
            Condition::Chain { parameter, .. } => numbers.push(*parameter),
            // The parameter is one of those that refer to the resource.
            Condition::Reverse { .. } | Condition::Everything | Condition::Nothing | Condition::Kind(_) => {}
        }
    }

    /// Whether it asks anything of other resources.
    pub fn joins(&self) -> bool {
        match self {
            Condition::Not(inner) => inner.joins(),
            Condition::And(all) | Condition::Or(all) => all.iter().any(Condition::joins),
            Condition::Chain { .. } | Condition::Reverse { .. } => true,
            _ => false,
        }
    }
}

impl Range {
    /// Whether these bytes are in the range and pass the test.
    pub fn holds(&self, term: &[u8]) -> bool {
        within(Some(term), &self.from, &self.to) && self.test.as_ref().is_none_or(|test| test.accepts(term))
    }

    /// Whether one of the terms is in the range and passes the test.
    pub fn any(&self, terms: &Terms) -> bool {
        terms.range(&self.from, &self.to).iter().any(|t| self.test.as_ref().is_none_or(|test| test.accepts(&t.0)))
    }
}
