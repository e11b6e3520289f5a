//! batch and transaction.

use super::Api;

fn bundle(kind: &str, entries: &[&str]) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, entries.join(","))
}

fn post(url: &str, full_url: &str, resource: &str) -> String {
    format!(r#"{{"fullUrl":"{full_url}","resource":{resource},"request":{{"method":"POST","url":"{url}"}}}}"#)
}

const OBSERVATION: &str =
    r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"REF"}}"#;

fn observation(reference: &str) -> String {
    OBSERVATION.replace("REF", reference)
}

#[test]
fn references_lead_to_what_is_stored() {
    let api = Api::new();
    let text = r#"{"resourceType":"Observation","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"urn:uuid:11111111-1111-1111-1111-111111111111\">x</a></div>"},"status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:11111111-1111-1111-1111-111111111111"}}"#;
    let body = bundle(
        "transaction",
        &[
            &post("Observation", "urn:uuid:22222222-2222-2222-2222-222222222222", text),
            &post("Patient", "urn:uuid:11111111-1111-1111-1111-111111111111", r#"{"resourceType":"Patient"}"#),
            &post("Observation", "http://x/fhir/Observation/9", &observation("Patient/8")),
            &post("Patient", "http://x/fhir/Patient/8", r#"{"resourceType":"Patient","id":"8"}"#),
        ],
    );
    api.run(&[
        ("POST ", &body, 200, r#""type":"transaction-response" & "status":"201 Created","location":"Observation/new-1/_history/1","etag":"W/\"1\"" & lastModified"#),
        ("GET Observation/new-1", "", 200, r#""reference":"Patient/new-2" & <a href=\"Patient/new-2\">"#),
        ("GET Observation/new-3", "", 200, r#""reference":"Patient/new-4""#),
    ]);
}

#[test]
fn all_or_nothing() {
    let api = Api::new();
    let good = post("Patient", "urn:uuid:1", r#"{"resourceType":"Patient"}"#);
    let bad = post("Patient", "urn:uuid:2", r#"{"resourceType":"Patient","foo":1}"#);
    let missing = post("Observation", "urn:uuid:3", &observation("Patient?identifier=s|none"));
    let stale = r#"{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p","ifMatch":"W/\"9\""}}"#;
    let put = r#"{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p"}}"#;
    let wrong = r#"{"resource":{"resourceType":"Patient","id":"q"},"request":{"method":"PUT","url":"Patient/p"}}"#;
    let read = r#"{"request":{"method":"GET","url":"Patient/nobody"}}"#;
    api.run(&[
        ("POST ", &bundle("transaction", &[&good, &bad]), 422, "Bundle.entry[1].resource"),
        ("POST ", &bundle("transaction", &[&good, &missing]), 412, "Bundle.entry[1].resource.subject"),
        ("POST ", &bundle("transaction", &[&good, stale]), 412, "Bundle.entry[1]"),
        ("POST ", &bundle("transaction", &[&good, put, put]), 400, "Bundle.entry[2] & written by Bundle.entry[1]"),
        ("POST ", &bundle("transaction", &[&good, wrong]), 400, "Bundle.entry[1].resource.id"),
        ("POST ", &bundle("transaction", &[&good, read]), 404, "Bundle.entry[1]"),
        ("POST ", &bundle("transaction", &[&good, &good]), 400, "fullUrl"),
        (
            "POST ",
            &bundle("transaction", &[&good, r#"{"request":{"method":"GET"}}"#]),
            400,
            "Bundle.entry[1].request.url",
        ),
        (
            "POST ",
            &bundle("transaction", &[r#"{"resource":{"resourceType":"Patient"}}"#]),
            400,
            "Bundle.entry[0].request",
        ),
        ("POST ", &bundle("transaction", &[r#"{"request":{"method":"FROB","url":"Patient/1"}}"#]), 400, "method"),
        ("POST ", &bundle("transaction", &[&post("/", "urn:uuid:4", &bundle("batch", &[]))]), 400, "inside another"),
        ("POST ", &bundle("transaction", &[&post("http://other/fhir/Patient", "urn:uuid:4", "{}")]), 400, "relative"),
        ("POST ", &bundle("transaction", &[r#"{"request":{"method":"POST","url":"Patient"}}"#]), 400, "no 'resource'"),
        ("POST ", &bundle("transaction", &[r#"{"request":{"method":"GET","url":"NoSuch/1"}}"#]), 404, "NoSuch"),
        ("POST ", &bundle("collection", &[]), 400, "collection"),
        ("POST ", r#"{"resourceType":"Patient"}"#, 400, ""),
        ("POST ", r#"{"resourceType":"Bundle","type":"transaction"}"#, 200, "!entry"),
        ("GET Patient", "", 200, r#""total":0"#),
    ]);
    let few = Api::with(super::Settings { max_entries: 2, ..super::Settings::default() });
    few.run(&[("POST ", &bundle("transaction", &[&good, &good, &good]), 413, "3 entries")]);
}

/// What can be known before the commit of an entry that only reads fails the transaction as a whole.
#[test]
fn all_or_nothing_for_what_only_reads() {
    let api = Api::new();
    let good = post("Patient", "urn:uuid:1", r#"{"resourceType":"Patient"}"#);
    let put = r#"{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p"}}"#;
    let delete = r#"{"request":{"method":"DELETE","url":"Patient/old"}}"#;
    let get = |url: &str| format!(r#"{{"request":{{"method":"GET","url":"{url}"}}}}"#);
    api.run(&[
        ("PUT Patient/old", r#"{"resourceType":"Patient","id":"old"}"#, 201, ""),
        ("PUT Patient/old", r#"{"resourceType":"Patient","id":"old","active":true}"#, 200, ""),
    ]);
    for (url, status) in [
        ("Patient/$nope", 404),
        ("Patient/old/$nope", 404),
        ("Patient/p/$nope", 404),
        ("Patient/$validate", 405),
        ("ValueSet/$expand", 400),
        ("Patient/nobody/$everything", 404),
        ("metadata?_summary=nope", 400),
        ("Patient/old?_summary=nope", 400),
        ("Patient/p?_summary=nope", 400),
        ("Patient/p?_elements=%FF", 400),
        ("Patient/p/_history/1?_summary=nope", 400),
        ("Patient/p/_history/2", 404),
        ("Patient/p/_history/x", 404),
        ("Patient/p/_history?_since=nope", 400),
        ("Patient/old/_history/3", 404),
    ] {
        api.run(&[("POST ", &bundle("transaction", &[&good, put, &get(url)]), status, "Bundle.entry[2]")]);
    }
    for url in ["Patient/old", "Patient/old/$everything", "Patient/old/_history/3", "Patient/old/_history/4"] {
        api.run(&[("POST ", &bundle("transaction", &[delete, &get(url)]), 404, "Bundle.entry[1]")]);
    }
    let validate = r#"{"request":{"method":"POST","url":"Patient/$validate"}}"#;
    api.run(&[
        ("POST ", &bundle("transaction", &[&good, validate]), 400, "Bundle.entry[1]"),
        ("GET Patient", "", 200, r#""total":1"#),
    ]);
}

/// What only the commit makes possible is no reason to refuse the transaction.
#[test]
fn what_a_transaction_writes_can_be_read_in_it() {
    let api = Api::new();
    let put = r#"{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p"}}"#;
    let codes = r#"{"resource":{"resourceType":"CodeSystem","id":"c","url":"http://x/c","status":"active","content":"complete","concept":[{"code":"a"}]},"request":{"method":"PUT","url":"CodeSystem/c"}}"#;
    let get = |url: &str| format!(r#"{{"request":{{"method":"GET","url":"{url}"}}}}"#);
    let all = |first: &str, urls: &[&str]| {
        let reads: Vec<String> = urls.iter().map(|url| get(url)).collect();
        bundle("transaction", &[&[first][..], &reads.iter().map(String::as_str).collect::<Vec<_>>()].concat())
    };
    let of_new =
        ["Patient/p", "Patient/p?_summary=true", "Patient/p/_history/1", "Patient/p/_history", "Patient/p/$everything"];
    let of_old = ["Patient/p/_history/1", "Patient/p/_history/2", "Patient/p/_history?_count=1", "Patient/p/$meta"];
    let lookup = ["CodeSystem/$lookup?system=http://x/c&code=a", "CodeSystem/c/$lookup?code=a", "metadata"];
    for body in [all(put, &of_new), all(put, &of_old), all(codes, &lookup)] {
        api.run(&[("POST ", &body, 200, r#""status":"200 OK" & !"status":"4 & !"status":"5"#)]);
    }
}

#[test]
fn a_precondition_that_cannot_be_read_is_not_passed_over() {
    let api = Api::new();
    let entry = |member: &str| {
        format!(r#"{{"resource":{{"resourceType":"Patient"}},"request":{{"method":"POST","url":"Patient",{member}}}}}"#)
    };
    for (member, told) in [
        (r#""ifNoneExist":5"#, "Bundle.entry[0].request.ifNoneExist"),
        (r#""ifMatch":1"#, "Bundle.entry[0].request.ifMatch"),
        (r#""ifnoneexist":"identifier=1""#, "Bundle.entry[0].request.ifnoneexist"),
    ] {
        api.run(&[
            ("POST ", &bundle("transaction", &[&entry(member)]), 400, told),
            ("POST ", &bundle("batch", &[&entry(member)]), 200, &format!("400 Bad Request & {told}")),
        ]);
    }
    let full_url =
        r#"{"fullURL":"urn:uuid:1","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}"#;
    api.run(&[
        ("POST ", &bundle("transaction", &[full_url]), 400, "Bundle.entry[0].fullURL"),
        ("GET Patient", "", 200, r#""total":0"#),
    ]);
}

#[test]
fn a_patch_may_refer_to_other_entries() {
    let api = Api::new();
    // [{"op":"replace","path":"/subject/reference","value":"urn:uuid:1"}]
    let patch = r#"{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9zdWJqZWN0L3JlZmVyZW5jZSIsInZhbHVlIjoidXJuOnV1aWQ6MSJ9XQ=="},"request":{"method":"PATCH","url":"Observation/new-1"}}"#;
    let patient = post("Patient", "urn:uuid:1", r#"{"resourceType":"Patient"}"#);
    api.run(&[
        ("POST Observation", &observation("Patient/x"), 201, "new-1"),
        ("POST ", &bundle("transaction", &[patch, &patient]), 200, "201 Created"),
        ("GET Observation/new-1", "", 200, r#""reference":"Patient/new-2""#),
    ]);
}

/// Those that the patch brings are resolved like those of any other entry; what was stored before stays as it is.
#[test]
fn a_patch_may_bring_conditional_references() {
    let api = Api::new();
    let patch = |value: &str| {
        format!(
            r#"{{"resource":{{"resourceType":"Parameters","parameter":[{{"name":"operation","part":[{{"name":"type","valueCode":"replace"}},{{"name":"path","valueString":"Observation.subject.reference"}},{{"name":"value","valueString":"{value}"}}]}}]}},"request":{{"method":"PATCH","url":"Observation/new-1"}}}}"#
        )
    };
    let patient =
        post("Patient", "urn:uuid:1", r#"{"resourceType":"Patient","identifier":[{"system":"s","value":"2"}]}"#);
    let status = r#"{"resource":{"resourceType":"Binary","contentType":"application/merge-patch+json","data":"eyJzdGF0dXMiOiJhbWVuZGVkIn0="},"request":{"method":"PATCH","url":"Observation/new-1"}}"#;
    api.run(&[
        ("POST Observation", &observation("Patient?identifier=s|stored"), 201, "new-1"),
        ("POST ", &bundle("transaction", &[status]), 200, "200 OK"),
        ("GET Observation/new-1", "", 200, r#""reference":"Patient?identifier=s|stored" & "status":"amended""#),
        ("PUT Patient/a", r#"{"resourceType":"Patient","id":"a","identifier":[{"system":"s","value":"1"}]}"#, 201, ""),
        ("POST ", &bundle("transaction", &[&patch("Patient?identifier=s|1")]), 200, "200 OK"),
        ("GET Observation/new-1", "", 200, r#""reference":"Patient/a""#),
        ("POST ", &bundle("transaction", &[&patch("Patient?identifier=s|none"), &patient]), 412, "Bundle.entry[0]"),
        ("POST ", &bundle("transaction", &[&patch("Patient?identifier=s|2"), &patient]), 200, "201 Created"),
        ("GET Observation?subject.identifier=s|2", "", 200, r#""total":1"#),
        ("GET Observation/new-1", "", 200, r#"!Patient?"#),
    ]);
}

#[test]
fn order_of_processing() {
    let api = Api::new();
    let search = r#"{"request":{"method":"GET","url":"Patient?identifier=s|1"}}"#;
    let delete = r#"{"request":{"method":"DELETE","url":"Patient?identifier=s|1"}}"#;
    let create = r#"{"resource":{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}]},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=s|1"}}"#;
    let read = r#"{"request":{"method":"GET","url":"Patient/a","ifNoneMatch":"W/\"2\""}}"#;
    api.run(&[
        ("PUT Patient/a", r#"{"resourceType":"Patient","id":"a","identifier":[{"system":"s","value":"1"}]}"#, 201, ""),
        // The delete is first, so that the create creates, and the search sees only that.
        (
            "POST ",
            &bundle("transaction", &[search, create, delete]),
            200,
            r#""total":1 & 201 Created & 204 No Content & Patient/new-"#,
        ),
        ("GET Patient/a", "", 410, ""),
        ("PUT Patient/a", r#"{"resourceType":"Patient","id":"a"}"#, 201, ""),
        ("POST ", &bundle("transaction", &[create, read]), 200, r#""status":"200 OK","location":"Patient/new-"#),
    ]);
}

#[test]
fn criteria_inside() {
    let api = Api::new();
    let one = |value: &str| {
        format!(
            r#"{{"resource":{{"resourceType":"Patient","identifier":[{{"system":"s","value":"{value}"}}]}},"request":{{"method":"POST","url":"Patient","ifNoneExist":"identifier=s|{value}"}}}}"#
        )
    };
    let refers = |value: &str| {
        format!(
            r#"{{"resource":{},"request":{{"method":"POST","url":"Observation"}}}}"#,
            observation(&format!("Patient?identifier=s|{value}"))
        )
    };
    let put = r#"{"resource":{"resourceType":"Patient","active":true,"identifier":[{"system":"s","value":"1"}]},"request":{"method":"PUT","url":"Patient?identifier=s|1"}}"#;
    let put4 = r#"{"resource":{"resourceType":"Patient","identifier":[{"system":"s","value":"4"}]},"request":{"method":"PUT","url":"Patient?identifier=s|4"}}"#;
    let patch = r#"{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL2dlbmRlciIsInZhbHVlIjoibWFsZSJ9XQ=="},"request":{"method":"PATCH","url":"Patient?identifier=s|1"}}"#;
    let fhirpath = r#"{"resource":{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.gender"},{"name":"value","valueCode":"other"}]}]},"request":{"method":"PATCH","url":"Patient?identifier=s|1"}}"#;
    let xml = r#"{"resource":{"resourceType":"Binary","contentType":"application/xml-patch+xml","data":"PGRpZmY+PHJlcGxhY2Ugc2VsPSJmOlBhdGllbnQvZjpnZW5kZXIvQHZhbHVlIj5tYWxlPC9yZXBsYWNlPjwvZGlmZj4="},"request":{"method":"PATCH","url":"Patient?identifier=s|1"}}"#;
    api.run(&[
        ("POST ", &bundle("transaction", &[&one("1")]), 200, "201 Created"),
        ("POST ", &bundle("transaction", &[&one("1"), &refers("1")]), 200, "200 OK & 201 Created"),
        // A conditional reference may mean what the same transaction creates.
        ("POST ", &bundle("transaction", &[&refers("2"), &one("2")]), 200, "201 Created"),
        ("GET Observation?subject.identifier=s|2", "", 200, r#""total":1"#),
        ("POST ", &bundle("transaction", &[&one("3"), &one("3")]), 412, "multiple-matches"),
        // Two updates that would each create what the other's criteria match.
        ("POST ", &bundle("transaction", &[put4, put4]), 412, "multiple-matches & Bundle.entry"),
        ("POST ", &bundle("transaction", &[put4, &one("4")]), 412, "multiple-matches"),
        ("GET Patient?identifier=s|4", "", 200, r#""total":0"#),
        ("POST ", &bundle("transaction", &[put4]), 200, "201 Created"),
        ("POST ", &bundle("transaction", &[put]), 200, "200 OK"),
        ("POST ", &bundle("transaction", &[put, patch]), 400, "duplicate"),
        ("POST ", &bundle("transaction", &[patch]), 200, "200 OK"),
        ("POST ", &bundle("transaction", &[fhirpath]), 200, "200 OK"),
        ("GET Patient?identifier=s|1", "", 200, r#""gender":"other""#),
        ("POST ", &bundle("batch", &[xml]), 200, "200 OK"),
        ("GET Patient?identifier=s|1", "", 200, r#""gender":"male""#),
        ("GET Patient?identifier=s|3", "", 200, r#""total":0"#),
    ]);
}

#[test]
fn representation_only_if_asked() {
    let api = Api::new();
    let body = bundle("transaction", &[&post("Patient", "urn:uuid:1", r#"{"resourceType":"Patient","active":true}"#)]);
    api.run(&[
        ("POST ", &body, 200, r#"!"active""#),
        ("POST  return:representation", &body, 200, r#""active":true & "fullUrl":"http://vesta.test/fhir/Patient/new"#),
        ("POST  return:outcome", &body, 200, r#""outcome":{"resourceType":"OperationOutcome""#),
    ]);
}

#[test]
fn a_batch_answers_each() {
    let api = Api::new();
    let body = bundle(
        "batch",
        &[
            r#"{"request":{"method":"GET","url":"Patient/a"}}"#,
            &post("Patient", "urn:uuid:1", r#"{"resourceType":"Patient"}"#),
            r#"{"request":{"method":"GET","url":"Patient/nobody"}}"#,
            r#"{"resource":{"resourceType":"Patient","id":"a","gender":"male"},"request":{"method":"PUT","url":"Patient/a"}}"#,
            &post("Patient", "urn:uuid:2", r#"{"resourceType":"Patient","foo":1}"#),
            r#"{"request":{"method":"GET","url":"/Patient?gender=male"}}"#,
            r#"{"request":{"method":"GET","url":"http://vesta.test/fhir/metadata?_summary=true"}}"#,
            r#"{"request":{"url":"Patient/a"}}"#,
            r#"{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL2FjdGl2ZSIsInZhbHVlIjp0cnVlfV0="},"request":{"method":"PATCH","url":"Patient/a"}}"#,
            r#"{"request":{"method":"DELETE","url":"Patient/b"}}"#,
        ],
    );
    api.ask("PUT Patient/a", r#"{"resourceType":"Patient","id":"a"}"#);
    let (status, text) = api.ask("POST ", &body);
    assert_eq!(status, 200);
    assert!(text.contains(r#""type":"batch-response""#));
    let answer = crate::json::Tree::parse(text.as_bytes()).expect("JSON");
    let statuses: Vec<String> = answer
        .get("entry")
        .expect("entries")
        .items()
        .iter()
        .filter_map(|e| Some(e.get("response")?.get("status")?.as_str()?.get(..3)?.to_owned()))
        .collect();
    assert_eq!(statuses.join(" "), "200 201 404 200 422 200 200 400 200 204");
    assert!(text.contains("Bundle.entry[4].resource") && text.contains("Bundle.entry[7].request.method"), "{text}");
    assert!(text.contains(r#""type":"searchset""#));
}

#[test]
fn export_gives_the_newest_versions() {
    let api = Api::new();
    api.run(&[
        ("PUT Patient/a", r#"{"resourceType":"Patient","id":"a"}"#, 201, ""),
        ("PUT Patient/b", r#"{"resourceType":"Patient","id":"b"}"#, 201, ""),
        ("PUT Patient/a", r#"{"resourceType":"Patient","id":"a","active":true}"#, 200, ""),
        ("DELETE Patient/b", "", 204, ""),
        ("PUT Basic/c", r#"{"resourceType":"Basic","id":"c","code":{"text":"x"}}"#, 201, ""),
    ]);
    let mut lines = Vec::new();
    let mut sink = |_, line: &[u8]| {
        lines.push(String::from_utf8_lossy(line).into_owned());
        Ok(())
    };
    let export = api.service.export(crate::base::TenantId(0), &[], &mut sink);
    assert_eq!(api.runtime.block_on(export).expect("exported"), 2);
    assert!(lines[0].contains(r#""id":"a""#) && lines[0].contains(r#""versionId":"2""#), "{lines:?}");
}
