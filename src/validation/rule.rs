//! Invariants as rules: each is read once, at its first use, and knows how it is judged: by FHIRPath, by a function of
//! `swift`, or by the walk itself. Judging is in `invariants`.

use super::swift::{self, Swift};
use crate::definitions::Invariant;
use crate::fhirpath::{Expression, SyntaxError, parse};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// An invariant.
pub(super) struct Rule {
    /// Its key, such as `obs-6`.
    pub key: Box<str>,
    /// Whether breaking it is an error; otherwise a warning.
    pub error: bool,
    /// The expression as text.
    pub expression: Box<str>,
    /// What it means, in words; empty: nobody said.
    pub words: Box<str>,
    /// Whether the definition that it is of says itself that the rule is one of the specification.
    pub copied: bool,
    /// The definition that it is of; empty: the base definitions.
    pub origin: Box<str>,
    /// The element that an issue names; empty: where the rule stands.
    pub place: &'static str,
    /// Where there is a function, it decides.
    pub swift: Option<Swift>,
    parsed: OnceLock<Result<Expression, SyntaxError>>,
}

impl Rule {
    /// A rule of a profile.
    pub(super) fn new(key: &str, error: bool, expression: &str, words: &str) -> Rule {
        Rule {
            key: key.into(),
            error,
            expression: expression.into(),
            words: words.into(),
            copied: false,
            origin: "".into(),
            place: "",
            swift: None,
            parsed: OnceLock::new(),
        }
    }

    /// The same, of a definition.
    pub(super) fn of(self, canonical: &str) -> Rule {
        Rule { origin: canonical.into(), ..self }
    }

    /// Its name, with that of the definition.
    pub(super) fn name(&self) -> String {
        match &*self.origin {
            "" => self.key.to_string(),
            origin => format!("{} of {origin}", self.key),
        }
    }

    /// The expression, read at the first call.
    pub(super) fn parsed(&self) -> &Result<Expression, SyntaxError> {
        self.parsed.get_or_init(|| parse(&self.expression))
    }
}

/// The rules of the base definitions, each once.
#[derive(Default)]
pub(super) struct Rules {
    all: Vec<Rule>,
    /// The expressions of each key, without white space.
    keys: FxHashMap<Box<str>, Vec<String>>,
    known: FxHashMap<(Box<str>, Box<str>), u16>,
}

/// Rules that the walk keeps anyway, and one that only recommends a narrative (dom-6).
const WALKED: [&str; 7] = ["ele-1", "dom-2", "dom-4", "dom-5", "dom-6", "txt-1", "txt-2"];

impl Rules {
    /// The rule with a number.
    pub(super) fn get(&self, number: u16) -> Option<&Rule> {
        self.all.get(number as usize)
    }

    /// Whether the base definitions have the rule of a profile, so that it need not be judged twice. One with the same
    /// key and another expression is another rule, unless it says that it is theirs: later texts of them differ.
    pub(super) fn has(&self, rule: &Rule) -> bool {
        self.keys.get(&rule.key).is_some_and(|all| rule.copied || all.contains(&plain(&rule.expression)))
    }

    /// Adds what is not there yet; gives the numbers. `on` is the structure that they stand on.
    pub(super) fn add(&mut self, invariants: &[Invariant], on: Option<&str>) -> Vec<u16> {
        for (key, _, expression) in invariants {
            let (all, expression) = (self.keys.entry(key.clone()).or_default(), plain(expression));
            if !all.contains(&expression) {
                all.push(expression);
            }
        }
        let wanted = invariants.iter().filter(|(key, _, _)| !WALKED.contains(&&**key));
        let number = |(key, error, expression): &Invariant| {
            *self.known.entry((key.clone(), expression.clone())).or_insert_with(|| {
                let mut rule = Rule::new(key, *error, expression, "");
                rule.swift = swift::of(key);
                if let Some((place, words)) = on.and_then(|_| words(key)) {
                    rule.place = place;
                    rule.words = words.into();
                }
                self.all.push(rule);
                self.all.len() as u16 - 1
            })
        };
        wanted.map(number).collect()
    }
}

/// An expression without white space, to compare it by.
fn plain(expression: &str) -> String {
    expression.split_whitespace().collect()
}

/// The element to look at, and what is wrong, for the rules that clients break most.
fn words(key: &str) -> Option<(&'static str, &'static str)> {
    WORDS.iter().find(|(k, _, _)| *k == key).map(|(_, place, words)| (*place, *words))
}

#[rustfmt::skip]
const WORDS: &[(&str, &str, &str)] = &[
    ("per-1", "", "a period does not end before it starts"),
    ("ext-1", "", "an extension has either a value or extensions"),
    ("ref-1", "reference", "no contained resource has the id that this fragment names"),
    ("qty-3", "", "a unit code needs a system"),
    ("cpt-2", "", "a value needs a system"),
    ("att-1", "", "data needs a contentType"),
    ("rng-2", "", "low is not above high"),
    ("dom-3", "contained", "something in the resource refers to each contained resource, or it refers to its container"),
    ("pat-1", "", "a contact has a name, telecom, address or organization"),
    ("obs-3", "", "a reference range has low, high or text"),
    ("obs-6", "dataAbsentReason", "there is no dataAbsentReason beside a value"),
    ("obs-7", "value", "there is no value where a component has the code of the observation"),
    ("ait-1", "clinicalStatus", "clinicalStatus is mandatory unless it was entered in error"),
    ("ait-2", "clinicalStatus", "there is no clinicalStatus if it was entered in error"),
    ("con-5", "clinicalStatus", "there is no clinicalStatus if it was entered in error"),
    ("bdl-1", "total", "only the results of a search or history have a total"),
    ("bdl-2", "entry", "only entries of search results have 'search'"),
    ("bdl-3", "entry", "every entry of a batch, transaction or history has a request, no other has one"),
    ("bdl-4", "entry", "every entry of a batch or transaction response or of a history has a response, no other has one"),
    ("bdl-5", "", "an entry has a resource, a request or a response"),
    ("bdl-7", "entry", "a fullUrl stands once, or with different meta.versionId"),
    ("bdl-8", "fullUrl", "a fullUrl does not name a version"),
    ("bdl-9", "identifier", "a document has an identifier with system and value"),
    ("bdl-10", "timestamp", "a document has a timestamp"),
    ("bdl-11", "entry", "a document begins with a Composition"),
    ("bdl-12", "entry", "a message begins with a MessageHeader"),
];
