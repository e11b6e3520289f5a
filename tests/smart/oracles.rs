//! What answers tell between the lines: totals, gaps in pages, patches and tests of what may be changed and not read,
//! elements that are hidden from a role, wherever they stand. Each attack asks the same of what is hidden and of what is
//! not there; the answers must be alike.

use super::scene::{CATEGORY, SECRET, Scene, closed, found, member, only_of_amy};
use crate::support::Answer;
use serde_json::{Value, json};
use vesta::access::Role;

const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

/// Status and text of an answer, without the id that was asked for and what every answer has of its own.
fn neutral(answer: &Answer, id: &str) -> (u16, String) {
    let mut text = answer.text().replace(id, "ID");
    if let Ok(mut bundle) = serde_json::from_str::<Value>(&text) {
        for own in ["id", "meta", "timestamp"] {
            if let Some(members) = bundle.as_object_mut() {
                members.remove(own);
            }
        }
        text = bundle.to_string();
    }
    // The place of a page in the store is in its links.
    (answer.status, text.split("_page=").next().unwrap_or_default().to_owned())
}

/// Whoever may change a resource and not read it learns nothing of it by changing it.
#[test]
fn a_change_does_not_tell_what_may_not_be_read() {
    let scene = Scene::new();
    let mut hidden = member("Observation", "subject", "vital-amy", "amy");
    hidden["category"] = json!([{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}]);
    hidden["code"] = json!({"text": SECRET});
    scene.world.put("Observation/vital-amy", &hidden);
    let token = scene.amy(&format!("patient/Observation.us patient/Observation.r?category={CATEGORY}|laboratory"));
    scene.get(&token, "Observation/lab-amy").is(200);
    closed(&scene.get(&token, "Observation/vital-amy"), "a read");
    let json_patch = [("content-type", "application/json-patch+json"), ("prefer", "return=representation")];
    let merge = [("content-type", "application/merge-patch+json"), ("prefer", "return=representation")];
    let test = |value: &str| json!([{"op": "test", "path": "/code/text", "value": value}, {"op": "replace", "path": "/language", "value": "en"}]);
    let id = "vital-amy";
    for (address, media, body) in [
        (format!("Observation/{id}"), merge, json!({"language": "en"})),
        (format!("Observation?_id={id}"), merge, json!({"language": "en"})),
        (format!("Observation/{id}"), json_patch, test(SECRET)),
        (format!("Observation/{id}"), json_patch, test("another")),
        (format!("Observation?_id={id}"), json_patch, test(SECRET)),
    ] {
        let one = scene.quiet_with(&token, "PATCH", &address, Some(&body), &media);
        let other = scene.quiet_with(&token, "PATCH", &address.replace(id, "not-there"), Some(&body), &media);
        assert!(!one.text().contains(SECRET) && one.status >= 400, "{address}: {}", one.text());
        assert_eq!(neutral(&one, id), neutral(&other, "not-there"), "{address} {body}");
    }
    let meta =
        json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]});
    for operation in ["$meta-add", "$meta-delete"] {
        let one = scene.quiet(&token, "POST", &format!("Observation/{id}/{operation}"), Some(&meta));
        let other = scene.quiet(&token, "POST", &format!("Observation/not-there/{operation}"), Some(&meta));
        assert_eq!(neutral(&one, id), neutral(&other, "not-there"), "{operation}");
        assert!(one.status >= 400, "{operation}: {}", one.text());
    }
    for url in [format!("Observation/{id}"), format!("Observation?_id={id}")] {
        let bundle = |url: &str| {
            json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "PATCH", "url": url},
                "resource": {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
                    {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.language"},
                    {"name": "value", "valueCode": "en"}]}]}}]})
        };
        let prefer = [("prefer", "return=representation")];
        let one = scene.quiet_with(&token, "POST", "", Some(&bundle(&url)), &prefer);
        let other = scene.quiet_with(&token, "POST", "", Some(&bundle(&url.replace(id, "not-there"))), &prefer);
        assert_eq!(neutral(&one, id), neutral(&other, "not-there"), "{url}");
        closed(&one, &url);
    }
    let there = scene.world.fhir("Observation/vital-amy", &scene.world.operator()).is(200).json();
    assert_eq!((&there["language"], &there["code"]["text"]), (&json!("MARK-A"), &json!(SECRET)), "{there}");
    // What may be read as well is changed.
    let done = scene.quiet_with(&token, "PATCH", "Observation/lab-amy", Some(&json!({"language": "en"})), &merge);
    assert_eq!(done.is(200).json()["language"], "en");
}

/// Where too many would have to be judged one by one, the total is missing and the answer says so.
#[test]
fn a_total_that_is_not_told_is_said_to_be_missing() {
    let scene = Scene::new();
    let entry = |_| {
        let binary = json!({"resourceType": "Binary", "contentType": "text/plain", "data": "TUFSSy1B",
            "securityContext": {"reference": "Observation/lab-amy"}});
        json!({"resource": binary, "request": {"method": "POST", "url": "Binary"}})
    };
    let entries: Vec<Value> = (0..1_001).map(entry).collect();
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    scene.quiet(&scene.world.operator(), "POST", "", Some(&bundle)).is(200);
    let nurse = scene.staff(Role::Nurse);
    for query in ["Binary?_summary=count", "Binary?_count=1"] {
        let page = scene.world.fhir(query, &nurse).is(200).json();
        let told = page["entry"]
            .as_array()
            .is_some_and(|entries| entries.iter().any(|entry| entry["resource"]["issue"][0]["code"] == "incomplete"));
        assert!(told && page.get("total").is_none(), "{page}");
    }
}

/// Whose a Binary is cannot be searched by: those that are hidden count nowhere and leave no gap.
#[test]
fn hidden_binaries_leave_no_trace_in_totals_and_pages() {
    let scene = Scene::new();
    let mut guarded = member("Observation", "subject", "guarded", "amy");
    guarded["meta"] = json!({"security": [{"system": CONFIDENTIALITY, "code": "R"}]});
    scene.world.put("Observation/guarded", &guarded);
    for number in 0..3 {
        for (name, owner) in [("open", "Observation/lab-amy"), ("hidden", "Observation/guarded")] {
            let id = format!("{name}-{number}");
            let binary = json!({"resourceType": "Binary", "id": id, "contentType": "text/plain", "data": "TUFSSy1B",
                "securityContext": {"reference": owner}});
            scene.world.put(&format!("Binary/{id}"), &binary);
        }
    }
    let nurse = scene.staff(Role::Nurse);
    let doctor = scene.staff(Role::Doctor);
    let total = |token: &str, query: &str| scene.world.fhir(query, token).is(200).json()["total"].clone();
    assert_eq!(total(&doctor, "Binary?_summary=count"), 8, "a doctor sees what is restricted");
    assert_eq!(scene.world.fhir("Binary/hidden-0", &nurse).status, 404);
    for query in ["_id=ID", "_id=ID&_summary=count", "_id=ID&_total=accurate&_count=0", "_id=ID&_count=1&_sort=_id"] {
        for kind in ["Binary?", "?_type=Binary,Patient&"] {
            let ask = |id: &str| scene.world.fhir(&format!("{kind}{query}").replace("ID", id), &nurse);
            let (one, other) = (ask("hidden-0"), ask("missing0"));
            assert_eq!(neutral(&one, "hidden-0"), neutral(&other, "missing0"), "{kind}{query}");
        }
    }
    assert_eq!(total(&nurse, "Binary?_summary=count"), 5);
    assert_eq!(total(&nurse, "?_type=Binary,Patient&_summary=count"), 7);
    for sort in ["", "&_sort=_id", "&_sort=-_lastUpdated"] {
        let (mut seen, mut next) = (Vec::new(), Some(format!("{}/Binary?_count=2{sort}", scene.world.server.base)));
        while let Some(address) = next {
            let path = address.strip_prefix(&scene.world.server.base).expect("its own base").trim_start_matches('/');
            let page = scene.world.fhir(path, &nurse);
            let ids = found(&page);
            let links = page.json()["link"].as_array().cloned().unwrap_or_default();
            let following = links.iter().find(|link| link["relation"] == "next");
            next = following.map(|link| link["url"].as_str().expect("an address").to_owned());
            assert!(ids.len() == 2 || (next.is_none() && ids.len() == 1), "a gap: {ids:?}");
            seen.extend(ids);
        }
        seen.sort();
        let open = ["Binary/of-amy", "Binary/of-bob", "Binary/open-0", "Binary/open-1", "Binary/open-2"];
        assert_eq!(seen, open, "{sort}");
    }
}

/// Elements that are hidden from a role, wherever they stand and however they are asked for.
#[test]
fn hidden_elements_are_hidden_in_whatever_holds_them() {
    let scene = Scene::new();
    let operator = scene.world.operator();
    let policy = json!({"resourceType": "Parameters", "parameter": [{"name": "role", "valueCode": "nurse"},
        {"name": "rule", "part": [{"name": "type", "valueCode": "*"}, {"name": "actions", "valueCode": "cruds"}]},
        {"name": "hidden", "valueString": "Patient.birthDate"}]});
    scene.quiet(&operator, "POST", "$access-policy", Some(&policy)).is(200);
    let patient =
        json!({"resourceType": "Patient", "id": "inner", "birthDate": "1911-11-11", "name": [{"family": "Shown"}]});
    let mut held = patient.clone();
    held["contained"] = json!([{"resourceType": "Patient", "id": "c", "birthDate": "1911-11-11"}]);
    let bundle = json!({"resourceType": "Bundle", "id": "document", "type": "collection",
        "entry": [{"resource": held}, {"resource": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]}}]});
    scene.world.put("Bundle/document", &bundle);
    let mut parameters =
        json!({"resourceType": "Observation", "id": "holds", "status": "final", "code": {"text": "x"}});
    parameters["contained"] = json!([patient]);
    scene.world.put("Observation/holds", &parameters);
    scene.world.put("Patient/inner", &patient);
    let nurse = scene.staff(Role::Nurse);
    let whole = json!({"resourceType": "Parameters", "parameter": [{"name": "expression", "valueString":
        "descendants() | children() | Patient.birthDate | entry.resource.birthDate"}]});
    for path in [
        "Bundle/document",
        "Bundle/document?_format=xml",
        "Bundle/document/_history",
        "Bundle?_id=document",
        "Observation/holds",
        "Patient/inner",
        "Patient?_id=inner&_elements=birthDate",
        "Patient/inner/$fhirpath?expression=birthDate",
        "Bundle/document/$fhirpath?expression=entry.resource.birthDate",
        "Patient/inner/$everything",
    ] {
        let answer = scene.world.fhir(path, &nurse);
        assert!(answer.status == 200 && !answer.text().contains("1911-11-11"), "{path}: {}", answer.text());
    }
    for path in ["Patient/inner/$fhirpath", "Bundle/document/$fhirpath"] {
        let answer = scene.quiet(&nurse, "POST", path, Some(&whole));
        assert!(answer.status == 200 && !answer.text().contains("1911-11-11"), "{path}: {}", answer.text());
    }
    for query in [
        "Patient?_filter=birthdate+eq+1911-11-11",
        "Patient?_filter=not(birthdate+ge+1950)",
        "Patient?_filter=name+eq+x+or+birthdate+pr+true",
        "Patient?birthdate:missing=false",
        "Patient?_sort=name,-birthdate",
        "Patient?_content=1911",
        "Observation?_filter=subject.birthdate+ge+1950",
        "Observation?patient.birthdate=1911-11-11",
        "Encounter?subject:Patient.birthdate:missing=false",
        "Patient?_has:Observation:patient:patient.birthdate=1911-11-11",
        "Patient?_contained=true&birthdate=1911-11-11",
        "Patient?_contained=both&name=Shown",
        "Patient?birthdate=1911-11-11&_summary=count",
    ] {
        let answer = scene.world.fhir(query, &nurse);
        assert!(answer.status >= 400, "{query}: {}", answer.text());
    }
    // A condition on what is hidden refuses a change, whether it holds or not.
    for date in ["1911-11-11", "1950-01-01"] {
        for method in ["DELETE", "PUT", "PATCH"] {
            let body = json!({"resourceType": "Patient"});
            let body = (method != "DELETE").then_some(&body);
            closed(&scene.quiet(&nurse, method, &format!("Patient?birthdate={date}"), body), method);
        }
        let exists = format!("birthdate={date}");
        let one = json!({"resourceType": "Patient"});
        let answer = scene.quiet_with(&nurse, "POST", "Patient", Some(&one), &[("if-none-exist", &exists)]);
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
}

/// Words come from everywhere in a resource, also from what is hidden in a resource inside it.
#[test]
fn words_of_hidden_elements_do_not_lead_to_what_holds_them() {
    let scene = Scene::new();
    let holds = holder("asked");
    scene.world.put("ServiceRequest/asked", &holds);
    let (technician, doctor) = (scene.staff(Role::LaboratoryTechnician), scene.staff(Role::Doctor));
    let seen = scene.get(&technician, "ServiceRequest/asked").is(200).text();
    assert!(!seen.contains("oraclephone77") && !seen.contains("oraclenarrative"), "{seen}");
    for query in [
        "ServiceRequest?_content=WORD",
        "ServiceRequest?_filter=_content+co+WORD",
        "ServiceRequest?_filter=not(_content+co+WORD)",
        "?_type=ServiceRequest&_content=WORD",
        "Task?focus:ServiceRequest._content=WORD",
        "Patient?_has:ServiceRequest:patient:_content=WORD",
        "ServiceRequest?_text=WORD",
        "ServiceRequest?_content=WORD&_summary=count",
    ] {
        for word in ["oraclephone77", "oraclenarrative", "nothing"] {
            closed(&scene.get(&technician, &query.replace("WORD", word)), query);
        }
    }
    for method in ["PUT", "PATCH"] {
        let body = json!({"resourceType": "ServiceRequest"});
        closed(&scene.quiet(&technician, method, "ServiceRequest?_content=oraclephone77", Some(&body)), method);
    }
    let found = |query: &str| scene.get(&doctor, query).is(200).json()["total"].clone();
    assert_eq!(found("ServiceRequest?_content=oraclephone77"), 1, "nothing is hidden from a doctor");
    assert_eq!(found("ServiceRequest?_text=oraclenarrative"), 1);
}

/// A request that holds its patient, of whom a laboratory technician does not see all.
fn holder(id: &str) -> Value {
    json!({"resourceType": "ServiceRequest", "id": id, "status": "active", "intent": "order",
        "subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p",
            "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">oraclenarrative</div>"},
            "name": [{"family": "Shown"}], "telecom": [{"system": "phone", "value": "oraclephone77"}]}]})
}

/// Whoever does not see an element inside another resource does not lose it by writing that one, nor writes it.
#[test]
fn hidden_elements_inside_others_outlive_a_write() {
    let scene = Scene::new();
    scene.world.put("ServiceRequest/asked", &holder("asked"));
    let technician = scene.staff(Role::LaboratoryTechnician);
    let operator = scene.world.operator();
    let kept = |path: &str| {
        let text = scene.world.fhir(path, &operator).is(200).text();
        assert!(text.contains("oraclephone77") && text.contains("oraclenarrative"), "{text}");
    };
    let path = "ServiceRequest/asked";
    let mut seen = scene.get(&technician, path).is(200).json();
    seen["status"] = json!("completed");
    let put = |body: &Value| scene.quiet(&technician, "PUT", path, Some(body));
    put(&seen).is(200);
    kept(path);
    let patch = |media: &str, body: Value| {
        scene.quiet_with(&technician, "PATCH", path, Some(&body), &[("content-type", media)])
    };
    patch("application/merge-patch+json", json!({"status": "active"})).is(200);
    patch("application/json-patch+json", json!([{"op": "replace", "path": "/status", "value": "revoked"}])).is(200);
    kept(path);
    let there = scene.world.fhir(path, &operator).is(200).json();
    assert_eq!(there["status"], "revoked");
    // What would lose it is refused, and so is what would write it.
    let mut without = seen.clone();
    without.as_object_mut().expect("an object").remove("contained");
    put(&without).refuses(403, "forbidden");
    let mut renamed = seen.clone();
    renamed["contained"][0]["id"] = json!("other");
    renamed["subject"]["reference"] = json!("#other");
    put(&renamed).refuses(403, "forbidden");
    let mut written = seen.clone();
    written["contained"][0]["telecom"] = json!([{"system": "phone", "value": "another"}]);
    put(&written).refuses(403, "forbidden");
    patch("application/json-patch+json", json!([{"op": "remove", "path": "/contained/0"}])).refuses(403, "forbidden");
    written.as_object_mut().expect("an object").remove("id");
    scene.quiet(&technician, "POST", "ServiceRequest", Some(&written)).refuses(403, "forbidden");
    kept(path);
    // Deeper inside, where nothing says which is which, the write is refused.
    let policy = json!({"resourceType": "Parameters", "parameter": [{"name": "role", "valueCode": "nurse"},
        {"name": "rule", "part": [{"name": "type", "valueCode": "*"}, {"name": "actions", "valueCode": "cruds"}]},
        {"name": "hidden", "valueString": "Patient.telecom"}]});
    scene.quiet(&operator, "POST", "$access-policy", Some(&policy)).is(200);
    let mut held = holder("inner");
    held["contained"][0]["id"] = json!("p");
    let bundle =
        json!({"resourceType": "Bundle", "id": "document", "type": "collection", "entry": [{"resource": held}]});
    scene.world.put("Bundle/document", &bundle);
    let nurse = scene.staff(Role::Nurse);
    let seen = scene.get(&nurse, "Bundle/document").is(200).json();
    assert!(!seen.to_string().contains("oraclephone77"), "{seen}");
    scene.quiet(&nurse, "PUT", "Bundle/document", Some(&seen)).refuses(403, "forbidden");
    kept("Bundle/document");
}

/// Roads that lead through something else: versions, lists, deletes, links of bundles, references by criteria.
#[test]
fn what_is_reached_through_others_is_like_what_is_not_there() {
    let scene = Scene::new();
    let operator = format!("Bearer {}", scene.world.operator());
    // An own resource that points to a version of the other's.
    let mut points = member("Observation", "subject", "points", "amy");
    points["hasMember"] =
        json!([{"reference": "Observation/lab-bob/_history/1"}, {"reference": "Observation/lab-bob"}]);
    points["derivedFrom"] = json!([{"reference": format!("{}/Observation/lab-bob", scene.world.base)}]);
    scene.world.put("Observation/points", &points);
    let list = json!({"resourceType": "List", "id": "mine", "status": "current", "mode": "working",
        "subject": {"reference": "Patient/amy"}, "entry": [{"item": {"reference": "Observation/lab-bob"}},
            {"item": {"reference": "Observation/lab-amy"}}]});
    scene.world.put("List/mine", &list);
    for path in [
        "Observation?_id=points&_include=Observation:has-member&_include=Observation:derived-from",
        "Observation?_id=points&_include:iterate=*&_revinclude:iterate=*",
        "Observation?_list=mine",
        "List?_id=mine&_include=List:item&_include:iterate=Observation:subject",
        "Observation?_id=points&_contained=both",
        "Observation?_id=points,lab-bob&_contained=both&_containedType=contained",
        "Patient?_id=amy&_revinclude=*&_revinclude:iterate=*&_include:iterate=*",
        "?_type=Observation,List,Patient&_id=lab-bob,mine,bob",
    ] {
        let answer = scene.get(&scene.reads, path);
        if answer.status == 200 {
            only_of_amy(&answer, path);
        }
    }
    let found_in_list = found(&scene.get(&scene.reads, "Observation?_list=mine"));
    assert_eq!(found_in_list, ["Observation/lab-amy"]);
    // What was deleted of the other is as unknown as what never was.
    let gone = scene.world.server.send("DELETE", "Observation/lab-bob", &[("authorization", &operator)], None);
    assert!([200, 204].contains(&gone.status), "{}", gone.text());
    let id = "lab-bob";
    for (method, end) in
        [("GET", ""), ("GET", "/_history"), ("GET", "/_history/1"), ("GET", "/_history/2"), ("DELETE", "")]
    {
        for token in [&scene.reads, &scene.all] {
            let one = scene.quiet(token, method, &format!("Observation/{id}{end}"), None);
            let other = scene.quiet(token, method, &format!("Observation/absent1{end}"), None);
            assert_eq!(neutral(&one, id), neutral(&other, "absent1"), "{method} {end}");
        }
    }
    // Entries of bundles, with all the conditions that an entry can have.
    let id = "condition-bob";
    for kind in ["batch", "transaction"] {
        for (method, condition, value) in [
            ("GET", "ifNoneMatch", "W/\"1\""),
            ("GET", "ifModifiedSince", "2999-01-01T00:00:00Z"),
            ("DELETE", "ifMatch", "W/\"1\""),
            ("DELETE", "ifMatch", "W/\"7\""),
        ] {
            for base in ["", &format!("{}/", scene.world.base)] {
                let bundle = |id: &str| {
                    let mut request = json!({"method": method, "url": format!("{base}Condition/{id}")});
                    request[condition] = json!(value);
                    json!({"resourceType": "Bundle", "type": kind, "entry": [{"fullUrl": format!("{}/Condition/{id}",
                        scene.world.base), "request": request}]})
                };
                let one = scene.quiet(&scene.all, "POST", "", Some(&bundle(id)));
                let other = scene.quiet(&scene.all, "POST", "", Some(&bundle("condition-nil")));
                assert_eq!(neutral(&one, id), neutral(&other, "condition-nil"), "{kind} {method} {condition} {base}");
            }
        }
        // References by criteria find nothing of the other.
        let bundle = |value: &str| {
            let mut observation = member("Observation", "subject", "new", "amy");
            if let Some(members) = observation.as_object_mut() {
                members.remove("id");
            }
            observation["focus"] = json!([{"reference": format!("Patient?identifier=urn:mrn|{value}")}]);
            json!({"resourceType": "Bundle", "type": "transaction",
                "entry": [{"resource": observation, "request": {"method": "POST", "url": "Observation"}}]})
        };
        let one = scene.quiet(&scene.all, "POST", "", Some(&bundle(SECRET)));
        let other = scene.quiet(&scene.all, "POST", "", Some(&bundle("NOBODY-X")));
        assert_eq!(neutral(&one, SECRET), neutral(&other, "NOBODY-X"));
    }
    // How a search went is told to administrators only, with the same words to all others.
    for query in ["Observation?_explain=true&_id=observation-bob", "Observation?_explain=true&_id=not-there"] {
        closed(&scene.get(&scene.reads, query), query);
    }
    // A page of one is none for another. The same user goes on with another token, and sees what that one may see.
    let page = scene.get(&scene.all, "Observation?_count=1").json();
    let next = page["link"].as_array().and_then(|links| links.iter().find(|link| link["relation"] == "next").cloned());
    let next = next.expect("a next page")["url"].as_str().expect("an address").to_owned();
    let path = next.strip_prefix(&scene.world.base).expect("its own base").trim_start_matches('/').to_owned();
    scene.get(&scene.all, &path).is(200);
    closed(&scene.get(&scene.reads, &path), "the page of another user");
    scene.get(&scene.amy("patient/Observation.s"), &path).is(200);
    closed(&scene.get(&scene.amy("patient/Condition.rs"), &path), "a page without the right to the type");
    scene.untouched();
}
