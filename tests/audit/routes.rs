//! Every route of the table leaves exactly one record, whether the request succeeds or is refused.

use super::*;
use vesta::interaction::Verb;
use vesta::interaction::route::{Part, ROUTES, Target};

/// A path for a route on a resource that is there.
fn path(parts: &[Part], kind: &str, id: &str) -> String {
    let segment = |part: &Part| match part {
        Part::Word(word) => (*word).to_owned(),
        Part::Type => kind.to_owned(),
        Part::Id => id.to_owned(),
        Part::Version => "1".to_owned(),
        Part::Member => "Observation".to_owned(),
        Part::Operation => "$meta".to_owned(),
    };
    parts.iter().map(segment).collect::<Vec<_>>().join("/")
}

fn send(server: &TestServer, verb: Verb, path: &str, body: Option<&Value>) -> Answer {
    let method = match verb {
        Verb::Get => "GET",
        Verb::Head => "HEAD",
        Verb::Post => "POST",
        Verb::Put => "PUT",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
    };
    match body {
        Some(body) => server.put(method, path, body),
        None => server.send(method, path, &[], None),
    }
}

#[test]
fn every_route_leaves_one_record() {
    let server = server();
    for kind in ["Patient", "Observation"] {
        for route in ROUTES {
            // What leads to no interaction leaves no record: an Observation has no compartment.
            let nowhere = route.target == Target::SearchCompartment && kind != "Patient";
            if route.target == Target::Capabilities || nowhere {
                continue;
            }
            let resource = || match kind {
                "Patient" => patient("Shaw"),
                _ => observation("somebody"),
            };
            let id = server.create(&resource());
            let path = path(route.path, kind, &id);
            let mut whole = resource();
            let body = match (route.verb, route.target) {
                (Verb::Get | Verb::Delete, _)
                | (_, Target::SearchSystem | Target::SearchType | Target::SearchCompartment) => None,
                (_, Target::Bundle) => Some(json!({"resourceType": "Bundle", "type": "batch", "entry": [
                    {"request": {"method": "GET", "url": format!("{kind}/{id}")}}]})),
                (_, Target::Operation) => Some(json!({"resourceType": "Parameters"})),
                (Verb::Patch, _) => Some(json!({"language": "en"})),
                (_, Target::Update) => {
                    whole["id"] = json!(id);
                    Some(whole)
                }
                _ => Some(whole),
            };
            let conditional = matches!(
                route.target,
                Target::ConditionalUpdate | Target::ConditionalPatch | Target::ConditionalDelete
            );
            let address = if conditional { format!("{path}?_id={id}") } else { path };
            let told = format!("{:?} {address}", route.verb);
            let (answer, record) = only_record(&server, || send(&server, route.verb, &address, body.as_ref()));
            assert_eq!(record["type"]["code"], "rest", "{told}");
            let outcome = if answer.status < 400 { "0" } else { "4" };
            assert_eq!(record["outcome"], outcome, "{told}: {} {record}", answer.text());
            // The same request on what is not there.
            if address.contains(&id) && route.target != Target::Update && !conditional {
                let missing = address.replace(&id, "not-there");
                let (_, record) = only_record(&server, || send(&server, route.verb, &missing, body.as_ref()));
                assert!(record["outcome"].is_string(), "{missing}");
            }
        }
    }
}

#[test]
fn the_declaration_of_the_server_is_no_secret_and_leaves_none() {
    let server = server();
    let before = count(&server);
    server.get("metadata").is(200);
    assert_eq!(count(&server) - before, 1, "the asking alone");
}

#[test]
fn writes_alone_are_recorded_where_that_is_asked() {
    let server = with(AuditLevel::Writes);
    let id = server.create(&patient("Shaw"));
    server.get(&format!("Patient/{id}")).is(200);
    server.get("Patient").is(200);
    assert_eq!(count(&server), 1);
    server.get("Patient/unknown").is(404);
    assert_eq!(count(&server), 2, "what is refused is recorded");
}

#[test]
fn off_means_off() {
    let server = with(AuditLevel::Off);
    server.create(&patient("Shaw"));
    assert_eq!(count(&server), 0);
    let own = json!({"resourceType": "AuditEvent", "type": {"code": "rest"}, "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"requestor": true}], "source": {"observer": {"display": "another system"}}});
    server.create(&own);
}
