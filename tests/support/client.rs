//! An HTTP client that takes any status as an answer and unpacks nothing.

use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use ureq::http;

/// A client of one server.
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

/// An answer: status, headers with lower-case names, body.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub set_cookies: Vec<String>,
    /// Whether it is one of the FHIR API with a body: an error there is an OperationOutcome.
    told: bool,
}

impl Client {
    pub fn new(base: &str) -> Client {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .build()
            .new_agent();
        Client { base: base.to_owned(), agent }
    }

    /// Sends a request. `path` is under the FHIR base, or from the root of the server if it begins with `/`.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let root = self.base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let url = match path {
            _ if path.starts_with('/') => format!("{root}{path}"),
            _ if path.is_empty() || path.starts_with('?') => format!("{}{path}", self.base),
            _ => format!("{}/{path}", self.base),
        };
        let mut request = http::Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answered = match body {
            Some(body) => self.agent.run(request.body(body).expect("a legal request")),
            None => self.agent.run(request.body(()).expect("a legal request")),
        };
        let mut answered = answered.unwrap_or_else(|e| panic!("{method} {url}: {e}"));
        let set_cookies = answered.headers().get_all("set-cookie").iter();
        let set_cookies = set_cookies.map(|value| value.to_str().unwrap_or_default().to_owned()).collect();
        let headers = answered
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let status = answered.status().as_u16();
        let body = answered.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a whole body");
        let told = !path.starts_with('/') && method != "HEAD";
        Answer { status, headers, body, set_cookies, told }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, None)
    }

    /// Sends a resource as JSON.
    pub fn put(&self, method: &str, path: &str, resource: &Value) -> Answer {
        let body = serde_json::to_vec(resource).expect("JSON");
        self.send(method, path, &[("content-type", "application/fhir+json")], Some(&body))
    }

    /// Creates a resource and gives its id.
    pub fn create(&self, resource: &Value) -> String {
        let kind = resource["resourceType"].as_str().expect("a type");
        let answer = self.put("POST", kind, resource);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    /// Asserts the status, and that an error of the FHIR API is told as an OperationOutcome with an issue, in whatever
    /// format.
    #[track_caller]
    pub fn is(&self, status: u16) -> &Answer {
        assert_eq!(self.status, status, "{}", self.text());
        let content_type = self.header("content-type");
        if status >= 400 && content_type.contains("fhir+xml") {
            let text = self.text();
            assert!(
                text.contains("<OperationOutcome") && text.contains("<issue>") && text.contains("<code "),
                "{text}"
            );
        } else if status >= 400 && (self.told || content_type.contains("fhir+")) {
            assert!(content_type.contains("fhir+"), "{content_type:?}: {}", self.text());
            let outcome = self.json();
            assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
            assert!(outcome["issue"][0]["code"].is_string(), "{outcome}");
        }
        self
    }

    /// Asserts an error with this status whose OperationOutcome has an issue of this code.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str) -> &Answer {
        self.is(status);
        assert!(self.header("content-type").contains("fhir+json"), "{:?}", self.headers);
        assert_eq!(self.json()["issue"][0]["code"], code, "{}", self.text());
        self
    }
}

/// A JSON value from text that the test knows to be legal.
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("legal JSON")
}
