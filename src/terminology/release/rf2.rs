//! SNOMED CT in Release Format 2: the snapshot files of concepts, descriptions, relationships and languages. Inferred
//! relationships give the hierarchy (is a) and, under the code of their type, properties
//! (R4 snomedct.html#props).

use super::Release;
use super::files::{Files, each_row, tabs};
use super::write::{Entry, Named, Parts, Said, Whose};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;

const SYSTEM: &str = "http://snomed.info/sct";
const INTERNATIONAL: &str = "900000000000207008";
const IS_A: u64 = 116_680_003;
const FULL_NAME: u64 = 900_000_000_000_003_001;
const SYNONYM: u64 = 900_000_000_000_013_009;
const DEFINED: u64 = 900_000_000_000_073_002;
const PREFERRED: u64 = 900_000_000_000_548_007;
const US_ENGLISH: u64 = 900_000_000_000_509_007;
const STATED: u64 = 900_000_000_000_010_007;

struct Draft {
    active: bool,
    defined: bool,
    module: u64,
    names: Vec<Description>,
    relations: Vec<(u64, u64)>,
}

struct Description {
    language: Box<str>,
    kind: u64,
    /// 2: preferred in US English; 1: preferred in another; 0: acceptable at most.
    rank: u8,
    words: Box<str>,
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("'{}' is not the number of a component", text.chars().take(40).collect::<String>()))
}

/// Reads a release. The version is an edition with its date: told, or that of the International Edition with the date
/// in the name of the file.
pub fn read(files: &Files, version: Option<&str>) -> Result<Release, String> {
    let path = files.find("sct2_Concept_", "Snapshot").ok_or("sct2_Concept_Snapshot… is missing")?;
    let version = match version {
        Some(version) => version.to_owned(),
        None => edition(path)?,
    };
    let mut concepts: FxHashMap<u64, Draft> = FxHashMap::default();
    let columns = ["id", "active", "moduleId", "definitionStatusId"];
    each_row(path, tabs(path)?, columns, |[id, active, module, status]| {
        let draft = Draft {
            active: active == "1",
            defined: number(status)? == DEFINED,
            module: number(module)?,
            names: Vec::new(),
            relations: Vec::new(),
        };
        concepts.insert(number(id)?, draft);
        Ok(())
    })?;
    names(files, &mut concepts)?;
    let attributes = relations(files, &mut concepts)?;
    write(concepts, &attributes, &version)
}

/// The version that the name of a file tells: `sct2_Concept_Snapshot_INT_20240101.txt`.
fn edition(path: &std::path::Path) -> Result<String, String> {
    let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default();
    let mut parts = name.rsplit('_');
    let date = parts.next().filter(|d| d.len() == 8 && d.bytes().all(|b| b.is_ascii_digit()));
    match (date, parts.next()) {
        (Some(date), Some("INT")) => Ok(format!("{SYSTEM}/{INTERNATIONAL}/version/{date}")),
        _ => Err(format!(
            "{}: the name does not tell the edition; say --release {SYSTEM}/MODULE/version/YYYYMMDD",
            path.display()
        )),
    }
}

fn names(files: &Files, concepts: &mut FxHashMap<u64, Draft>) -> Result<(), String> {
    let mut ranks: FxHashMap<u64, u8> = FxHashMap::default();
    for path in files.all("der2_cRefset_Language", "Snapshot") {
        let columns = ["active", "refsetId", "referencedComponentId", "acceptabilityId"];
        each_row(path, tabs(path)?, columns, |[active, refset, component, acceptability]| {
            if active == "1" && number(acceptability)? == PREFERRED {
                let rank = if number(refset)? == US_ENGLISH { 2 } else { 1 };
                let held = ranks.entry(number(component)?).or_default();
                *held = rank.max(*held);
            }
            Ok(())
        })?;
    }
    for path in files.all("sct2_Description_", "Snapshot") {
        let columns = ["id", "active", "conceptId", "languageCode", "typeId", "term"];
        each_row(path, tabs(path)?, columns, |[id, active, concept, language, kind, term]| {
            let of = concepts.get_mut(&number(concept)?);
            if let Some(draft) = of.filter(|_| active == "1") {
                let rank = ranks.get(&number(id)?).copied().unwrap_or(0);
                draft.names.push(Description {
                    language: language.into(),
                    kind: number(kind)?,
                    rank,
                    words: term.into(),
                });
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Reads the relationships; gives the types of those that are not the hierarchy.
fn relations(files: &Files, concepts: &mut FxHashMap<u64, Draft>) -> Result<BTreeSet<u64>, String> {
    let mut attributes = BTreeSet::new();
    let path = files.find("sct2_Relationship_", "Snapshot").ok_or("sct2_Relationship_Snapshot… is missing")?;
    let columns = ["active", "sourceId", "destinationId", "typeId", "characteristicTypeId"];
    each_row(path, tabs(path)?, columns, |[active, source, destination, kind, characteristic]| {
        if active != "1" || number(characteristic)? == STATED {
            return Ok(());
        }
        let (kind, destination) = (number(kind)?, number(destination)?);
        if let Some(draft) = concepts.get_mut(&number(source)?) {
            draft.relations.push((kind, destination));
            if kind != IS_A {
                attributes.insert(kind);
            }
        }
        Ok(())
    })?;
    Ok(attributes)
}

fn write(concepts: FxHashMap<u64, Draft>, attributes: &BTreeSet<u64>, version: &str) -> Result<Release, String> {
    let mut parts = Parts::default();
    let mut order: Vec<u64> = concepts.keys().copied().collect();
    order.sort_unstable();
    for id in order {
        let Some(draft) = concepts.get(&id) else { continue };
        let code = id.to_string();
        let english = |n: &&Description| n.language.starts_with("en");
        let best = draft.names.iter().filter(|n| n.kind == SYNONYM).filter(english).max_by_key(|n| n.rank);
        let full = draft.names.iter().find(|n| n.kind == FULL_NAME);
        let display = best.filter(|n| n.rank > 0).or(full).or(best).or(draft.names.first());
        let kinds: Vec<String> = draft.names.iter().map(|n| n.kind.to_string()).collect();
        let named = draft.names.iter().zip(&kinds).map(|(n, kind)| Named {
            language: &n.language,
            purpose: Some((SYSTEM, kind)),
            value: &n.words,
        });
        let module = draft.module.to_string();
        let mut known = FxHashSet::default();
        let said: Vec<(String, String)> = draft
            .relations
            .iter()
            .filter(|relation| known.insert(**relation))
            .map(|(kind, to)| (if *kind == IS_A { "parent".to_owned() } else { kind.to_string() }, to.to_string()))
            .collect();
        let mut properties = vec![
            ("inactive", Said::Flag(!draft.active)),
            ("sufficientlyDefined", Said::Flag(draft.defined)),
            ("moduleId", Said::Code(&module)),
        ];
        properties.extend(said.iter().map(|(kind, to)| (kind.as_str(), Said::Code(to))));
        parts.add(&Entry {
            code: &code,
            display: display.map_or("", |n| &n.words),
            designations: named.collect(),
            properties,
        })?;
    }
    let fixed = [("parent", "code"), ("child", "code"), ("inactive", "boolean")];
    let more = [("sufficientlyDefined", "boolean"), ("moduleId", "code")];
    let mut properties: Vec<(String, &str)> =
        fixed.iter().chain(&more).map(|(code, kind)| ((*code).to_owned(), *kind)).collect();
    properties.extend(attributes.iter().map(|kind| (kind.to_string(), "code")));
    parts.finish(&Whose { url: SYSTEM, version, name: "SNOMED_CT", case_sensitive: true, properties })
}
