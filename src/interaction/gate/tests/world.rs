//! The world of the tests: patients `a` and `b` with a resource of every type that belongs to patients, and others
//! that belong to nobody. Every resource of `b` holds the word SECRET-B, so that a leak is found wherever it is.

use crate::access::{Caller, Principal, Reach, Role, Scopes, UserReference, reach};
use crate::base::{Failure, ResourceId, TenantId};
use crate::definitions::{Definitions, TypeId};
use crate::index::Extractor;
use crate::interaction::{Context, Media, Payload, Reply, ReplyContent, Request, Service, Settings, Verb, outcome};
use crate::store::memory::MemoryStore;
use std::sync::Arc;

/// What only resources of patient b hold.
pub const SECRET: &str = "SECRET-B";

pub struct World {
    pub service: Service,
    pub definitions: Arc<Definitions>,
    pub runtime: tokio::runtime::Runtime,
}

/// An answer: status, text, and what the headers would say.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    pub version: Option<u64>,
}

impl Answer {
    pub fn is_refused(&self) -> bool {
        matches!(self.status, 400 | 401 | 403 | 404 | 412)
    }
}

const BASE: &str = "http://vesta.test/fhir";

impl World {
    /// A world without resources.
    pub fn empty() -> World {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), vec![BASE.to_owned()]));
        let clock = Arc::new(crate::base::SystemClock);
        let store = MemoryStore::new(definitions.clone(), extractor.clone(), clock.clone());
        // The resources of this world are about nothing but references.
        let settings = Settings { validation: crate::interaction::Policy::Off, ..Settings::default() };
        let ids = Arc::new(crate::base::RandomIds);
        let service = Service::new(Arc::new(store), definitions.clone(), extractor, clock, ids, settings);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        World { service, definitions, runtime }
    }

    /// The world with both patients.
    pub fn new() -> World {
        let world = World::empty();
        for patient in ["a", "b"] {
            let mark = if patient == "b" { SECRET } else { "MARK-A" };
            world.put(&format!(
                r#"{{"resourceType":"Patient","id":"{patient}","name":[{{"family":"{mark}"}}],"birthDate":"19{}0-01-01","identifier":[{{"system":"urn:mrn","value":"{mark}"}}]}}"#,
                if patient == "b" { 5 } else { 8 }
            ));
            for kind in world.members() {
                for element in world.elements(kind).into_iter().take(1) {
                    world.put(&world.member(
                        kind,
                        &element,
                        patient,
                        &format!("{}-{patient}", world.short(kind)),
                        mark,
                    ));
                }
            }
        }
        for name in ["Organization", "Practitioner", "Location", "Medication", "ValueSet"] {
            world.put(&format!(r#"{{"resourceType":"{name}","id":"shared","name":"everybody"}}"#));
        }
        for (id, category, patient) in
            [("lab-a", "laboratory", "a"), ("vital-a", "vital-signs", "a"), ("lab-b", "laboratory", "b")]
        {
            let mark = if patient == "b" { SECRET } else { "MARK-A" };
            world.put(&format!(
                r#"{{"resourceType":"Observation","id":"{id}","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"{category}"}}]}}],"code":{{"text":"{mark}"}},"subject":{{"reference":"Patient/{patient}"}},"performer":[{{"reference":"Practitioner/shared"}}],"valueQuantity":{{"value":{}}}}}"#,
                if patient == "b" { 99 } else { 1 }
            ));
        }
        // An observation of a that points to b, and a group of both.
        world.put(r#"{"resourceType":"Observation","id":"focus-a","subject":{"reference":"Patient/a"},"focus":[{"reference":"Patient/b"}],"hasMember":[{"reference":"Observation/lab-b"}]}"#);
        world.put(r#"{"resourceType":"Group","id":"both","type":"person","actual":true,"name":"SECRET-B","member":[{"entity":{"reference":"Patient/a"}},{"entity":{"reference":"Patient/b"}}]}"#);
        world.put(r#"{"resourceType":"Binary","id":"of-a","contentType":"text/plain","securityContext":{"reference":"Patient/a"},"data":"TUFSSy1B"}"#);
        world.put(&format!(r#"{{"resourceType":"Binary","id":"of-b","contentType":"text/{SECRET}","securityContext":{{"reference":"Patient/b"}},"data":"TUFSSy1B"}}"#));
        world.put(&format!(
            r#"{{"resourceType":"Binary","id":"of-none","contentType":"text/{SECRET}","data":"TUFSSy1B"}}"#
        ));
        world
    }

    /// The types that belong to patients, Patient apart.
    pub fn members(&self) -> Vec<TypeId> {
        let all = self.definitions.resources.iter().copied();
        all.filter(|kind| matches!(reach(&self.definitions, *kind), Reach::Members(_) | Reach::Alone(_))).collect()
    }

    pub fn short(&self, kind: TypeId) -> String {
        self.definitions.name(kind).to_lowercase()
    }

    /// The paths of JSON elements through which a type belongs to a patient, each tried with the extractor.
    pub fn elements(&self, kind: TypeId) -> Vec<String> {
        let parameters = match reach(&self.definitions, kind) {
            Reach::Members(parameters) => parameters,
            Reach::Alone(parameter) => vec![parameter],
            _ => return Vec::new(),
        };
        let mut found = Vec::new();
        for number in parameters {
            let expression = &self.definitions.search_parameters[usize::from(number)].expression;
            for part in expression.split(['|', '(', ')', ' ']) {
                let name = self.definitions.name(kind);
                let Some(path) = part.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else { continue };
                let path = path.split(".where").next().unwrap_or(path).trim_end_matches('.').to_owned();
                if !found.contains(&path) && self.leads(kind, &path, number) {
                    found.push(path);
                }
            }
        }
        assert!(!found.is_empty(), "no way to tie {} to a patient", self.definitions.name(kind));
        found
    }

    fn leads(&self, kind: TypeId, path: &str, number: u16) -> bool {
        let json = self.member(kind, path, "x", "x", "x");
        let document = crate::json::Document::parse(json.as_bytes(), &crate::json::Limits::NONE).expect("JSON");
        let references = self.service.extractor.references(kind, document.root(), number);
        references.iter().any(|referred| referred.id.as_str() == "x")
    }

    /// A resource that refers to a patient in one element.
    pub fn member(&self, kind: TypeId, path: &str, patient: &str, id: &str, mark: &str) -> String {
        let mut structure = kind;
        let mut open = String::new();
        let mut close = String::new();
        for part in path.split('.') {
            // A choice element is written with its type.
            let of = self.definitions.structure(structure);
            let element = of.element(part).or_else(|| of.element(&format!("{part}Reference")));
            let Some(element) = element else { return String::from("{}") };
            let (left, right) = if element.many { ("[", "]") } else { ("", "") };
            open.push_str(&format!("\"{}\":{left}{{", element.name));
            close.insert_str(0, &format!("}}{right}"));
            if let crate::definitions::ElementType::Complex(inner) = element.kind {
                structure = inner;
            }
        }
        let name = self.definitions.name(kind);
        format!(
            r#"{{"resourceType":"{name}","id":"{id}","language":"{mark}",{open}"reference":"Patient/{patient}"{close}}}"#
        )
    }

    /// Stores a resource, with access control off.
    pub fn put(&self, json: &str) {
        let tree = crate::json::Tree::parse(json.as_bytes()).expect(json);
        let text = |name: &str| tree.get(name).and_then(|t| t.as_str()).expect("a head").to_owned();
        let answer = self.ask(&Caller::Open, &format!("PUT {}/{}", text("resourceType"), text("id")), json);
        assert!(matches!(answer.status, 200 | 201), "{json}\n{answer:?}");
    }

    /// A principal without a user.
    pub fn app(&self, scopes: &str, patient: Option<&str>) -> Caller {
        let scopes = Scopes::parse(scopes, &self.definitions).expect(scopes);
        let patient = patient.and_then(ResourceId::new);
        Caller::Known(Arc::new(Principal { scopes, patient, ..Principal::new("app") }))
    }

    /// A user with a role.
    pub fn user(&self, role: Role, reference: &str, scopes: &str) -> Caller {
        let (kind, id) = reference.split_once('/').expect("a reference");
        let kind = self.definitions.resource(kind).expect("a type");
        let user = Some(UserReference { kind, id: ResourceId::new(id).expect("an id") });
        let scopes = Scopes::parse(scopes, &self.definitions).expect(scopes);
        Caller::Known(Arc::new(Principal { user, role: Some(role), scopes, ..Principal::new(reference) }))
    }

    fn context(&self, caller: &Caller) -> Context {
        Context { caller: caller.clone(), ..Context::open(TenantId(0), BASE) }
    }

    /// Sends `VERB path?query` and header words: `if-match:1`, `if-none-match:*`, `if-none-exist:…`, `as:json-patch`,
    /// `as:merge-patch`, `as:form`, `return:representation`, `handling:lenient`.
    pub fn ask(&self, caller: &Caller, line: &str, body: &str) -> Answer {
        let mut words = line.split(' ');
        let verb = match words.next() {
            Some("GET") => Verb::Get,
            Some("HEAD") => Verb::Head,
            Some("POST") => Verb::Post,
            Some("PUT") => Verb::Put,
            Some("PATCH") => Verb::Patch,
            Some("DELETE") => Verb::Delete,
            other => panic!("not a verb: {other:?}"),
        };
        let address = words.next().unwrap_or_default();
        let address = address.strip_prefix(BASE).unwrap_or(address).trim_start_matches('/');
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut request = Request { query: query.to_owned(), ..Request::new(verb, path) };
        let mut media = Media::Json;
        for word in words {
            let (name, value) = word.split_once(':').expect("name:value");
            let list = || Some(vec![value.to_owned()]);
            match (name, value) {
                ("if-match", _) => request.preconditions.if_match = list(),
                ("if-none-match", _) => request.preconditions.if_none_match = list(),
                ("if-none-exist", _) => request.preconditions.if_none_exist = Some(value.to_owned()),
                ("return", _) => request.prefer.returns = Some(crate::interaction::Return::Representation),
                ("handling", "strict") => request.prefer.handling = crate::interaction::Handling::Strict,
                ("handling", _) => request.prefer.handling = crate::interaction::Handling::Lenient,
                ("as", "json-patch") => media = Media::JsonPatch,
                ("as", "merge-patch") => media = Media::MergePatch,
                ("as", _) => media = Media::Form,
                other => panic!("unknown word {other:?}"),
            }
        }
        request.body = (!body.is_empty()).then(|| Payload { media, bytes: body.as_bytes().to_vec() });
        let result = self.runtime.block_on(self.service.perform(&self.context(caller), request));
        Answer::of(result)
    }

    /// Asks, and fails the test if anything of patient b is in the answer.
    pub fn quiet(&self, caller: &Caller, line: &str, body: &str) -> Answer {
        let answer = self.ask(caller, line, body);
        // What the client itself sent may be repeated.
        let known = line.contains(SECRET) || body.contains(SECRET);
        assert!(known || !answer.text.contains(SECRET), "{line}\n{body}\nleaks: {}", answer.text);
        assert!(answer.status < 500, "{line}\n{body}\n{answer:?}");
        answer
    }

    /// The ids of the entries of a Bundle, sorted, with the total in front if there is one.
    pub fn found(answer: &Answer) -> String {
        let bundle = crate::json::Tree::parse(answer.text.as_bytes()).expect(&answer.text);
        let entries = bundle.get("entry").map_or(Vec::new(), |e| e.items().to_vec());
        let mut ids: Vec<String> = entries
            .iter()
            .filter_map(|e| {
                let resource = e.get("resource")?;
                let text = |name: &str| resource.get(name).and_then(|t| t.as_str()).unwrap_or_default().to_owned();
                (text("resourceType") != "OperationOutcome").then(|| format!("{}/{}", text("resourceType"), text("id")))
            })
            .collect();
        ids.sort();
        ids.join(" ")
    }

    /// `Bundle.total`.
    pub fn total(answer: &Answer) -> Option<u64> {
        let bundle = crate::json::Tree::parse(answer.text.as_bytes()).expect(&answer.text);
        match bundle.get("total") {
            Some(crate::json::Tree::Number(total)) => total.parse().ok(),
            _ => None,
        }
    }
}

impl Answer {
    fn of(result: Result<Reply, Failure>) -> Answer {
        match result {
            Ok(reply) => {
                let text = match reply.content {
                    ReplyContent::Nothing => String::new(),
                    ReplyContent::Json(json) => String::from_utf8(json).expect("UTF-8"),
                    ReplyContent::Outcome(issues) => outcome::write(&issues),
                    ReplyContent::Raw { content_type, bytes, .. } => {
                        format!("{content_type}: {}", String::from_utf8_lossy(&bytes))
                    }
                };
                Answer { status: outcome::status_of_effect(reply.effect).0, text, version: reply.version }
            }
            Err(failure) => Answer {
                status: outcome::status_of(failure.kind).0,
                text: outcome::write(&failure.issues),
                version: None,
            },
        }
    }
}
