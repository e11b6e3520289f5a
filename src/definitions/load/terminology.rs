//! Value sets of required bindings.

use crate::definitions::model::{Core, ValueSet};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Reads the table of value sets.
pub fn value_sets(table: &str, definitions: &mut Core) -> Result<(), String> {
    let mut systems: FxHashMap<&str, Arc<str>> = FxHashMap::default();
    let mut current: Option<ValueSet> = None;
    for line in table.lines() {
        if let Some(codes) = line.strip_prefix('\t') {
            let set = current.as_mut().ok_or("codes without a value set")?;
            let (system, codes) = codes.split_once('\t').ok_or("a system without codes")?;
            let system = systems.entry(system).or_insert_with(|| system.into());
            for code in codes.split('\t') {
                set.codes.entry(code.into()).or_default().push(system.clone());
            }
        } else {
            let (url, mark) = line.split_once('\t').ok_or("a value set has two fields")?;
            let next = ValueSet { url: url.into(), complete: mark == "C", codes: FxHashMap::default() };
            keep(current.replace(next), definitions);
        }
    }
    keep(current, definitions);
    Ok(())
}

fn keep(set: Option<ValueSet>, definitions: &mut Core) {
    if let Some(mut set) = set {
        set.codes.shrink_to_fit();
        definitions.value_sets.insert(set.url.clone(), set);
    }
}
