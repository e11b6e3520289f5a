//! create, read, update, patch, delete and their histories.

use super::{Api, Settings};

#[test]
fn a_life() {
    let api = Api::new();
    let created = api.send("POST Patient", r#"{"resourceType":"Patient","id":"mine","active":true}"#).expect("created");
    assert_eq!(created.location.as_deref(), Some("Patient/new-1/_history/1"));
    assert_eq!(created.version, Some(1));
    api.run(&[
        ("GET Patient/new-1", "", 200, r#""id":"new-1" & "versionId":"1" & "active":true"#),
        ("HEAD Patient/new-1", "", 200, r#""id":"new-1""#),
        ("GET Patient/mine", "", 404, "not-found"),
        ("PUT Patient/new-1", r#"{"resourceType":"Patient","id":"new-1","active":false}"#, 200, r#""versionId":"2""#),
        ("GET Patient/new-1/_history/1", "", 200, r#""active":true"#),
        ("GET Patient/new-1/_history/2", "", 200, r#""active":false"#),
        ("GET Patient/new-1/_history/3", "", 404, "not-found"),
        ("GET Patient/new-1/_history/01", "", 404, "not-found"),
        ("GET Patient/new-1/_history/x", "", 404, "not-found"),
        ("GET Patient/nobody/_history/1", "", 404, "not-found"),
        ("DELETE Patient/new-1", "", 204, ""),
        ("GET Patient/new-1", "", 410, "deleted & version 3"),
        ("GET Patient/new-1/_history/3", "", 410, "deleted"),
        ("GET Patient/new-1/_history/1", "", 200, r#""active":true"#),
        ("DELETE Patient/new-1", "", 204, ""),
        ("DELETE Patient/nobody", "", 204, ""),
        ("DELETE Patient/nobody return:outcome", "", 200, "OperationOutcome"),
        ("PUT Patient/new-1", r#"{"resourceType":"Patient","id":"new-1"}"#, 201, r#""versionId":"4""#),
        (
            "GET Patient/new-1/_history",
            "",
            200,
            r#""total":4 & "method":"DELETE","url":"Patient/new-1" & "status":"204 No Content""#,
        ),
    ]);
}

#[test]
fn what_is_refused() {
    let api = Api::new();
    let patient = r#"{"resourceType":"Patient","id":"p"}"#;
    api.run(&[
        ("GET NoSuchType/1", "", 404, "NoSuchType"),
        ("POST NoSuchType", patient, 404, "NoSuchType"),
        ("GET Patient/a_b", "", 400, "logical id"),
        ("GET no/such/path/at/all", "", 404, ""),
        ("PUT metadata", "", 405, ""),
        ("DELETE ", "", 405, ""),
        ("POST Patient/1", patient, 405, ""),
        ("POST Patient", "", 400, "no body"),
        ("POST Patient", "{", 400, "operationoutcome-issue-line & line 1"),
        ("POST Patient", "[]", 400, "JSON object"),
        ("POST Observation", patient, 400, "Patient"),
        ("POST Patient", r#"{"active":true}"#, 400, "resourceType"),
        ("POST Patient", r#"{"resourceType":"Patient","foo":1}"#, 422, "foo"),
        ("POST Patient", r#"{"resourceType":"Patient","birthDate":"x"}"#, 422, "Patient.birthDate"),
        ("POST Patient as:text/plain", "hello", 415, "text/plain"),
        ("PUT Patient/p", r#"{"resourceType":"Patient","id":"q"}"#, 400, "Patient.id"),
        ("PUT Patient/p", r#"{"resourceType":"Patient"}"#, 400, "Patient.id"),
        ("PUT Patient/p", r#"{"resourceType":"Patient","id":5}"#, 400, "Patient.id"),
        ("PUT Patient", patient, 400, "criteria"),
        ("DELETE Patient", "", 400, "criteria"),
        ("GET Patient?_count=0", "", 200, r#""total":0"#),
    ]);
}

#[test]
fn preconditions() {
    let api = Api::new();
    let body = r#"{"resourceType":"Patient","id":"p"}"#;
    api.run(&[
        ("PUT Patient/p if-match:1", body, 412, ""),
        ("PUT Patient/p if-match:*", body, 412, ""),
        ("PUT Patient/p if-none-match:*", body, 201, ""),
        ("PUT Patient/p if-none-match:*", body, 412, "version is 1"),
        ("PUT Patient/p if-match:2", body, 412, ""),
        ("PUT Patient/p if-match:0-stale", body, 412, ""),
        ("PUT Patient/p if-match:1", body, 200, r#""versionId":"2""#),
        ("PUT Patient/p if-match:1,2", body, 200, r#""versionId":"3""#),
        ("PUT Patient/p if-match:*", body, 200, r#""versionId":"4""#),
        ("GET Patient/p if-none-match:4", "", 304, ""),
        ("GET Patient/p if-none-match:3", "", 200, ""),
        ("GET Patient/p if-none-match:*", "", 304, ""),
        ("GET Patient/p if-modified-since:4102444800", "", 304, ""),
        ("GET Patient/p if-modified-since:946684800", "", 200, ""),
        ("GET Patient/p if-none-match:3 if-modified-since:4102444800", "", 200, ""),
        ("DELETE Patient/p if-match:3", "", 412, ""),
        ("DELETE Patient/p if-match:4", "", 204, ""),
        ("PUT Patient/p if-match:5", body, 412, ""),
        ("PUT Patient/p if-none-match:*", body, 201, r#""versionId":"6""#),
    ]);
}

#[test]
fn update_as_create_can_be_refused() {
    let api = Api::with(super::Settings { update_create: false, ..super::Settings::default() });
    let (status, _) = api.ask("PUT Patient/p", r#"{"resourceType":"Patient","id":"p"}"#);
    assert_eq!(status, 405);
}

#[test]
fn preferences() {
    let api = Api::new();
    api.run(&[
        ("POST Patient return:minimal", r#"{"resourceType":"Patient"}"#, 201, ""),
        ("POST Patient return:outcome", r#"{"resourceType":"Patient"}"#, 201, "OperationOutcome"),
        ("POST Patient return:representation", r#"{"resourceType":"Patient"}"#, 201, r#""id":"new-3""#),
    ]);
    let (_, text) = api.ask("POST Patient return:minimal", r#"{"resourceType":"Patient"}"#);
    assert_eq!(text, "");
}

#[test]
fn patches() {
    let api = Api::new();
    api.run(&[
        ("PUT Patient/p", r#"{"resourceType":"Patient","id":"p","gender":"male"}"#, 201, ""),
        (
            "PATCH Patient/p as:json-patch",
            r#"[{"op":"replace","path":"/gender","value":"female"}]"#,
            200,
            r#""gender":"female" & "versionId":"2""#,
        ),
        ("PATCH Patient/p", r#"[{"op":"replace","path":"/gender","value":"other"}]"#, 200, r#""gender":"other""#),
        ("PATCH Patient/p as:merge-patch", r#"{"active":true}"#, 200, r#""active":true"#),
        ("PATCH Patient/p", r#"{"active":null}"#, 200, "!active"),
        (
            "PATCH Patient/p",
            r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Patient"},{"name":"name","valueString":"birthDate"},{"name":"value","valueDate":"2000-01"}]}]}"#,
            200,
            r#""birthDate":"2000-01""#,
        ),
        (
            "PATCH Patient/p as:xml-patch",
            r#"<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Patient/f:birthDate/@value">2001</replace></diff>"#,
            200,
            r#""birthDate":"2001""#,
        ),
        (
            "PATCH Patient/p as:xml-patch",
            r#"<diff><remove sel="f:Patient/f:photo"/></diff>"#,
            422,
            "patch[0].sel",
        ),
        (
            "PATCH Patient/p as:xml-patch",
            r#"<diff><add sel="f:Patient"><f:burn xmlns:f="http://hl7.org/fhir"/></add></diff>"#,
            422,
            "burn",
        ),
        ("PATCH Patient/p as:xml-patch", "{}", 400, ""),
        (
            "PATCH Patient/p",
            r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Patient.("}]}]}"#,
            400,
            "Parameters.parameter[0].part[1]",
        ),
        ("PATCH Patient/p as:json-patch", r#"[{"op":"add","path":"/foo","value":1}]"#, 422, "foo"),
        ("PATCH Patient/p as:json-patch", r#"[{"op":"replace","path":"/id","value":"z"}]"#, 422, "Patient.id"),
        ("PATCH Patient/p as:json-patch if-match:1", r#"[{"op":"remove","path":"/gender"}]"#, 412, ""),
        ("PATCH Patient/p as:json-patch if-match:7", r#"[{"op":"remove","path":"/gender"}]"#, 200, "!gender"),
        ("PATCH Patient/nobody as:json-patch", r#"[{"op":"remove","path":"/gender"}]"#, 404, ""),
        ("PATCH Patient/p as:text/plain", "x", 415, ""),
        ("GET Patient/p/_history", "", 200, r#""method":"PATCH""#),
    ]);
}

#[test]
fn histories() {
    let api = Api::new();
    for id in ["a", "b", "a", "a"] {
        api.ask(&format!("PUT Patient/{id}"), &format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#));
    }
    api.ask("POST Observation", r#"{"resourceType":"Observation","status":"final","code":{"text":"x"}}"#);
    let (_, first) = api.ask("GET Patient/_history?_count=2", "");
    assert_eq!(Api::ids(&first), "a a");
    assert!(first.contains(r#""total":4"#) && first.contains(r#""fullUrl":"http://vesta.test/fhir/Patient/a""#));
    // What is written meanwhile is not on the next page.
    api.ask("PUT Patient/c", r#"{"resourceType":"Patient","id":"c"}"#);
    let next = Api::link(&first, "next").expect("a next page");
    let (_, second) = api.ask(&format!("GET {next}"), "");
    assert_eq!(Api::ids(&second), "b a");
    assert_eq!(Api::link(&second, "next"), None);
    let (_, all) = api.ask("GET _history?_count=100", "");
    assert_eq!(Api::ids(&all), "c new-1 a a b a");
    let (_, read) = api.ask("GET Patient/a/_history/2", "");
    let at = read.split(r#""lastUpdated":""#).nth(1).and_then(|t| t.get(..24)).expect("an instant");
    api.run(&[
        (&format!("GET Patient/a/_history?_since={at}"), "", 200, r#""total":2"#),
        (&format!("GET Patient/a/_history?_at={at}"), "", 200, r#""total":1 & "versionId":"2""#),
        ("GET Patient/a/_history?_since=garbage", "", 400, "_since"),
        ("GET Patient/a/_history?_count=x", "", 400, "_count"),
        ("GET Patient/a/_history?_page=garbage", "", 400, "_page"),
        ("GET Patient/nobody/_history", "", 404, ""),
        ("GET Patient/a/_history?_since=2100-01-01T00:00:00Z", "", 200, r#""total":0 & !"entry""#),
        ("GET Patient/a/_history?_foo=1 handling:strict", "", 400, ""),
    ]);
}

#[test]
fn binaries() {
    let api = Api::new();
    api.run(&[
        ("POST Binary as:text/plain", "hello", 201, r#""contentType":"text/plain","data":"aGVsbG8=""#),
        ("GET Binary/new-1", "", 200, r#""data":"aGVsbG8=""#),
        ("GET Binary/new-1 raw:", "", 200, "text/plain: hello"),
        ("PUT Binary/b", r#"{"resourceType":"Binary","id":"b","contentType":"image/png"}"#, 201, ""),
        ("GET Binary/b raw:", "", 200, "image/png: "),
        ("PUT Binary/b as:text/plain", "bye", 200, r#""id":"b" & "versionId":"2" & "data":"Ynll""#),
        ("GET Binary/b raw:", "", 200, "text/plain: bye"),
        ("PUT Binary/c as:text/plain", "new", 201, r#""id":"c""#),
    ]);
}

#[test]
fn provenance_comes_with_the_write() {
    let api = Api::new();
    let header = r#"provenance:{"resourceType":"Provenance","recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]}"#;
    api.run(&[
        (&format!("POST Patient {header}"), r#"{"resourceType":"Patient"}"#, 201, ""),
        ("GET Provenance", "", 200, r#""total":1 & "target":[{"reference":"Patient/new-1/_history/1"}]"#),
        (&format!("PUT Patient/new-1 {header}"), r#"{"resourceType":"Patient","id":"new-1"}"#, 200, ""),
        ("GET Provenance", "", 200, r#""total":2 & Patient/new-1/_history/2"#),
        (&format!("DELETE Patient/nobody {header}"), "", 204, ""),
        ("GET Provenance", "", 200, r#""total":2"#),
        ("POST Patient provenance:{}", r#"{"resourceType":"Patient"}"#, 400, "Provenance"),
        ("GET Patient", "", 200, r#""total":1"#),
    ]);
    let batch = r#"{"resourceType":"Bundle","type":"batch","entry":[
        {"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p"}},
        {"resource":{"resourceType":"Patient","id":"q"},"request":{"method":"PUT","url":"Patient/q"}},
        {"request":{"method":"GET","url":"Patient/new-1"}}]}"#;
    api.run(&[
        (&format!("POST  {header}"), batch, 200, r#""201 Created" & "200 OK""#),
        ("GET Provenance?target=Patient/p/_history/1", "", 200, r#""total":1"#),
        ("GET Provenance?target=Patient/q/_history/1", "", 200, r#""total":1"#),
        ("GET Provenance", "", 200, r#""total":4"#),
        ("POST  provenance:{}", batch, 200, r#"400 Bad Request & "200 OK""#),
        ("GET Provenance", "", 200, r#""total":4"#),
    ]);
}

#[test]
fn parts_of_a_resource() {
    let api = Api::new();
    api.run(&[
        (
            "PUT Patient/p",
            r#"{"resourceType":"Patient","id":"p","active":true,"contact":[{"name":{"text":"x"}}]}"#,
            201,
            "",
        ),
        ("GET Patient/p?_summary=true", "", 200, r#"SUBSETTED & "active" & !contact"#),
        ("GET Patient/p?_elements=contact", "", 200, r#"SUBSETTED & contact"#),
        ("GET Patient/p?_summary=false", "", 200, "!SUBSETTED"),
        ("GET Patient/p?_summary=nope", "", 400, "_summary"),
        ("GET Patient?_elements=active", "", 200, r#"SUBSETTED & !contact"#),
    ]);
}

#[test]
fn what_was_accepted_at_the_greatest_depth_stays_usable() {
    let mut settings = Settings::default();
    settings.limits.depth = crate::json::Limits::DEEPEST;
    let api = Api::with(settings);
    let deep = |levels: usize| {
        let (open, close) = (r#"[{"url":"http://x","extension":"#.repeat(levels), "}]".repeat(levels));
        let inner = r#"[{"url":"http://x","valueString":"v"}]"#;
        format!(r#"{{"resourceType":"Patient","id":"a","extension":{open}{inner}{close}}}"#)
    };
    // The object of the resource and two levels for each extension.
    let deepest = (crate::json::Limits::DEEPEST - 3) / 2;
    let patch = r#"[{"op":"add","path":"/active","value":true}]"#;
    api.run(&[
        ("PUT Patient/a", &deep(deepest), 201, ""),
        ("PUT Patient/a", &deep(deepest + 1), 400, ""),
        ("GET Patient/a?_summary=data", "", 200, "SUBSETTED"),
        ("GET Patient?_id=a&_include=Patient:organization", "", 200, r#""id":"a""#),
        ("PATCH Patient/a as:json-patch", patch, 200, r#""active":true"#),
        ("PATCH Patient/a as:merge-patch", r#"{"gender":"male"}"#, 200, "male"),
        (
            "POST Patient/a/$meta-add",
            r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}"#,
            200,
            "",
        ),
        ("POST Patient/a/$validate", "", 200, ""),
        ("GET Patient/a/$everything", "", 200, ""),
    ]);
}

#[test]
fn what_is_stored_is_validated_and_whether_it_may_be_updated_or_deleted() {
    let lax = Api::with(Settings { validation: crate::interaction::Policy::Off, ..Settings::default() });
    let mode =
        |mode: &str| format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"mode","valueCode":"{mode}"}}]}}"#);
    let with = |mode: &str, resource: &str| {
        format!(
            r#"{{"resourceType":"Parameters","parameter":[{{"name":"mode","valueCode":"{mode}"}},{{"name":"resource","resource":{resource}}}]}}"#
        )
    };
    let own = r#"{"resourceType":"Patient","id":"bad"}"#;
    let other = r#"{"resourceType":"Patient","id":"other"}"#;
    lax.run(&[
        ("PUT Patient/bad", r#"{"resourceType":"Patient","id":"bad","gender":"nobody"}"#, 201, ""),
        ("PUT Patient/good", r#"{"resourceType":"Patient","id":"good","gender":"male"}"#, 201, ""),
        ("PUT Patient/gone", r#"{"resourceType":"Patient","id":"gone"}"#, 201, ""),
        ("DELETE Patient/gone", "", 204, ""),
        // What is stored is judged, also where there is no body at all.
        ("POST Patient/bad/$validate", "", 200, r#""severity":"error" & Patient.gender"#),
        ("POST Patient/bad/$validate?mode=update", "", 200, "Patient.gender"),
        ("POST Patient/bad/$validate", r#"{"resourceType":"Parameters"}"#, 200, "Patient.gender"),
        ("POST Patient/good/$validate", "", 200, r#"!"severity":"error""#),
        ("POST Patient/nobody/$validate", "", 404, ""),
        ("POST Patient/gone/$validate", "", 410, ""),
        ("POST Patient/$validate", "", 400, ""),
        // Whether it may be deleted: it must be there, whatever is in it or is sent.
        ("POST Patient/bad/$validate?mode=delete", "", 200, r#"!"severity":"error""#),
        ("POST Patient/bad/$validate", &mode("delete"), 200, r#"!"severity":"error""#),
        ("POST Patient/bad/$validate", &with("delete", own), 200, r#"!"severity":"error""#),
        ("POST Patient/nobody/$validate?mode=delete", "", 404, ""),
        ("POST Patient/nobody/$validate", &with("delete", other), 404, ""),
        ("POST Patient/gone/$validate?mode=delete", "", 410, ""),
        ("POST Patient/$validate?mode=delete", "", 400, ""),
        ("GET Patient/bad", "", 200, ""),
        // Whether it may be updated: the id is that of the address.
        ("POST Patient/bad/$validate", &with("update", own), 200, r#"!"severity":"error""#),
        ("POST Patient/bad/$validate", &with("update", other), 200, r#""severity":"error" & Patient.id"#),
        ("POST Patient/bad/$validate?mode=update", r#"{"resourceType":"Patient"}"#, 200, "Patient.id"),
    ]);
}
