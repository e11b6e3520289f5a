//! RxNorm: the names of the concepts and what they have to do with each other. It has no hierarchy in FHIR
//! (R4 rxnorm.html); relations are properties, named as RxNorm names them.

use super::Release;
use super::files::{Files, each_place, pipes};
use super::write::{Entry, Named, Parts, Said, Whose};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

const SYSTEM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
/// Types of names, the best for a display first; others come behind.
const BEST: [&str; 18] = [
    "SCD", "SBD", "GPCK", "BPCK", "SCDC", "SCDF", "SCDG", "SBDC", "SBDF", "SBDG", "IN", "PIN", "MIN", "BN", "DF",
    "DFG", "PSN", "SY",
];

/// Places of the columns of RXNCONSO: RXCUI, LAT, SAB, TTY, STR, SUPPRESS.
const NAMES: [usize; 6] = [0, 1, 11, 12, 14, 16];
/// Places of the columns of RXNREL: RXCUI1, RXCUI2, RELA, SAB, SUPPRESS. The second has the relation to the first.
const RELATIONS: [usize; 5] = [0, 4, 7, 10, 14];

#[derive(Default)]
struct Draft {
    /// Type, words, whether it is suppressed.
    names: Vec<(String, String, bool)>,
    relations: BTreeSet<(String, String)>,
}

/// Reads a release. Its files do not tell the version.
pub fn read(files: &Files, version: Option<&str>) -> Result<Release, String> {
    let version = version.ok_or("the files do not tell the version of RxNorm; say it: --release 01062025")?;
    let path = files.named("RXNCONSO.RRF").ok_or("RXNCONSO.RRF is missing")?;
    let mut concepts: BTreeMap<String, Draft> = BTreeMap::new();
    each_place(path, pipes(path)?, NAMES, |[code, language, source, kind, words, suppressed]| {
        if source == "RXNORM" && language == "ENG" {
            let held = concepts.entry(code.to_owned()).or_default();
            held.names.push((kind.to_owned(), words.to_owned(), !matches!(suppressed, "N" | "")));
        }
        Ok(())
    })?;
    let mut kinds = BTreeSet::new();
    if let Some(path) = files.named("RXNREL.RRF") {
        each_place(path, pipes(path)?, RELATIONS, |[to, from, relation, source, suppressed]| {
            let wanted = source == "RXNORM" && !relation.is_empty() && matches!(suppressed, "N" | "");
            if let Some(held) = concepts.get_mut(from).filter(|_| wanted && !to.is_empty()) {
                kinds.insert(relation.to_owned());
                held.relations.insert((relation.to_owned(), to.to_owned()));
            }
            Ok(())
        })?;
    }
    let ranks: FxHashMap<&str, usize> = BEST.iter().enumerate().map(|(rank, kind)| (*kind, rank)).collect();
    let mut parts = Parts::default();
    for (code, draft) in &mut concepts {
        draft.names.sort_by_key(|(kind, _, out)| (*out, ranks.get(kind.as_str()).copied().unwrap_or(BEST.len())));
        let Some((kind, words, out)) = draft.names.first() else { continue };
        let named = |(kind, words, _): &'_ (String, String, bool)| (kind.clone(), words.clone());
        let others: Vec<_> = draft.names.iter().skip(1).map(named).collect();
        let designations = others
            .iter()
            .map(|(kind, words)| Named { language: "en", purpose: Some((SYSTEM, kind)), value: words })
            .collect();
        let mut properties = vec![("TTY", Said::Code(kind)), ("inactive", Said::Flag(*out))];
        properties.extend(draft.relations.iter().map(|(kind, to)| (kind.as_str(), Said::Code(to.as_str()))));
        parts.add(&Entry { code, display: words, designations, properties })?;
    }
    let mut properties = vec![("TTY".to_owned(), "code"), ("inactive".to_owned(), "boolean")];
    properties.extend(kinds.into_iter().map(|kind| (kind, "code")));
    parts.finish(&Whose { url: SYSTEM, version, name: "RxNorm", case_sensitive: true, properties })
}
