//! Reads the tables of `fhir-schemas/`, which are compiled into the program, into [`Definitions`]. What the tables
//! look like is described in `fhir-schemas/README.md`; `definitions::generate` writes them.

mod search;
mod structures;
mod terminology;

use super::model::{Core, Definitions};
use std::sync::{Arc, OnceLock};

/// The texts of the tables.
pub struct Tables<'t> {
    pub elements: &'t str,
    pub invariants: &'t str,
    pub search_parameters: &'t str,
    pub compartments: &'t str,
    pub operations: &'t str,
    pub value_sets: &'t str,
}

/// Those of FHIR R4 itself.
pub const R4: Tables<'static> = Tables {
    elements: include_str!("../../../fhir-schemas/elements.tsv"),
    invariants: include_str!("../../../fhir-schemas/invariants.tsv"),
    search_parameters: include_str!("../../../fhir-schemas/search-parameters.tsv"),
    compartments: include_str!("../../../fhir-schemas/compartments.tsv"),
    operations: include_str!("../../../fhir-schemas/operations.tsv"),
    value_sets: include_str!("../../../fhir-schemas/value-sets.tsv"),
};

/// The profiles and extensions of FHIR R4 itself.
pub const PROFILES: &str = include_str!("../../../fhir-schemas/profiles.tsv");

/// The JSON Schemas: name of the resource type (or `datatypes`, to which all of them refer) and text.
const JSON_SCHEMAS: &[(&str, &str)] = &include!("../../../fhir-schemas/json/files.rs");

impl Definitions {
    /// The definitions of FHIR R4 itself, read at the first call.
    pub fn core() -> Arc<Definitions> {
        static CORE: OnceLock<Arc<Definitions>> = OnceLock::new();
        CORE.get_or_init(|| match read(&R4) {
            Ok(definitions) => Arc::new(definitions),
            Err(fault) => {
                // A test loads the tables, so that no program is built that gets here.
                tracing::error!(%fault, "the compiled-in definitions cannot be read");
                Arc::default()
            }
        })
        .clone()
    }

    /// The JSON Schema of a resource type, or the one of `datatypes`, which the others refer to as `datatypes.json`.
    pub fn json_schema(&self, name: &str) -> Option<&'static str> {
        JSON_SCHEMAS.iter().find(|(stem, _)| *stem == name).map(|(_, text)| *text)
    }
}

/// Reads a set of tables.
pub fn read(tables: &Tables<'_>) -> Result<Definitions, String> {
    let mut definitions = Core::default();
    structures::load(tables.elements, tables.invariants, &mut definitions)?;
    search::parameters(tables.search_parameters, &mut definitions)?;
    search::compartments(tables.compartments, &mut definitions)?;
    search::operations(tables.operations, &mut definitions)?;
    terminology::value_sets(tables.value_sets, &mut definitions)?;
    Ok(Definitions::of(definitions))
}

/// The words of a field.
fn words(text: &str) -> Vec<Box<str>> {
    text.split(' ').filter(|w| !w.is_empty()).map(Into::into).collect()
}
