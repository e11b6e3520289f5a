//! Operations and the CapabilityStatement.

use super::Api;
use crate::interaction::route::{Part, ROUTES};
use crate::json::Tree;

#[test]
fn validate() {
    Api::new().run(&[
        (
            "POST Patient/$validate",
            r#"{"resourceType":"Patient","active":true}"#,
            200,
            r#"OperationOutcome & !"severity":"error""#,
        ),
        (
            "POST Patient/$validate",
            r#"{"resourceType":"Patient","birthDate":"x"}"#,
            200,
            r#""severity":"error" & Patient.birthDate"#,
        ),
        ("POST Patient/$validate", r#"{"resourceType":"Observation"}"#, 200, r#""severity":"error""#),
        (
            "POST Patient/$validate",
            r#"{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient"}}]}"#,
            200,
            r#"!"severity":"error""#,
        ),
        ("POST Patient/$validate", r#"{"resourceType":"Parameters"}"#, 400, "resource"),
        ("POST Patient/$validate", "{", 200, r#""severity":"error""#),
        ("POST Patient/$validate?mode=nope", r#"{"resourceType":"Patient"}"#, 400, "mode"),
        ("GET Patient/$validate", "", 405, "POST"),
        ("POST Patient/1/$nope", r#"{"resourceType":"Parameters"}"#, 404, "not-supported"),
        ("POST $nope", r#"{"resourceType":"Parameters"}"#, 404, "not-supported"),
        ("GET Patient", "", 200, r#""total":0"#),
    ]);
}

#[test]
fn meta() {
    let tag = r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"s","code":"t"}]}}]}"#;
    Api::new().run(&[
        ("PUT Patient/p", r#"{"resourceType":"Patient","id":"p"}"#, 201, ""),
        ("POST Patient/p/$meta-add", tag, 200, r#""valueMeta" & "tag":[{"system":"s","code":"t"}] & "versionId":"2""#),
        ("POST Patient/p/$meta-add", tag, 200, r#""versionId":"2""#),
        ("GET Patient/p/$meta", "", 200, r#""name":"return" & "code":"t""#),
        ("GET Patient/$meta", "", 200, r#""code":"t""#),
        ("GET $meta", "", 200, r#""code":"t""#),
        ("POST Patient/p/$meta-delete", tag, 200, r#"!"code":"t""#),
        ("GET Patient/p", "", 200, r#""versionId":"3" & !tag"#),
        ("GET Patient/p/$meta-add", "", 405, ""),
        ("GET Patient/q/$meta", "", 404, ""),
        ("POST Patient/p/$meta-add", "{}", 400, "meta"),
    ]);
}

#[test]
fn everything() {
    let api = Api::new();
    api.run(&[
        ("PUT Practitioner/d", r#"{"resourceType":"Practitioner","id":"d"}"#, 201, ""),
        ("PUT Patient/p", r#"{"resourceType":"Patient","id":"p"}"#, 201, ""),
        ("PUT Patient/q", r#"{"resourceType":"Patient","id":"q"}"#, 201, ""),
        ("PUT Observation/o", r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"},"performer":[{"reference":"Practitioner/d"}]}"#, 201, ""),
        ("GET Patient/nobody/$everything", "", 404, ""),
        ("GET Observation/o/$everything", "", 404, ""),
    ]);
    let (status, text) = api.ask("GET Patient/p/$everything", "");
    let mut ids: Vec<_> = Api::ids(&text).split(' ').map(str::to_owned).collect();
    ids.sort();
    assert_eq!((status, ids.join(" ").as_str()), (200, "d o p"), "{text}");
    let (_, text) = api.ask("GET Patient/p/$everything?_type=Observation", "");
    assert!(Api::ids(&text).starts_with('o'), "{text}");
}

#[test]
fn capabilities() {
    let api = Api::new();
    let (status, text) = api.ask("GET metadata", "");
    assert_eq!(status, 200);
    let statement = Tree::parse(text.as_bytes()).expect("JSON");
    let rest = &statement.get("rest").expect("rest").items()[0];
    let resources = rest.get("resource").expect("resource").items();
    assert_eq!(resources.len(), 146);
    let document = crate::json::Document::parse(text.as_bytes(), &crate::json::Limits::default()).expect("JSON");
    let kind = api.service.definitions.resource("CapabilityStatement").expect("a type");
    let issues = api.service.validator().validate(Some(kind), document.root());
    assert!(!issues.iter().any(crate::base::Issue::is_error), "{issues:?}");
    assert!(text.contains(r#""searchRevInclude":["#) && text.contains("Observation:subject"));
}

#[test]
fn every_route_leads_somewhere() {
    let api = Api::new();
    for route in ROUTES {
        let segment = |part: &Part| match part {
            Part::Word(word) => word,
            Part::Type => "Patient",
            Part::Id => "1",
            Part::Version => "1",
            Part::Member => "Observation",
            Part::Operation => "$meta",
        };
        let path = route.path.iter().map(segment).collect::<Vec<_>>().join("/");
        crate::interaction::route::find(&api.service.definitions, route.verb, &path).expect(&path);
        let allowed = crate::interaction::route::allowed(&path);
        assert!(allowed.contains(&route.verb), "{path}");
    }
}
