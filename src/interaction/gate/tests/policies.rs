//! Roles and their policies, hidden elements, labels, Consents and emergencies (A39–A41).

use super::World;
use crate::access::{Caller, Principal, Role};
use std::sync::Arc;

fn broken_glass(caller: &Caller) -> Caller {
    let Caller::Known(principal) = caller else { panic!("known") };
    let reason = Some("unconscious in the emergency room".to_owned());
    Caller::Known(Arc::new(Principal { break_glass: reason, ..(**principal).clone() }))
}

/// What each role may do with what, as its policy says when nobody changed it.
#[test]
fn standard_policies() {
    let world = World::new();
    let line = |method: &str, of: &str| format!("{method} {of}");
    let observation = r#"{"resourceType":"Observation","id":"lab-b","subject":{"reference":"Patient/b"},"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}]}"#;
    let vital = r#"{"resourceType":"Observation","subject":{"reference":"Patient/b"}}"#;
    let audit = "auditevent-b";
    for (role, user, cases) in [
        (Role::Administrator, "Practitioner/x", "PO+ PV+ GP+ GC+ GA- DO+"),
        (Role::Doctor, "Practitioner/shared", "PO+ PV+ GP+ GC+ GA- DO-"),
        (Role::Nurse, "Practitioner/x", "PO+ PV+ GP+ GC+ GA- DO-"),
        (Role::Pharmacist, "Practitioner/x", "PO- PV- GP+ GC+ GA- DO-"),
        (Role::LaboratoryTechnician, "Practitioner/x", "PO+ PV- GP+ GC- GA- DO-"),
        (Role::Receptionist, "Practitioner/x", "PO- PV- GP+ GC- GA- DO-"),
        (Role::CivilAuthority, "Practitioner/x", "PO- PV- GP+ GC- GA- DO-"),
        (Role::Patient, "Patient/b", "PO+ PV+ GP+ GC+ GA+ DO-"),
        (Role::Patient, "Patient/a", "PO- PV- GP- GC- GA- DO-"),
        (Role::Auditor, "Practitioner/x", "PO- PV- GP- GC- GA+ DO-"),
    ] {
        let caller = world.user(role, user, "user/*.cruds");
        for case in cases.split(' ') {
            let (what, expected) = case.split_at(2);
            let answer = match what {
                "PO" => world.ask(&caller, "PUT Observation/lab-b", observation),
                "PV" => world.ask(&caller, "POST Observation", vital),
                "GP" => world.ask(&caller, "GET Patient/b", ""),
                "GC" => world.ask(&caller, "GET Condition/condition-b", ""),
                "GA" => world.ask(&caller, &line("GET", &format!("AuditEvent/{audit}")), ""),
                _ => world.ask(&caller, "DELETE Observation/observation-b", ""),
            };
            assert_eq!(answer.status < 300, expected == "+", "{role:?} {case}\n{answer:?}");
        }
        world.put(&world.member(
            world.definitions.resource("Observation").expect("a type"),
            "subject",
            "b",
            "observation-b",
            super::world::SECRET,
        ));
    }
    let auditor = world.user(Role::Auditor, "Practitioner/x", "user/*.cruds");
    for (line, body) in [
        ("DELETE AuditEvent/auditevent-b", ""),
        ("PUT AuditEvent/auditevent-b", r#"{"resourceType":"AuditEvent","id":"auditevent-b"}"#),
    ] {
        assert_eq!(world.ask(&auditor, line, body).status, 403, "{line}");
        let administrator = world.user(Role::Administrator, "Practitioner/x", "user/*.cruds");
        assert!(world.ask(&administrator, line, body).status >= 400, "{line}");
    }
}

/// The policy is one thing, the scope another: both must allow.
#[test]
fn scope_and_policy_meet() {
    let world = World::new();
    let narrow = world.user(Role::Doctor, "Practitioner/shared", "user/Observation.rs");
    assert_eq!(world.ask(&narrow, "GET Patient/a", "").status, 403);
    assert_eq!(world.ask(&narrow, "GET Observation/lab-a", "").status, 200);
    // A patient whose app was launched for somebody else sees neither.
    let Caller::Known(principal) = world.user(Role::Patient, "Patient/b", "patient/*.rs") else { panic!("known") };
    let launched = Principal { patient: crate::base::ResourceId::new("a"), ..(*principal).clone() };
    let launched = Caller::Known(Arc::new(launched));
    assert_eq!(world.ask(&launched, "GET Patient/a", "").status, 404);
    assert_eq!(world.ask(&launched, "GET Patient/b", "").status, 404);
}

/// A policy that an administrator writes holds from the next request on (A39: the patients of one's care team).
#[test]
fn policies_can_be_changed() {
    let world = World::new();
    let administrator = world.user(Role::Administrator, "Practitioner/x", "user/*.cruds");
    let doctor = world.user(Role::Doctor, "Practitioner/shared", "user/*.cruds");
    assert_eq!(world.ask(&doctor, "GET $access-policy", "").status, 403);
    assert_eq!(world.ask(&world.app("system/*.cruds", None), "GET $access-policy", "").status, 403);
    let all = world.ask(&administrator, "GET $access-policy", "");
    assert_eq!((all.status, all.text.matches(r#""name":"role""#).count()), (200, 10));
    assert_eq!(world.ask(&doctor, "GET Patient/b", "").status, 200);
    let policy = r#"{"resourceType":"Parameters","parameter":[{"name":"role","valueCode":"doctor"},
        {"name":"rule","part":[{"name":"type","valueCode":"*"},{"name":"actions","valueCode":"crus"},{"name":"within","valueCode":"care-team"}]}]}"#;
    assert_eq!(world.ask(&doctor, "POST $access-policy", policy).status, 403);
    assert_eq!(world.ask(&administrator, "POST $access-policy", policy).status, 200);
    assert_eq!(world.ask(&doctor, "GET Patient/a", "").status, 403);
    let team = |status: &str, patient: &str| {
        format!(
            r#"{{"resourceType":"CareTeam","id":"t","status":"{status}","subject":{{"reference":"Patient/{patient}"}},"participant":[{{"member":{{"reference":"Practitioner/shared"}}}}]}}"#
        )
    };
    world.put(&team("active", "a"));
    for (line, status) in
        [("GET Patient/a", 200), ("GET Observation/lab-a", 200), ("GET Patient/b", 404), ("GET Observation/lab-b", 404)]
    {
        assert_eq!(world.ask(&doctor, line, "").status, status, "{line}");
    }
    assert_eq!(World::found(&world.ask(&doctor, "GET Patient", "")), "Patient/a");
    world.put(&team("inactive", "a"));
    assert_eq!(world.ask(&doctor, "GET Patient/a", "").status, 403);
    for wrong in ["{}", r#"{"resourceType":"Parameters"}"#] {
        assert_eq!(world.ask(&administrator, "POST $access-policy", wrong).status, 422, "{wrong}");
    }
}

/// A41: an element that is hidden from a role is neither shown nor searched nor sorted by nor written nor lost.
#[test]
fn hidden_elements() {
    let world = World::new();
    let administrator = world.user(Role::Administrator, "Practitioner/x", "user/*.cruds");
    let policy = r#"{"resourceType":"Parameters","parameter":[{"name":"role","valueCode":"nurse"},
        {"name":"rule","part":[{"name":"type","valueCode":"*"},{"name":"actions","valueCode":"cruds"}]},
        {"name":"hidden","valueString":"Patient.birthDate"},{"name":"hidden","valueString":"Patient.telecom"}]}"#;
    assert_eq!(world.ask(&administrator, "POST $access-policy", policy).status, 200);
    world.put(r#"{"resourceType":"Patient","id":"h","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">1950 HIDDEN</div>"},"name":[{"family":"Shown"}],"birthDate":"1950-05-05","_birthDate":{"extension":[{"url":"u","valueString":"HIDDEN"}]},"telecom":[{"system":"phone","value":"HIDDEN"}],"gender":"female"}"#);
    world.put(r#"{"resourceType":"Observation","id":"of-h","subject":{"reference":"Patient/h"}}"#);
    let nurse = world.user(Role::Nurse, "Practitioner/x", "user/*.cruds");
    let hides = |answer: &super::world::Answer, line: &str| {
        assert!(!answer.text.contains("HIDDEN") && !answer.text.contains("1950"), "{line}\n{answer:?}");
    };
    for line in [
        "GET Patient/h",
        "GET Patient/h/_history",
        "GET Patient/h/_history/1",
        "GET Patient/h?_elements=birthDate,telecom",
        "GET Patient/h?_summary=true",
        "GET Patient?_id=h",
        "GET Patient?_id=h&_elements=birthDate",
        "GET Patient/_history",
        "GET _history",
        "GET Observation?_id=of-h&_include=*",
        "GET Patient/h/$everything",
        "GET Patient?_has:Observation:patient:_id=of-h",
    ] {
        let answer = world.ask(&nurse, line, "");
        assert_eq!(answer.status, 200, "{line}\n{answer:?}");
        assert!(answer.text.contains("Shown") || line.contains("_elements"), "{line}\n{answer:?}");
        hides(&answer, line);
    }
    for line in [
        "GET Patient?birthdate=1950-05-05",
        "GET Patient?birthdate:missing=true",
        "GET Patient?phone=HIDDEN",
        "GET Patient?telecom:not=x",
        "GET Patient?_sort=birthdate",
        "GET Patient?_sort=-telecom",
        "GET Observation?subject:Patient.birthdate=gt1900",
        "GET Observation?patient.phone=x",
        "DELETE Patient?phone=HIDDEN",
        "GET ?_type=Patient&_has:Observation:patient:subject:Patient.birthdate=1950-05-05",
    ] {
        let answer = world.ask(&nurse, line, "");
        assert_eq!(answer.status, 403, "{line}\n{answer:?}");
    }
    for (line, body) in [
        ("PUT Patient/h", r#"{"resourceType":"Patient","id":"h","birthDate":"1960-01-01"}"#),
        ("POST Patient", r#"{"resourceType":"Patient","birthDate":"1960-01-01"}"#),
        ("PATCH Patient/h as:merge-patch", r#"{"birthDate":"1960-01-01"}"#),
        ("PATCH Patient/h as:json-patch", r#"[{"op":"add","path":"/telecom","value":[{"value":"x"}]}]"#),
    ] {
        assert_eq!(world.ask(&nurse, line, body).status, 403, "{line}");
    }
    // A test on what is hidden fails like one on what is not there.
    let test = |value: &str| format!(r#"[{{"op":"test","path":"/birthDate","value":"{value}"}}]"#);
    let right = world.ask(&nurse, "PATCH Patient/h as:json-patch", &test("1950-05-05"));
    let wrong = world.ask(&nurse, "PATCH Patient/h as:json-patch", &test("1950-05-06"));
    assert_eq!(right.status, wrong.status);
    assert!(right.status >= 400);
    // Who does not see it does not lose it.
    let answer = world.ask(
        &nurse,
        "PUT Patient/h return:representation",
        r#"{"resourceType":"Patient","id":"h","gender":"male"}"#,
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    hides(&answer, "PUT");
    let answer = world.ask(&nurse, "PATCH Patient/h as:merge-patch return:representation", r#"{"active":true}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    hides(&answer, "PATCH");
    let stored = world.ask(&Caller::Open, "GET Patient/h", "");
    for part in ["1950-05-05", r#""gender":"male""#, r#""active":true"#, "HIDDEN"] {
        assert!(stored.text.contains(part), "{part}\n{}", stored.text);
    }
    assert_eq!(World::total(&world.ask(&Caller::Open, "GET Patient?birthdate=1950-05-05", "")), Some(1));
}

/// A40: guarded labels hide, count for older versions as well, and stay.
#[test]
fn guarded_labels() {
    let world = World::new();
    let of = |labels: &str, value: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"l","meta":{{"security":[{labels}]}},"subject":{{"reference":"Patient/a"}},"code":{{"text":"{value}"}}}}"#
        )
    };
    let label = |code: &str| {
        format!(r#"{{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"{code}"}}"#)
    };
    world.put(&of("", "before"));
    world.put(&of(&label("R"), "after"));
    let nurse = world.user(Role::Nurse, "Practitioner/x", "user/*.cruds");
    let doctor = world.user(Role::Doctor, "Practitioner/shared", "user/*.cruds");
    let app = world.app("patient/*.cruds", Some("a"));
    for caller in [&nurse, &app] {
        for line in ["GET Observation/l", "GET Observation/l/_history", "GET Observation/l/_history/1"] {
            assert_eq!(world.ask(caller, line, "").status, 404, "{line}");
        }
        for line in ["GET Observation?_id=l", "GET Observation?_security=R", "GET Patient/a/Observation?_id=l"] {
            assert_eq!(World::total(&world.ask(caller, line, "")), Some(0), "{line}");
        }
        assert!(!world.ask(caller, "GET Patient/a/$everything", "").text.contains("after"));
        assert!(!world.ask(caller, "GET _history", "").text.contains("before"));
        // What hides a resource from the writer may not be added by it, and nothing be changed.
        assert_eq!(world.ask(caller, "PUT Observation/l", &of("", "open")).status, 404);
        assert_eq!(
            world
                .ask(caller, "PUT Observation/lab-a", &of(&label("R"), "x").replace(r#""id":"l""#, r#""id":"lab-a""#))
                .status,
            403
        );
    }
    // A doctor sees R, not V, and takes away neither.
    assert_eq!(world.ask(&doctor, "GET Observation/l", "").status, 200);
    let less = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"meta","valueMeta":{{"security":[{}]}}}}]}}"#,
        label("R")
    );
    for (line, body) in [
        ("PUT Observation/l", of("", "open")),
        ("PATCH Observation/l as:json-patch", r#"[{"op":"remove","path":"/meta/security"}]"#.to_owned()),
        ("PATCH Observation/l as:merge-patch", r#"{"meta":{"security":null}}"#.to_owned()),
        ("POST Observation/l/$meta-delete", less.clone()),
    ] {
        let answer = world.ask(&doctor, line, &body);
        assert_eq!(answer.status, 403, "{line}\n{answer:?}");
    }
    assert_eq!(world.ask(&doctor, "PUT Observation/l", &of(&label("R"), "changed")).status, 200);
    world.put(&of(&label("V"), "very"));
    assert_eq!(world.ask(&doctor, "GET Observation/l", "").status, 404);
    // In an emergency there is a way, for those whose policy says so.
    assert_eq!(world.ask(&broken_glass(&doctor), "GET Observation/l", "").status, 200);
    assert_eq!(world.ask(&broken_glass(&nurse), "GET Observation/l", "").status, 200);
    assert_eq!(world.ask(&broken_glass(&app), "GET Observation/l", "").status, 404);
}

/// What a Consent denies is not seen by those whom it means.
#[test]
fn consents() {
    let world = World::new();
    let doctor = world.user(Role::Doctor, "Practitioner/shared", "user/*.cruds");
    let other = world.user(Role::Doctor, "Practitioner/other", "user/*.cruds");
    let consent = |id: &str, status: &str, provision: &str| {
        format!(
            r#"{{"resourceType":"Consent","id":"{id}","status":"{status}","scope":{{"coding":[{{"code":"patient-privacy"}}]}},"patient":{{"reference":"Patient/b"}},"provision":{provision}}}"#
        )
    };
    let seen = |caller: &Caller, lines: &[(&str, bool)], what: &str| {
        for (line, expected) in lines {
            let answer = world.ask(caller, line, "");
            let found = if line.contains('?') { World::total(&answer) > Some(0) } else { answer.status == 200 };
            assert_eq!(found, *expected, "{what}: {line}\n{answer:?}");
        }
    };
    let all = |is: bool| {
        [
            ("GET Patient/b", is),
            ("GET Observation/lab-b", is),
            ("GET Observation?_id=lab-b", is),
            ("GET Patient/b/Observation?_id=lab-b", is),
        ]
    };
    seen(&doctor, &all(true), "no Consent");
    world.put(&consent(
        "k",
        "active",
        r#"{"type":"deny","actor":[{"reference":{"reference":"Practitioner/shared"}}]}"#,
    ));
    seen(&doctor, &all(false), "denied to one");
    seen(&other, &all(true), "not to another");
    seen(&broken_glass(&doctor), &all(true), "in an emergency");
    seen(&world.user(Role::Patient, "Patient/b", "user/*.rs"), &all(true), "nor to the patient");
    assert_eq!(world.ask(&doctor, "GET Patient/a", "").status, 200);
    let write = r#"{"resourceType":"Observation","subject":{"reference":"Patient/b"}}"#;
    assert_eq!(world.ask(&doctor, "POST Observation", write).status, 403);
    for inactive in [
        consent("k", "inactive", r#"{"type":"deny"}"#),
        consent("k", "active", r#"{"type":"deny","period":{"end":"2001-01-01"}}"#),
        consent("k", "active", r#"{"type":"deny","period":{"start":"2999-01-01"}}"#),
        consent("k", "active", r#"{"type":"deny","purpose":[{"code":"HRESCH"}]}"#),
        consent("k", "active", r#"{"type":"permit"}"#),
    ] {
        world.put(&inactive);
        seen(&doctor, &all(true), &inactive);
    }
    world.put(&consent("k", "active", r#"{"type":"deny","provision":[{"type":"permit","actor":[{"reference":{"reference":"Practitioner/shared"}}],"class":[{"code":"Observation"}]}]}"#));
    seen(
        &doctor,
        &[("GET Observation/lab-b", true), ("GET Condition/condition-b", false), ("GET Patient/b", false)],
        "exception",
    );
    seen(&other, &all(false), "no exception");
    world.put(&consent("k", "active", r#"{"type":"permit","provision":[{"type":"deny","data":[{"meaning":"instance","reference":{"reference":"Observation/lab-b"}}]}]}"#));
    seen(&doctor, &[("GET Observation/lab-b", false), ("GET Observation/observation-b", true)], "one resource");
    world.put(&consent(
        "k",
        "active",
        r#"{"type":"permit","provision":[{"type":"deny","code":[{"coding":[{"system":"s","code":"hiv"}]}]}]}"#,
    ));
    world.put(r#"{"resourceType":"Observation","id":"hiv","subject":{"reference":"Patient/b"},"code":{"coding":[{"system":"s","code":"hiv"}]}}"#);
    seen(
        &doctor,
        &[("GET Observation/hiv", false), ("GET Observation/lab-b", true), ("GET Observation?code=hiv", false)],
        "a code",
    );
    // An organization is meant by its practitioners.
    world.put(&consent(
        "k",
        "active",
        r#"{"type":"deny","actor":[{"reference":{"reference":"Organization/shared"}}]}"#,
    ));
    seen(&doctor, &all(true), "not there yet");
    world.put(r#"{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"Practitioner/shared"},"organization":{"reference":"Organization/shared"}}"#);
    seen(&doctor, &all(false), "works there");
    // Backend services state no purpose.
    world.put(&consent("k", "active", r#"{"type":"deny","purpose":[{"code":"HRESCH"}]}"#));
    seen(&world.app("system/*.rs", None), &all(false), "no purpose");
    world.put(&consent("k", "active", r#"{"type":"deny","dataPeriod":{"start":"2020-01-01"}}"#));
    seen(&doctor, &all(false), "what cannot be judged denies");
    assert_eq!(world.ask(&Caller::Open, "DELETE Consent/k", "").status, 204);
    seen(&doctor, &all(true), "it is gone");
}

/// Whose a Consent is and whom it means is read as search reads it, and what narrows a permission is heeded.
#[test]
fn consents_in_other_words() {
    let world = World::new();
    let doctor = world.user(Role::Doctor, "Practitioner/shared", "user/*.cruds");
    let app = world.app("patient/*.rs", Some("b"));
    let put = |patient: &str, rest: &str| {
        world.put(&format!(
            r#"{{"resourceType":"Consent","id":"k","status":"active","scope":{{"coding":[{{"code":"patient-privacy"}}]}},"patient":{{"reference":"{patient}"}},{rest}}}"#
        ));
    };
    let sees = |caller: &Caller, line: &str, expected: bool, what: &str| {
        let answer = world.ask(caller, line, "");
        let found = if line.contains('?') { World::total(&answer) > Some(0) } else { answer.status == 200 };
        assert_eq!(found, expected, "{what}: {line}\n{answer:?}");
    };
    let deny = r#""provision":{"type":"deny"}"#;
    for patient in ["Patient/b", "Patient/b/_history/1", "http://vesta.test/fhir/Patient/b"] {
        put(patient, deny);
        for caller in [&doctor, &app] {
            sees(caller, "GET Patient/b", false, patient);
            sees(caller, "GET Observation?_id=lab-b", false, patient);
        }
        sees(&doctor, "GET Patient/a", true, patient);
    }
    let out = r#""policyRule":{"coding":[{"code":"OPTOUT"}]}"#;
    put("Patient/b", out);
    sees(&doctor, "GET Observation/lab-b", false, "opted out");
    sees(&doctor, "GET Practitioner/shared", true, "what is nobody's is not a Consent's matter");
    for (action, open) in [("collect", false), ("disclose", false), ("access", true), ("use", true)] {
        let permit =
            format!(r#"{out},"provision":{{"type":"permit","action":[{{"coding":[{{"code":"{action}"}}]}}]}}"#);
        put("Patient/b", &permit);
        sees(&doctor, "GET Observation/lab-b", open, action);
        sees(&doctor, "GET Observation?_id=lab-b", open, action);
        let write = r#"{"resourceType":"Observation","subject":{"reference":"Patient/b"}}"#;
        assert_eq!(world.ask(&doctor, "POST Observation", write).status < 300, action == "collect", "{action}");
    }
    // A label that hides nothing by itself.
    world.put(r#"{"resourceType":"Observation","id":"eth","meta":{"security":[{"code":"ETH"}]},"subject":{"reference":"Patient/b"}}"#);
    put("Patient/b", r#""provision":{"type":"permit","provision":[{"type":"deny","securityLabel":[{"code":"ETH"}]}]}"#);
    sees(&doctor, "GET Observation/eth", false, "a label");
    sees(&doctor, "GET Observation?_id=eth", false, "a label");
    sees(&doctor, "GET Observation/lab-b", true, "a label");
    put("Patient/b", r#""provision":{"type":"deny","code":[{"coding":[{"code":"visit"}]}]}"#);
    world.put(r#"{"resourceType":"Encounter","id":"v","subject":{"reference":"Patient/b"},"type":[{"coding":[{"code":"visit"}]}]}"#);
    sees(&doctor, "GET Encounter/v", false, "a code under another parameter than code");
    sees(&doctor, "GET Encounter?_id=v", false, "a code under another parameter than code");
    sees(&doctor, "GET Encounter/encounter-b", true, "another code");
    // Teams and groups mean those who are in them.
    for (team, member, kind) in [("CareTeam", "participant", "member"), ("Group", "member", "entity")] {
        let named =
            format!(r#""provision":{{"type":"deny","actor":[{{"reference":{{"reference":"{team}/of-me"}}}}]}}"#);
        put("Patient/b", &named);
        sees(&doctor, "GET Patient/b", true, team);
        world.put(&format!(
            r#"{{"resourceType":"{team}","id":"of-me","{member}":[{{"{kind}":{{"reference":"Practitioner/shared"}}}}]}}"#
        ));
        sees(&doctor, "GET Patient/b", false, team);
    }
}

/// Only what denies something to a user counts, and only for those who see more than one patient.
#[test]
fn consents_are_decided_by_up_to_a_bound() {
    let mut world = World::new();
    world.service.gate.consents.most = 1;
    let doctor = world.user(Role::Doctor, "Practitioner/shared", "user/*.rs");
    let put = |world: &World, id: &str, status: &str, patient: &str, provision: &str| {
        world.put(&format!(
            r#"{{"resourceType":"Consent","id":"{id}","status":"{status}","scope":{{"coding":[{{"code":"patient-privacy"}}]}},"patient":{{"reference":"Patient/{patient}"}},"provision":{provision}}}"#
        ));
    };
    for number in 0..10 {
        put(&world, &format!("i{number}"), "inactive", &format!("p{number}"), r#"{"type":"deny"}"#);
        put(&world, &format!("p{number}"), "active", &format!("p{number}"), r#"{"type":"permit"}"#);
        let other = r#"{"type":"deny","actor":[{"reference":{"reference":"Practitioner/other"}}]}"#;
        put(&world, &format!("o{number}"), "active", &format!("p{number}"), other);
    }
    put(&world, "a", "active", "a", r#"{"type":"deny"}"#);
    assert_eq!(world.ask(&doctor, "GET Patient/b", "").status, 200);
    assert_eq!(world.ask(&doctor, "GET Patient/a", "").status, 404);
    put(&world, "b", "active", "b", r#"{"type":"deny"}"#);
    let answer = world.ask(&doctor, "GET Organization/shared", "");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.text.contains("Consents"), "{answer:?}");
    assert_eq!(world.ask(&world.app("patient/*.rs", Some("b")), "GET Patient/b", "").status, 404);
    assert_eq!(world.ask(&world.app("patient/*.rs", Some("b")), "GET Organization/shared", "").status, 200);
    put(&world, "b", "inactive", "b", r#"{"type":"deny"}"#);
    assert_eq!(world.ask(&doctor, "GET Patient/b", "").status, 200);
}

/// A relative sees the record of the patient whose relative it is by what is stored, for as long as it is.
#[test]
fn relatives_see_whose_relatives_they_are() {
    let world = World::new();
    let relative = world.user(Role::Patient, "RelatedPerson/aunt", "user/*.rs");
    assert_eq!(world.ask(&relative, "GET Patient/a", "").status, 403);
    let person = |rest: &str| {
        world.put(&format!(
            r#"{{"resourceType":"RelatedPerson","id":"aunt","patient":{{"reference":"Patient/a"}}{rest}}}"#
        ));
    };
    for (rest, sees) in [
        ("", true),
        (r#","active":true,"period":{"start":"2001"}"#, true),
        (r#","active":false"#, false),
        (r#","period":{"end":"2001"}"#, false),
        (r#","period":{"start":"2999"}"#, false),
    ] {
        person(rest);
        assert_eq!(world.ask(&relative, "GET Patient/a", "").status == 200, sees, "{rest}");
        assert_eq!(world.ask(&relative, "GET Observation/lab-a", "").status == 200, sees, "{rest}");
        assert!(world.ask(&relative, "GET Patient/b", "").status >= 400, "{rest}");
    }
    // A launch for somebody else opens neither record.
    person("");
    let Caller::Known(principal) = world.user(Role::Patient, "RelatedPerson/aunt", "patient/*.rs") else {
        panic!("known")
    };
    let launched = Principal { patient: crate::base::ResourceId::new("b"), ..(*principal).clone() };
    let launched = Caller::Known(Arc::new(launched));
    assert!(world.ask(&launched, "GET Patient/b", "").status >= 400);
    assert!(world.ask(&launched, "GET Patient/a", "").status >= 400);
}

/// The scope fhirUser lets an app read the resource that is the user, and no other.
#[test]
fn an_app_reads_who_its_user_is() {
    let world = World::new();
    world.put(r#"{"resourceType":"Practitioner","id":"other"}"#);
    for role in [Role::Doctor, Role::Auditor] {
        let user = world.user(role, "Practitioner/shared", "openid fhirUser");
        for (line, status) in [
            ("GET Practitioner/shared", 200),
            ("GET Practitioner/shared/_history/1", 200),
            ("GET Practitioner/other", 404),
            ("GET Practitioner/nobody", 404),
            ("GET Practitioner", 403),
            ("DELETE Practitioner/shared", 403),
            ("GET Patient/a", 403),
        ] {
            assert_eq!(world.ask(&user, line, "").status, status, "{line}");
        }
        let without = world.user(role, "Practitioner/shared", "openid");
        assert_eq!(world.ask(&without, "GET Practitioner/shared", "").status, 403);
    }
}
