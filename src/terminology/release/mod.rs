//! Release files of large code systems, as their owners publish them, as code systems: SNOMED CT (RF2), LOINC (its
//! table) and RxNorm (RRF). What is made is a CodeSystem resource without concepts, and the concepts as FHIR JSON in
//! compressed parts, small enough to be stored one by one.

mod files;
mod loinc;
mod rf2;
mod rxnorm;
mod write;

use crate::json::Tree;
use std::path::Path;

/// What release files came to.
pub struct Release {
    /// Canonical of the code system.
    pub url: String,
    /// Its version.
    pub version: String,
    /// How many concepts it has.
    pub concepts: usize,
    /// The CodeSystem resource without its concepts, as JSON.
    pub header: Vec<u8>,
    /// The concepts: JSON arrays, compressed with zstd.
    pub parts: Vec<Vec<u8>>,
}

/// Whose files they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SNOMED CT, Release Format 2, the snapshot.
    Rf2,
    /// LOINC: `Loinc.csv` and, where they are there, the hierarchy and the answer lists.
    Loinc,
    /// RxNorm: `RXNCONSO.RRF` and, where it is there, `RXNREL.RRF`.
    Rxnorm,
}

impl Release {
    /// Reads a folder. The kind is guessed from the names of the files; the version from them too, where they tell it.
    /// Errors are sentences for the one who typed the command.
    pub fn read(folder: &Path, kind: Option<Kind>, version: Option<&str>) -> Result<Release, String> {
        let files = files::Files::below(folder)?;
        let kind = match kind {
            Some(kind) => kind,
            None => guess(&files).ok_or_else(|| {
                let wanted = "the snapshot of SNOMED CT (sct2_Concept_Snapshot…), Loinc.csv or RXNCONSO.RRF";
                format!("{}: no release files are here: {wanted}", folder.display())
            })?,
        };
        match kind {
            Kind::Rf2 => rf2::read(&files, version),
            Kind::Loinc => loinc::read(&files, version),
            Kind::Rxnorm => rxnorm::read(&files, version),
        }
    }
}

fn guess(files: &files::Files) -> Option<Kind> {
    if files.find("sct2_Concept_", "Snapshot").is_some() {
        return Some(Kind::Rf2);
    }
    if files.named("Loinc.csv").is_some() {
        return Some(Kind::Loinc);
    }
    files.named("RXNCONSO.RRF").map(|_| Kind::Rxnorm)
}

/// The concepts of a stored part.
pub fn concepts(part: &[u8]) -> Result<Tree, String> {
    let bytes = zstd::bulk::decompress(part, write::PART_MAX).map_err(|e| format!("a part cannot be unpacked: {e}"))?;
    Tree::parse(&bytes).map_err(|e| format!("a part cannot be read: {e}"))
}

#[cfg(test)]
mod tests;
