//! Bad input: a 4xx with an OperationOutcome within moments, nothing stored, and the server goes on.

use super::{SERVER, patient};
use crate::support::{Answer, TestServer};
use serde_json::json;
use std::time::{Duration, Instant};

const JSON: (&str, &str) = ("content-type", "application/fhir+json");
const XML: (&str, &str) = ("content-type", "application/fhir+xml");

/// The answer to a body. The bound only tells an answer from one that never comes: timing decides nothing else.
fn post(path: &str, content_type: (&str, &str), body: &[u8]) -> Answer {
    let began = Instant::now();
    let answer = SERVER.send("POST", path, &[content_type, ("accept", "application/fhir+json")], Some(body));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    SERVER.get("/health/live").is(200);
    answer
}

#[test]
fn malformed_json() {
    for body in [
        "{\"resourceType\":\"Patient\",",
        "",
        "[]",
        "null",
        "\"Patient\"",
        "{\"resourceType\":\"Patient\"} x",
        "{\"resourceType\":\"Patient\",\"active\":true,\"active\":false}",
        "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\\ud800\"}]}",
        "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\t\"}]}",
        "{'resourceType':'Patient'}",
    ] {
        post("Patient", JSON, body.as_bytes()).is(400);
    }
    post("Patient", JSON, b"\xff\xfe{\"resourceType\":\"Patient\"}").is(400);
    post("Patient", JSON, b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\xff\"}]}").is(400);
}

#[test]
fn an_error_in_json_is_told_with_its_place() {
    let outcome = post("Patient", JSON, b"{\n \"resourceType\": Patient}").refuses(400, "structure").json();
    assert!(outcome["issue"][0]["diagnostics"].as_str().is_some_and(|d| d.contains('2')), "{outcome}");
}

#[test]
fn malformed_xml() {
    for body in [
        "<Patient xmlns=\"http://hl7.org/fhir\"><name>",
        "<Patient><active value=\"true\"/></Patient>",
        "<!DOCTYPE r [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><Patient xmlns=\"http://hl7.org/fhir\"><name><family value=\"&e;\"/></name></Patient>",
        "<Patient xmlns=\"http://hl7.org/fhir\"><name><family value=\"&e;\"/></name></Patient>",
        "text",
    ] {
        let answer = post("Patient", XML, body.as_bytes());
        assert!(matches!(answer.status, 400 | 422), "{} {}", answer.status, answer.text());
        answer.is(answer.status);
        assert!(!answer.text().contains("root:"));
    }
}

#[test]
fn deep_nesting() {
    let deep = |levels: usize| {
        let mut body = "{\"resourceType\":\"Patient\",\"extension\":".to_owned();
        body.push_str(&"[{\"url\":\"a\",\"extension\":".repeat(levels));
        body.push_str("[]");
        body.push_str(&"}]".repeat(levels));
        body + "}"
    };
    post("Patient", JSON, deep(100_000).as_bytes()).is(400);
    post("Patient", JSON, deep(200).as_bytes()).is(400);
    post("Patient", JSON, &[b'['; 100_000]).is(400);
    let open = format!("<Patient xmlns=\"http://hl7.org/fhir\">{}", "<extension url=\"a\">".repeat(100_000));
    post("Patient", XML, open.as_bytes()).is(400);
}

#[test]
fn a_number_of_a_million_digits() {
    let body = format!(
        "{{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{{\"text\":\"x\"}},\"valueQuantity\":{{\"value\":{}}}}}",
        "1".repeat(1_000_000)
    );
    post("Observation", JSON, body.as_bytes()).is(400);
    for beyond in ["1e999999999999", "1e10001", "1E-10001"] {
        let body = body.replace(&"1".repeat(1_000_000), beyond);
        let refused = post("Observation", JSON, body.as_bytes());
        refused.refuses(422, "value");
        assert_eq!(refused.json()["issue"][0]["expression"][0], "Observation.value.value");
    }
    let large = body.replace(&"1".repeat(1_000_000), "1.5e9999");
    post("Observation", JSON, large.as_bytes()).is(201);
    // Larger than what the JSON reader of the tests takes.
    assert!(SERVER.get("Observation?value-quantity=gt1e9998").is(200).text().contains("\"total\":1,"));
    let search = SERVER.get(&format!("Observation?value-quantity={}", "1".repeat(10_000)));
    assert!(search.status < 500, "{}", search.status);
}

#[test]
fn a_bundle_with_a_million_entries() {
    let entry = "{\"resource\":{\"resourceType\":\"Basic\"},\"request\":{\"method\":\"POST\",\"url\":\"Basic\"}},";
    for kind in ["transaction", "batch"] {
        let mut body = format!("{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\",\"entry\":[");
        body.push_str(&entry.repeat(600_000));
        body.push_str(&entry[..entry.len() - 1]);
        body.push_str("]}");
        assert!(body.len() < 64 << 20, "below the limit of the body");
        let answer = post("", JSON, body.as_bytes());
        assert!(matches!(answer.status, 400 | 413 | 422), "{} {}", answer.status, answer.text());
        answer.is(answer.status);
    }
    assert_eq!(SERVER.get("Basic?_summary=count").json()["total"], 0);
    // Nor is it worked through where it is only to be stored or judged.
    let many = format!("[{}{{}}]", "{},".repeat(1_000_000));
    let body = format!("{{\"resourceType\":\"Bundle\",\"id\":\"many\",\"type\":\"collection\",\"entry\":{many}}}");
    post("Bundle", JSON, body.as_bytes()).refuses(413, "too-long");
    SERVER.send("PUT", "Bundle/many", &[JSON], Some(body.as_bytes())).refuses(413, "too-long");
    let judged = post("Bundle/$validate", JSON, body.as_bytes());
    assert_eq!(judged.is(200).json()["issue"][0]["code"], "too-long");
    let deep = format!("[{}{{}}]", "{},".repeat(1_000_000));
    let body = format!("{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":{deep}}}");
    post("", JSON, body.as_bytes());
}

#[test]
fn unknown_parameters_under_strict_handling() {
    let strict = [("prefer", "handling=strict")];
    SERVER.get_with("Patient?no-such-parameter=1", &strict).is(400);
    SERVER.get_with("Patient?name:no-such-modifier=1", &strict).is(400);
    SERVER.get("Patient?no-such-parameter=1").is(200);
}

#[test]
fn ids_and_versions_that_cannot_be() {
    let long = "a".repeat(65);
    let answer = SERVER.get(&format!("Patient/{long}"));
    assert!(matches!(answer.status, 400 | 404), "{}", answer.status);
    let mut resource = patient("Shaw");
    resource["id"] = json!(long);
    let answer = SERVER.put("PUT", &format!("Patient/{long}"), &resource);
    assert!(matches!(answer.status, 400 | 404 | 422), "{}", answer.status);
    let id = SERVER.create(&patient("Shaw"));
    for version in ["2", "0", "-1", "x", "99999999999999999999999"] {
        let answer = SERVER.get(&format!("Patient/{id}/_history/{version}"));
        assert!(matches!(answer.status, 400 | 404), "{version}: {}", answer.status);
    }
    for path in ["Patient/a%20b", "Patient/a%2Fb", "Patient/%00", "Patient/%FF", "Patient/..%2f..%2fetc"] {
        let answer = SERVER.get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
    }
}

#[test]
fn hostile_queries() {
    for query in [
        "_count=1000000000000",
        "_count=-1",
        "_count=x",
        "name=%FF",
        "name=%",
        "=",
        "&&&",
        "birthdate=ge",
        "birthdate=x",
        "_include=*:*:*",
        "_sort=-",
        "_summary=maybe",
        "_elements=,",
        "_id=",
        "identifier=|",
        "name:missing=maybe",
        "_format=json&_format=xml",
    ] {
        let answer = SERVER.get(&format!("Patient?{query}"));
        assert!(answer.status < 500, "{query}: {} {}", answer.status, answer.text());
    }
    let many = vec!["x"; 5000].join(",");
    assert!(SERVER.get(&format!("Patient?name={many}")).status < 500);
}

/// B01, B02: what means something to a database or to a language of scripts is text here.
#[test]
fn odd_keys_and_operators_mean_nothing() {
    let server = TestServer::start();
    let operator = r#"{"$ne":null}"#;
    let named = |family: &str, value: &str| json!({"resourceType": "Patient", "name": [{"family": family}], "identifier": [{"system": "urn:x", "value": value}]});
    server.create(&named("Other", "1"));
    let odd = server.create(&named("Odd", operator));
    let before = server.get("_history").is(200).json()["total"].clone();
    for key in [
        "$where",
        "$ne",
        "a.b",
        "name.family",
        "name.$",
        ".",
        "",
        "__proto__",
        "constructor",
        "na\\u0000me",
        "\\u0000",
        "_id",
        "$set",
    ] {
        for body in [
            format!("{{\"resourceType\":\"Patient\",\"{key}\":{{\"$gt\":\"\"}}}}"),
            format!("{{\"resourceType\":\"Patient\",\"{key}\":\"x\"}}"),
            format!("{{\"resourceType\":\"Patient\",\"name\":[{{\"{key}\":\"x\"}}]}}"),
            format!("{{\"resourceType\":\"Patient\",\"identifier\":[{{\"value\":{{\"{key}\":\"x\"}}}}]}}"),
        ] {
            let answer = server.send("POST", "Patient", &[JSON], Some(body.as_bytes()));
            assert!(matches!(answer.status, 400 | 422), "{body}: {} {}", answer.status, answer.text());
            answer.is(answer.status);
        }
    }
    assert_eq!(server.get("_history").is(200).json()["total"], before, "nothing of it is stored");
    let coded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let total = |query: &str| server.get(&format!("Patient?{query}")).is(200).json()["total"].clone();
    let found = server.get(&format!("Patient?identifier={}", coded(operator))).is(200).json();
    assert_eq!((&found["total"], &found["entry"][0]["resource"]["id"]), (&json!(1), &json!(odd)));
    for value in [r#"{"$gt":""}"#, r#"{"$regex":".*"}"#, "$where", "function(){return true}", "[$eq]", "this.a==1"] {
        for name in ["identifier", "name", "name:contains", "name:exact", "family", "_id", "_content"] {
            let answer = server.get(&format!("Patient?{name}={}", coded(value)));
            assert!(answer.status < 500, "{name}={value}: {}", answer.text());
            assert!(answer.status != 200 || answer.json()["total"] == 0, "{name}={value}: {}", answer.text());
        }
    }
    // A name with an operator in it is no parameter that there is.
    for name in [
        "identifier[$ne]",
        "identifier[$regex]",
        "name[$gt]",
        "_id[$in][]",
        "$where",
        "$or",
        "__proto__[x]",
        "constructor",
        "name.$where",
        "name:$ne",
        "identifier.$ne",
    ] {
        server.get_with(&format!("Patient?{}=1", coded(name)), &[("prefer", "handling=strict")]).is(400);
        assert!(server.get(&format!("Patient?{}=1", coded(name))).status < 500, "{name}");
    }
    assert_eq!(total("identifier=1"), 1);
}

/// B03, B04: what means something to SQL or to a regex engine is text here.
#[test]
fn sql_and_patterns_are_text() {
    let server = TestServer::start();
    let sql = "Robert'); DROP TABLE Patient;--";
    for family in [sql, "a.c", "abc", "aaaa"] {
        server.create(&json!({"resourceType": "Patient", "name": [{"family": family}]}));
    }
    let coded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let total = |name: &str, value: &str| {
        server.get(&format!("Patient?{name}={}", coded(value))).is(200).json()["total"].clone()
    };
    // A semicolon stands for itself; a comma or a dollar sign would have to be escaped.
    assert_eq!((total("family:exact", sql), total("family", sql)), (json!(1), json!(1)));
    for value in ["' OR '1'='1", "x' OR 1=1--", "1; DELETE FROM Patient", "') UNION SELECT id FROM Patient--", "%", "_"]
    {
        for name in ["family", "family:exact", "family:contains", "identifier", "_id", "gender"] {
            let answer = server.get(&format!("Patient?{name}={}", coded(value)));
            assert!(answer.status < 500, "{name}={value}: {}", answer.text());
            assert!(answer.status != 200 || answer.json()["total"] == 0, "{name}={value}: {}", answer.text());
        }
    }
    for name in ["family:exact", "family:contains"] {
        assert_eq!(total(name, "a.c"), 1, "{name}: a point is a point");
        for value in [".*", "^a", "a+", "[a-c]+", "(a|b)", "a.*c", "\\w"] {
            assert_eq!(total(name, value), 0, "{name}={value}");
        }
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for name in ["family", "family:exact", "family:contains", "_content"] {
        for pattern in ["(a+)+$".repeat(17_000), "a*".repeat(50_000), "a".repeat(100_000), "\\".repeat(100_000)] {
            let began = Instant::now();
            let body = format!("{name}={}", coded(&pattern));
            let answer = server.send("POST", "Patient/_search", &form, Some(body.as_bytes()));
            assert!(answer.status < 500, "{name}: {} {:.300}", answer.status, answer.text());
            // Of words only the letters count.
            let none = answer.status != 200 || answer.json()["total"] == 0;
            assert!(none || name == "_content", "{name} {pattern:.20}");
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        }
    }
    assert_eq!(server.get("Patient?_summary=count").is(200).json()["total"], 4);
}

/// F03: nothing that XML can refer to is fetched, and nothing is read in another encoding than the one that is judged.
#[test]
fn xml_that_leads_elsewhere_or_is_encoded_otherwise() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let elsewhere = format!("http://{}/x", listener.local_addr().expect("an address"));
    let patient = |inside: &str| format!("<Patient xmlns=\"http://hl7.org/fhir\">{inside}</Patient>");
    let include = "xmlns:xi=\"http://www.w3.org/2001/XInclude\"";
    for body in [
        patient(&format!("<xi:include {include} href=\"file:///etc/passwd\" parse=\"text\"/>")),
        patient(&format!("<name><xi:include {include} href=\"{elsewhere}\"/></name>")),
        patient(&format!(
            "<text><status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\"><xi:include {include} \
             href=\"{elsewhere}\"/></div></text>"
        )),
        format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{}", patient("<active value=\"true\"/>")),
        format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{}", patient("<active value=\"true\"/>")),
        "<?xml version=\"1.0\" encoding=\"UTF-7\"?>+ADw-Patient xmlns+AD0AIg-http://hl7.org/fhir+ACIAPgA8-/Patient+AD4-".into(),
    ] {
        let answer = post("Patient", XML, body.as_bytes());
        assert!(matches!(answer.status, 400 | 422), "{body}: {} {}", answer.status, answer.text());
        answer.is(answer.status);
        assert!(!answer.text().contains("root:"), "{body}");
    }
    let wide = format!("<?xml version=\"1.0\"?>{}", patient("<active value=\"true\"/>"));
    for (mark, bytes) in [
        (&[0xFF, 0xFE][..], wide.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
        (&[0xFE, 0xFF][..], wide.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        (&[][..], wide.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ] {
        post("Patient", XML, &[mark, &bytes].concat()).is(400);
    }
    // An instruction for a browser is none for the server, and is not kept.
    let styled = format!(
        "<?xml version=\"1.0\"?><?xml-stylesheet type=\"text/xsl\" href=\"{elsewhere}\"?>{}",
        patient("<active value=\"true\"/>")
    );
    let answer = post("Patient", XML, styled.as_bytes());
    assert!(answer.status < 500 && !answer.text().contains("stylesheet"), "{} {}", answer.status, answer.text());
    listener.set_nonblocking(true).expect("a setting");
    assert!(listener.accept().is_err(), "nothing was fetched");
}

/// G02: an array of a million elements inside one element.
#[test]
fn an_array_of_a_million_elements() {
    let array = |element: &str| format!("[{}{element}]", format!("{element},").repeat(999_999));
    for (body, status) in [
        (format!("{{\"resourceType\":\"Patient\",\"name\":{}}}", array("{}")), 400..=422),
        (format!("{{\"resourceType\":\"Patient\",\"name\":[{{\"given\":{}}}]}}", array("1")), 400..=422),
        (format!("{{\"resourceType\":\"Patient\",\"name\":[{{\"given\":{}}}]}}", array("[]")), 400..=422),
        (format!("{{\"resourceType\":\"Patient\",\"active\":{}}}", array("true")), 400..=422),
    ] {
        let answer = post("Patient", JSON, body.as_bytes());
        assert!(status.contains(&answer.status), "{body:.80}: {} {:.300}", answer.status, answer.text());
        answer.is(answer.status);
        assert!(answer.body.len() < 1 << 20, "{} bytes to say so", answer.body.len());
    }
    // What is legal is answered, taken or not, by a server of its own, which nobody else searches.
    let server = TestServer::start();
    let body = format!("{{\"resourceType\":\"Patient\",\"name\":[{{\"given\":{}}}]}}", array("\"a\""));
    let answer = server.send("POST", "Patient", &[JSON], Some(body.as_bytes()));
    assert!(answer.status < 500, "{} {:.300}", answer.status, answer.text());
    server.get("/health/live").is(200);
}

#[test]
fn nothing_is_stored_by_what_is_refused() {
    let server = TestServer::start();
    let before = server.get("_history").json()["total"].clone();
    for body in [
        json!({"resourceType": "Patient", "foo": 1}),
        json!({"resourceType": "Patient", "active": "yes"}),
        json!({"resourceType": "Observation"}),
    ] {
        let answer = server.put("POST", body["resourceType"].as_str().expect("a type"), &body);
        assert!(matches!(answer.status, 400 | 422), "{}", answer.text());
        assert!(answer.json()["issue"][0]["expression"][0].is_string(), "{}", answer.text());
    }
    assert_eq!(server.get("_history").json()["total"], before);
}

#[test]
fn errors_tell_nothing_about_the_inside() {
    for answer in [SERVER.get("Patient/none"), post("Patient", JSON, b"{"), SERVER.get("Patient?_count=x")] {
        let text = answer.text();
        assert!(![".rs:", "panicked", "src/", "Err("].iter().any(|inside| text.contains(inside)), "{text}");
    }
}
