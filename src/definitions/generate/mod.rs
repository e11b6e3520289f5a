//! Writes the tables of `fhir-schemas/` from the official package of FHIR R4 definitions. Only facts are taken:
//! names, types, cardinalities, codes with their displays, expressions. No definitions, comments or any other prose.
//! The same package gives the same bytes. What the tables look like is described in `fhir-schemas/README.md`;
//! how they are read back is in `definitions::load`.

mod codes;
mod elements;
mod package;
mod profiles;
mod schemas;
mod search;
mod terminology;

use super::load::{self, Tables};
use package::Package;
use std::fmt;
use std::path::Path;

/// What was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Resource types that can be stored.
    pub resources: usize,
    /// All structures, backbone elements included.
    pub structures: usize,
    /// Lines of elements.
    pub elements: usize,
    /// Invariants.
    pub invariants: usize,
    /// Search parameters.
    pub search_parameters: usize,
    /// Compartments.
    pub compartments: usize,
    /// Operations.
    pub operations: usize,
    /// Value sets of required bindings.
    pub value_sets: usize,
    /// Profiles and extensions.
    pub profiles: usize,
    /// Resource types that have a JSON Schema.
    pub schemas: usize,
    /// Bytes of all files.
    pub bytes: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} resource types, {} structures with {} elements and {} invariants, {} search parameters, \
             {} compartments, {} operations, {} value sets, {} profiles and extensions, {} JSON Schemas: {} bytes",
            self.resources,
            self.structures,
            self.elements,
            self.invariants,
            self.search_parameters,
            self.compartments,
            self.operations,
            self.value_sets,
            self.profiles,
            self.schemas,
            self.bytes
        )
    }
}

/// Reads the package (`.tgz`) and writes the tables into the folder, which is made if it is missing.
pub fn write(package: &Path, out: &Path) -> Result<Summary, String> {
    let package = Package::read(package)?;
    let mut summary = Summary::default();
    let elements = elements::elements(&package, &mut summary)?;
    let invariants = elements::invariants(&package, &mut summary)?;
    let search_parameters = search::parameters(&package, &mut summary)?;
    let compartments = search::compartments(&package, &mut summary)?;
    let operations = search::operations(&package, &mut summary)?;
    let value_sets = terminology::value_sets(&package, &mut summary)?;
    let profiles = profiles::profiles(&package);
    summary.profiles = profiles.lines().count();
    // Whatever is written can be read back; the JSON Schemas are made from what was read.
    let definitions = load::read(&Tables {
        elements: &elements,
        invariants: &invariants,
        search_parameters: &search_parameters,
        compartments: &compartments,
        operations: &operations,
        value_sets: &value_sets,
    })?;
    let tables = [
        ("elements.tsv", elements),
        ("invariants.tsv", invariants),
        ("search-parameters.tsv", search_parameters),
        ("compartments.tsv", compartments),
        ("operations.tsv", operations),
        ("value-sets.tsv", value_sets),
        ("profiles.tsv", profiles),
    ];
    let schemas = schemas::schemas(&package, &definitions);
    summary.schemas = definitions.resources.len();
    let codes = codes::table(&package)?;
    std::fs::create_dir_all(out.join("json")).map_err(|e| format!("{}: {e}", out.display()))?;
    let path = out.join("terminology.ndjson.zst");
    summary.bytes += codes.len();
    std::fs::write(&path, codes).map_err(|e| format!("{}: {e}", path.display()))?;
    let tables = tables.into_iter().map(|(name, text)| (out.join(name), text));
    for (path, text) in tables.chain(schemas.into_iter().map(|(name, text)| (out.join("json").join(name), text))) {
        summary.bytes += text.len();
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(summary)
}

/// One line without the characters that the tables use to separate.
fn field(text: &str) -> String {
    text.split(['\t', '\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The last segment of a canonical, without the version.
fn tail(canonical: &str) -> &str {
    let url = canonical.split('|').next().unwrap_or(canonical);
    url.rsplit('/').next().unwrap_or(url)
}
