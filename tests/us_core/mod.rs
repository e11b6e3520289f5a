//! The searches that US Core 3.1.1 and 6.1.0 ask of a server, on data of our own (`tests/data/us-core.json`), which has an
//! example of every profile with every element that is to be supported (`must_support`). The parameters that US Core
//! defines itself are posted first, in words of our own.

mod must_support;

use crate::search_parameters::{parameter, wait_until_ready};
use crate::support::TestServer;
use serde_json::{Value, json};
use std::sync::LazyLock;

const DATA: &str = include_str!("../data/us-core.json");

/// Parameters that US Core defines itself: type, code, type of the parameter, expression.
const OWN: [(&str, &str, &str, &str); 4] = [
    ("CareTeam", "role", "token", "CareTeam.participant.role"),
    (
        "Condition",
        "asserted-date",
        "date",
        "Condition.extension('http://hl7.org/fhir/StructureDefinition/condition-assertedDate').value.ofType(dateTime)",
    ),
    ("Encounter", "discharge-disposition", "token", "Encounter.hospitalization.dischargeDisposition"),
    ("Goal", "description", "token", "Goal.description"),
];

static SERVER: LazyLock<TestServer> = LazyLock::new(|| {
    let server = TestServer::start();
    for (kind, code, of, expression) in OWN {
        let mut own = parameter(code, of, expression);
        own["base"] = json!([kind]);
        server.create(&own);
    }
    wait_until_ready(&server, &OWN.map(|(_, code, _, _)| code));
    server.send("POST", "", &[("content-type", "application/fhir+json")], Some(DATA.as_bytes())).is(200);
    server
});

/// Type, combinations, and the value of each parameter: what a resource of the data has.
const SEARCHES: &[(&str, &str, &str)] = &[
    ("AllergyIntolerance", "patient patient+clinical-status", "clinical-status=active"),
    (
        "CarePlan",
        "patient+category patient+category+status+date patient+category+status patient+category+date",
        "category=assess-plan status=active date=2021",
    ),
    ("CareTeam", "patient+status role patient+role", "status=active role=17561000"),
    (
        "Condition",
        "patient patient+onset-date patient+category patient+clinical-status patient+code patient+recorded-date \
         patient+abatement-date patient+category+clinical-status patient+category+encounter \
         patient+asserted-date",
        "asserted-date=2015-04-14 onset-date=2015-04-12 category=problem-list-item clinical-status=resolved code=38341003 recorded-date=2015-04-13 \
         abatement-date=2022-01-05 encounter=Encounter/uc-1",
    ),
    ("Coverage", "patient", ""),
    ("Device", "patient patient+type patient+status", "type=468063009 status=active"),
    (
        "DiagnosticReport",
        "patient+category patient patient+category+date patient+code patient+status patient+code+date",
        "category=LAB date=2021-05-03 code=24323-8 status=final",
    ),
    (
        "DocumentReference",
        "patient _id patient+type patient+category+date patient+category patient+type+period patient+status",
        "_id=uc-1 type=34133-9 category=clinical-note date=2021-05-04 period=2021-05 status=current",
    ),
    (
        "Encounter",
        "patient _id date+patient identifier class+patient patient+status patient+type patient+location \
         patient+discharge-disposition",
        "discharge-disposition=home _id=uc-1 date=2021-05-03 identifier=urn:example:visit|v-9 class=AMB status=finished type=99201 \
         location=Location/uc-ward",
    ),
    (
        "Goal",
        "patient patient+lifecycle-status patient+target-date patient+description",
        "lifecycle-status=active target-date=2021-12-31 description=http://snomed.info/sct|135840009",
    ),
    ("Immunization", "patient patient+date patient+status", "date=2020-11-02 status=completed"),
    (
        "Location",
        "name address address-city address-state address-postalcode",
        "name=harbour address=harbour address-city=harbour address-state=CA address-postalcode=90001",
    ),
    ("MedicationDispense", "patient patient+status patient+status+type", "status=completed type=FF"),
    (
        "MedicationRequest",
        "patient+intent patient+intent+status patient+intent+encounter patient+intent+authoredon",
        "intent=order status=active encounter=Encounter/uc-1 authoredon=2021-05-03",
    ),
    (
        "Observation",
        "patient+code patient+category+date patient+category patient+category+status patient+code+date",
        "code=2339-0 category=laboratory date=2021-05-03 status=final",
    ),
    (
        "Observation",
        "patient+code patient+category+date patient+category patient+category+status patient+code+date",
        "code=85354-9 category=vital-signs date=2021-05-03 status=final",
    ),
    (
        "Observation",
        "patient+code patient+category+date patient+category patient+category+status",
        "code=72166-2 category=social-history date=2021-05-03 status=final",
    ),
    ("Organization", "name address", "name=harbour address=harbour"),
    (
        "Patient",
        "_id identifier name birthdate+name gender+name birthdate+family family+gender death-date+family",
        "_id=uc-1 identifier=urn:example:chart|uc-77 name=iris birthdate=1961-08-23 gender=female family=lake \
         death-date=2024-02-02",
    ),
    (
        "Practitioner",
        "name identifier _id",
        "name=moss identifier=http://hl7.org/fhir/sid/us-npi|1245319599 _id=uc-doctor",
    ),
    ("PractitionerRole", "specialty practitioner", "specialty=207Q00000X practitioner=Practitioner/uc-doctor"),
    (
        "Procedure",
        "patient patient+date patient+code+date patient+status",
        "date=2019-07-04 code=80146002 status=completed",
    ),
    (
        "QuestionnaireResponse",
        "patient _id patient+questionnaire patient+authored patient+status",
        "_id=uc-1 questionnaire=http://example.org/Questionnaire/phq authored=2021-05-03 status=completed",
    ),
    ("RelatedPerson", "_id patient name patient+name", "_id=uc-kin name=fern"),
    (
        "ServiceRequest",
        "patient _id patient+category+authored patient+category patient+code patient+status patient+code+authored",
        "_id=uc-1 category=108252007 authored=2021-05-02 code=24323-8 status=active",
    ),
    ("Specimen", "_id patient", "_id=uc-1"),
];

/// Dates that US Core asks for with comparators: type, parameter, the value that the data has.
const COMPARED: &[(&str, &str, &str)] = &[
    ("CarePlan", "date", "2021-04"),
    ("Condition", "onset-date", "2015-04-12"),
    ("Condition", "recorded-date", "2015-04-13"),
    ("Condition", "abatement-date", "2022-01-05"),
    ("Condition", "asserted-date", "2015-04-14"),
    ("DiagnosticReport", "date", "2021-05-03"),
    ("DocumentReference", "date", "2021-05-04"),
    ("DocumentReference", "period", "2021-05"),
    ("Encounter", "date", "2021-05-03"),
    ("Goal", "target-date", "2021-12-31"),
    ("Immunization", "date", "2020-11-02"),
    ("MedicationRequest", "authoredon", "2021-05-03"),
    ("Observation", "date", "2021-05-03"),
    ("Procedure", "date", "2019-07-04"),
    ("QuestionnaireResponse", "authored", "2021-05-03"),
    ("ServiceRequest", "authored", "2021-05-02"),
];

fn encoded(value: &str) -> String {
    value.replace('|', "%7C")
}

fn ids(page: &Value, mode: &str) -> Vec<String> {
    let entries = page["entry"].as_array().into_iter().flatten().filter(|e| e["search"]["mode"] == mode);
    entries.map(|e| format!("{}/{}", e["resource"]["resourceType"], e["resource"]["id"]).replace('"', "")).collect()
}

/// What a search finds, by GET and by POST alike.
#[track_caller]
fn found(kind: &str, query: &str) -> Vec<String> {
    let page = SERVER.get_with(&format!("{kind}?{query}&_count=100"), &[("prefer", "handling=strict")]);
    let found = ids(&page.is(200).json(), "match");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = SERVER.send("POST", &format!("{kind}/_search"), &form, Some(format!("{query}&_count=100").as_bytes()));
    assert_eq!(ids(&posted.is(200).json(), "match"), found, "{kind}?{query} by POST");
    found
}

#[test]
fn every_combination_finds_what_has_the_values() {
    let mut tried = 0;
    for (kind, combinations, values) in SEARCHES {
        let value = |name: &str| match name {
            "patient" => "Patient/uc-1".to_owned(),
            name => {
                let pair = values.split_whitespace().find_map(|pair| pair.strip_prefix(&format!("{name}=")));
                encoded(pair.unwrap_or_else(|| panic!("{kind} has no value for {name}")))
            }
        };
        let some = if combinations.contains("patient") { "patient=uc-1".to_owned() } else { String::new() };
        let all = found(kind, &some);
        for combination in combinations.split_whitespace() {
            let query: Vec<_> = combination.split('+').map(|name| format!("{name}={}", value(name))).collect();
            let matches = found(kind, &query.join("&"));
            assert!(!matches.is_empty(), "{kind}?{}", query.join("&"));
            assert!(
                some.is_empty() || matches.iter().all(|id| all.contains(id) || combination == "_id"),
                "{kind}?{}",
                query.join("&")
            );
            // Another patient has none of them.
            if combination.contains("patient") {
                assert_eq!(found(kind, &query.join("&").replace("uc-1", "uc-2")), Vec::<String>::new(), "{kind}");
                let short = query.join("&").replace("patient=Patient/uc-1", "patient=uc-1");
                assert_eq!(found(kind, &short), matches, "{kind}?{short}");
            }
            let either = query.iter().find(|q| q.starts_with("status=") || q.starts_with("intent="));
            if let Some(either) = either {
                let union = query.join("&").replace(either.as_str(), &format!("{either},unknown-other"));
                assert_eq!(found(kind, &union), matches, "{kind}?{union}");
            }
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried}");
}

#[test]
fn dates_are_compared() {
    for (kind, code, value) in COMPARED {
        let on = |prefix: &str, date: &str| found(kind, &format!("patient=uc-1&{code}={prefix}{date}")).len();
        let all = on("gt", "1900");
        assert!(all > 0, "{kind} {code}");
        assert_eq!((on("lt", "1900"), on("lt", "2100"), on("ge", "2100")), (0, all, 0), "{kind} {code}");
        assert!(on("ge", value) > 0 && on("le", value) > 0, "{kind} {code}");
        assert!(on("ge", "2000&le2100".split('&').next().expect("a date")) == all, "{kind} {code}");
    }
}

#[test]
fn tokens_are_found_with_and_without_their_system() {
    for (kind, code, system, value) in [
        ("Observation", "code", "http://loinc.org", "2339-0"),
        ("Observation", "category", "http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs"),
        ("Condition", "code", "http://snomed.info/sct", "38341003"),
        ("Encounter", "class", "http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB"),
        ("Patient", "gender", "http://hl7.org/fhir/administrative-gender", "female"),
    ] {
        let plain = found(kind, &format!("{code}={value}"));
        assert!(!plain.is_empty(), "{kind} {code}");
        assert_eq!(found(kind, &format!("{code}={system}%7C{value}")), plain, "{kind} {code}");
        assert!(found(kind, &format!("{code}=http://other%7C{value}")).is_empty(), "{kind} {code}");
    }
}

#[test]
fn provenances_and_what_is_referred_to_come_along() {
    let mut seen: Vec<&str> = SEARCHES.iter().map(|(kind, _, _)| *kind).collect();
    seen.dedup();
    for kind in seen {
        let page = SERVER.get(&format!("{kind}?_revinclude=Provenance:target&_count=100")).is(200).json();
        assert_eq!(ids(&page, "include"), ["Provenance/uc-1"], "{kind}");
    }
    for (query, included) in [
        ("MedicationRequest?patient=uc-1&intent=order&_include=MedicationRequest:medication", "Medication/uc-1"),
        ("MedicationDispense?patient=uc-1&_include=MedicationDispense:medication", "Medication/uc-1"),
        ("PractitionerRole?practitioner=uc-doctor&_include=PractitionerRole:endpoint", "Endpoint/uc-mail"),
        ("PractitionerRole?practitioner=uc-doctor&_include=PractitionerRole:practitioner", "Practitioner/uc-doctor"),
        ("CareTeam?patient=uc-1&status=active&_include=CareTeam:participant:Practitioner", "Practitioner/uc-doctor"),
    ] {
        assert_eq!(ids(&SERVER.get(query).is(200).json(), "include"), [included], "{query}");
    }
}
