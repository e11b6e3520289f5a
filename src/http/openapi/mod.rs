//! The OpenAPI document, computed from the route table of `interaction` and from the definitions: each resource type
//! with each interaction, and its search parameters. What many places share stands once, in `shared`.

mod security;
mod shared;

use super::exchange;
use crate::definitions::{Definitions, TypeId};
use crate::interaction::Verb;
use crate::interaction::route::{Part, ROUTES, Route, Target};
use crate::operation::{self, Level, OPERATIONS};
use crate::search::is_served;
use serde_json::Value;
use shared::{reference, response};
use std::collections::BTreeMap;
use utoipa::openapi::path::{Operation, OperationBuilder, PathItem};
use utoipa::openapi::server::Server;
use utoipa::openapi::{HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, Ref};

/// The server that is described.
#[derive(Clone, Copy, Debug)]
pub struct Described<'d> {
    /// The types.
    pub definitions: &'d Definitions,
    /// Path of the FHIR base.
    pub base_path: &'d str,
    /// Whether AuditEvents are the audit trail, which nobody writes to.
    pub trail: bool,
    /// Whether requests need an access token.
    pub guarded: bool,
}

/// The document as JSON on one line.
pub fn document(server: Described<'_>) -> Vec<u8> {
    serde_json::to_vec(&build(server)).unwrap_or_default()
}

/// The document for people and for comparing.
pub fn pretty(server: Described<'_>) -> String {
    indented(&serde_json::to_value(build(server)).unwrap_or_default())
}

/// JSON for people: indented, but what fits on a line stays on it.
pub fn indented(value: &Value) -> String {
    let mut out = String::with_capacity(1 << 20);
    lay_out(value, 0, &mut out);
    out
}

/// Writes a value: on one line if that is not long, else its parts on lines of their own.
fn lay_out(value: &Value, indent: usize, out: &mut String) {
    const WIDTH: usize = 110;
    let short = value.to_string();
    let (open, parts, close) = match value {
        Value::Object(entries) if indent + short.len() > WIDTH => {
            let parts = entries.iter().map(|(k, v)| (Some(Value::from(k.as_str()).to_string()), v)).collect();
            ('{', parts, '}')
        }
        Value::Array(items) if indent + short.len() > WIDTH => {
            ('[', items.iter().map(|v| (None, v)).collect::<Vec<(Option<String>, &Value)>>(), ']')
        }
        _ => return out.push_str(&short),
    };
    out.push(open);
    for (i, (key, part)) in parts.into_iter().enumerate() {
        out.push_str(if i > 0 { ",\n" } else { "\n" });
        out.extend(std::iter::repeat_n(' ', indent + 1));
        if let Some(key) = key {
            out.push_str(&key);
            out.push(':');
        }
        lay_out(part, indent + 1, out);
    }
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
    out.push(close);
}

fn build(server: Described<'_>) -> OpenApi {
    let Described { definitions, base_path, trail, guarded } = server;
    let about = "HL7 FHIR R4 (4.0.1) over HTTP. Every resource type has the same interactions; the server's \
                 CapabilityStatement is at /metadata.";
    let info = InfoBuilder::new()
        .title("Vesta")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
        .build();
    let mut paths = Paths::new();
    for route in ROUTES {
        if route.target == Target::Operation {
            continue;
        }
        for shape in Shape::all(route, definitions) {
            if trail && writes(route.target) && shape.kind.is_some_and(|kind| definitions.name(kind) == TRAIL) {
                continue;
            }
            let open = guarded && route.target == Target::Capabilities;
            add(&mut paths, &shape.path, route.verb, shape.operation(route, open));
        }
    }
    for operation in OPERATIONS {
        add_operation(&mut paths, operation, definitions, trail);
    }
    let base_path = if base_path.is_empty() { "/" } else { base_path };
    let mut components = shared::components(definitions);
    if guarded {
        components.security_schemes = security::schemes();
    }
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new(base_path)]))
        .paths(paths)
        .components(Some(components))
        .security(guarded.then(security::requirements))
        .build()
}

/// The type whose resources are the records of the audit trail.
const TRAIL: &str = "AuditEvent";

/// The type whose content is also sent and given as it is.
const BINARY: &str = "Binary";

/// Whether what a route leads to writes.
fn writes(target: Target) -> bool {
    matches!(
        target,
        Target::Create
            | Target::Update
            | Target::ConditionalUpdate
            | Target::Patch
            | Target::ConditionalPatch
            | Target::Delete
            | Target::ConditionalDelete
    )
}

/// A route with its types filled in.
struct Shape<'d> {
    definitions: &'d Definitions,
    /// The type that the address begins with.
    kind: Option<TypeId>,
    /// `/Patient/{id}`
    path: String,
}

impl<'d> Shape<'d> {
    /// The shapes of a route: one for each type if the route has a type in it (for compartments: their five), else one.
    fn all(route: &Route, definitions: &'d Definitions) -> Vec<Shape<'d>> {
        let first = route.path.iter().find(|part| **part == Part::Type);
        let kinds: Vec<Option<TypeId>> = match (first, route.target) {
            (None, _) => vec![None],
            (Some(_), Target::SearchCompartment) => {
                definitions.compartments.iter().map(|c| definitions.resource(&c.name)).filter(Option::is_some).collect()
            }
            (Some(_), _) => definitions.resources.iter().copied().map(Some).collect(),
        };
        kinds.into_iter().map(|kind| Shape { definitions, kind, path: path_of(route, kind, definitions) }).collect()
    }

    /// `open`: whether it is served without a token on a server that else wants one.
    fn operation(&self, route: &Route, open: bool) -> Operation {
        let name = name_of(route);
        let kind = self.kind.map(|kind| self.definitions.name(kind));
        let tag = kind.unwrap_or("system");
        let post = if route.path.contains(&Part::Word("_search")) { ".post" } else { "" };
        // `/Patient/{id}/_search` is the whole compartment.
        let whole = if route.path == [Part::Type, Part::Id, Part::Word("_search")] { ".all" } else { "" };
        let mut operation = OperationBuilder::new()
            .tag(tag)
            .summary(Some(name))
            .operation_id(Some(format!("{tag}.{name}{post}{whole}")));
        for part in route.path {
            match part {
                Part::Id => operation = operation.parameter_ref(reference("parameters", "id")),
                Part::Version => operation = operation.parameter_ref(reference("parameters", "vid")),
                Part::Member => operation = operation.parameter_ref(reference("parameters", "type")),
                Part::Word(_) | Part::Type | Part::Operation => {}
            }
        }
        for parameter in self.parameters(route) {
            operation = operation.parameter_ref(reference("parameters", &parameter));
        }
        let binary = kind == Some(BINARY);
        if let Some(body) = body_of(route) {
            let body = if binary && body == "resource" { "binary" } else { body };
            operation = operation.request_body_ref(Some(reference("requestBodies", body)));
        }
        let reads = matches!(route.target, Target::Read | Target::VersionRead);
        for (status, name) in responses_of(route) {
            let name = if binary && reads && *name == "resource" { "binary" } else { name };
            operation = operation.response(*status, response(name));
        }
        // An empty list takes back what holds for all others.
        operation.securities(open.then_some([])).build()
    }

    /// Names of the shared parameters that a route takes.
    fn parameters(&self, route: &Route) -> Vec<String> {
        let mut all: Vec<String> = match route.target {
            Target::SearchType if route.verb == Verb::Get => self.search_parameters(),
            Target::SearchSystem if route.verb == Verb::Get => self.common_parameters(),
            _ => Vec::new(),
        };
        let binary = self.kind.is_some_and(|kind| self.definitions.name(kind) == BINARY);
        let groups: &[&[&str]] = match route.target {
            Target::SearchType if route.verb == Verb::Get => &[shared::FILTERS, shared::CONTROLS, shared::PREFER],
            Target::SearchSystem if route.verb == Verb::Get => {
                &[&["_type"], shared::FILTERS, shared::CONTROLS, shared::PREFER]
            }
            // Which parameters there are depends on the type in the path.
            Target::SearchCompartment if route.verb == Verb::Get => {
                &[&["_type"], shared::CRITERIA, shared::FILTERS, shared::CONTROLS, shared::PREFER]
            }
            Target::SearchType | Target::SearchSystem | Target::SearchCompartment => {
                &[shared::CRITERIA, shared::FORMAT, shared::PREFER]
            }
            Target::HistoryInstance | Target::HistoryType | Target::HistorySystem => &[shared::HISTORY, shared::PREFER],
            Target::Read | Target::VersionRead => &[shared::SUBSET, shared::FORMAT, shared::IF_CHANGED],
            Target::Capabilities => &[shared::SUBSET, shared::FORMAT],
            Target::Create => &[shared::CRITERIA, shared::IF_NONE, shared::FORMAT, shared::WRITES],
            Target::Update | Target::Patch | Target::Delete => &[shared::IF_SAME, shared::FORMAT, shared::WRITES],
            Target::ConditionalUpdate | Target::ConditionalPatch | Target::ConditionalDelete => {
                &[shared::CRITERIA, shared::IF_SAME, shared::FORMAT, shared::WRITES]
            }
            Target::Bundle => &[shared::FORMAT, shared::WRITES],
            Target::Operation => &[shared::FORMAT],
        };
        all.extend(groups.concat().into_iter().map(shared::shown));
        if binary && matches!(route.target, Target::Create | Target::Update | Target::ConditionalUpdate) {
            all.push(shared::shown(shared::SECURITY_CONTEXT));
        }
        all
    }

    /// The parameters that every type has.
    fn common_parameters(&self) -> Vec<String> {
        let common =
            self.definitions.search_parameters.iter().filter(|p| p.bases.iter().any(|base| &**base == "Resource"));
        common.filter(|p| is_served(p)).map(shared::search_name).collect()
    }

    fn search_parameters(&self) -> Vec<String> {
        let Some(kind) = self.kind else { return Vec::new() };
        let all = self.definitions.search_parameters_of(kind).into_iter();
        all.filter(|p| is_served(p)).map(shared::search_name).collect()
    }
}

fn path_of(route: &Route, kind: Option<TypeId>, definitions: &Definitions) -> String {
    let mut path = String::new();
    for part in route.path {
        path.push('/');
        path.push_str(match part {
            Part::Word(word) => word,
            Part::Type => kind.map_or("{type}", |kind| definitions.name(kind)),
            Part::Id => "{id}",
            Part::Version => "{vid}",
            Part::Member => "{type}",
            Part::Operation => "{operation}",
        });
    }
    if path.is_empty() { "/".into() } else { path }
}

/// The name of an interaction, as R4 http.html has it.
fn name_of(route: &Route) -> &'static str {
    match route.target {
        Target::Capabilities => "capabilities",
        Target::Read => "read",
        Target::VersionRead => "vread",
        Target::Create => "create",
        Target::Update => "update",
        Target::ConditionalUpdate => "conditional-update",
        Target::Patch => "patch",
        Target::ConditionalPatch => "conditional-patch",
        Target::Delete => "delete",
        Target::ConditionalDelete => "conditional-delete",
        Target::HistoryInstance => "history-instance",
        Target::HistoryType => "history-type",
        Target::HistorySystem => "history-system",
        Target::SearchType => "search-type",
        Target::SearchSystem => "search-system",
        Target::SearchCompartment => "search-compartment",
        Target::Bundle => "batch/transaction",
        Target::Operation => "operation",
    }
}

fn body_of(route: &Route) -> Option<&'static str> {
    match (route.target, route.verb) {
        (Target::Create | Target::Update | Target::ConditionalUpdate, _) => Some("resource"),
        (Target::Patch | Target::ConditionalPatch, _) => Some("patch"),
        (Target::Bundle, _) => Some("bundle"),
        (_, Verb::Post) => Some("form"),
        _ => None,
    }
}

fn responses_of(route: &Route) -> &'static [(&'static str, &'static str)] {
    match route.target {
        Target::Create => &[("200", "resource"), ("201", "resource"), ("default", "outcome")],
        Target::Update | Target::ConditionalUpdate | Target::Patch | Target::ConditionalPatch => {
            &[("200", "resource"), ("201", "resource"), ("default", "outcome")]
        }
        Target::Delete | Target::ConditionalDelete => &[("200", "outcome"), ("204", "nothing"), ("default", "outcome")],
        Target::Read | Target::VersionRead => &[("200", "resource"), ("304", "nothing"), ("default", "outcome")],
        Target::SearchType
        | Target::SearchSystem
        | Target::SearchCompartment
        | Target::HistoryInstance
        | Target::HistoryType
        | Target::HistorySystem
        | Target::Bundle => &[("200", "bundle"), ("default", "outcome")],
        _ => &[("200", "resource"), ("default", "outcome")],
    }
}

/// The addresses of an operation.
fn add_operation(paths: &mut Paths, served: &operation::Operation, definitions: &Definitions, trail: bool) {
    let name = served.name;
    let on_kinds = || {
        let all = definitions.resources.iter().map(|kind| definitions.name(*kind));
        let refused = |kind: &&str| trail && served.affects_state && *kind == TRAIL;
        all.filter(move |kind| (served.kinds.is_empty() || served.kinds.contains(kind)) && !refused(kind))
    };
    for level in served.levels {
        let places: Vec<(String, &str)> = match level {
            Level::System => vec![(format!("/${name}"), "system")],
            Level::Type => on_kinds().map(|kind| (format!("/{kind}/${name}"), kind)).collect(),
            Level::Instance => on_kinds().map(|kind| (format!("/{kind}/{{id}}/${name}"), kind)).collect(),
        };
        for (path, tag) in places {
            if served.get {
                add(paths, &path, Verb::Get, calling(served, *level, Verb::Get, tag));
            }
            add(paths, &path, Verb::Post, calling(served, *level, Verb::Post, tag));
        }
    }
}

fn calling(served: &operation::Operation, level: Level, verb: Verb, tag: &str) -> Operation {
    let name = served.name;
    let instance = if level == Level::Instance { ".instance" } else { "" };
    let post = if verb == Verb::Post && served.get { ".post" } else { "" };
    let mut operation = OperationBuilder::new()
        .tag(tag)
        .summary(Some(format!("${name}")))
        .operation_id(Some(format!("{tag}.${name}{instance}{post}")))
        .response("200", response("resource"))
        .response("default", response("outcome"));
    if level == Level::Instance {
        operation = operation.parameter_ref(reference("parameters", "id"));
    }
    for parameter in [shared::INPUTS, shared::FORMAT].concat() {
        operation = operation.parameter_ref(reference("parameters", parameter));
    }
    if verb == Verb::Post {
        let body = if takes_archive(level, name) { "archive" } else { "parameters" };
        operation = operation.request_body_ref(Some(reference("requestBodies", body)));
    }
    operation.build()
}

/// Whether an operation is sent something as it is.
fn takes_archive(level: Level, name: &str) -> bool {
    level == Level::System && exchange::takes_archive(Verb::Post, &format!("${name}"))
}

fn add(paths: &mut Paths, path: &str, verb: Verb, operation: Operation) {
    let method = match verb {
        Verb::Get => HttpMethod::Get,
        Verb::Head => HttpMethod::Head,
        Verb::Post => HttpMethod::Post,
        Verb::Put => HttpMethod::Put,
        Verb::Patch => HttpMethod::Patch,
        Verb::Delete => HttpMethod::Delete,
    };
    let item = PathItem::new(method, operation);
    match paths.paths.get_mut(path) {
        Some(there) => there.merge_operations(item),
        None => {
            paths.paths.insert(path.to_owned(), item);
        }
    }
}

/// A map from name to something, or a reference to it.
type Named<T> = BTreeMap<String, utoipa::openapi::RefOr<T>>;

/// A reference into the components.
fn component(section: &str, name: &str) -> Ref {
    Ref::new(format!("#/components/{section}/{name}"))
}
