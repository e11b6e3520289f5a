//! Validation as data: a resource, and the places and codes of the issues it must give.

use super::{MAX_ISSUES, Validator};
use crate::definitions::Definitions;
use crate::json::{Document, Limits};

fn issues(expected: Option<&str>, resource: &str) -> Vec<String> {
    let definitions = Definitions::core();
    let expected = expected.map(|name| definitions.resource(name).expect("a resource type"));
    let document = Document::parse(resource.as_bytes(), &Limits::default()).expect(resource);
    let issues = Validator::new(definitions).validate(expected, document.root());
    issues.iter().map(|i| format!("{} {}", i.code.code(), i.expression.as_deref().unwrap_or_default())).collect()
}

#[track_caller]
fn check(resource: &str, expected: &[&str]) {
    assert_eq!(issues(None, resource), expected, "{resource}");
}

/// A Patient with these properties.
#[track_caller]
fn patient(properties: &str, expected: &[&str]) {
    check(&format!(r#"{{"resourceType":"Patient",{properties}}}"#), expected);
}

/// A final Observation with a code and these properties.
#[track_caller]
fn observation(properties: &str, expected: &[&str]) {
    let comma = if properties.is_empty() { "" } else { "," };
    let start = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"}"#;
    check(&format!("{start}{comma}{properties}}}"), expected);
}

#[test]
fn resource_types() {
    check(r#"{"resourceType":"Patient"}"#, &[]);
    check(r#"{}"#, &["required Resource.resourceType"]);
    check(r#"{"resourceType":1}"#, &["structure Resource.resourceType"]);
    check(r#"{"resourceType":"Foo"}"#, &["structure Resource.resourceType"]);
    check(r#"{"resourceType":"HumanName"}"#, &["structure HumanName.resourceType"]);
    check(r#"{"resourceType":"DomainResource"}"#, &["structure DomainResource.resourceType"]);
    check(r#"[]"#, &["structure Resource"]);
    check(r#""Patient""#, &["structure Resource"]);
    assert_eq!(issues(Some("Patient"), r#"{"resourceType":"Patient"}"#), [""; 0]);
    assert_eq!(issues(Some("Group"), r#"{"resourceType":"Patient"}"#), ["invalid Patient.resourceType"]);
    assert_eq!(issues(Some("Group"), r#"{"id":"1"}"#), ["required Group.resourceType"]);
}

#[test]
fn unknown_elements() {
    patient(r#""foo":1"#, &["structure Patient.foo"]);
    patient(r#""name":[{"family":"x","resourceType":"HumanName"}]"#, &["structure Patient.name[0].resourceType"]);
    patient(
        r#""contact":[{"name":{"text":"a"}},{"foo":[],"name":{"text":"a"}}]"#,
        &["structure Patient.contact[1].foo"],
    );
    patient(r#""_foo":{"id":"a"}"#, &["structure Patient._foo"]);
    patient(r#""fhir_comments":["x"]"#, &["structure Patient.fhir_comments"]);
    observation(r#""valueAddress":{"text":"x"}"#, &["structure Observation.valueAddress"]);
    observation(r#""value":"x""#, &["structure Observation.value"]);
}

#[test]
fn json_kinds() {
    patient(r#""active":"true""#, &["structure Patient.active"]);
    patient(r#""birthDate":2020"#, &["structure Patient.birthDate"]);
    patient(r#""multipleBirthInteger":"1""#, &["structure Patient.multipleBirth"]);
    patient(r#""name":{"family":"x"}"#, &["structure Patient.name"]);
    patient(r#""birthDate":["2020"]"#, &["structure Patient.birthDate"]);
    patient(r#""maritalStatus":[{"text":"x"}]"#, &["structure Patient.maritalStatus"]);
    patient(r#""maritalStatus":"x""#, &["structure Patient.maritalStatus"]);
    patient(r#""name":["x"]"#, &["structure Patient.name[0]"]);
    patient(r#""name":[["x"]]"#, &["structure Patient.name[0]"]);
    patient(r#""name":[null]"#, &["structure Patient.name[0]"]);
    patient(r#""birthDate":{"value":"2020"}"#, &["structure Patient.birthDate"]);
}

#[test]
fn empty_values() {
    patient(r#""name":[]"#, &["structure Patient.name"]);
    patient(r#""name":[{}]"#, &["invariant Patient.name[0]"]);
    patient(r#""name":[{"id":"a"}]"#, &["invariant Patient.name[0]"]);
    patient(r#""maritalStatus":{}"#, &["invariant Patient.maritalStatus"]);
    patient(r#""name":[{"family":""}]"#, &["value Patient.name[0].family"]);
    patient(r#""birthDate":null"#, &["structure Patient.birthDate"]);
}

#[test]
fn primitive_values() {
    patient(r#""birthDate":"2020-02-30""#, &["value Patient.birthDate"]);
    patient(r#""id":"a_b""#, &["value Patient.id"]);
    patient(r#""id":"a""#, &[]);
    patient(r#""meta":{"lastUpdated":"2020-01-01"}"#, &["value Patient.meta.lastUpdated"]);
    patient(r#""telecom":[{"rank":0}]"#, &["value Patient.telecom[0].rank"]);
    patient(r#""multipleBirthInteger":1.5"#, &["value Patient.multipleBirth"]);
    patient(r#""language":" en""#, &["value Patient.language"]);
    observation(r#""valueQuantity":{"value":1.50e3}"#, &[]);
    observation(r#""valueTime":"24:00:00""#, &["value Observation.value"]);
}

#[test]
fn extensions_of_primitives() {
    let extension = r#"{"extension":[{"url":"http://x","valueCode":"unknown"}]}"#;
    patient(&format!(r#""_birthDate":{extension}"#), &[]);
    patient(r#""birthDate":"2020","_birthDate":{"id":"a"}"#, &[]);
    patient(r#""_birthDate":{}"#, &["structure Patient.birthDate"]);
    patient(r#""_birthDate":null"#, &["structure Patient.birthDate"]);
    patient(r#""_birthDate":{"value":"2020"}"#, &["structure Patient.birthDate.value"]);
    patient(r#""_birthDate":{"extension":[]}"#, &["structure Patient.birthDate.extension"]);
    patient(r#""_birthDate":{"extension":[{"url":"http://x"}]}"#, &["invariant Patient.birthDate.extension[0]"]);
    patient(&format!(r#""_birthDate":[{extension}]"#), &["structure Patient.birthDate"]);
    patient(&format!(r#""_name":[{extension}]"#), &["structure Patient._name"]);
    let name = |inner: &str, expected: &[&str]| patient(&format!(r#""name":[{{{inner}}}]"#), expected);
    name(&format!(r#""given":["a",null],"_given":[null,{extension}]"#), &[]);
    name(&format!(r#""given":["a","b"],"_given":[null,{extension}]"#), &[]);
    name(&format!(r#""_given":[{extension}]"#), &[]);
    name(&format!(r#""_given":[null,{extension}]"#), &["structure Patient.name[0].given[0]"]);
    name(&format!(r#""given":["a"],"_given":[null,{extension}]"#), &["structure Patient.name[0].given"]);
    name(r#""given":["a",null]"#, &["structure Patient.name[0].given[1]"]);
    name(r#""given":["a",null],"_given":[null,null]"#, &["structure Patient.name[0].given[1]"]);
    name(&format!(r#""given":["a"],"_given":{extension}"#), &["structure Patient.name[0].given"]);
    // A mandatory primitive is there with extensions only, and so is a choice.
    let start = r#"{"resourceType":"Observation","code":{"text":"x"}"#;
    check(&format!(r#"{start},"_status":{extension}}}"#), &[]);
    observation(&format!(r#""_valueString":{extension}"#), &[]);
    patient(
        &format!(r#""extension":[{{"url":"http://x","_url":{extension},"valueCode":"x"}}]"#),
        &["structure Patient.extension[0]._url"],
    );
}

#[test]
fn mandatory_elements() {
    check(r#"{"resourceType":"Observation"}"#, &["required Observation.status", "required Observation.code"]);
    patient(r#""link":[{"type":"refer"}]"#, &["required Patient.link[0].other"]);
    patient(r#""extension":[{"valueString":"x"}]"#, &["required Patient.extension[0].url"]);
    let request = r#"{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"display":"x"}"#;
    check(&format!("{request}}}"), &["required MedicationRequest.medication"]);
    check(&format!(r#"{request},"medicationReference":{{"display":"x"}}}}"#), &[]);
}

#[test]
fn choices() {
    observation(r#""valueString":"x""#, &[]);
    observation(r#""valueString":"x","valueBoolean":true"#, &["structure Observation.value"]);
    observation(r#""valueString":"x","_valueString":{"id":"a"}"#, &[]);
    observation(r#""_valueString":{"id":"a"},"valueString":"x""#, &[]);
    observation(r#""valueString":"x","_valueCode":{"id":"a"}"#, &["structure Observation._valueCode"]);
    observation(
        r#""valueString":"x","_valueBoolean":{"extension":[{"url":"http://x","valueCode":"x"}]}"#,
        &["structure Observation.value"],
    );
}

#[test]
fn required_bindings() {
    patient(r#""gender":"female""#, &[]);
    patient(r#""gender":"Female""#, &["code-invalid Patient.gender"]);
    let condition = |status: &str, expected: &[&str]| {
        let start = r#"{"resourceType":"Condition","subject":{"display":"x"}"#;
        check(&format!(r#"{start},"clinicalStatus":{status}}}"#), expected);
    };
    let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    condition(&format!(r#"{{"coding":[{{"system":"{system}","code":"active"}}]}}"#), &[]);
    condition(&format!(r#"{{"coding":[{{"code":"x"}},{{"system":"{system}","code":"active"}}]}}"#), &[]);
    condition(
        &format!(r#"{{"coding":[{{"system":"{system}","code":"x"}}]}}"#),
        &["code-invalid Condition.clinicalStatus"],
    );
    condition(r#"{"coding":[{"system":"http://x","code":"active"}]}"#, &["code-invalid Condition.clinicalStatus"]);
    condition(r#"{"coding":[{"code":"active"}]}"#, &["code-invalid Condition.clinicalStatus"]);
    condition(r#"{"text":"active"}"#, &["code-invalid Condition.clinicalStatus"]);
    let reason = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
    condition(&format!(r#"{{"extension":[{{"url":"{reason}","valueCode":"unknown"}}]}}"#), &[]);
    // An extension that says something else excuses nothing, and no extension excuses a wrong code.
    condition(
        r#"{"extension":[{"url":"http://x","valueCode":"unknown"}]}"#,
        &["code-invalid Condition.clinicalStatus"],
    );
    condition(
        &format!(r#"{{"coding":[{{"code":"x"}}],"extension":[{{"url":"{reason}","valueCode":"unknown"}}]}}"#),
        &["code-invalid Condition.clinicalStatus"],
    );
}

#[test]
fn references() {
    observation(r#""subject":{"reference":"Patient/1"}"#, &[]);
    observation(r#""subject":{"reference":"Patient/1/_history/2"}"#, &[]);
    observation(r#""subject":{"reference":"http://example.org/fhir/Patient/1"}"#, &[]);
    observation(r#""subject":{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}"#, &[]);
    observation(r#""subject":{"reference":"Patient?identifier=1"}"#, &[]);
    observation(r#""subject":{"reference":"Medication/1"}"#, &["value Observation.subject.reference"]);
    observation(r#""subject":{"reference":"Medication?code=1"}"#, &["value Observation.subject.reference"]);
    observation(r#""subject":{"type":"Medication","display":"x"}"#, &["value Observation.subject.type"]);
    observation(r#""subject":{"reference":"Foo/1"}"#, &["value Observation.subject.reference"]);
    observation(r#""focus":[{"reference":"Foo/1"}]"#, &["value Observation.focus[0].reference"]);
    observation(r#""focus":[{"reference":"Medication/1"}]"#, &[]);
    observation(r#""performer":[{"reference":"Group/1"}]"#, &["value Observation.performer[0].reference"]);
}

#[test]
fn contained_resources() {
    let with = |contained: &str, reference: &str, expected: &[&str]| {
        observation(&format!(r#""contained":[{contained}],"subject":{{"reference":"{reference}"}}"#), expected);
    };
    with(r#"{"resourceType":"Patient","id":"p"}"#, "#p", &[]);
    let unused = ["invariant Observation.subject.reference", "invariant Observation.contained"];
    with(r#"{"resourceType":"Patient","id":"p"}"#, "#q", &unused);
    let back = r##"{"resourceType":"Provenance","id":"p","recorded":"2020-01-01T00:00:00Z","target":[{"reference":"#"}],
        "agent":[{"who":{"display":"x"}}]}"##;
    with(back, "Patient/1", &[]);
    let nested = r#"{"resourceType":"Patient","id":"p","contained":[{"resourceType":"Patient","id":"q"}]}"#;
    with(nested, "#p", &["invariant Observation.contained[0].contained"]);
    let version = r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"1"}}"#;
    with(version, "#p", &["invariant Observation.contained[0].meta.versionId"]);
    let label = r#"{"resourceType":"Patient","id":"p","meta":{"security":[{"code":"R"}]}}"#;
    with(label, "#p", &["invariant Observation.contained[0].meta.security"]);
    with(r#"{"resourceType":"Foo","id":"p"}"#, "#p", &["structure Observation.contained[0].resourceType"]);
    with(
        r#"{"resourceType":"Patient","id":"p","gender":"x"}"#,
        "#p",
        &["code-invalid Observation.contained[0].gender"],
    );
    // A contained resource may point to its neighbour and to the resource that holds it.
    let beside = r##"{"resourceType":"Patient","id":"p"},{"resourceType":"Observation","status":"final",
        "code":{"text":"x"},"subject":{"reference":"#p"},"derivedFrom":[{"reference":"#"}]}"##;
    with(beside, "#p", &[]);
}

#[test]
fn bundles() {
    let bundle = |kind: &str, entry: &str, expected: &[&str]| {
        check(&format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}}"#), expected);
    };
    let request = r#""request":{"method":"POST","url":"Patient"}"#;
    bundle("transaction", &format!(r#"{{"resource":{{"resourceType":"Patient"}},{request}}}"#), &[]);
    bundle("transaction", r#"{"resource":{"resourceType":"Patient"}}"#, &["invariant Bundle.entry"]);
    bundle(
        "collection",
        &format!(r#"{{"resource":{{"resourceType":"Patient"}},{request}}}"#),
        &["invariant Bundle.entry"],
    );
    bundle("collection", r#"{"resource":{"resourceType":"Patient","x":1}}"#, &["structure Bundle.entry[0].resource.x"]);
    bundle(
        "collection",
        r#"{"resource":{"resourceType":"Patient"},"response":{"status":"200"}}"#,
        &["invariant Bundle.entry"],
    );
    bundle("collection", r#"{"fullUrl":"http://x/Patient/1"}"#, &["invariant Bundle.entry[0]"]);
    bundle(
        "collection",
        r#"{"resource":{"resourceType":"Patient"},"search":{"mode":"match"}}"#,
        &["invariant Bundle.entry"],
    );
    bundle("searchset", r#"{"resource":{"resourceType":"Patient"},"search":{"mode":"match"}}"#, &[]);
    let at = |url: &str| format!(r#"{{"fullUrl":"{url}","resource":{{"resourceType":"Patient"}}}}"#);
    bundle("collection", &format!("{},{}", at("http://x/Patient/1"), at("http://x/Patient/2")), &[]);
    bundle(
        "collection",
        &format!("{},{}", at("http://x/Patient/1"), at("http://x/Patient/1")),
        &["invariant Bundle.entry"],
    );
    bundle("collection", &at("http://x/Patient/1/_history/2"), &["invariant Bundle.entry[0].fullUrl"]);
    bundle("message", r#"{"resource":{"resourceType":"Patient"}}"#, &["invariant Bundle.entry"]);
    check(r#"{"resourceType":"Bundle","type":"collection","total":1}"#, &["invariant Bundle.total"]);
    check(r#"{"resourceType":"Bundle","type":"searchset","total":1}"#, &[]);
    // Fragments are those of the resource of the entry.
    let entry = r##"{"resource":{"resourceType":"Patient","generalPractitioner":[{"reference":"#p"}]}}"##;
    bundle("collection", entry, &["invariant Bundle.entry[0].resource.generalPractitioner[0].reference"]);
}

#[test]
fn invariants() {
    let period =
        |inner: &str, expected: &[&str]| patient(&format!(r#""name":[{{"text":"x","period":{{{inner}}}}}]"#), expected);
    period(r#""start":"2020","end":"2019""#, &["invariant Patient.name[0].period"]);
    period(r#""start":"2020-06","end":"2020""#, &[]);
    period(r#""start":"2020-06-01","end":"2020-06-01T08:00:00Z""#, &[]);
    period(r#""start":"2020-06-01T10:00:00+02:00","end":"2020-06-01T08:00:00Z""#, &[]);
    period(
        r#""start":"2020-06-01T10:00:01+02:00","end":"2020-06-01T08:00:00Z""#,
        &["invariant Patient.name[0].period"],
    );
    patient(r#""extension":[{"url":"http://x"}]"#, &["invariant Patient.extension[0]"]);
    patient(
        r#""extension":[{"url":"http://x","valueCode":"x","extension":[{"url":"y","valueCode":"x"}]}]"#,
        &["invariant Patient.extension[0]"],
    );
    patient(r#""contact":[{"gender":"male"}]"#, &["invariant Patient.contact[0]"]);
    patient(r#""telecom":[{"value":"1"}]"#, &["invariant Patient.telecom[0]"]);
    patient(r#""photo":[{"data":"AAAA"}]"#, &["invariant Patient.photo[0]"]);
    observation(r#""valueQuantity":{"value":1,"code":"mg"}"#, &["invariant Observation.value"]);
    observation(r#""valueString":"x","dataAbsentReason":{"text":"x"}"#, &["invariant Observation.dataAbsentReason"]);
    patient(
        r#""maritalStatus":{"coding":[{"code":"M"}]},"extension":[{"url":"http://x","valueAge":{"value":1}}]"#,
        &["invariant Patient.extension[0].value"],
    );
    check(
        r#"{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"display","required":true}]}"#,
        &["invariant Questionnaire.item[0]"],
    );
    observation(r#""referenceRange":[{"appliesTo":[{"text":"x"}]}]"#, &["invariant Observation.referenceRange[0]"]);
    let same = r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://x","code":"1"}]},
        "component":[{"code":{"coding":[{"system":"http://x","code":"1"}]}}]"#;
    check(&format!("{same}}}"), &[]);
    check(&format!(r#"{same},"valueInteger":1}}"#), &["invariant Observation.value"]);
}

#[test]
fn narratives() {
    let text =
        |div: &str, expected: &[&str]| patient(&format!(r#""text":{{"status":"generated","div":"{div}"}}"#), expected);
    text(r#"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"#, &[]);
    text(r#"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>a</script></div>"#, &["invariant Patient.text.div"]);
    text(r#"<div xmlns=\"http://www.w3.org/1999/xhtml\"> </div>"#, &["invariant Patient.text.div"]);
    text("<div>a</div>", &["structure Patient.text.div"]);
    patient(r#""text":{"status":"generated"}"#, &["required Patient.text.div"]);
}

#[test]
fn issues_are_bounded_and_help() {
    let unknown: Vec<String> = (0..1000).map(|i| format!(r#""x{i}":{i}"#)).collect();
    let resource = format!(r#"{{"resourceType":"Patient",{}}}"#, unknown.join(","));
    assert_eq!(issues(None, &resource).len(), MAX_ISSUES);
    let resource = r#"{"resourceType":"Patient","birthdate":"2020","gender":"f"}"#;
    let document = Document::parse(resource.as_bytes(), &Limits::default()).expect("JSON");
    let issues = Validator::new(Definitions::core()).validate(None, document.root());
    assert_eq!(issues[0].diagnostics, "'birthdate' is not an element of Patient (did you mean 'birthDate'?)");
    let expected = "'f' is not in the value set http://hl7.org/fhir/ValueSet/administrative-gender \
                    (one of: female, male, other, unknown)";
    assert_eq!(issues[1].diagnostics, expected);
}

/// Each of these would take minutes if the work were quadratic.
#[test]
fn work_is_linear() {
    const MANY: usize = 50_000;
    let list = |item: &dyn Fn(usize) -> String| (0..MANY).map(item).collect::<Vec<_>>().join(",");
    let (nulls, extended) =
        (list(&|_| "null".into()), list(&|_| r#"{"extension":[{"url":"http://x","valueCode":"x"}]}"#.into()));
    patient(&format!(r#""name":[{{"given":[{nulls}],"_given":[{extended}]}}]"#), &[]);
    let contained = list(&|i| format!(r#"{{"resourceType":"Patient","id":"p{i}"}}"#));
    let references = list(&|i| format!(r##"{{"reference":"#p{i}"}}"##));
    observation(&format!(r#""contained":[{contained}],"focus":[{references}]"#), &[]);
    let codings = list(&|i| format!(r#"{{"system":"http://x","code":"c{i}"}}"#));
    let components = list(&|i| format!(r#"{{"code":{{"coding":[{{"system":"http://y","code":"c{i}"}}]}}}}"#));
    let start = format!(r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{codings}]}}"#);
    check(&format!(r#"{start},"valueInteger":1,"component":[{components}]}}"#), &[]);
    let entries = list(&|i| format!(r#"{{"fullUrl":"urn:x:{i}","resource":{{"resourceType":"Patient"}}}}"#));
    check(&format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#), &[]);
}
