//! What an answer to a search looks like; what matches is tested where conditions are made.

use super::Api;

fn filled() -> Api {
    let api = Api::new();
    for (id, family) in [("a", "Adams"), ("b", "Brown"), ("c", "Clark"), ("d", "Davis"), ("e", "Evans")] {
        let body = format!(
            r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{family}"}}],"managingOrganization":{{"reference":"Organization/o"}}}}"#
        );
        assert_eq!(api.ask(&format!("PUT Patient/{id}"), &body).0, 201);
    }
    api.ask(
        "PUT Organization/o",
        r#"{"resourceType":"Organization","id":"o","name":"x","partOf":{"reference":"Organization/p"}}"#,
    );
    api.ask("PUT Organization/p", r#"{"resourceType":"Organization","id":"p","name":"y"}"#);
    let observation = r#"{"resourceType":"Observation","id":"x","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}"#;
    api.ask("PUT Observation/x", observation);
    api
}

#[test]
fn pages_show_one_moment() {
    let api = filled();
    let (_, first) = api.ask("GET Patient?_count=2&_sort=family", "");
    assert_eq!(Api::ids(&first), "a b");
    assert!(first.contains(r#""total":5"#));
    api.ask("PUT Patient/aa", r#"{"resourceType":"Patient","id":"aa","name":[{"family":"Aaa"}]}"#);
    api.ask("DELETE Patient/c", "");
    let (_, second) = api.ask(&format!("GET {}", Api::link(&first, "next").expect("next")), "");
    assert_eq!(Api::ids(&second), "c d");
    let (_, third) = api.ask(&format!("GET {}", Api::link(&second, "next").expect("next")), "");
    assert_eq!(Api::ids(&third), "e");
    assert_eq!(Api::link(&third, "next"), None);
    let (_, back) = api.ask(&format!("GET {}", Api::link(&second, "previous").expect("previous")), "");
    assert_eq!(Api::ids(&back), "a b");
}

#[test]
fn answers() {
    filled().run(&[
        ("GET Patient?family=adams", "", 200, r#""type":"searchset" & "fullUrl":"http://vesta.test/fhir/Patient/a" & "search":{"mode":"match"} & "url":"http://vesta.test/fhir/Patient?family=adams""#),
        ("GET Patient?family=nobody", "", 200, r#""total":0 & !"entry""#),
        ("GET Patient?_summary=count", "", 200, r#""total":5 & !"entry""#),
        ("GET Patient?family=adams&no-such=1", "", 200, r#""mode":"outcome" & no-such & !no-such=1"#),
        ("GET Patient?family=adams&no-such=1 handling:strict", "", 400, "no-such"),
        ("POST Patient/_search as:form", "family=adams", 200, r#""total":1"#),
        ("POST Patient/_search?family=adams as:form", "_id=b", 200, r#""total":0"#),
        ("POST Patient/_search", "{}", 415, ""),
        ("GET ?_type=Organization,Observation", "", 200, r#""total":3"#),
        ("GET Patient/a/Observation", "", 200, r#""total":1 & "url":"http://vesta.test/fhir/Patient/a/Observation"#),
        ("GET Patient/b/Observation", "", 200, r#""total":0"#),
        ("GET Patient/a/*", "", 200, "Observation/x"),
        ("GET Organization/o/Patient", "", 404, "compartment"),
        ("GET Patient/a/Nope", "", 404, "Nope"),
        ("GET Patient?_page=nonsense", "", 400, "_page"),
    ]);
}

#[test]
fn includes() {
    let api = filled();
    for (query, expected) in [
        ("Patient?_id=a&_include=Patient:organization", "a o"),
        ("Patient?_include=Patient:organization", "a b c d e o"),
        ("Patient?_id=a&_include=Patient:organization&_include:iterate=Organization:partof", "a o p"),
        ("Patient?_id=a&_revinclude=Observation:subject", "a x"),
        ("Patient?_id=b&_revinclude=Observation:subject", "b"),
        ("Observation?_include=Observation:subject&_include:iterate=Patient:organization", "x a o"),
        (
            "Organization?_id=p&_revinclude:iterate=Organization:partof&_revinclude:iterate=Patient:organization",
            "p o a b c d e",
        ),
        ("Organization?_id=o&_include=Organization:partof&_revinclude=Patient:organization", "o p a b c d e"),
    ] {
        let (status, text) = api.ask(&format!("GET {query}"), "");
        assert_eq!((status, Api::ids(&text).as_str()), (200, expected), "{query}\n{text}");
        assert!(!text.contains("\"mode\":\"outcome\""), "{text}");
    }
}

#[test]
fn includes_are_bounded() {
    let api = filled();
    let few = super::Settings { max_includes: 2, ..super::Settings::default() };
    let api = Api { service: super::Service { settings: few, ..api.service }, ..api };
    let (_, text) = api.ask("GET Organization?_id=o&_revinclude=Patient:organization", "");
    assert_eq!(Api::ids(&text), "o a b");
    assert!(text.contains("no more than 2"), "{text}");
}
