//! R4 search.html#token.

use super::{check_all, terms};
use crate::definitions::Definitions;
use crate::index::criteria::{self, SystemMatch};
use crate::index::{Extractor, sort_key};

#[test]
fn codings() {
    let concept = "'code':{'coding':[{'system':'http://loinc.org','code':'8480-6'},{'code':'local'}],'text':'x'}";
    check_all(
        "Observation",
        concept,
        "code",
        &["8480-6", "http://loinc.org|8480-6", "http://loinc.org|", "local", "|local", "|", "missing:false"],
        &[
            "8480",
            "8480-",
            "8480-61",
            "|8480-6",
            "http://loinc.org|local",
            "http://loinc|8480-6",
            "http://loinc.or|",
            "x",
            "missing:true",
            "LOCAL",
        ],
    );
    check_all("Observation", "'code':{'text':'x'}", "code", &["missing:false"], &["x", "|", "missing:true"]);
    check_all("Observation", "'status':'final'", "code", &["missing:true"], &["missing:false", "x", "|x", "s|"]);
    let tag = "'meta':{'tag':[{'system':'s','code':'a'},{'system':'t'}],'security':[{'code':'R'}]}";
    check_all("Patient", tag, "_tag", &["a", "s|a", "s|", "t|"], &["R", "t|a", "|a"]);
    check_all("Patient", tag, "_security", &["R", "|R"], &["a"]);
    check_all("Basic", "'meta':{'tag':[{'code':'a\\u0000b'}]}", "_tag", &["a b"], &["a", "a|b"]);
    // Both values of a choice.
    let medication = "'medicationCodeableConcept':{'coding':[{'system':'s','code':'m'}]}";
    check_all("MedicationRequest", medication, "code", &["m", "s|m"], &["n"]);
    check_all("MedicationRequest", medication, "medication", &["missing:true"], &["missing:false"]);
}

#[test]
fn codes_have_the_system_of_their_value_set() {
    let gender = "http://hl7.org/fhir/administrative-gender";
    check_all(
        "Patient",
        "'gender':'male'",
        "gender",
        &["male", &format!("{gender}|male"), &format!("{gender}|")],
        &["female", "Male", &format!("{gender}|female"), "http://hl7.org/fhir/x|male", "|male"],
    );
    check_all(
        "Patient",
        "'gender':'other-thing'",
        "gender",
        &["other-thing", "|other-thing"],
        &[&format!("{gender}|other-thing")],
    );
    check_all(
        "Observation",
        "'status':'final'",
        "status",
        &["final", "http://hl7.org/fhir/observation-status|final"],
        &["preliminary"],
    );
}

#[test]
fn identifiers_and_contact_points() {
    let patient = "'identifier':[{'system':'urn:mrn','value':'A-1'},{'value':'B'},{'system':'urn:empty'}],\
        'telecom':[{'system':'phone','value':'+49 30 1'},{'system':'email','value':'Me@Example.org'}]";
    check_all(
        "Patient",
        patient,
        "identifier",
        &["A-1", "urn:mrn|A-1", "urn:mrn|", "|B", "B", "urn:empty|"],
        &["A", "a-1", "urn:mrn|B", "urn:mrn|A", "urn|", "|A-1"],
    );
    check_all("Patient", patient, "email", &["Me@Example.org", "me@example.org", "missing:false"], &["+49 30 1", "Me"]);
    check_all("Patient", patient, "phone", &["+49 30 1"], &["me@example.org"]);
    check_all("Patient", patient, "telecom", &["+49 30 1", "ME@EXAMPLE.ORG"], &["phone"]);
    check_all("Patient", "'telecom':[{'system':'phone','value':'1'}]", "email", &["missing:true"], &["1"]);
}

#[test]
fn booleans_and_others() {
    check_all(
        "Patient",
        "'active':true",
        "active",
        &["true", "http://terminology.hl7.org/CodeSystem/special-values|true"],
        &["false", "True"],
    );
    check_all("Patient", "'active':false", "active", &["false"], &["true"]);
    check_all("Patient", "'_active':{'id':'x'}", "active", &["missing:true"], &["false"]);
    for (patient, deceased) in [
        ("'active':true", false),
        ("'deceasedBoolean':false", false),
        ("'deceasedBoolean':true", true),
        ("'deceasedDateTime':'2020'", true),
    ] {
        let (yes, no) = if deceased { ("true", "false") } else { ("false", "true") };
        check_all("Patient", patient, "deceased", &[yes, "missing:false"], &[no]);
    }
    check_all("Patient", "'communication':[{'language':{'coding':[{'code':'de'}]}}]", "language", &["de"], &["en"]);
    check_all(
        "Medication",
        "'batch':{'lotNumber':'LOT 7a'}",
        "lot-number",
        &["lot 7A", "LOT 7a", "|lot 7a"],
        &["LOT", "s|lot 7a"],
    );
    let sequence = "'variant':[{'start':1}],'type':'dna'";
    check_all("MolecularSequence", sequence, "type", &["dna"], &["rna"]);
    let extension = "'extension':[{'url':'http://hl7.org/fhir/StructureDefinition/observation-geneticsGene',\
        'valueCodeableConcept':{'coding':[{'code':'BRCA1'}]}},{'url':'http://other','valueCodeableConcept':{'coding':[{'code':'X'}]}}]";
    check_all("Observation", extension, "gene-identifier", &["BRCA1"], &["X"]);
    let variant = "'extension':[{'url':'http://hl7.org/fhir/StructureDefinition/observation-geneticsDnaVariant','valueCodeableConcept':{'text':'c.1A>G'}}]";
    check_all("Observation", variant, "dna-variant", &["C.1", "exact:c.1A>G"], &["g"]);
}

#[test]
fn id_and_last_updated() {
    let definitions = Definitions::core();
    let extractor = Extractor::new(definitions.clone(), Vec::new());
    let (kind, mut terms) = terms("Patient", "'id':'p-1','meta':{'lastUpdated':'2000-01-01T00:00:00Z'}");
    let id = crate::base::ResourceId::new("p-1").expect("id");
    extractor.stamp(&mut terms, kind, &id, crate::base::Timestamp(1_577_836_800_123_456));
    let parameter = definitions.search_parameter(kind, "_id").expect("_id");
    let holds = |condition: crate::index::Condition| condition.matches(kind, &terms, &crate::index::Alone);
    assert!(holds(criteria::token(parameter, SystemMatch::Any, Some("p-1"))));
    assert!(!holds(criteria::token(parameter, SystemMatch::Any, Some("p"))));
    assert!(!holds(criteria::token(parameter, SystemMatch::Is("s"), Some("p-1"))));
    assert!(holds(criteria::missing(parameter, false)) && !holds(criteria::missing(parameter, true)));
    let updated = definitions.search_parameter(kind, "_lastUpdated").expect("_lastUpdated");
    for (criterion, expected) in [
        ("2020-01-01", true),
        ("2020-01-01T00:00:00.123Z", true),
        ("gt2020-01-01T00:00:00.123Z", false),
        ("gt2020-01-01T00:00:00.122Z", true),
        ("lt2020-01-01T00:00:00.124Z", true),
        ("2000", false),
        ("missing:true", false),
    ] {
        assert_eq!(holds(super::condition(updated, criterion)), expected, "{criterion}");
    }
    for code in ["_id", "_lastUpdated"] {
        let parameter = definitions.search_parameter(kind, code).expect("parameter");
        let key = sort_key(parameter, false).expect("an order");
        assert_eq!(terms.range(&key.from, &key.to).len(), 1, "{code}");
    }
}
