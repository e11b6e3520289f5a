//! R4 search.html#reference.

use super::{check_all, extractor};
use crate::definitions::Definitions;
use crate::index::Referred;
use crate::json::{Document, Limits};

#[test]
fn literal_references() {
    let relative = "'subject':{'reference':'Patient/23'}";
    check_all(
        "Observation",
        relative,
        "subject",
        &["23", "Patient/23", "http://here/fhir/Patient/23", "Patient/23/_history/4", "missing:false"],
        &["2", "Group/23", "http://there/fhir/Patient/23", "Patient/2", "missing:true", "identifier:23"],
    );
    check_all("Observation", relative, "patient", &["23", "Patient/23"], &["24"]);
    let versioned = "'subject':{'reference':'http://here/fhir/Patient/23/_history/7'}";
    check_all("Observation", versioned, "subject", &["23", "Patient/23", "http://here/fhir/Patient/23"], &["7"]);
    let elsewhere = "'subject':{'reference':'http://there/fhir/Patient/23/_history/1'}";
    check_all(
        "Observation",
        elsewhere,
        "subject",
        &["http://there/fhir/Patient/23", "http://there/fhir/Patient/23/_history/3"],
        &["23", "Patient/23"],
    );
    check_all("Observation", elsewhere, "patient", &["http://there/fhir/Patient/23"], &["23"]);
    let urn = "'subject':{'reference':'urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0'}";
    check_all(
        "Observation",
        urn,
        "subject",
        &["urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"],
        &["0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"],
    );
    check_all("Observation", urn, "patient", &["missing:true"], &["urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"]);
    check_all("Observation", "'subject':{'reference':'#p'}", "subject", &["missing:false"], &["p", "#p"]);
    check_all("Observation", "'subject':{'display':'x'}", "subject", &["missing:false"], &["x"]);
}

#[test]
fn by_type_of_target() {
    check_all("Observation", "'subject':{'reference':'Group/1'}", "patient", &["missing:true"], &["1", "Group/1"]);
    let typed = "'subject':{'type':'Patient','identifier':{'system':'s','value':'v'}}";
    check_all("Observation", typed, "patient", &["identifier:s|v", "missing:false"], &["identifier:s|w", "v"]);
    let participants = "'participant':[{'actor':{'reference':'Patient/1'}},{'actor':{'reference':'Practitioner/2'}},{'actor':{'reference':'Location/3'}}]";
    check_all("Appointment", participants, "patient", &["1"], &["2", "3"]);
    check_all("Appointment", participants, "practitioner", &["2"], &["1", "3"]);
    check_all("Appointment", participants, "location", &["3"], &["1", "2"]);
    check_all("Appointment", participants, "actor", &["1", "2", "3"], &["4"]);
}

#[test]
fn by_identifier() {
    let logical = "'subject':{'identifier':{'system':'s','value':'v'}}";
    check_all(
        "Observation",
        logical,
        "subject",
        &["identifier:s|v", "identifier:v", "identifier:s|", "missing:false"],
        &["identifier:|v", "identifier:s|w", "v"],
    );
}

#[test]
fn canonicals_and_uris() {
    let answered = "'questionnaire':'http://there/Questionnaire/q|1.0'";
    check_all(
        "QuestionnaireResponse",
        answered,
        "questionnaire",
        &["http://there/Questionnaire/q", "http://there/Questionnaire/q|1.0"],
        &["q", "Questionnaire/q", "http://there/Questionnaire/q|2.0"],
    );
    check_all(
        "QuestionnaireResponse",
        "'questionnaire':'http://here/fhir/Questionnaire/q|1.0'",
        "questionnaire",
        &["q", "Questionnaire/q", "http://here/fhir/Questionnaire/q"],
        &["x"],
    );
    let artifacts = "'relatedArtifact':[{'type':'depends-on','resource':'http://x/Library/a'},{'type':'composed-of','resource':'http://x/Library/b'}]";
    check_all("Library", artifacts, "depends-on", &["http://x/Library/a"], &["http://x/Library/b"]);
    check_all("Library", artifacts, "composed-of", &["http://x/Library/b"], &["http://x/Library/a"]);
}

#[test]
fn odd_places() {
    let response = "'item':[{'extension':[{'url':'http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject','valueBoolean':true}],\
        'answer':[{'valueReference':{'reference':'Patient/1'}}]},{'answer':[{'valueReference':{'reference':'Patient/2'}}]}]";
    check_all("QuestionnaireResponse", response, "item-subject", &["1"], &["2"]);
    let bundle = "'entry':[{'resource':{'resourceType':'Composition','id':'c'}},{'resource':{'resourceType':'Patient','id':'p'}}]";
    check_all("Bundle", bundle, "composition", &["c", "Composition/c"], &["p"]);
    let medication = "'medicationReference':{'reference':'Medication/m'}";
    check_all("MedicationRequest", medication, "medication", &["m"], &["n"]);
    check_all("MedicationRequest", medication, "code", &["missing:true"], &["m"]);
}

#[test]
fn references_for_includes() {
    let definitions = Definitions::core();
    let text = r#"{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/1"}},
        {"actor":{"reference":"http://here/fhir/Practitioner/2/_history/1"}},{"actor":{"reference":"Patient/1"}},
        {"actor":{"reference":"http://there/Patient/3"}},{"actor":{"reference":"Nonsense/4"}}]}"#;
    let document = Document::parse(text.as_bytes(), &Limits::default()).expect("JSON");
    let kind = definitions.resource("Appointment").expect("type");
    let found = |code: &str| {
        let parameter = definitions.search_parameter(kind, code).expect("parameter").number;
        let mut targets: Vec<_> = extractor()
            .references(kind, document.root(), parameter)
            .into_iter()
            .map(|Referred { kind, id, version }| match version {
                Some(version) => format!("{}/{id} {version}", definitions.name(kind)),
                None => format!("{}/{id}", definitions.name(kind)),
            })
            .collect();
        targets.sort();
        targets
    };
    assert_eq!(found("actor"), ["Patient/1", "Practitioner/2 1"]);
    assert_eq!(found("patient"), ["Patient/1"]);
    assert_eq!(found("location"), [""; 0]);
}
