//! What a version carries besides its terms, so that one index answers the searches that most begin with (a patient, a
//! code, both; newest first) and looks at the main date on its way: digests and outer limits, derived from the terms
//! (`index::Leads`). What is asked by it is asked by the terms as well, so that it may let too much through.
//!
//! | field | meaning |
//! |---|---|
//! | `y` | digests |
//! | `a`, `l` | least and greatest start of the main date |
//! | `z` | its greatest end |
//!
//! Versions that were written by a program that does not know of it lack it. How far they have it stands in the tenant's
//! counter ([`Mark`]), which every commit takes: one of a program that does not know of it moves the position and not
//! the mark, so that nobody relies on it until `fill` has seen to what is lacking.

use super::filter::Settled;
use crate::index::{self, Bounds, Condition, Leads, Terms};
use crate::store::Sort;
use mongodb::bson::{Bson, Document, doc};

/// The field of a counter that has the mark.
pub const MARK: &str = "y";

/// The fields of a version with these terms.
pub fn fields(leads: Option<&Leads>, terms: &Terms) -> Document {
    let Some(leads) = leads else { return doc! { "y": [] } };
    let mut fields = doc! { "y": leads.digests(terms) };
    if let Some(limits) = leads.limits(terms) {
        fields.extend(doc! { "a": limits.first_start, "l": limits.last_start, "z": limits.last_end });
    }
    fields
}

/// Whether these fields are those of a version that has too many digests.
pub fn has_too_many(fields: &Document) -> bool {
    fields.get_array("y").is_ok_and(|digests| digests.contains(&Bson::Int64(index::TOO_MANY)))
}

/// Whether a document has exactly these fields.
pub fn has(found: &Document, fields: &Document) -> bool {
    ["y", "a", "l", "z"].iter().all(|name| found.get(name) == fields.get(name))
}

/// Replaces the fields of a version by others.
pub fn replacing(fields: Document, set: &mut Document) -> Document {
    let lacking = ["a", "l", "z"].iter().filter(|name| !fields.contains_key(**name));
    let unset = lacking.map(|name| ((*name).to_owned(), Bson::from(""))).collect();
    set.extend(fields);
    unset
}

/// How far the versions of a tenant have these fields: those up to `filled`, and those after `since` up to `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    filled: u64,
    since: u64,
    end: u64,
    /// Whether there may be one with too many digests.
    crowded: bool,
}

impl Mark {
    /// The mark of a counter.
    pub fn of(counter: Option<&Document>) -> Mark {
        let Some(mark) = counter.and_then(|counter| counter.get_document(MARK).ok()) else { return Mark::default() };
        let number = |name: &str| mark.get_i64(name).unwrap_or(0).max(0) as u64;
        let crowded = mark.get_bool("o").unwrap_or(false);
        Mark { filled: number("f"), since: number("s"), end: number("e"), crowded }
    }

    /// Whether all versions up to a position have the fields.
    pub fn covers(&self, position: u64) -> bool {
        self.filled >= position || (self.filled >= self.since && self.end >= position)
    }

    /// Whether there may be a version with too many digests.
    pub fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// Whether the version of a number has the fields.
    pub fn has(&self, number: u64) -> bool {
        number <= self.filled || (self.since < number && number <= self.end)
    }

    /// Up to where they are to be filled in where the tenant is at a position; none if they are all there.
    pub fn lacking(&self, position: u64) -> Option<(u64, u64)> {
        let to = if self.end == position { self.since } else { position };
        (self.filled < to).then_some((self.filled, to))
    }

    /// What is to be set in the counter where versions with the fields are added, from a position up to another.
    pub fn moved(&self, from: u64, to: u64, crowded: bool) -> Document {
        let since = if self.end == from { self.since } else { from };
        let mut set = doc! { "y.s": since as i64, "y.e": to as i64 };
        if crowded {
            set.insert("y.o", true);
        }
        set
    }
}

/// How a search is led to what fulfils it.
#[derive(Clone, Debug, PartialEq)]
pub struct Led {
    digests: Vec<i64>,
    bounds: Bounds,
    /// Whether what is led to, in the order of the main date, is worth to be looked at one after the other.
    in_order: bool,
}

impl Led {
    /// The leading part of a filter, and what it asks besides.
    pub fn filter(&self, crowded: bool) -> (Bson, Document) {
        let mut digests = self.digests.clone();
        if crowded && digests != [index::ANY] {
            digests.push(index::TOO_MANY);
        }
        let lead = match digests.len() {
            1 => Bson::from(digests.remove(0)),
            _ => Bson::from(doc! { "$in": digests }),
        };
        let mut limits = doc! {};
        if let Some(end) = self.bounds.end_from {
            limits.insert("z", doc! { "$gte": end });
        }
        if let Some(start) = self.bounds.start_below {
            limits.insert("a", doc! { "$lt": start });
        }
        (lead, limits)
    }

    /// Whether the search is best answered in the order of the main date.
    pub fn is_in_order(&self) -> bool {
        self.in_order
    }
}

/// How a search for one type is led; nothing where its terms lead better.
pub fn led(leads: &Leads, settled: &Settled, sorts: &[Sort]) -> Option<Led> {
    let newest_first =
        matches!(sorts, [sort] if sort.descending && leads.is_main_date(&sort.from, &sort.to, sort.skip));
    let mut parts = Vec::new();
    conjuncts(settled, &mut parts);
    let (mut patients, mut codes, mut bounds): (Option<Vec<_>>, Option<(usize, Vec<_>)>, _) = (None, None, None);
    let mut others = false;
    for part in parts {
        match alternatives(part).and_then(|any| leads.lead(&any.iter().collect::<Vec<_>>())) {
            Some(index::Lead::Patients(found)) if patients.as_ref().is_none_or(|best| found.len() < best.len()) => {
                patients = Some(found);
            }
            Some(index::Lead::Codes(place, found))
                if codes.as_ref().is_none_or(|(of, best)| (place, found.len()) < (*of, best.len())) =>
            {
                codes = Some((place, found));
            }
            Some(index::Lead::Dates(found)) => bounds = Some(both(bounds.unwrap_or_default(), found)),
            // Another patient or a less telling code is asked by its terms.
            Some(_) => {}
            None => others = true,
        }
    }
    let dated = bounds.is_some() || newest_first;
    let pairs = match (&patients, &codes) {
        (Some(patients), Some(codes)) => leads.asked(Some(patients), Some(codes)),
        _ => None,
    };
    let (digests, in_order) = match (pairs, patients, codes) {
        (Some(digests), ..) => (digests, true),
        (None, Some(patients), _) if dated => (leads.asked(Some(&patients), None)?, true),
        (None, None, Some(codes)) if dated => (leads.asked(None, Some(&codes))?, !others),
        (None, None, None) if newest_first && !others => (leads.asked(None, None)?, true),
        _ => return None,
    };
    Some(Led { digests, bounds: bounds.unwrap_or_default(), in_order: in_order && newest_first })
}

fn both(a: Bounds, b: Bounds) -> Bounds {
    Bounds {
        end_from: a.end_from.into_iter().chain(b.end_from).max(),
        start_below: a.start_below.into_iter().chain(b.start_below).min(),
    }
}

/// The parts that all have to be fulfilled, but for those that everything fulfils.
fn conjuncts<'s>(settled: &'s Settled, parts: &mut Vec<&'s Settled>) {
    match settled {
        Settled::And(all) => all.iter().for_each(|part| conjuncts(part, parts)),
        Settled::Plain(Condition::Everything | Condition::Kind(_)) => {}
        part => parts.push(part),
    }
}

/// The conditions one of which a part asks for.
fn alternatives(part: &Settled) -> Option<Vec<Condition>> {
    let plain = |part: &Settled| match part {
        Settled::Plain(condition) => Some(condition.clone()),
        _ => None,
    };
    match part {
        Settled::Or(any) => any.iter().map(plain).collect(),
        // Those of a chain; more than a few lead nowhere.
        Settled::OneOf(terms) if terms.len() <= 200 => Some(terms.iter().cloned().map(Condition::Term).collect()),
        part => plain(part).map(|one| vec![one]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(filled: u64, since: u64, end: u64) -> Mark {
        Mark { filled, since, end, crowded: false }
    }

    #[test]
    fn nobody_relies_on_what_some_lack() {
        // A new tenant, whose commits all know of it.
        let mut counter = doc! { MARK: { "s": 0_i64, "e": 7_i64 } };
        assert_eq!(Mark::of(Some(&counter)), mark(0, 0, 7));
        assert!(mark(0, 0, 7).covers(7) && mark(0, 0, 7).lacking(7).is_none());
        // A commit of another program came after.
        assert!(!mark(0, 0, 7).covers(8));
        assert_eq!(mark(0, 0, 7).lacking(8), Some((0, 8)));
        assert_eq!(mark(0, 0, 7).moved(8, 9, false), doc! { "y.s": 8_i64, "y.e": 9_i64 });
        assert!(!mark(0, 8, 9).covers(9) && !mark(0, 8, 9).has(8) && mark(0, 8, 9).has(9));
        assert_eq!(mark(0, 8, 9).lacking(9), Some((0, 8)));
        assert!(mark(8, 8, 9).covers(9) && mark(8, 8, 9).lacking(9).is_none() && !mark(8, 8, 9).covers(10));
        assert_eq!(mark(8, 8, 9).moved(9, 12, true), doc! { "y.s": 8_i64, "y.e": 12_i64, "y.o": true });
        // A database from before, in which nothing is written any more.
        assert!(!Mark::of(None).covers(1) && Mark::of(None).covers(0));
        assert_eq!(Mark::of(Some(&doc! { "n": 5_i64 })).lacking(5), Some((0, 5)));
        assert!(mark(5, 0, 0).covers(5) && mark(5, 0, 0).lacking(5).is_none());
        counter.insert(MARK, doc! { "f": 2_i64, "o": true });
        assert_eq!(Mark::of(Some(&counter)), Mark { crowded: true, ..mark(2, 0, 0) });
    }
}
