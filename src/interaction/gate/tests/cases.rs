//! Single cases of the list, by their numbers. Those that belong to other rooms are not here: A15 (GraphQL is not
//! served), A36 (bulk export is not served; the command line is the operator's), A37 (subscriptions are not served),
//! A42, A43 (paths and headers: `tests/http`), and of A35 `$docref`, `$summary`, `$lastn`, `$match`, `$member-match`
//! and SQL on FHIR (not served).

use super::World;
use crate::access::{Caller, Role};

/// A03, A04: counts and pages.
#[test]
fn searches_find_only_the_own() {
    let world = World::new();
    let app = world.app("patient/*.rs", Some("a"));
    let answer = world.quiet(&app, "GET Observation", "");
    assert_eq!(
        World::found(&answer),
        "Observation/focus-a Observation/lab-a Observation/observation-a Observation/vital-a"
    );
    assert_eq!(World::total(&answer), Some(4));
    let answer = world.quiet(&app, "GET Patient", "");
    assert_eq!((World::found(&answer).as_str(), World::total(&answer)), ("Patient/a", Some(1)));
    let answer = world.quiet(&app, "GET Organization", "");
    assert_eq!(World::found(&answer), "Organization/shared");
    // Types that are nobody's may be read but not written.
    for line in ["PUT Organization/shared", "PUT Organization/new"] {
        let writer = world.app("patient/*.cruds", Some("a"));
        let body =
            format!(r#"{{"resourceType":"Organization","id":"{}"}}"#, line.rsplit('/').next().unwrap_or_default());
        assert_eq!(world.quiet(&writer, line, &body).status, 403, "{line}");
    }
    // Without a patient in the launch there is nothing.
    assert_eq!(world.quiet(&world.app("patient/*.rs", None), "GET Observation", "").status, 403);
    assert_eq!(world.quiet(&world.app("openid", Some("a")), "GET Patient/a", "").status, 403);
}

/// A08, A09: what refers to the other patient is included without it.
#[test]
fn includes_stay_inside() {
    let world = World::new();
    let app = world.app("patient/*.rs", Some("a"));
    let line = "GET Observation?_id=focus-a&_include=Observation:focus&_include=Observation:has-member&_include=Observation:subject";
    assert_eq!(World::found(&world.quiet(&app, line, "")), "Observation/focus-a Patient/a");
    // A11: what was not granted is not included.
    let narrow = world.app("patient/Observation.rs", Some("a"));
    assert_eq!(World::found(&world.quiet(&narrow, line, "")), "Observation/focus-a");
    let answer = world.quiet(&narrow, "GET Observation?_id=lab-a&_revinclude=*&_include=*", "");
    assert!(!World::found(&answer).contains("Patient"), "{answer:?}");
    assert_eq!(World::found(&world.quiet(&narrow, "GET Patient/a/Observation?_id=lab-a", "")), "Observation/lab-a");
    assert_eq!(world.quiet(&narrow, "GET Patient/b/Observation", "").status, 404);
}

/// A12, A13, A14: nothing is asked of a type that may not be searched, whatever is stored.
#[test]
fn chains_need_the_right_on_their_target() {
    let world = World::new();
    let observations = world.app("patient/Observation.rs", Some("a"));
    let patients = world.app("patient/Patient.rs", Some("a"));
    for (caller, line) in [
        (&observations, "GET Observation?subject:Patient.birthdate=gt1970"),
        (&observations, "GET Observation?subject:Patient.birthdate=gt2970"),
        (&observations, "GET Observation?subject:Patient.birthdate=gt1970 handling:lenient"),
        (&observations, "GET Observation?performer:Practitioner.name=x"),
        (&observations, "GET Observation?_has:Provenance:target:agent=x"),
        (&patients, "GET Patient?_has:Observation:patient:code=x"),
        (&patients, "GET Patient?_has:Observation:patient:_id=lab-b"),
        (&patients, "GET Patient?_has:Encounter:patient:_has:Observation:encounter:code=x"),
        (&patients, "DELETE Patient?_has:Observation:patient:code=x"),
        (&observations, "GET Patient"),
        (&observations, "GET Patient/a"),
        (&observations, "GET Patient/a/_history"),
        (&observations, "GET ?_type=Patient,Encounter"),
        (&observations, "GET Patient/a/$everything"),
    ] {
        let answer = world.quiet(caller, line, "");
        assert_eq!(answer.status, 403, "{line}\n{answer:?}");
    }
    // With the right, what is out of reach does not count: b is older than 1960, and has values above 3.
    let app = world.app("patient/*.rs", Some("a"));
    for line in [
        "GET Patient?_has:Observation:patient:value-quantity=gt50",
        "GET Observation?subject:Patient.birthdate=lt1960",
        "GET Observation?has-member:Observation.value-quantity=gt50",
        "GET Observation?focus:Patient.name=SECRET-B",
        "GET Patient?_has:Observation:focus:_id=focus-a",
        "GET Practitioner?_has:Observation:performer:_id=lab-b",
    ] {
        let answer = world.quiet(&app, line, "");
        assert_eq!((answer.status, World::total(&answer)), (200, Some(0)), "{line}\n{answer:?}");
    }
    assert_eq!(World::total(&world.quiet(&app, "GET Practitioner?_has:Observation:performer:_id=lab-a", "")), Some(1));
}

/// A17, A18: histories; each version by its own content.
#[test]
fn histories_show_each_version_by_what_stood_in_it() {
    let world = World::new();
    let of = |patient: &str, mark: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"moves","subject":{{"reference":"Patient/{patient}"}},"code":{{"text":"{mark}"}}}}"#
        )
    };
    world.put(&of("a", "first"));
    world.put(&of("b", super::world::SECRET));
    world.put(&of("a", "third"));
    world.put(&of("b", super::world::SECRET));
    let app = world.app("patient/*.rs", Some("a"));
    assert_eq!(world.quiet(&app, "GET Observation/moves", "").status, 404);
    assert_eq!(world.quiet(&app, "GET Observation/moves/_history/1", "").status, 200);
    assert_eq!(world.quiet(&app, "GET Observation/moves/_history/2", "").status, 404);
    assert_eq!(world.quiet(&app, "GET Observation/moves/_history/4", "").status, 404);
    let answer = world.quiet(&app, "GET Observation/moves/_history", "");
    assert!(answer.text.contains("first") && answer.text.contains("third"), "{answer:?}");
    assert_eq!(World::total(&answer), Some(2));
    // A deleted resource of b is unknown, one of a is gone.
    for (id, status) in [("lab-b", 404), ("lab-a", 410)] {
        world.ask(&Caller::Open, &format!("DELETE Observation/{id}"), "");
        assert_eq!(world.quiet(&app, &format!("GET Observation/{id}"), "").status, status, "{id}");
        let answer = world.quiet(&app, &format!("GET Observation/{id}/_history"), "");
        assert_eq!(answer.status, if id == "lab-a" { 200 } else { 404 }, "{answer:?}");
    }
    // And cannot be taken over by its id.
    let writer = world.app("patient/*.cruds", Some("a"));
    let body = r#"{"resourceType":"Observation","id":"lab-b","subject":{"reference":"Patient/a"}}"#;
    assert_eq!(world.quiet(&writer, "PUT Observation/lab-b", body).status, 404);
    for line in ["GET _history", "GET _history?_count=3", "GET Observation/_history"] {
        let mut answer = world.quiet(&app, line, "");
        let mut pages = 1;
        while let Some(next) = next(&answer.text) {
            answer = world.quiet(&app, &format!("GET {next}"), "");
            pages += 1;
            assert!(pages < 200, "{line}");
        }
        assert_eq!(World::total(&answer), None, "{line}");
    }
}

fn next(text: &str) -> Option<String> {
    let bundle = crate::json::Tree::parse(text.as_bytes()).expect("JSON");
    let links = bundle.get("link")?.items().to_vec();
    let link = links.iter().find(|l| l.get("relation").and_then(|r| r.as_str()) == Some("next"))?;
    link.get("url")?.as_str().map(str::to_owned)
}

/// A10: a page link is good for the one it was given to.
#[test]
fn page_links_are_not_for_others() {
    let world = World::new();
    let app = world.app("patient/*.rs", Some("a"));
    let other = world.app("patient/*.rs", Some("b"));
    let answer = world.quiet(&app, "GET Observation?_count=1", "");
    let link = next(&answer.text).expect("a next page");
    assert_eq!(world.quiet(&app, &format!("GET {link}"), "").status, 200);
    for (caller, status) in [(&other, 400), (&Caller::Open, 400)] {
        assert_eq!(world.ask(caller, &format!("GET {link}"), "").status, status);
    }
    let open = next(&world.ask(&Caller::Open, "GET Observation?_count=1", "").text).expect("a next page");
    assert_eq!(world.ask(&app, &format!("GET {open}"), "").status, 400);
}

/// A16: everything about a patient, and nothing about another.
#[test]
fn everything_is_of_one_patient() {
    let world = World::new();
    let app = world.app("patient/*.rs", Some("a"));
    assert_eq!(world.quiet(&app, "GET Patient/b/$everything", "").status, 404);
    let answer = world.quiet(&app, "GET Patient/a/$everything", "");
    let found = World::found(&answer);
    assert!(
        found.contains("Patient/a") && found.contains("Observation/focus-a") && found.contains("Practitioner/shared")
    );
    assert!(!found.contains("-b") && !found.contains("Group/both"), "{found}");
}

/// A19, A20: batches and transactions.
#[test]
fn bundles_are_judged_entry_by_entry() {
    let world = World::new();
    let app = world.app("patient/*.cruds", Some("a"));
    let bundle = |kind: &str, entries: &[(&str, &str, &str)]| {
        let entries: Vec<String> = entries
            .iter()
            .map(|(method, url, resource)| {
                let resource = if resource.is_empty() { String::new() } else { format!(r#""resource":{resource},"#) };
                format!(r#"{{{resource}"request":{{"method":"{method}","url":"{url}"}}}}"#)
            })
            .collect();
        format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, entries.join(","))
    };
    let own = r#"{"resourceType":"Observation","subject":{"reference":"Patient/a"}}"#;
    let foreign = r#"{"resourceType":"Observation","id":"lab-b","subject":{"reference":"Patient/b"}}"#;
    let taken = r#"{"resourceType":"Observation","id":"lab-b","subject":{"reference":"Patient/a"}}"#;
    let reference = r#"{"resourceType":"Observation","subject":{"reference":"Patient/a"},"focus":[{"reference":"Patient?identifier=urn:mrn|SECRET-B"}]}"#;
    let forbidden = [
        ("GET", "Observation/lab-b", ""),
        ("GET", "Patient/b", ""),
        ("GET", "Observation/lab-b/_history", ""),
        ("POST", "Observation", foreign),
        ("PUT", "Observation/lab-b", taken),
        ("PUT", "Observation/lab-b", foreign),
        ("DELETE", "Observation/lab-b", ""),
    ];
    let answer = world.quiet(&app, "POST ", &bundle("batch", &forbidden));
    assert_eq!(answer.status, 200);
    let refused = answer.text.matches(r#""status":"40"#).count();
    assert_eq!(refused, forbidden.len(), "{}", answer.text);
    let count = || World::total(&world.ask(&Caller::Open, "GET Observation?_summary=count", ""));
    let before = count();
    for entry in forbidden.iter().chain(&[("POST", "Observation", reference)]) {
        let answer = world.ask(&app, "POST ", &bundle("transaction", &[("POST", "Observation", own), *entry]));
        assert!(matches!(answer.status, 403 | 404 | 412), "{entry:?}\n{answer:?}");
        assert!(!answer.text.contains("\"language\":\"SECRET-B\""), "{answer:?}");
        assert_eq!(count(), before, "{entry:?}");
    }
    assert_eq!(world.quiet(&app, "POST ", &bundle("transaction", &[("POST", "Observation", own)])).status, 200);
    // A search in a transaction sees no more than any other.
    world.quiet(
        &app,
        "POST ",
        &bundle("transaction", &[("GET", "Observation", ""), ("GET", "Patient?_revinclude=*", "")]),
    );
}

/// A21: criteria that match what is out of reach match nothing.
#[test]
fn conditional_forms_do_not_see_the_other() {
    let world = World::new();
    let app = world.app("patient/*.cruds", Some("a"));
    let own = r#"{"resourceType":"Observation","subject":{"reference":"Patient/a"},"code":{"text":"new"}}"#;
    // As if there were none: it is created.
    assert_eq!(world.quiet(&app, "POST Observation if-none-exist:patient=Patient/b", own).status, 201);
    assert_eq!(world.quiet(&app, "POST Observation if-none-exist:_id=lab-a", own).status, 200);
    assert_eq!(world.quiet(&app, "PUT Observation?_id=lab-b", own).status, 201);
    // With an id of one's own choice it would be found out whether the id is free.
    for id in ["lab-b", "free"] {
        let own = own.replace(r#""subject""#, &format!(r#""id":"{id}","subject""#));
        assert_eq!(world.quiet(&app, "PUT Observation?_id=lab-b", &own).status, 404, "{id}");
    }
    assert_eq!(world.quiet(&app, "PATCH Observation?_id=lab-b as:merge-patch", r#"{"status":"final"}"#).status, 404);
    assert_eq!(world.quiet(&app, "DELETE Observation?_id=lab-b", "").status, 204);
    assert_eq!(world.ask(&Caller::Open, "GET Observation/lab-b", "").version, Some(1));
    // Criteria are searches.
    let creator = world.app("patient/Observation.c", Some("a"));
    assert_eq!(world.quiet(&creator, "POST Observation if-none-exist:_id=lab-a", own).status, 403);
    assert_eq!(world.quiet(&creator, "POST Observation", own).status, 201);
}

/// A25, A26, A27: a scope with search parameters.
#[test]
fn granular_scopes_narrow_everything() {
    let world = World::new();
    let laboratory = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
    let app = world.app(&format!("patient/Observation.cruds?{laboratory} patient/Patient.rs"), Some("a"));
    for (line, found) in [
        ("GET Observation", "Observation/lab-a"),
        ("GET Observation?category=vital-signs", ""),
        ("GET Observation?category:not=laboratory", ""),
        ("GET Observation?category:missing=true", ""),
        ("GET Observation?category=vital-signs,laboratory", "Observation/lab-a"),
        ("GET Observation?category=vital-signs handling:lenient", ""),
        ("GET Patient/a/Observation", "Observation/lab-a"),
        ("GET Patient?_id=a&_revinclude=Observation:patient", "Observation/lab-a Patient/a"),
        ("GET Observation/_history", "Observation/lab-a"),
    ] {
        assert_eq!(World::found(&world.quiet(&app, line, "")), found, "{line}");
    }
    let everything = World::found(&world.quiet(&app, "GET Patient/a/$everything", ""));
    assert_eq!(everything, "Observation/lab-a Patient/a");
    assert_eq!(world.quiet(&app, "GET Observation/lab-a", "").status, 200);
    assert_eq!(world.quiet(&app, "GET Observation/vital-a", "").status, 404);
    let body = |id: &str, category: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"{id}","subject":{{"reference":"Patient/a"}},"category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"{category}"}}]}}]}}"#
        )
    };
    assert_eq!(world.quiet(&app, "PUT Observation/lab-a", &body("lab-a", "vital-signs")).status, 403);
    let patch = r#"[{"op":"replace","path":"/category/0/coding/0/code","value":"vital-signs"}]"#;
    assert_eq!(world.quiet(&app, "PATCH Observation/lab-a as:json-patch", patch).status, 403);
    assert_eq!(world.quiet(&app, "PUT Observation/vital-a", &body("vital-a", "laboratory")).status, 404);
    assert_eq!(world.quiet(&app, "POST Observation", &body("x", "vital-signs")).status, 403);
    assert_eq!(world.quiet(&app, "POST Observation", &body("x", "laboratory")).status, 201);
    assert_eq!(world.quiet(&app, "PUT Observation/lab-a", &body("lab-a", "laboratory")).status, 200);
}

/// A31: a scope whose parameter cannot be enforced opens nothing.
#[test]
fn what_cannot_be_enforced_is_refused() {
    let world = World::new();
    for scope in ["patient/Observation.rs?date=never", "patient/Observation.rs?value-quantity=much"] {
        let app = world.app(scope, Some("a"));
        for line in ["GET Observation", "GET Observation handling:lenient", "GET Observation/lab-a", "GET Patient/a"] {
            assert_eq!(world.quiet(&app, line, "").status, 403, "{scope}: {line}");
        }
    }
}

/// A33: what is contained in a resource of a is a's.
#[test]
fn contained_resources_belong_to_their_container() {
    let world = World::new();
    world.put(r##"{"resourceType":"Observation","id":"contains","subject":{"reference":"Patient/a"},"performer":[{"reference":"#p"}],"contained":[{"resourceType":"Patient","id":"p","name":[{"family":"Inner"}]}]}"##);
    let app = world.app("patient/*.rs", Some("a"));
    assert!(world.quiet(&app, "GET Observation/contains", "").text.contains("Inner"));
    assert_eq!(World::total(&world.quiet(&app, "GET Patient?name=Inner", "")), Some(0));
    // A reference to a contained patient is no reference to a stored one of that id.
    world.put(r##"{"resourceType":"Observation","id":"trick","language":"SECRET-B","subject":{"reference":"#a"},"contained":[{"resourceType":"Patient","id":"a"}]}"##);
    assert_eq!(world.quiet(&app, "GET Observation/trick", "").status, 404);
}

/// A34: a Binary is for those who see what it belongs to.
#[test]
fn binaries_follow_their_security_context() {
    let world = World::new();
    let app = world.app("patient/*.cruds", Some("a"));
    for (id, status) in [("of-a", 200), ("of-b", 404), ("of-none", 404)] {
        assert_eq!(world.quiet(&app, &format!("GET Binary/{id}"), "").status, status, "{id}");
        assert_eq!(world.quiet(&app, &format!("GET Binary/{id}/_history"), "").status, status, "{id}");
    }
    assert_eq!(world.quiet(&app, "GET Binary", "").status, 403);
    for (context, status) in [
        (r#""securityContext":{"reference":"Patient/a"},"#, 201),
        (r#""securityContext":{"reference":"Patient/b"},"#, 403),
        ("", 403),
    ] {
        let body = format!(r#"{{"resourceType":"Binary",{context}"contentType":"text/plain","data":"YQ=="}}"#);
        assert_eq!(world.quiet(&app, "POST Binary", &body).status, status, "{context}");
    }
    let doctor = world.user(Role::Doctor, "Practitioner/shared", "user/*.rs");
    assert_eq!(world.ask(&doctor, "GET Binary/of-b", "").status, 200);
    assert_eq!(world.ask(&doctor, "GET Binary/of-none", "").status, 200);
}

/// A35: operations see what their caller sees.
#[test]
fn operations_go_through_the_gate() {
    let world = World::new();
    let app = world.app("patient/*.cruds", Some("a"));
    let labels = r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}"#;
    for line in ["GET Patient/b/$meta", "GET Observation/lab-b/$meta"] {
        assert_eq!(world.quiet(&app, line, "").status, 404, "{line}");
    }
    for line in ["POST Observation/lab-b/$meta-add", "POST Observation/lab-b/$meta-delete"] {
        assert_eq!(world.quiet(&app, line, labels).status, 404, "{line}");
    }
    let delete = r#"{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"delete"}]}"#;
    assert_eq!(world.quiet(&app, "POST Observation/lab-b/$validate", delete).status, 404);
    world.put(r#"{"resourceType":"Observation","id":"tagged","meta":{"tag":[{"code":"SECRET-B"}]},"subject":{"reference":"Patient/b"}}"#);
    for line in ["GET $meta", "GET Observation/$meta"] {
        assert_eq!(world.quiet(&app, line, "").status, 200, "{line}");
    }
    assert_eq!(
        world.quiet(&world.app("patient/Observation.u", Some("a")), "POST Observation/lab-a/$meta-add", labels).status,
        403
    );
    assert_eq!(world.quiet(&app, "GET $access-policy", "").status, 403);
}

/// A38: linked patients stay two.
#[test]
fn linked_patients_stay_apart() {
    let world = World::new();
    world.put(r#"{"resourceType":"Patient","id":"b","name":[{"family":"SECRET-B"}],"link":[{"other":{"reference":"Patient/a"},"type":"seealso"}]}"#);
    let app = world.app("patient/*.rs", Some("a"));
    assert_eq!(world.quiet(&app, "GET Patient/b", "").status, 404);
    for line in
        ["GET Patient", "GET Patient/a/Patient", "GET Patient/a/$everything", "GET Patient?_include=*&_revinclude=*"]
    {
        assert!(!World::found(&world.quiet(&app, line, "")).contains("Patient/b"), "{line}");
    }
}

/// A44: a token is for one tenant.
#[test]
fn tenants_are_apart() {
    let world = World::new();
    let Caller::Known(principal) = world.app("system/*.rs", None) else { panic!("known") };
    let other = crate::access::Principal { tenant: crate::base::TenantId(1), ..(*principal).clone() };
    assert_eq!(world.ask(&Caller::Known(std::sync::Arc::new(other)), "GET Patient/a", "").status, 401);
    assert_eq!(world.ask(&Caller::Known(principal), "GET Patient/a", "").status, 200);
}

/// Backend services and users: what no patient narrows.
#[test]
fn wider_scopes_see_more() {
    let world = World::new();
    let system = world.app("system/*.rs", None);
    assert_eq!(World::total(&world.ask(&system, "GET Patient", "")), Some(2));
    assert_eq!(world.ask(&system, "GET AuditEvent", "").status, 403);
    let patients = world.app("system/Patient.rs", None);
    assert_eq!(world.ask(&patients, "GET Observation", "").status, 403);
    assert_eq!(World::total(&world.ask(&patients, "GET ", "")), Some(2));
    // user/ scopes without a user, system/ scopes with one: nothing.
    assert_eq!(world.ask(&world.app("user/*.rs", None), "GET Patient", "").status, 403);
    assert_eq!(
        world.ask(&world.user(Role::Doctor, "Practitioner/shared", "system/*.rs"), "GET Patient", "").status,
        403
    );
    // Update as create needs the right to create.
    let body = r#"{"resourceType":"Patient","id":"c"}"#;
    assert_eq!(world.ask(&world.app("system/Patient.u", None), "PUT Patient/c", body).status, 404);
    assert_eq!(world.ask(&world.app("system/Patient.cu", None), "PUT Patient/c", body).status, 201);
    // Whoever may not read is not told that it is there.
    assert_eq!(world.ask(&world.app("system/Patient.c", None), "PUT Patient/c", body).status, 404);
}
