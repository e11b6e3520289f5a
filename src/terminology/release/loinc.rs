//! LOINC: the table of terms, the hierarchy of their components and the answer lists
//! (R4 loinc.html#props). An answer tells the lists that it is in by the property `answer-list`.

use super::Release;
use super::files::{Files, commas, each_row};
use super::write::{Entry, Named, Parts, Said, Whose};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

const SYSTEM: &str = "http://loinc.org";
/// Columns of the table that are properties in FHIR.
const PROPERTIES: [&str; 10] = [
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "CLASSTYPE",
    "ORDER_OBS",
    "STATUS",
];
const STATUS: usize = 9;

/// Reads a release. Its files do not tell the version.
pub fn read(files: &Files, version: Option<&str>) -> Result<Release, String> {
    let version = version.ok_or("the files do not tell the version of LOINC; say it: --release 2.77")?;
    let path = files.named("Loinc.csv").ok_or("Loinc.csv is missing")?;
    let (parents, groups) = hierarchy(files)?;
    let mut parts = Parts::default();
    let mut known = FxHashSet::default();
    let columns = [&["LOINC_NUM", "SHORTNAME", "LONG_COMMON_NAME"][..], &PROPERTIES].concat();
    let columns: [&str; 13] = columns.try_into().map_err(|_| "the columns of LOINC")?;
    each_row(path, commas(path)?, columns, |fields| {
        let [code, short, long, said @ ..] = fields;
        let said: [&str; 10] = said;
        let values = PROPERTIES.iter().zip(said).filter(|(_, value)| !value.is_empty());
        let mut properties: Vec<_> = values.map(|(name, value)| (*name, Said::Text(value))).collect();
        if said[STATUS] == "DEPRECATED" {
            properties.push(("inactive", Said::Flag(true)));
        }
        let above = parents.get(code).map_or(&[][..], Vec::as_slice);
        properties.extend(above.iter().map(|parent| ("parent", Said::Code(parent))));
        let named = Named { language: "en", purpose: Some((SYSTEM, "SHORTNAME")), value: short };
        let designations = if short.is_empty() { Vec::new() } else { vec![named] };
        known.insert(code.to_owned());
        parts.add(&Entry { code, display: if long.is_empty() { short } else { long }, designations, properties })
    })?;
    for (code, words) in &groups {
        if known.insert(code.clone()) {
            let above = parents.get(code.as_str()).map_or(&[][..], Vec::as_slice);
            let properties = above.iter().map(|parent| ("parent", Said::Code(parent.as_str()))).collect();
            parts.add(&Entry { code, display: words, designations: Vec::new(), properties })?;
        }
    }
    for (code, answer) in &answers(files)? {
        if known.insert(code.clone()) {
            let properties = answer.lists.iter().map(|list| ("answer-list", Said::Code(list.as_str()))).collect();
            parts.add(&Entry { code, display: &answer.words, designations: Vec::new(), properties })?;
        }
    }
    let mut properties: Vec<_> = PROPERTIES.iter().map(|name| ((*name).to_owned(), "string")).collect();
    for (code, kind) in [("parent", "code"), ("child", "code"), ("inactive", "boolean"), ("answer-list", "code")] {
        properties.push((code.to_owned(), kind));
    }
    parts.finish(&Whose { url: SYSTEM, version, name: "LOINC", case_sensitive: false, properties })
}

type Parents = FxHashMap<String, Vec<String>>;

/// What is above what, and the groups with their names.
fn hierarchy(files: &Files) -> Result<(Parents, BTreeMap<String, String>), String> {
    let (mut parents, mut groups) = (Parents::default(), BTreeMap::new());
    let Some(path) = files.named("ComponentHierarchyBySystem.csv") else { return Ok((parents, groups)) };
    each_row(path, commas(path)?, ["IMMEDIATE_PARENT", "CODE", "CODE_TEXT"], |[parent, code, words]| {
        if !parent.is_empty() {
            let above = parents.entry(code.to_owned()).or_default();
            if !above.iter().any(|one| one == parent) {
                above.push(parent.to_owned());
            }
        }
        groups.insert(code.to_owned(), words.to_owned());
        Ok(())
    })?;
    Ok((parents, groups))
}

#[derive(Default)]
struct Answer {
    words: String,
    lists: Vec<String>,
}

fn answers(files: &Files) -> Result<BTreeMap<String, Answer>, String> {
    let mut answers: BTreeMap<String, Answer> = BTreeMap::new();
    let Some(path) = files.named("AnswerList.csv") else { return Ok(answers) };
    each_row(path, commas(path)?, ["AnswerListId", "AnswerStringId", "DisplayText"], |[list, code, words]| {
        if !code.is_empty() {
            let answer = answers.entry(code.to_owned()).or_default();
            answer.words = words.to_owned();
            if !answer.lists.iter().any(|one| one == list) {
                answer.lists.push(list.to_owned());
            }
        }
        Ok(())
    })?;
    Ok(answers)
}
