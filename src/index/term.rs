//! Terms: the searchable values of a resource as byte strings whose order is the order of the values.

use super::encode;

/// A term: number of the search parameter (two bytes, big-endian), a byte for the form, then the value. Terms
/// compare as bytes. One term of each resource belongs to no parameter: it has the largest number and lists the
/// parameters that have a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub Box<[u8]>);

impl Term {
    /// The number of its search parameter.
    pub fn parameter(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }
}

/// The terms of one resource: sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms(Vec<Term>);

impl Terms {
    /// Sorts and removes repetitions.
    pub fn new(mut terms: Vec<Term>) -> Self {
        terms.sort_unstable();
        terms.dedup();
        Terms(terms)
    }

    /// The terms, sorted.
    pub fn as_slice(&self) -> &[Term] {
        &self.0
    }

    /// Adds a term in its place.
    pub fn insert(&mut self, term: Term) {
        if let Err(i) = self.0.binary_search(&term) {
            self.0.insert(i, term);
        }
    }

    /// Those at or after `from` and before `to`.
    pub fn range(&self, from: &[u8], to: &[u8]) -> &[Term] {
        let start = self.0.partition_point(|t| &*t.0 < from);
        let end = self.0.partition_point(|t| &*t.0 < to);
        &self.0[start..end.max(start)]
    }
}

/// Whether a term, of which the first three bytes are enough, is an interval of time.
pub fn is_time(term: &[u8]) -> bool {
    form(term) == Some(encode::DATE)
}

/// Whether a term, of which the first three bytes are enough, is a code or a reference to a resource of this server:
/// what is asked for together with a time.
pub fn is_named(term: &[u8]) -> bool {
    matches!(form(term), Some(encode::TOKEN | encode::LOCAL))
}

/// The form of a term that belongs to a parameter.
fn form(term: &[u8]) -> Option<u8> {
    let [high, low, form] = *term.first_chunk::<3>()?;
    (u16::from_be_bytes([high, low]) < encode::CONTAINED).then_some(form)
}
