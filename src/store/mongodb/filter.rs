//! A condition without chains as a filter document, and its meaning on a document that came back: where order alone
//! does not decide, the filter lets too much through and says so, and the caller looks at each document.

use super::document::term_text;
use crate::base::ResourceId;
use crate::definitions::TypeId;
use crate::index::{Alone, Condition, Range, Term, Terms};
use crate::store::Vocabulary;
use mongodb::bson::{Bson, Document, doc};
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Members of a set that are named in a filter; of larger sets only the bounds are.
const NAMED: usize = 20_000;

/// A condition whose chains are answered already: each is a set.
#[derive(Clone, Debug)]
pub enum Settled {
    /// A condition without chains and connectives.
    Plain(Condition),
    /// The resource has one of these terms, all of one parameter.
    OneOf(Arc<FxHashSet<Term>>),
    /// The resource is one of these.
    Among(Arc<FxHashSet<(TypeId, ResourceId)>>),
    /// The opposite.
    Not(Box<Settled>),
    /// All of them.
    And(Vec<Settled>),
    /// At least one of them.
    Or(Vec<Settled>),
}

/// A filter, and whether it lets exactly those through that fulfil the condition.
pub struct Filter {
    /// What is sent.
    pub document: Document,
    /// Whether nothing has to be looked at again.
    pub exact: bool,
}

impl Filter {
    fn exactly(document: Document) -> Filter {
        Filter { document, exact: true }
    }
}

/// A filter of which the first part is what an index answers, and the rest is looked at. `mongod` takes the parts
/// together in any form; simpler planners take an index only where a part is nothing else than its first keys.
pub fn led(lead: Document, rest: Vec<Document>) -> Document {
    let rest: Vec<Document> = rest.into_iter().filter(|part| !part.is_empty()).collect();
    if rest.is_empty() {
        lead
    } else {
        doc! { "$and": [lead, { "$and": rest }] }
    }
}

/// Takes a term, or alternatives of terms, out of a filter: what an index on terms can be asked for. Gives that and
/// what is left.
pub fn leading_term(filter: Document) -> (Option<Bson>, Vec<Document>) {
    let mut parts: Vec<Document> = match filter.get_array("$and") {
        Ok(parts) if filter.len() == 1 => parts.iter().filter_map(|p| p.as_document().cloned()).collect(),
        _ => vec![filter],
    };
    let alone = |part: &Document| part.len() == 1 && part.contains_key("x");
    let term = parts.iter().position(|p| alone(p) && p.get_str("x").is_ok());
    let any = || parts.iter().position(|p| alone(p) && p.get_document("x").is_ok_and(|x| x.contains_key("$in")));
    let Some(at) = term.or_else(any) else { return (None, parts) };
    let term = parts.remove(at).remove("x");
    (term, parts)
}

/// A filter that nothing fulfils.
fn nothing() -> Document {
    doc! { "n": -1_i64 }
}

impl Settled {
    /// Whether a resource with these terms fulfils it.
    pub fn matches(&self, kind: TypeId, id: &ResourceId, terms: &Terms) -> bool {
        match self {
            Settled::Plain(condition) => condition.matches(kind, terms, &Alone),
            Settled::OneOf(set) => terms.as_slice().iter().any(|t| set.contains(t)),
            Settled::Among(set) => set.contains(&(kind, id.clone())),
            Settled::Not(inner) => !inner.matches(kind, id, terms),
            Settled::And(all) => all.iter().all(|c| c.matches(kind, id, terms)),
            Settled::Or(any) => any.iter().any(|c| c.matches(kind, id, terms)),
        }
    }

    /// As a filter.
    pub fn filter(&self, vocabulary: &dyn Vocabulary) -> Filter {
        match self {
            Settled::Plain(condition) => plain(condition, vocabulary),
            Settled::OneOf(set) => one_of(set),
            Settled::Among(set) => {
                let ids: FxHashSet<&str> = set.iter().map(|(_, id)| id.as_str()).collect();
                let exact = set.iter().map(|(kind, _)| *kind).collect::<FxHashSet<_>>().len() <= 1;
                match (ids.len(), set.iter().next()) {
                    (0, _) | (_, None) => Filter::exactly(nothing()),
                    (1..NAMED, Some((kind, _))) if exact => {
                        let ids: Vec<_> = ids.into_iter().map(Bson::from).collect();
                        Filter::exactly(doc! { "k": vocabulary.name(*kind), "i": { "$in": ids } })
                    }
                    (1..NAMED, _) => {
                        let ids: Vec<_> = ids.into_iter().map(Bson::from).collect();
                        Filter { document: doc! { "i": { "$in": ids } }, exact: false }
                    }
                    _ => Filter { document: doc! {}, exact: false },
                }
            }
            Settled::Not(inner) => {
                let inner = inner.filter(vocabulary);
                match inner.exact {
                    true => Filter::exactly(doc! { "$nor": [inner.document] }),
                    false => Filter { document: doc! {}, exact: false },
                }
            }
            Settled::And(all) => {
                let filters: Vec<_> = all.iter().map(|c| c.filter(vocabulary)).collect();
                let exact = filters.iter().all(|f| f.exact);
                let mut parts: Vec<_> = filters.into_iter().map(|f| f.document).filter(|d| !d.is_empty()).collect();
                let document = match parts.len() {
                    0 => doc! {},
                    1 => parts.remove(0),
                    _ => doc! { "$and": parts },
                };
                Filter { document, exact }
            }
            Settled::Or(any) if any.is_empty() => Filter::exactly(nothing()),
            Settled::Or(any) => {
                if let Some(terms) = only_terms(any) {
                    return Filter::exactly(doc! { "x": { "$in": terms } });
                }
                let filters: Vec<_> = any.iter().map(|c| c.filter(vocabulary)).collect();
                let exact = filters.iter().all(|f| f.exact);
                if filters.iter().any(|f| f.document.is_empty()) {
                    return Filter { document: doc! {}, exact };
                }
                let parts: Vec<_> = filters.into_iter().map(|f| f.document).collect();
                Filter { document: doc! { "$or": parts }, exact }
            }
        }
    }
}

/// The terms of an alternative that consists of terms only.
fn only_terms(any: &[Settled]) -> Option<Vec<Bson>> {
    let term = |c: &Settled| match c {
        Settled::Plain(Condition::Term(term)) => Some(Bson::from(term_text(&term.0))),
        _ => None,
    };
    any.iter().map(term).collect()
}

fn one_of(set: &FxHashSet<Term>) -> Filter {
    let bounds = (set.iter().min(), set.iter().max());
    let (Some(least), Some(greatest)) = bounds else { return Filter::exactly(nothing()) };
    if set.len() <= NAMED {
        let terms: Vec<_> = set.iter().map(|t| Bson::from(term_text(&t.0))).collect();
        return Filter::exactly(doc! { "x": { "$in": terms } });
    }
    let between = doc! { "$gte": term_text(&least.0), "$lte": term_text(&greatest.0) };
    Filter { document: doc! { "x": { "$elemMatch": between } }, exact: false }
}

fn plain(condition: &Condition, vocabulary: &dyn Vocabulary) -> Filter {
    match condition {
        Condition::Everything => Filter::exactly(doc! {}),
        Condition::Kind(kind) => Filter::exactly(doc! { "k": vocabulary.name(*kind) }),
        Condition::Term(term) => Filter::exactly(doc! { "x": term_text(&term.0) }),
        Condition::Range(Range { from, to, test }) => {
            if from >= to {
                return Filter::exactly(nothing());
            }
            let between = doc! { "$gte": term_text(from), "$lt": term_text(to) };
            Filter { document: doc! { "x": { "$elemMatch": between } }, exact: test.is_none() }
        }
        Condition::Nothing => Filter::exactly(nothing()),
        // Connectives and chains do not stand in a plain condition.
        Condition::Not(_)
        | Condition::And(_)
        | Condition::Or(_)
        | Condition::Chain { .. }
        | Condition::Reverse { .. } => Filter { document: doc! {}, exact: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_leads() {
        let (term, rest) = leading_term(doc! { "x": "a" });
        assert_eq!((term, rest), (Some("a".into()), vec![]));
        let among = doc! { "x": { "$in": ["a", "b"] } };
        let range = doc! { "x": { "$elemMatch": { "$gte": "a", "$lt": "b" } } };
        let both = doc! { "$and": [range.clone(), among.clone(), { "x": "c" }] };
        let (term, rest) = leading_term(both);
        assert_eq!((term, rest), (Some("c".into()), vec![range.clone(), among.clone()]));
        let (term, rest) = leading_term(doc! { "$and": [range.clone(), among.clone()] });
        assert_eq!((term, rest), (among.get("x").cloned(), vec![range.clone()]));
        assert_eq!(leading_term(range.clone()), (None, vec![range]));
        let lead = doc! { "t": 1 };
        assert_eq!(led(lead.clone(), vec![doc! {}]), lead);
        assert_eq!(led(lead, vec![doc! { "d": false }]), doc! { "$and": [{ "t": 1 }, { "$and": [{ "d": false }] }] });
    }
}
