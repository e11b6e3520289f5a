//! Small releases in the owners' form, made here: the real ones are licensed. Names and numbers of SNOMED CT and LOINC
//! that are needed to read their files are facts of the formats; the concepts are invented.

use super::*;
use crate::terminology::{CodeSystem, Rules, Shelf, codes_of, member_of, value_set};
use std::sync::Arc;

pub(crate) fn put(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, text).expect("written");
    }
}

fn made(release: &Release) -> CodeSystem {
    let header = Tree::parse(&release.header).expect("the header is JSON");
    CodeSystem::of_parts(&header, release.parts.iter().map(|part| concepts(part))).expect("parts that can be read")
}

fn shelf(system: CodeSystem) -> Shelf {
    let mut shelf = Shelf::default();
    shelf.add_code_system(Arc::new(system));
    shelf
}

fn codes(shelf: &Shelf, url: &str) -> Vec<String> {
    codes_of(shelf, url, 100).expect("a value set").into_iter().map(|(_, code)| code.to_string()).collect()
}

const ROOT: &str = "138875005";

fn snomed(folder: &Path) {
    let head = "id\teffectiveTime\tactive\tmoduleId\t";
    let us = "900000000000509007";
    let concept =
        |id: &str, active: &str| format!("{id}\t20240101\t{active}\t900000000000207008\t900000000000074008\n");
    let concepts = [concept(ROOT, "1"), concept("1001", "1"), concept("1002", "1"), concept("1003", "0")].concat();
    let description = |id: &str, of: &str, language: &str, kind: &str, term: &str| {
        format!("{id}\t20240101\t1\t900000000000207008\t{of}\t{language}\t{kind}\t{term}\t900000000000448009\n")
    };
    let (full, synonym) = ("900000000000003001", "900000000000013009");
    let descriptions = [
        description("11", ROOT, "en", full, "SNOMED CT Concept (SNOMED RT+CTV3)"),
        description("12", "1001", "en", full, "Fever of the \"test\" (finding)"),
        description("13", "1001", "en", synonym, "Test fever"),
        description("14", "1001", "en", synonym, "Fever, testing"),
        description("15", "1001", "de", synonym, "Testfieber"),
        description("16", "1002", "en", full, "High test fever (finding)"),
        description("17", "1003", "en", full, "Old test fever (finding)"),
    ]
    .concat();
    let relation = |source: &str, to: &str, kind: &str, how: &str| {
        format!(
            "9{source}{to}\t20240101\t1\t900000000000207008\t{source}\t{to}\t0\t{kind}\t{how}\t900000000000451002\n"
        )
    };
    let inferred = "900000000000011006";
    let relations = [
        relation("1001", ROOT, "116680003", inferred),
        relation("1002", "1001", "116680003", inferred),
        relation("1002", ROOT, "363698007", inferred),
        relation("1002", ROOT, "116680003", "900000000000010007"),
    ]
    .concat();
    let accepted = format!("x\t20240101\t1\t900000000000207008\t{us}\t13\t900000000000549004\n");
    let preferred = format!("y\t20240101\t1\t900000000000207008\t{us}\t14\t900000000000548007\n");
    put(
        folder,
        &[
            (
                "Snapshot/Terminology/sct2_Concept_Snapshot_INT_20240101.txt",
                &format!("{head}definitionStatusId\n{concepts}"),
            ),
            (
                "Snapshot/Terminology/sct2_Description_Snapshot-en_INT_20240101.txt",
                &format!("{head}conceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\n{descriptions}"),
            ),
            (
                "Snapshot/Terminology/sct2_Relationship_Snapshot_INT_20240101.txt",
                &format!(
                    "{head}sourceId\tdestinationId\trelationshipGroup\ttypeId\tcharacteristicTypeId\tmodifierId\n{relations}"
                ),
            ),
            (
                "Snapshot/Refset/Language/der2_cRefset_LanguageSnapshot-en_INT_20240101.txt",
                &format!("{head}refsetId\treferencedComponentId\tacceptabilityId\n{accepted}{preferred}"),
            ),
        ],
    );
}

#[test]
fn a_release_of_snomed_ct() {
    let folder = tempfile::tempdir().expect("a folder");
    snomed(folder.path());
    let release = Release::read(folder.path(), None, None).expect("a release");
    assert_eq!(release.version, "http://snomed.info/sct/900000000000207008/version/20240101");
    assert_eq!(release.concepts, 4);
    let system = made(&release);
    let concept = |code: &str| system.concept(system.find(code).expect("a code")).expect("a concept");
    assert_eq!(concept("1001").display.as_deref(), Some("Fever, testing"), "the preferred synonym");
    assert_eq!(concept("1002").display.as_deref(), Some("High test fever (finding)"), "the full name without one");
    assert_eq!(concept("1001").designations.len(), 4);
    assert!(concept("1001").designations.iter().any(|d| &*d.value == "Fever of the \"test\" (finding)"));
    assert!(system.is_inactive(concept("1003")) && !system.is_inactive(concept("1001")));
    let site = concept("1002").properties.iter().find(|p| &*p.code == "363698007").expect("an attribute");
    assert_eq!((&*site.key, site.text().as_str()), ("valueCode", ROOT));
    assert_eq!(concept("1002").parents.len(), 1, "stated relationships do not count");

    let shelf = shelf(system);
    assert_eq!(codes(&shelf, "http://snomed.info/sct?fhir_vs=isa/1001"), ["1001", "1002"]);
    assert_eq!(codes(&shelf, "http://snomed.info/sct?fhir_vs").len(), 4);
    let edition = "http://snomed.info/sct/900000000000207008?fhir_vs=isa/1002";
    assert_eq!(codes(&shelf, edition), ["1002"]);
    let isa = "http://snomed.info/sct?fhir_vs=isa/1001";
    assert_eq!(member_of(&shelf, isa, Some("http://snomed.info/sct"), "1002"), Ok(true));
    assert_eq!(member_of(&shelf, isa, Some("http://snomed.info/sct"), ROOT), Ok(false));
    for other in ["http://snomed.info/sct?fhir_vs=refset", "http://snomed.info/sct?fhir_vs=isa/", "http://loinc.org/vs"]
    {
        assert!(value_set(&shelf, other, &Rules::default()).is_err(), "{other}");
    }
}

#[test]
fn a_release_of_loinc() {
    let folder = tempfile::tempdir().expect("a folder");
    let columns = "\"LOINC_NUM\",\"COMPONENT\",\"PROPERTY\",\"TIME_ASPCT\",\"SYSTEM\",\"SCALE_TYP\",\"METHOD_TYP\",\"CLASS\",\"CLASSTYPE\",\"SHORTNAME\",\"ORDER_OBS\",\"LONG_COMMON_NAME\",\"STATUS\"";
    let terms = format!(
        "{columns}\n\"9001-1\",\"Testose\",\"MCnc\",\"Pt\",\"Ser\",\"Qn\",\"\",\"CHEM\",\"1\",\"Testose SerPl\",\"Both\",\"Testose, \"\"free\"\" in Serum\",\"ACTIVE\"\n\"9002-9\",\"Oldose\",\"MCnc\",\"Pt\",\"Ser\",\"Qn\",\"\",\"CHEM\",\"1\",\"\",\"Both\",\"Oldose in Serum\",\"DEPRECATED\"\n"
    );
    let hierarchy = "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\n,1,,LP90-1,\"Sugars, tested\"\nLP90-1,1,LP90-1,9001-1,Testose\n";
    let answers = "AnswerListId,AnswerListName,AnswerStringId,DisplayText\nLL90-1,Tests,LA90-1,Well\nLL90-1,Tests,LA91-1,Ill\nLL91-1,More,LA90-1,Well\n";
    put(
        folder.path(),
        &[
            ("LoincTable/Loinc.csv", &terms),
            ("AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv", hierarchy),
            ("AccessoryFiles/AnswerFile/AnswerList.csv", answers),
        ],
    );
    let untold = Release::read(folder.path(), None, None).err().expect("the version is not told");
    assert!(untold.contains("--release"), "{untold}");
    let system = made(&Release::read(folder.path(), None, Some("2.99")).expect("a release"));
    let concept = |code: &str| system.concept(system.find(code).expect("a code")).expect("a concept");
    assert_eq!(concept("9001-1").display.as_deref(), Some("Testose, \"free\" in Serum"));
    assert!(system.is_inactive(concept("9002-9")));
    assert_eq!(concept("la90-1").display.as_deref(), Some("Well"), "case does not matter in LOINC");
    let shelf = shelf(system);
    assert_eq!(codes(&shelf, "http://loinc.org/vs/LL90-1"), ["LA90-1", "LA91-1"]);
    assert_eq!(codes(&shelf, "http://loinc.org/vs/LP90-1"), ["9001-1", "LP90-1"]);
    assert_eq!(codes(&shelf, "http://loinc.org/vs").len(), 5);
}

#[test]
fn a_release_of_rxnorm() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = |code: &str, source: &str, kind: &str, words: &str, suppressed: &str| {
        format!("{code}|ENG||||||9{code}||||{source}|{kind}|{code}|{words}||{suppressed}|4096|\n")
    };
    let names = [
        name("71", "RXNORM", "IN", "testazole", "N"),
        name("72", "RXNORM", "PSN", "Testazole 5 mg Tab", "N"),
        name("72", "RXNORM", "SCD", "testazole 5 MG Oral Tablet", "N"),
        name("73", "RXNORM", "SCD", "oldazole 5 MG Oral Tablet", "O"),
        name("72", "MTHSPL", "DP", "somebody else's name", "N"),
    ]
    .concat();
    let relations = "71||CUI|RO|72||CUI|has_ingredient|1||RXNORM|RXNORM||||4096|\n71||CUI|RO|73||CUI|has_ingredient|1||OTHER|OTHER||||4096|\n";
    put(folder.path(), &[("rrf/RXNCONSO.RRF", &names), ("rrf/RXNREL.RRF", relations)]);
    let system = made(&Release::read(folder.path(), None, Some("01062025")).expect("a release"));
    assert_eq!(system.concepts.len(), 3);
    let concept = |code: &str| system.concept(system.find(code).expect("a code")).expect("a concept");
    let tablet = concept("72");
    assert_eq!(tablet.display.as_deref(), Some("testazole 5 MG Oral Tablet"));
    assert_eq!(tablet.designations.len(), 1);
    let said: Vec<_> = tablet.properties.iter().map(|p| (&*p.code, p.text())).collect();
    let wanted = [("TTY", "SCD"), ("inactive", "false"), ("has_ingredient", "71")];
    assert_eq!(said, wanted.map(|(code, value)| (code, value.to_owned())));
    assert!(system.is_inactive(concept("73")));
}

#[test]
fn files_that_are_no_release_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let read = || Release::read(folder.path(), None, Some("1")).err().expect("refused");
    assert!(read().contains("no release files"));
    put(folder.path(), &[("Loinc.csv", "LOINC_NUM,COMPONENT\n1,2\n")]);
    assert!(read().contains("the column SHORTNAME is missing"), "{}", read());
    let bad = "id\tactive\tmoduleId\tdefinitionStatusId\nabc\t1\t1\t1\n";
    put(folder.path(), &[("sct2_Concept_Snapshot_INT_20240101.txt", bad)]);
    assert!(read().contains("line 2") && read().contains("'abc'"), "{}", read());
    assert!(Release::read(Path::new("/nowhere/at/all"), None, None).is_err());
}
