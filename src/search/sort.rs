//! `_sort` (R4 search.html#sort): keys for the store. The order of terms is the index's.

use super::filter::Filters;
use super::refusal::{Refusal, brief};
use super::value::is_served;
use crate::definitions::TypeId;
use crate::index::sort_key;
use crate::store::Sort;

/// Most sort keys: more than any type has parameters, so that only repetitions come to an end.
const MAX_KEYS: usize = 200;

/// The keys of one `_sort` value on these types: what could be used, as it is written again, and what could not.
pub(super) fn read(filters: &Filters<'_>, kinds: &[TypeId], value: &str) -> (Vec<(String, Sort)>, Vec<Refusal>) {
    let (mut keys, mut refusals) = (Vec::new(), Vec::new());
    for piece in value.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        if keys.len() + refusals.len() == MAX_KEYS {
            refusals.push(Refusal::illegal(format!("'_sort' has more than {MAX_KEYS} keys")));
            break;
        }
        match key(filters, kinds, piece) {
            Ok(key) => keys.push((piece.to_owned(), key)),
            Err(refusal) => refusals.push(refusal),
        }
    }
    if keys.is_empty() && refusals.is_empty() {
        refusals.push(Refusal::empty("_sort"));
    }
    (keys, refusals)
}

fn key(filters: &Filters<'_>, kinds: &[TypeId], piece: &str) -> Result<Sort, Refusal> {
    let (code, descending) = piece.strip_prefix('-').map_or((piece, false), |code| (code, true));
    if code == "_score" {
        return Err(Refusal::unusable("'_sort': there is no score to sort by"));
    }
    filters.indexed(kinds, code).map_err(|refusal| refusal.within("_sort"))?;
    let mut found = None;
    for kind in kinds {
        let Some(p) = filters.reader.definitions.search_parameter(*kind, code) else {
            return Err(filters.unknown(*kind, kinds.len(), code).within("_sort"));
        };
        if found.is_some_and(|(number, _)| number != p.number) {
            let reason = format!("'_sort': '{}' is not the same parameter on all types searched", brief(code));
            return Err(Refusal::unusable(reason));
        }
        found = Some((p.number, p));
    }
    found
        .filter(|(_, p)| is_served(p))
        .and_then(|(_, p)| sort_key(p, descending))
        .map(|range| Sort { from: range.from, to: range.to, skip: range.skip, descending: range.descending })
        .ok_or_else(|| Refusal::unusable(format!("'_sort': '{}' cannot be sorted by", brief(code))))
}
