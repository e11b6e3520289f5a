//! The cases A01–A44 of the threat model once more, through the real server over HTTP with tokens as apps get them, for
//! a handful of types. The generator at the gate expands them over all types; here is shown that nothing above the gate
//! (routes, headers, tokens, page links, formats) opens what the gate closes.

use super::scene::{CATEGORY, SECRET, Scene, TYPES, closed, found, id_of, member, only_of_amy, token};
use super::world::{Key, query_of};
use crate::support::Answer;
use serde_json::json;

/// A01, A02: what is there and may not be seen is like what is not there, by every road to one resource.
#[test]
fn a01_to_a02_what_is_hidden_is_like_what_is_not_there() {
    let scene = Scene::new();
    let mut roads = vec![("Patient".to_owned(), "bob".to_owned())];
    roads.extend(TYPES.iter().map(|(kind, _)| ((*kind).to_owned(), id_of(kind, "bob"))));
    for (kind, id) in roads {
        let absent = format!("{}absent", "x".repeat(id.len().saturating_sub(6)));
        for (method, end) in [
            ("GET", ""),
            ("HEAD", ""),
            ("GET", "?_format=xml"),
            ("GET", "?_summary=true"),
            ("GET", "?_elements=language"),
            ("GET", "/_history"),
            ("GET", "/_history/1"),
            ("GET", "/$meta"),
            ("DELETE", ""),
        ] {
            for token in [&scene.all, &scene.reads] {
                let one = scene.quiet(token, method, &format!("{kind}/{id}{end}"), None);
                let other = scene.quiet(token, method, &format!("{kind}/{absent}{end}"), None);
                let neutral = |answer: &Answer, id: &str| answer.text().replace(id, "ID");
                assert_eq!(one.status, other.status, "{method} {kind}{end}");
                assert_eq!(neutral(&one, &id), neutral(&other, &absent), "{method} {kind}{end}");
                let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
                assert_eq!(names(&one), names(&other), "{method} {kind}{end}");
                closed(&one, &format!("{method} {kind}{end}"));
            }
        }
    }
    scene.untouched();
}

/// A03–A07, A14, A32, A41: searches find what is amy's, and nothing can be told of the rest.
#[test]
fn a03_to_a07_searches_find_the_own_patient_only() {
    let scene = Scene::new();
    for (kind, element) in TYPES {
        let (own, other) = (id_of(kind, "amy"), id_of(kind, "bob"));
        let expected = if kind == "Observation" { 4 } else { 1 };
        let all = scene.get(&scene.reads, kind);
        only_of_amy(&all, kind);
        assert_eq!(all.json()["total"], expected, "{kind}");
        for query in [
            "_summary=count".to_owned(),
            "_total=accurate&_count=1".to_owned(),
            format!("{element}=Patient/bob"),
            format!("{element}={}/Patient/bob", scene.world.base),
            format!("{element}=Patient/amy,Patient/bob"),
            format!("{element}:Patient=bob"),
            format!("{element}:not=Patient/amy"),
            format!("{element}.birthdate=lt1960"),
            format!("{element}:identifier=urn:mrn|x"),
            format!("_id={other}"),
            format!("_id={own},{other}"),
            format!("_id:not={own}"),
            "_sort=-_lastUpdated&_count=1".to_owned(),
            "_lastUpdated=gt2000".to_owned(),
            "_security:missing=true".to_owned(),
            format!("_filter=_id+eq+{other}"),
            "_elements=language".to_owned(),
            "_list=both".to_owned(),
            format!("_sort={element}"),
            "_explain=true".to_owned(),
        ] {
            for headers in [&[][..], &[("prefer", "handling=lenient")], &[("prefer", "handling=strict")]] {
                let path = format!("{kind}?{query}");
                let answer = scene.quiet_with(&scene.reads, "GET", &path, None, headers);
                if answer.status != 200 {
                    closed(&answer, &path);
                    continue;
                }
                only_of_amy(&answer, &path);
                let total = answer.json()["total"].as_u64().unwrap_or_default();
                assert!(total <= expected, "{path} counts {total}");
            }
        }
        let form = json!(format!("_id={other}"));
        let media = [("content-type", "application/x-www-form-urlencoded")];
        for path in [format!("{kind}/_search"), format!("{kind}/_search?_count=5")] {
            let answer = scene.quiet_with(&scene.reads, "POST", &path, Some(&form), &media);
            assert!(found(&answer).is_empty(), "{path}");
        }
        for path in
            [format!("Patient/bob/{kind}"), "Patient/bob/*".to_owned(), format!("Patient/bob/{kind}?_id={other}")]
        {
            closed(&scene.get(&scene.reads, &path), &path);
        }
        only_of_amy(&scene.get(&scene.reads, &format!("Patient/amy/{kind}")), kind);
        only_of_amy(&scene.get(&scene.reads, &format!("?_type={kind}")), kind);
    }
}

/// A08–A15: includes, chains, page links and GraphQL.
#[test]
fn a08_to_a15_nothing_is_reached_by_way_of_others() {
    let scene = Scene::new();
    for query in [
        "_include=Observation:performer&_include=Observation:focus&_include=Observation:has-member",
        "_include=*",
        "_include:iterate=*&_revinclude=*",
        "_include=*&_revinclude:iterate=*",
        "_include=Observation:subject&_revinclude=Group:member",
    ] {
        only_of_amy(&scene.get(&scene.reads, &format!("Observation?{query}")), query);
        let patients = scene.get(&scene.reads, &format!("Patient?{query}"));
        if patients.status == 200 {
            only_of_amy(&patients, query);
        }
    }
    // A page link is good for the one it was given to.
    let doctor = token(&scene.world, "user/*.rs", &scene.world.doctor);
    let page = scene.world.fhir("Observation?_count=1&_include=*", &doctor);
    let links = page.is(200).json()["link"].clone();
    let next = links.as_array().expect("links").iter().find(|link| link["relation"] == "next").expect("a next link");
    let next = next["url"].as_str().expect("an address").strip_prefix(&format!("{}/", scene.world.base));
    let next = next.expect("under the base");
    closed(&scene.get(&scene.reads, next), "a page of somebody else");
    scene.world.fhir(next, &doctor).is(200);

    let observations = scene.amy("patient/Observation.rs");
    let answer = scene.get(&observations, "Observation?_include=Observation:subject");
    assert!(found(&answer).iter().all(|id| id.starts_with("Observation/")), "{:?}", found(&answer));
    closed(&scene.get(&observations, "Observation?subject:Patient.birthdate=gt1970"), "a chain");
    // A sort that is not served is refused, or left out where that is asked for.
    let strict = [("prefer", "handling=strict")];
    closed(&scene.quiet_with(&observations, "GET", "Observation?_sort=subject.name", None, &strict), "a sort");
    only_of_amy(&scene.get(&observations, "Observation?_sort=subject.name"), "a sort");
    let patients = scene.amy("patient/Patient.rs");
    closed(&scene.get(&patients, "Patient?_has:Observation:patient:code=x"), "_has");
    let answer = scene.get(&scene.reads, "Patient?_has:Observation:patient:_id=lab-bob");
    assert!(answer.status != 200 || found(&answer).is_empty(), "{}", answer.text());
    closed(&scene.get(&scene.reads, "$graphql?query={PatientList{id}}"), "GraphQL");
    let query = json!({"query": "{ Patient(id: \"bob\") { name { family } } }"});
    closed(&scene.quiet(&scene.reads, "POST", "$graphql", Some(&query)), "GraphQL");
}

/// A16–A18, A33–A35: operations, histories, Binaries, contained resources.
#[test]
fn a16_to_a18_operations_and_histories_see_the_own_patient_only() {
    let scene = Scene::new();
    for path in ["Patient/bob/$everything", "Patient/$everything", "Encounter/encounter-bob/$everything"] {
        closed(&scene.get(&scene.reads, path), path);
    }
    only_of_amy(&scene.get(&scene.reads, "Patient/amy/$everything"), "$everything");
    for path in ["_history", "Observation/_history", "Patient/_history", "_history?_count=2"] {
        let answer = scene.get(&scene.reads, path);
        if answer.status == 200 {
            only_of_amy(&answer, path);
        }
    }
    // A resource that was amy's, became bob's and amy's again: each version by its own content.
    for (patient, expected) in [("amy", 200), ("bob", 404), ("amy", 200)] {
        scene.world.put("Observation/moved", &member("Observation", "subject", "moved", patient));
        assert_eq!(scene.get(&scene.reads, "Observation/moved").status, expected);
    }
    assert_eq!(scene.get(&scene.reads, "Observation/moved/_history/1").status, 200);
    assert_eq!(scene.get(&scene.reads, "Observation/moved/_history/2").status, 404);
    scene.get(&scene.reads, "Observation/moved/_history").is(200);

    scene.get(&scene.reads, "Binary/of-amy").is(200);
    closed(&scene.get(&scene.reads, "Binary/of-bob"), "a Binary");
    closed(&scene.quiet_with(&scene.reads, "GET", "Binary/of-bob", None, &[("accept", "text/plain")]), "a Binary");
    let mut holder = member("Observation", "subject", "holder", "amy");
    holder["contained"] = json!([{"resourceType": "Observation", "id": "c", "subject": {"reference": "Patient/bob"},
        "code": {"text": "inner"}}]);
    scene.world.put("Observation/holder", &holder);
    scene.get(&scene.reads, "Observation/holder").is(200);
    for path in
        ["Observation/lab-bob/$meta", "Observation/lab-bob/$fhirpath?expression=code", "Patient/bob/$access-log"]
    {
        closed(&scene.get(&scene.reads, path), path);
    }
    for operation in ["$docref", "$lastn", "$match", "$member-match", "$summary", "$evaluate"] {
        closed(&scene.get(&scene.reads, &format!("Patient/{operation}")), operation);
    }
}

/// A19–A24, A27, A28: nothing of the other patient is written, nor written over, nor taken over.
#[test]
fn a19_to_a24_writes_stay_with_the_own_patient() {
    let scene = Scene::new();
    let all = &scene.all;
    for (kind, element) in TYPES {
        let (own, other) = (id_of(kind, "amy"), id_of(kind, "bob"));
        let foreign = |id: &str| {
            let mut resource = member(kind, element, id, "bob");
            resource["language"] = json!("taken");
            resource
        };
        let refused = [
            scene.quiet(all, "POST", kind, Some(&foreign("x"))),
            scene.quiet(all, "PUT", &format!("{kind}/{own}"), Some(&foreign(&own))),
            scene.quiet(all, "PUT", &format!("{kind}/{other}"), Some(&foreign(&other))),
            scene.quiet(all, "PUT", &format!("{kind}/{other}"), Some(&member(kind, element, &other, "amy"))),
            scene.quiet(all, "DELETE", &format!("{kind}/{other}"), None),
        ];
        for (number, answer) in refused.iter().enumerate() {
            closed(answer, &format!("{kind} {number}"));
        }
        let patch = json!([{"op": "replace", "path": format!("/{element}/reference"), "value": "Patient/bob"}]);
        let media = [("content-type", "application/json-patch+json")];
        closed(&scene.quiet_with(all, "PATCH", &format!("{kind}/{own}"), Some(&patch), &media), kind);
        closed(&scene.quiet_with(all, "PATCH", &format!("{kind}/{other}"), Some(&patch), &media), kind);
        // Criteria that match what is out of reach match nothing.
        for criteria in [format!("_id={other}"), format!("{element}=Patient/bob")] {
            let answer = scene.quiet(all, "DELETE", &format!("{kind}?{criteria}"), None);
            assert!(answer.status == 204 || answer.status >= 400, "{kind}?{criteria}: {}", answer.status);
            let answer = scene.quiet(all, "PUT", &format!("{kind}?{criteria}"), Some(&foreign("x")));
            closed(&answer, &criteria);
        }
        for bundle_kind in ["batch", "transaction"] {
            for (method, url) in [
                ("GET", format!("{kind}/{other}")),
                ("GET", format!("{kind}?_id={other}")),
                ("DELETE", format!("{kind}/{other}")),
            ] {
                let bundle = json!({"resourceType": "Bundle", "type": bundle_kind,
                    "entry": [{"request": {"method": method, "url": url}}]});
                let answer = scene.quiet(all, "POST", "", Some(&bundle));
                assert!(!answer.text().contains(&format!("\"id\":\"{other}\"")), "{url}: {}", answer.text());
            }
        }
        // One forbidden entry, and nothing of a transaction is done.
        let id = format!("{}-new", kind.to_lowercase());
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": member(kind, element, &id, "amy"), "request": {"method": "POST", "url": kind}},
            {"resource": foreign(&other), "request": {"method": "PUT", "url": format!("{kind}/{other}")}}]});
        let before = scene.get(all, &format!("{kind}?_summary=count")).json()["total"].clone();
        closed(&scene.quiet(all, "POST", "", Some(&bundle)), kind);
        assert_eq!(scene.get(all, &format!("{kind}?_summary=count")).json()["total"], before, "{kind}");
    }
    scene.untouched();
    for resource in [
        json!({"resourceType": "Group", "type": "person", "actual": true, "member": [{"entity": {"reference": "Patient/bob"}}]}),
        json!({"resourceType": "List", "status": "current", "mode": "working", "subject": {"reference": "Patient/bob"}}),
        json!({"resourceType": "Provenance", "target": [{"reference": "Patient/bob"}]}),
        json!({"resourceType": "AuditEvent", "id": "1"}),
    ] {
        let kind = resource["resourceType"].as_str().expect("a type");
        closed(&scene.quiet(all, "POST", kind, Some(&resource)), kind);
    }
    // Each letter opens its own interaction.
    for (letters, create, read, search) in [("c", 201, 403, 403), ("r", 403, 200, 403), ("s", 403, 403, 200)] {
        let token = scene.amy(&format!("patient/Observation.{letters}"));
        let own = member("Observation", "subject", "x", "amy");
        assert_eq!(scene.quiet(&token, "POST", "Observation", Some(&own)).status, create, "{letters}");
        assert_eq!(scene.get(&token, "Observation/lab-amy").status, read, "{letters}");
        assert_eq!(scene.get(&token, "Observation").status, search, "{letters}");
    }
}

/// A25, A26, A29–A31: granular scopes and both versions.
#[test]
fn a25_to_a31_granular_scopes_hold_everywhere() {
    let scene = Scene::new();
    let laboratory = scene.amy(&format!("patient/Observation.rs?category={CATEGORY}|laboratory"));
    assert_eq!(found(&scene.get(&laboratory, "Observation")), ["Observation/lab-amy"]);
    scene.get(&laboratory, "Observation/lab-amy").is(200);
    closed(&scene.get(&laboratory, "Observation/vital-amy"), "another category");
    closed(&scene.get(&laboratory, "Observation/vital-amy/_history"), "another category");
    for query in ["category=vital-signs", "category:not=laboratory", "category:missing=true", "_id=vital-amy"] {
        let answer = scene.get(&laboratory, &format!("Observation?{query}"));
        assert!(answer.status != 200 || found(&answer).is_empty(), "{query}: {}", answer.text());
    }
    let answer = scene.get(&laboratory, "Observation?category=vital-signs,laboratory");
    assert_eq!(found(&answer), ["Observation/lab-amy"]);
    let writes = scene.amy(&format!("patient/Observation.rus?category={CATEGORY}|laboratory"));
    let out = member("Observation", "subject", "lab-amy", "amy");
    closed(&scene.quiet(&writes, "PUT", "Observation/lab-amy", Some(&out)), "out of the category");
    let first = scene.amy("patient/Observation.read");
    scene.get(&first, "Observation/lab-amy").is(200);
    closed(&scene.quiet(&first, "POST", "Observation", Some(&member("Observation", "subject", "x", "amy"))), "v1 read");
    let mixed = scene.world.request("app", "launch/patient patient/*.rs patient/*.read");
    let back = scene.world.authorize(&mixed);
    assert_eq!(query_of(back.header("location"), "error").as_deref(), Some("invalid_scope"), "{:?}", back.headers);
}

/// A36–A40, A42–A44: export, subscriptions, linked patients, labels, odd addresses, headers.
#[test]
fn a36_to_a44_odd_ways_lead_nowhere() {
    let scene = Scene::new();
    for path in ["$export", "Patient/$export", "Group/both/$export"] {
        closed(&scene.get(&scene.reads, path), path);
    }
    let subscription = json!({"resourceType": "Subscription", "status": "requested", "reason": "x",
        "criteria": "Observation?", "channel": {"type": "rest-hook", "endpoint": "https://evil.example/"}});
    closed(&scene.quiet(&scene.all, "POST", "Subscription", Some(&subscription)), "Subscription");
    let linked = json!({"resourceType": "Patient", "id": "bob", "language": SECRET,
        "link": [{"other": {"reference": "Patient/amy"}, "type": "seealso"}]});
    scene.world.put("Patient/bob", &linked);
    closed(&scene.get(&scene.reads, "Patient/bob"), "a linked patient");
    assert_eq!(found(&scene.get(&scene.reads, "Patient")), ["Patient/amy"]);

    let mut guarded = member("Observation", "subject", "guarded-amy", "amy");
    guarded["language"] = json!(SECRET);
    guarded["meta"] =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]});
    scene.world.put("Observation/guarded-amy", &guarded);
    closed(&scene.get(&scene.reads, "Observation/guarded-amy"), "a label");
    closed(&scene.get(&scene.reads, "Observation/guarded-amy/_history/1"), "a label");
    only_of_amy(&scene.get(&scene.reads, "Observation?_security=R"), "a label");

    let bearer = format!("Bearer {}", scene.reads);
    for path in [
        "patient/bob",
        "PATIENT/bob",
        "Patient//bob",
        "Patient/%62ob",
        "Patient/bob.",
        "Patient/bob;x",
        "Patient/amy/../bob",
        "Patient/amy%2f..%2fbob",
        "%2e%2e/fhir/Patient/bob",
        "Observation/../Patient/bob",
        "Pаtient/bob",
    ] {
        let coded = percent_encoding::utf8_percent_encode(path, percent_encoding::CONTROLS).to_string();
        closed(&scene.get(&scene.reads, &coded), path);
    }
    for header in [
        ("x-http-method-override", "GET"),
        ("x-original-url", "/fhir/Patient/bob"),
        ("x-rewrite-url", "/fhir/Patient/bob"),
        ("x-forwarded-prefix", "/fhir/Patient/bob"),
        ("x-tenant", "1"),
        ("x-forwarded-user", "operator"),
    ] {
        let answer = scene.world.server.get_with("Patient", &[("authorization", &bearer), header]);
        assert_eq!(found(&answer), ["Patient/amy"], "{header:?}");
    }
    // What was answered to one is not kept for another.
    let own = scene.world.fhir("Patient/bob", &scene.world.operator());
    let tag = own.is(200).header("etag").to_owned();
    let answer = scene.quiet_with(&scene.reads, "GET", "Patient/bob", None, &[("if-none-match", &tag)]);
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(own.header("cache-control").contains("private") || own.header("cache-control").contains("no-"), "{own:?}");
}

/// A36 and A44 for services without a user: a scope on one type is one on no other.
#[test]
fn a_service_sees_the_types_of_its_scopes() {
    let scene = Scene::new();
    let key = Key::rsa();
    scene.world.service("loader", &key);
    let assertion = key.assertion(&scene.world, "loader", |_, _| ());
    let answer = scene.world.backend(&assertion, "system/Patient.rs");
    let token = answer.is(200).json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(scene.world.fhir("Patient", &token).is(200).json()["total"], 2);
    for path in
        ["Observation", "Observation/lab-amy", "Patient?_has:Observation:patient:_id=lab-amy", "Observation/_history"]
    {
        closed(&scene.get(&token, path), path);
    }
    let answer = scene.world.fhir("Patient?_revinclude=Observation:subject", &token);
    assert!(answer.status != 200 || found(&answer).iter().all(|id| id.starts_with("Patient/")), "{}", answer.text());
}
