//! Reads the tables of `fhir-schemas/`, which are compiled into the program, into [`Definitions`]. What the tables
//! look like is described in `fhir-schemas/README.md`; `definitions::generate` writes them.

mod search;
mod structures;
mod terminology;

#[cfg(test)]
mod tests;

use super::model::Definitions;
use std::sync::{Arc, OnceLock};

const ELEMENTS: &str = include_str!("../../../fhir-schemas/elements.tsv");
const INVARIANTS: &str = include_str!("../../../fhir-schemas/invariants.tsv");
const SEARCH_PARAMETERS: &str = include_str!("../../../fhir-schemas/search-parameters.tsv");
const COMPARTMENTS: &str = include_str!("../../../fhir-schemas/compartments.tsv");
const OPERATIONS: &str = include_str!("../../../fhir-schemas/operations.tsv");
const VALUE_SETS: &str = include_str!("../../../fhir-schemas/value-sets.tsv");

impl Definitions {
    /// The definitions of FHIR R4 itself, read at the first call.
    pub fn core() -> Arc<Definitions> {
        static CORE: OnceLock<Arc<Definitions>> = OnceLock::new();
        CORE.get_or_init(|| match load() {
            Ok(definitions) => Arc::new(definitions),
            Err(fault) => {
                // A test loads the tables, so that no program is built that gets here.
                tracing::error!(%fault, "the compiled-in definitions cannot be read");
                Arc::default()
            }
        })
        .clone()
    }
}

fn load() -> Result<Definitions, String> {
    let mut definitions = Definitions::default();
    structures::load(ELEMENTS, INVARIANTS, &mut definitions)?;
    search::parameters(SEARCH_PARAMETERS, &mut definitions)?;
    search::compartments(COMPARTMENTS, &mut definitions)?;
    search::operations(OPERATIONS, &mut definitions)?;
    terminology::value_sets(VALUE_SETS, &mut definitions)?;
    Ok(definitions)
}

/// The words of a field.
fn words(text: &str) -> Vec<Box<str>> {
    text.split(' ').filter(|w| !w.is_empty()).map(Into::into).collect()
}
