//! What searches find: query, index and conditions together, on a few resources.

use super::world::World;

const RESOURCES: &str = r#"
{"resourceType":"Organization","id":"o1","name":"Acme Hospital","identifier":[{"system":"http://org","value":"1"}]}
{"resourceType":"Organization","id":"o2","name":"Ward","partOf":{"reference":"Organization/o1"}}
{"resourceType":"Practitioner","id":"d1","name":[{"family":"Ärztin","given":["Zoë"]}],"identifier":[{"system":"http://npi","value":"9"}]}
{"resourceType":"Patient","id":"p1","meta":{"tag":[{"system":"http://t","code":"x"}],"profile":["http://p/one"]},"active":true,"name":[{"family":"Able","given":["Ann"]}],"gender":"female","birthDate":"1970-05-01","managingOrganization":{"reference":"Organization/o2"},"generalPractitioner":[{"reference":"Practitioner/d1"}],"identifier":[{"system":"http://mrn","value":"1"},{"value":"bare"}]}
{"resourceType":"Patient","id":"p2","active":false,"name":[{"family":"Baker, Smith","given":["Bob","Ann"]}],"gender":"male","birthDate":"1980","identifier":[{"system":"http://mrn","value":"2"}],"link":[{"other":{"reference":"Patient/p1"},"type":"seealso"}]}
{"resourceType":"Patient","id":"p3","name":[{"family":"able|x$y"}],"birthDate":"1990-12-31","deceasedBoolean":true,"identifier":[{"system":"http://other","value":"1"}]}
{"resourceType":"Group","id":"g1","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p2"}}]}
{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"},"period":{"start":"2020-01-01T08:00:00Z","end":"2020-01-01T09:00:00Z"}}
{"resourceType":"Observation","id":"b1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"effectiveDateTime":"2020-01-01T08:30:00Z","valueQuantity":{"value":80,"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}
{"resourceType":"Observation","id":"b2","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"29463-7"}]},"subject":{"reference":"Patient/p2"},"effectiveDateTime":"2021-06-15","valueQuantity":{"value":80,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"},"performer":[{"reference":"Practitioner/d1"}]}
{"resourceType":"Observation","id":"b3","status":"preliminary","code":{"coding":[{"code":"8867-4"}]},"subject":{"reference":"Group/g1"},"hasMember":[{"reference":"Observation/b1"}]}
{"resourceType":"Observation","id":"b4","status":"final","code":{"text":"none"},"subject":{"identifier":{"system":"http://mrn","value":"7"}},"effectivePeriod":{"start":"2022-01"},"valueQuantity":{"value":90,"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}
{"resourceType":"Observation","id":"b5","status":"final","code":{"text":"far"},"subject":{"reference":"http://far.example/Patient/p1"},"focus":[{"reference":"http://here.example/fhir/Patient/p3"}]}
{"resourceType":"RiskAssessment","id":"r1","status":"final","subject":{"reference":"Patient/p1"},"prediction":[{"probabilityDecimal":0.25}]}
{"resourceType":"ValueSet","id":"v1","status":"active","url":"http://acme.org/fhir/ValueSet/a"}
{"resourceType":"AuditEvent","id":"a1","type":{"code":"rest"},"recorded":"2026-01-01T00:00:00Z","agent":[{"requestor":true,"who":{"reference":"Practitioner/d1"}}],"source":{"observer":{"display":"x"}},"entity":[{"what":{"reference":"Observation/b1"}}]}
"#;

const CASES: &[(&str, &str)] = &[
    // string
    ("Patient?family=able", "p1 p3"),
    ("Patient?family=ABLE", "p1 p3"),
    ("Patient?family:exact=Able", "p1"),
    ("Patient?family=baker%5C,", "p2"),
    ("Patient?family=baker,able%5C%7C", "p2 p3"),
    ("Patient?family:contains=SMITH", "p2"),
    ("Patient?given=ann", "p1 p2"),
    ("Patient?given=ann&given=bob", "p2"),
    ("Practitioner?family=arz", "d1"),
    ("Practitioner?given=zoe", "d1"),
    ("Patient?given:missing=true", "p3"),
    ("Patient?given:missing=false", "p1 p2"),
    // token
    ("Patient?gender=male", "p2"),
    ("Patient?gender:not=male", "p1 p3"),
    ("Patient?gender:not=male,female", "p3"),
    ("Patient?gender:missing=true", "p3"),
    ("Patient?identifier=1", "p1 p3"),
    ("Patient?identifier=http://mrn%7C1", "p1"),
    ("Patient?identifier=http://mrn%7C", "p1 p2"),
    ("Patient?identifier=%7Cbare", "p1"),
    ("Patient?identifier=%7C1", ""),
    ("Patient?active=true", "p1"),
    ("Patient?deceased=true", "p3"),
    ("Observation?code=8867-4", "b1 b3"),
    ("Observation?code=http://loinc.org%7C8867-4", "b1"),
    ("Observation?code=%7C8867-4", "b3"),
    // date
    ("Patient?birthdate=1970", "p1"),
    ("Patient?birthdate=1980-05", ""),
    ("Patient?birthdate=1980", "p2"),
    ("Patient?birthdate=ge1980", "p2 p3"),
    ("Patient?birthdate=lt1980", "p1"),
    ("Patient?birthdate=ne1980", "p1 p3"),
    ("Patient?birthdate=gt1970&birthdate=lt1990", "p2"),
    ("Patient?birthdate=lt1971,gt1989", "p1 p3"),
    ("Observation?date=ge2022", "b4"),
    ("Observation?date=2020-01-01T08:30:00%2B00:00", "b1"),
    ("Observation?date=2020-01-01T09:30:00+01:00", "b1"),
    ("Encounter?date=2020-01-01", "e1"),
    ("Encounter?date=sa2019", "e1"),
    ("Encounter?date=eb2021", "e1"),
    // number, quantity, uri
    ("RiskAssessment?probability=0.25", "r1"),
    ("RiskAssessment?probability=gt0.2", "r1"),
    ("RiskAssessment?probability=lt0.2", ""),
    ("Observation?value-quantity=80", "b1 b2"),
    ("Observation?value-quantity=80%7Chttp://unitsofmeasure.org%7Ckg", "b2"),
    ("Observation?value-quantity=gt85", "b4"),
    ("Observation?value-quantity=ap85", "b1 b2 b4"),
    ("Observation?value-quantity:missing=true", "b3 b5"),
    ("ValueSet?url=http://acme.org/fhir/ValueSet/a", "v1"),
    ("ValueSet?url:below=http://acme.org/fhir", "v1"),
    ("ValueSet?url:above=http://acme.org/fhir/ValueSet/a/b", "v1"),
    ("ValueSet?url=http://acme.org", ""),
    // reference
    ("Observation?subject=Patient/p1", "b1"),
    ("Observation?subject=p1", "b1"),
    ("Observation?subject=http://here.example/fhir/Patient/p1", "b1"),
    ("Observation?subject=http://far.example/Patient/p1", "b5"),
    ("Observation?focus=Patient/p3", "b5"),
    ("Observation?subject:Patient=p1", "b1"),
    ("Observation?subject:Group=g1", "b3"),
    ("Observation?subject:identifier=http://mrn%7C7", "b4"),
    ("Observation?patient=p2", "b2"),
    ("Observation?subject=Patient/p1,Group/g1", "b1 b3"),
    ("Observation?encounter:missing=false", "b1"),
    // composite
    ("Observation?code-value-quantity=8867-4$gt70", "b1"),
    ("Observation?code-value-quantity=http://loinc.org%7C29463-7$80%7Chttp://unitsofmeasure.org%7Ckg", "b2"),
    ("Observation?code-value-quantity=8867-4$gt90", ""),
    // chains
    ("Observation?subject:Patient.family=able", "b1"),
    ("Observation?patient.identifier=http://mrn%7C2", "b2"),
    ("Observation?subject.name=baker", "b2"),
    ("Observation?patient.organization.name=ward", "b1"),
    ("Observation?patient.organization.partof.identifier=http://org%7C1", "b1"),
    ("Observation?patient.gender:not=male", "b1"),
    ("Observation?patient.general-practitioner:Practitioner.identifier=9", "b1"),
    ("Observation?subject._id=p1,g1", "b1 b3"),
    ("Observation?has-member.code=http://loinc.org%7C8867-4", "b3"),
    // reverse chains
    ("Patient?_has:Observation:patient:code=8867-4", "p1"),
    ("Patient?_has:Observation:patient:code=8867-4,29463-7", "p1 p2"),
    ("Patient?_has:Group:member:_id=g1", "p2"),
    ("Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=d1", "p1"),
    ("Observation?patient._has:Group:member:_id=g1", "b2"),
    ("Practitioner?_has:Observation:performer:date=2021", "d1"),
    // what every resource has, the system, compartments
    ("Patient?_id=p1,p3", "p1 p3"),
    ("Patient?_tag=http://t%7Cx", "p1"),
    ("Patient?_profile=http://p/one", "p1"),
    ("Patient?_lastUpdated=ge2026-09", "p1 p2 p3"),
    ("Patient?_lastUpdated=lt2026-09", ""),
    ("?_type=Patient,Practitioner&name=a", "d1 p1 p2 p3"),
    ("?_id=p1,o1", "o1 p1"),
    ("?_type=Observation,Encounter&date=2020", "e1 b1"),
    ("Patient/p1/Observation", "b1"),
    ("Patient/p1/Observation?code=x", ""),
    ("Patient/p1/Patient", "p1 p2"),
    ("Patient/p1/*", "p1 p2 e1 b1 r1"),
    ("Patient/p1/*?_type=Observation,Encounter", "e1 b1"),
    ("Practitioner/d1/Observation", "b2"),
    ("Encounter/e1/*", "e1 b1"),
    // order
    ("Patient?_sort=birthdate", "p1 p2 p3"),
    ("Patient?_sort=-birthdate", "p3 p2 p1"),
    ("Patient?_sort=gender", "p1 p2 p3"),
    ("Patient?_sort=-gender", "p2 p1 p3"),
    ("Patient?_sort=given,-family", "p2 p1 p3"),
    ("Observation?_sort=-date,_id", "b4 b2 b1 b3 b5"),
    ("Observation?_sort=-value-quantity,-_id", "b4 b2 b1 b5 b3"),
];

/// Tries searches on resources: each with the ids that it finds, in order.
pub fn check(resources: &str, cases: &[(&str, &str)]) {
    let mut world = World::new();
    resources.lines().filter(|line| !line.is_empty()).for_each(|line| world.add(line));
    let mut wrong = Vec::new();
    for (search, expected) in cases {
        let (path, query) = search.split_once('?').unwrap_or((search, ""));
        let found = world.search(&world.plan(path, query)).join(" ");
        if found != *expected {
            wrong.push(format!("{search}: expected '{expected}', found '{found}'"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn searches_find_what_they_mean() {
    check(RESOURCES, CASES);
}
