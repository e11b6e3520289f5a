//! Custom parameters and access: they open nothing that was closed.

use super::parameter;
use crate::smart::world::{World, query_of};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use vesta::authorization::client::ClientKind;

const ABOUT: &str = "http://example.org/about";

fn about() -> Value {
    let mut about = parameter("x-about", "reference", &format!("Observation.extension('{ABOUT}').value.as(Reference)"));
    about["base"] = json!(["Observation"]);
    about["target"] = json!(["Patient"]);
    about
}

/// Puts a parameter as the administrator and waits until it is ready.
fn define(world: &World, parameter: &Value) {
    let id = parameter["id"].as_str().expect("an id");
    world.put(&format!("SearchParameter/{id}"), parameter);
    let begun = Instant::now();
    let token = world.operator();
    loop {
        let status = world.fhir("$reindex-status", &token).is(200).text();
        if status.contains("\"valueCode\":\"completed\"") && !status.contains("\"valueBoolean\":false") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{status}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn observation(id: &str, subject: &str, about: Option<&str>) -> Value {
    let mut resource = json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"},
        "subject": {"reference": format!("Patient/{subject}")}});
    if let Some(about) = about {
        let reference = json!({"reference": format!("Patient/{about}")});
        resource["extension"] = json!([{"url": ABOUT, "valueReference": reference}]);
    }
    resource
}

fn found(world: &World, query: &str, token: &str) -> Vec<String> {
    let bundle = world.fhir(query, token).is(200).json();
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let ids = entries
        .filter(|e| e["search"]["mode"] != "outcome")
        .map(|e| e["resource"]["id"].as_str().unwrap_or("").to_owned());
    let mut ids: Vec<_> = ids.collect();
    ids.sort();
    ids
}

#[test]
fn a_reference_that_was_added_gives_a_patient_nothing() {
    let world = World::start();
    world.patient("amy");
    world.patient("bob");
    world.app("app", ClientKind::Public, |_| ());
    world.put("Observation/hers", &observation("hers", "amy", Some("bob")));
    world.put("Observation/his", &observation("his", "bob", Some("amy")));
    define(&world, &about());
    let token = world.tokens("app", "openid fhirUser launch/patient patient/*.rs", &world.amy);
    let token = token["access_token"].as_str().expect("a token");
    assert_eq!(found(&world, "Observation", token), ["hers"]);
    assert!(found(&world, "Observation?x-about=Patient/amy", token).is_empty());
    assert_eq!(found(&world, "Observation?x-about=Patient/bob", token), ["hers"]);
    assert_eq!(found(&world, "Patient?_revinclude=Observation:x-about", token), ["amy"]);
    assert!(found(&world, "Patient?_has:Observation:x-about:status=final", token).is_empty());
    assert!(found(&world, "Observation?x-about.gender:missing=true", token).is_empty(), "bob is not seen");
    assert_eq!(found(&world, "Patient/amy/Observation", token), ["hers"]);
    world.fhir("Observation/his", token).refuses(404, "not-found");
    assert_eq!(found(&world, "Patient/amy/$everything", token), ["amy", "hers"]);
    // It is as for everybody else, for those who see all.
    let all = world.operator();
    assert_eq!(found(&world, "Observation?x-about=Patient/amy", &all), ["his"]);
    assert_eq!(found(&world, "Patient/amy/Observation", &all), ["hers"]);
}

#[test]
fn only_those_who_may_write_them_define_parameters_and_only_administrators_see_how_it_stands() {
    let world = World::start();
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| ());
    let body = serde_json::to_vec(&about()).expect("JSON");
    for (scope, person) in [("patient/*.cruds launch/patient", &world.amy), ("user/*.cruds", &world.amy)] {
        let token = world.tokens("app", &format!("openid {scope}"), person);
        let token = format!("Bearer {}", token["access_token"].as_str().expect("a token"));
        let headers = [("authorization", token.as_str()), ("content-type", "application/fhir+json")];
        world.server.send("PUT", "SearchParameter/x-about", &headers, Some(&body)).refuses(403, "forbidden");
        world.server.get_with("$reindex-status", &headers).refuses(403, "forbidden");
    }
    world.server.get("$reindex-status").refuses(401, "login");
    let status = world.fhir("$reindex-status", &world.operator()).is(200).text();
    assert!(!status.contains("x-about"), "{status}");
}

#[test]
fn a_scope_with_a_parameter_holds_while_the_parameter_is_there() {
    let world = World::start();
    world.patient("amy");
    world.app("app", ClientKind::Public, |app| {
        app.scopes.push("user/Observation.rs?x-about=Patient/amy".to_owned());
        app.scopes.push("user/*.rs".to_owned());
    });
    world.put("Observation/one", &observation("one", "amy", Some("amy")));
    world.put("Observation/two", &observation("two", "amy", None));
    let scope = "user/Observation.rs?x-about=Patient/amy";
    let asked = world.request("app", scope);
    let answer = world.authorize(&asked);
    let told = query_of(answer.is(303).header("location"), "error_description").expect("why");
    assert!(told.contains("'x-about' is not a search parameter of Observation"), "{told}");
    define(&world, &about());
    let token = world.tokens("app", scope, &world.doctor);
    let token = token["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(found(&world, "Observation", &token), ["one"]);
    world.fhir("Observation/two", &token).refuses(404, "not-found");
    // Another meaning: what was granted is not known any more, until it is asked for again.
    let mut other = about();
    other["status"] = json!("retired");
    world.put("SearchParameter/x-about", &other);
    let answer = world.fhir("Observation", &token);
    assert!([401, 403].contains(&answer.status), "{}", answer.text());
}
