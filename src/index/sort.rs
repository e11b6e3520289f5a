//! Sort keys: which terms of a resource order it by a search parameter (`_sort`, R4 search.html#sort).

use super::encode::{self, after, head};
use crate::definitions::{SearchKind, SearchParameter};

/// The terms that count for an order: the smallest of a resource (ascending) or the largest (descending).
#[derive(Clone, Debug, PartialEq)]
pub struct SortRange {
    /// First term that counts.
    pub from: Box<[u8]>,
    /// First term that does not count any more.
    pub to: Box<[u8]>,
    /// Bytes of the term that do not take part in the comparison.
    pub skip: usize,
    /// Largest first.
    pub descending: bool,
}

/// The sort key of a parameter; `None` where there is no order (composites, special parameters).
pub fn sort_key(parameter: &SearchParameter, descending: bool) -> Option<SortRange> {
    // Where a form begins with a class, the class does not count.
    let (first, last, skip) = match parameter.kind {
        SearchKind::Token if &*parameter.code == "_id" => (encode::ID, encode::ID, 0),
        SearchKind::Token => (encode::TOKEN, encode::TOKEN, 0),
        SearchKind::String => (encode::STRING, encode::STRING, 0),
        SearchKind::Date => (encode::DATE, encode::DATE, 1),
        SearchKind::Number => (encode::NUMBER, encode::NUMBER, 1),
        SearchKind::Quantity => (encode::QUANTITY, encode::QUANTITY, 1),
        SearchKind::Reference => (encode::LOCAL, encode::URL, 0),
        SearchKind::Uri => (encode::URL, encode::URL, 0),
        SearchKind::Composite | SearchKind::Special => return None,
    };
    let from = head(parameter.number, first);
    let to = after(&head(parameter.number, last));
    // References keep their form, so that those to this server stay together.
    let head = if parameter.kind == SearchKind::Reference { 2 } else { 3 };
    Some(SortRange { from: from.into(), to, skip: head + skip, descending })
}
