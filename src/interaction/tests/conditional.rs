//! The conditional forms.

use super::Api;

fn patient(value: &str) -> String {
    format!(r#"{{"resourceType":"Patient","identifier":[{{"system":"s","value":"{value}"}}]}}"#)
}

fn with_id(value: &str, id: &str) -> String {
    patient(value).replacen("\"identifier\"", &format!("\"id\":\"{id}\",\"identifier\""), 1)
}

#[test]
fn a_question_mark_belongs_to_the_value() {
    let api = Api::new();
    let with = |value: &str| {
        format!(
            r#"{{"resourceType":"Patient","identifier":[{{"system":"http://x/?identifier=y","value":"{value}"}}]}}"#
        )
    };
    api.run(&[
        ("POST Patient", &with("1"), 201, ""),
        ("POST Patient if-none-exist:identifier=http://x/?identifier=y|1", &with("1"), 200, ""),
        ("POST Patient if-none-exist:?identifier=http://x/?identifier=y|1", &with("1"), 200, ""),
        ("POST Patient if-none-exist:Patient?identifier=http://x/?identifier=y|1", &with("1"), 200, ""),
        ("POST Patient if-none-exist:identifier=http://x/?identifier=y|2", &with("2"), 201, ""),
    ]);
}

#[test]
fn create() {
    let api = Api::new();
    let body = patient("1");
    api.run(&[
        ("POST Patient if-none-exist:identifier=s|1", &body, 201, r#""id":"new-1""#),
        ("POST Patient if-none-exist:identifier=s|1", &body, 200, r#""id":"new-1""#),
        ("POST Patient if-none-exist:identifier=s%7C1", &body, 200, r#""id":"new-1""#),
        ("POST Patient if-none-exist:Patient?identifier=s|1", &body, 200, r#""id":"new-1""#),
        ("POST Patient if-none-exist:?identifier=s|1", &body, 200, r#""id":"new-1""#),
        ("POST Patient if-none-exist:identifier=http://x?identifier=s|1", &patient("x"), 201, ""),
        ("POST Patient?identifier=s|1", &body, 200, r#""id":"new-1""#),
        ("POST Patient?_format=json", &body, 201, ""),
        ("POST Patient if-none-exist:identifier=s|1", &body, 412, "multiple-matches"),
        ("POST Patient if-none-exist:no-such-param=1", &body, 400, "no-such-param"),
        ("POST Patient?identifier=s|1 if-none-exist:identifier=s|1", &body, 400, ""),
    ]);
    let existing = api.send("POST Patient?identifier=s|2", &patient("2")).expect("created");
    let again = api.send("POST Patient?identifier=s|2", &patient("2")).expect("found");
    assert_eq!(existing.location, again.location);
}

#[test]
fn update() {
    let api = Api::new();
    api.run(&[
        ("PUT Patient?identifier=s|1", &patient("1"), 201, r#""versionId":"1""#),
        ("PUT Patient?identifier=s|1", &patient("1"), 200, r#""versionId":"2""#),
        ("PUT Patient?identifier=s|1", &with_id("1", "other"), 400, "Patient.id"),
        ("PUT Patient?identifier=s|1 if-match:1", &patient("1"), 412, ""),
        ("PUT Patient?identifier=s|1 if-match:2", &patient("1"), 200, r#""versionId":"3""#),
        ("PUT Patient?identifier=s|2", &with_id("2", "mine"), 201, r#""id":"mine""#),
        ("PUT Patient?identifier=s|3", &with_id("3", "mine"), 409, "duplicate"),
        ("PUT Patient/twin", &with_id("1", "twin"), 201, ""),
        ("PUT Patient?identifier=s|1", &patient("1"), 412, "multiple-matches"),
        ("PUT Patient?no-such-param=1", &patient("1"), 400, ""),
    ]);
}

#[test]
fn patch_and_delete() {
    let api = Api::new();
    let patch = r#"[{"op":"add","path":"/active","value":true}]"#;
    api.run(&[
        ("PUT Patient/a", &with_id("1", "a"), 201, ""),
        ("PATCH Patient?identifier=s|1 as:json-patch", patch, 200, r#""active":true"#),
        ("PATCH Patient?identifier=s|9 as:json-patch", patch, 404, ""),
        ("PUT Patient/b", &with_id("1", "b"), 201, ""),
        ("PATCH Patient?identifier=s|1 as:json-patch", patch, 412, "multiple-matches"),
        ("DELETE Patient?identifier=s|1", "", 412, "multiple-matches"),
        ("DELETE Patient/b", "", 204, ""),
        ("DELETE Patient?identifier=s|1", "", 204, ""),
        ("DELETE Patient?identifier=s|1", "", 204, ""),
        ("GET Patient/a", "", 410, ""),
        ("DELETE Patient?no-such-param=1", "", 400, ""),
        ("DELETE Patient?identifier=", "", 400, ""),
    ]);
}

#[test]
fn several_can_be_deleted_where_it_is_set() {
    let api = Api::with(super::Settings { delete_multiple: true, ..super::Settings::default() });
    for id in ["a", "b", "c"] {
        api.ask(&format!("PUT Patient/{id}"), &with_id("1", id));
    }
    api.run(&[("DELETE Patient?identifier=s|1", "", 204, ""), ("GET Patient", "", 200, r#""total":0"#)]);
}

/// Runs a request many times at once; gives the statuses, sorted.
fn at_once(api: Api, times: usize, line: &'static str, body: &str) -> (Api, Vec<u16>) {
    let api = std::sync::Arc::new(api);
    let threads: Vec<_> = (0..times)
        .map(|_| {
            let (api, body) = (api.clone(), body.to_owned());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                runtime.block_on(api.perform(line, &body)).0
            })
        })
        .collect();
    let mut statuses: Vec<u16> = threads.into_iter().map(|t| t.join().expect("joined")).collect();
    statuses.sort_unstable();
    (std::sync::Arc::into_inner(api).expect("all are done"), statuses)
}

#[test]
fn rivals() {
    let (api, statuses) = at_once(Api::new(), 16, "POST Patient if-none-exist:identifier=s|1", &patient("1"));
    assert_eq!(statuses[14..], [200, 201]);
    api.run(&[("GET Patient", "", 200, r#""total":1"#)]);
    let (api, statuses) = at_once(api, 16, "PUT Patient?identifier=s|1", &patient("1"));
    assert_eq!(statuses, [200; 16]);
    let patch = r#"[{"op":"add","path":"/name/-","value":{"text":"x"}}]"#;
    api.run(&[("PUT Patient/p", r#"{"resourceType":"Patient","id":"p","name":[{"text":"x"}]}"#, 201, "")]);
    let (api, statuses) = at_once(api, 16, "PATCH Patient/p as:json-patch", patch);
    assert_eq!(statuses, [200; 16]);
    let (_, text) = api.ask("GET Patient/p", "");
    assert_eq!(text.matches(r#"{"text":"x"}"#).count(), 17, "no patch is lost: {text}");
    let (_, statuses) = at_once(api, 8, "PUT Patient/p if-match:17", r#"{"resourceType":"Patient","id":"p"}"#);
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}
