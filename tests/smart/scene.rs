//! A server with two patients, whose every resource is marked, and tokens for one of them: what the attacks of `attack`
//! and `oracles` are made on.

use super::world::{World, person, query_of};
use crate::support::Answer;
use serde_json::{Value, json};
use vesta::access::Role;
use vesta::authorization::client::ClientKind;
use vesta::authorization::consent::{Answer as Consent, Person};

/// What only resources of the other patient hold.
pub const SECRET: &str = "SECRET-B";

/// Types and the element through which they belong to a patient.
pub const TYPES: [(&str, &str); 6] = [
    ("Observation", "subject"),
    ("Condition", "subject"),
    ("Encounter", "subject"),
    ("AllergyIntolerance", "patient"),
    ("DocumentReference", "subject"),
    ("Immunization", "patient"),
];

pub const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

pub struct Scene {
    pub world: World,
    /// A doctor's app that was launched for patient amy, with all rights, and amy's own, which may read and search.
    pub all: String,
    pub reads: String,
}

pub fn mark(patient: &str) -> &'static str {
    if patient == "bob" { SECRET } else { "MARK-A" }
}

pub fn member(kind: &str, element: &str, id: &str, patient: &str) -> Value {
    let mut resource = json!({"resourceType": kind, "id": id, "language": mark(patient)});
    resource[element] = json!({"reference": format!("Patient/{patient}")});
    resource
}

pub fn id_of(kind: &str, patient: &str) -> String {
    format!("{}-{patient}", kind.to_lowercase())
}

impl Scene {
    pub fn new() -> Scene {
        let world = World::start();
        for (patient, born) in [("amy", "1980-01-01"), ("bob", "1950-01-01")] {
            let mark = mark(patient);
            let resource = json!({"resourceType": "Patient", "id": patient, "birthDate": born, "name": [{"family": mark}],
                "identifier": [{"system": "urn:mrn", "value": mark}]});
            world.put(&format!("Patient/{patient}"), &resource);
            for (kind, element) in TYPES {
                let id = id_of(kind, patient);
                world.put(&format!("{kind}/{id}"), &member(kind, element, &id, patient));
            }
        }
        world.put("Practitioner/doc", &json!({"resourceType": "Practitioner", "id": "doc"}));
        for (id, category, patient) in
            [("lab-amy", "laboratory", "amy"), ("vital-amy", "vital-signs", "amy"), ("lab-bob", "laboratory", "bob")]
        {
            let mut observation = member("Observation", "subject", id, patient);
            observation["category"] = json!([{"coding": [{"system": CATEGORY, "code": category}]}]);
            observation["code"] = json!({"text": mark(patient)});
            observation["performer"] = json!([{"reference": "Practitioner/doc"}]);
            world.put(&format!("Observation/{id}"), &observation);
        }
        let mut focus = member("Observation", "subject", "focus-amy", "amy");
        focus["focus"] = json!([{"reference": "Patient/bob"}]);
        focus["hasMember"] = json!([{"reference": "Observation/lab-bob"}]);
        world.put("Observation/focus-amy", &focus);
        let both = json!({"resourceType": "Group", "id": "both", "type": "person", "actual": true, "name": SECRET,
            "member": [{"entity": {"reference": "Patient/amy"}}, {"entity": {"reference": "Patient/bob"}}]});
        world.put("Group/both", &both);
        for patient in ["amy", "bob"] {
            let binary = json!({"resourceType": "Binary", "id": format!("of-{patient}"), "data": "TUFSSy1B",
                "contentType": format!("text/{}", mark(patient)),
                "securityContext": {"reference": format!("Patient/{patient}")}});
            world.put(&format!("Binary/of-{patient}"), &binary);
        }
        world.app("app", ClientKind::Public, |_| {});
        let all = token(&world, "launch/patient patient/*.cruds", &world.doctor);
        let reads = token(&world, "launch/patient patient/*.rs", &world.amy);
        Scene { world, all, reads }
    }

    /// A token for patient amy with these scopes.
    pub fn amy(&self, scopes: &str) -> String {
        token(&self.world, &format!("launch/patient {scopes}"), &self.world.doctor)
    }

    /// Asks, and fails if anything of the other patient is in the answer.
    #[track_caller]
    pub fn quiet(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.quiet_with(token, method, path, body, &[])
    }

    #[track_caller]
    pub fn quiet_with(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
        more: &[(&str, &str)],
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend_from_slice(more);
        if body.is_some() && !more.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", "application/fhir+json"));
        }
        let bytes = body.map(|body| match body {
            Value::String(text) => text.clone().into_bytes(),
            other => serde_json::to_vec(other).expect("JSON"),
        });
        let answer = self.world.server.send(method, path, &headers, bytes.as_deref());
        let sent = path.contains(SECRET) || body.is_some_and(|body| body.to_string().contains(SECRET));
        let told = format!("{}{:?}", answer.text(), answer.headers);
        assert!(sent || !told.contains(SECRET), "{method} {path} leaks: {told}");
        assert!(answer.status < 500, "{method} {path}: {told}");
        answer
    }

    #[track_caller]
    pub fn get(&self, token: &str, path: &str) -> Answer {
        self.quiet(token, "GET", path, None)
    }

    /// A token of somebody in a role, for all that the role may.
    pub fn staff(&self, role: Role) -> String {
        let name = format!("{}-{}", role.code(), uuid::Uuid::new_v4());
        person(&self.world, &name, role, Some("Practitioner/doc")).1
    }

    /// What is the other patient's is as it was.
    pub fn untouched(&self) {
        let operator = self.world.operator();
        for (kind, _) in TYPES {
            let there = self.world.fhir(&format!("{kind}/{}", id_of(kind, "bob")), &operator).is(200).json();
            assert_eq!((&there["meta"]["versionId"], &there["language"]), (&json!("1"), &json!(SECRET)), "{kind}");
        }
    }
}

/// A token by the whole flow; a doctor chooses amy.
pub fn token(world: &World, scopes: &str, person: &Person) -> String {
    let patient = scopes.contains("launch/patient").then(|| "amy".to_owned());
    let scopes_allowed = scopes.split(' ').map(str::to_owned).collect();
    let consent = Consent { scopes: scopes_allowed, patient, ..Consent::default() };
    let back = world.led_back("app", scopes, person, Some(consent));
    let code = query_of(&back, "code").unwrap_or_else(|| panic!("no code in {back}"));
    let answer = world.exchange("app", &code);
    answer.is(200).json()["access_token"].as_str().expect("a token").to_owned()
}

/// The ids of a Bundle's resources, sorted.
pub fn found(answer: &Answer) -> Vec<String> {
    let bundle = answer.is(200).json();
    let mut ids: Vec<String> = bundle["entry"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| &entry["resource"])
        .filter(|resource| resource["resourceType"] != "OperationOutcome")
        .map(|resource| {
            let part = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
            format!("{}/{}", part("resourceType"), part("id"))
        })
        .collect();
    ids.sort();
    ids
}

#[track_caller]
pub fn only_of_amy(answer: &Answer, what: &str) {
    for id in found(answer) {
        assert!(!id.ends_with("bob") && id != "Group/both", "{what}: {id}");
    }
}

#[track_caller]
pub fn closed(answer: &Answer, what: &str) {
    assert!(matches!(answer.status, 400 | 403 | 404 | 412), "{what}: {} {}", answer.status, answer.text());
}
