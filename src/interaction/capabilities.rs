//! capabilities (R4 http.html#capabilities): the CapabilityStatement, computed from the tables that route and
//! execute: the routes, the definitions, the operations and the settings. Nothing is declared that is not served.

use super::route::{Declared, ROUTES};
use super::subset::Subset;
use super::{Context, Effect, Endpoints, Reply, ReplyContent, Request, Service};
use crate::base::Failure;
use crate::definitions::{Registry, SearchKind, SearchParameter, TypeId};
use crate::json::escape_into;
use crate::operation::{self, Level};
use crate::search::{self, is_served};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::fmt::Write;
use std::sync::Arc;

/// When what this file declares was last changed (`CapabilityStatement.date`).
const DATE: &str = "2026-11-26";

/// `rest.security` where access control is off.
const OPEN: &str =
    r#"{"cors":true,"description":"Access control is off: whoever reaches the server may do everything."}"#;

/// Most bases that a statement is kept for: the base is named by the client.
const MOST: usize = 16;

/// The statements that were asked for, by base.
#[derive(Default)]
pub(crate) struct Statements(RwLock<FxHashMap<String, Arc<Vec<u8>>>>);

impl Statements {
    /// Forgets what was written, as it is no longer true.
    pub(super) fn forget(&self) {
        self.0.write().clear();
    }
}

pub(super) fn perform(service: &Service, context: &Context, request: &Request) -> Result<Reply, Failure> {
    let pairs = search::pairs(&request.query)?;
    if pairs.iter().any(|(name, value)| name == "mode" && value == "terminology") {
        return Ok(super::terminology_capabilities::reply(&context.base));
    }
    let statement = service.statement(&context.base);
    let content = match Subset::of_query(&pairs)? {
        Some(subset) => subset.apply(&service.definitions, &statement)?,
        None => statement.to_vec(),
    };
    Ok(Reply::of(Effect::Ok, ReplyContent::Json(content)))
}

impl Service {
    /// The CapabilityStatement of this server under a base, as JSON.
    pub fn statement(&self, base: &str) -> Arc<Vec<u8>> {
        // Search parameters may have become ready since.
        self.settle();
        if let Some(statement) = self.statements.0.read().get(base) {
            return statement.clone();
        }
        let statement = Arc::new(self.write_statement(base).into_bytes());
        let mut kept = self.statements.0.write();
        if kept.len() >= MOST {
            // Names that somebody invents must not shut out the real one for good.
            kept.clear();
        }
        kept.insert(base.to_owned(), statement.clone());
        statement
    }

    fn write_statement(&self, base: &str) -> String {
        let mut out = String::with_capacity(1 << 19);
        let validator = self.validator();
        let supported = supported(validator.registry());
        let _ = write!(
            out,
            concat!(
                r#"{{"resourceType":"CapabilityStatement","status":"active","date":"{date}","kind":"instance","#,
                r#""software":{{"name":"Vesta","version":"{version}"}},"#,
                r#""implementation":{{"description":"Vesta, a FHIR R4 server","url":{base}}},"#,
                r#""fhirVersion":"4.0.1","format":["json","xml","ndjson","#,
                r#""application/fhir+json","application/fhir+xml","application/fhir+ndjson"],"#,
                r#""patchFormat":["application/json-patch+json","application/merge-patch+json","application/fhir+json","application/fhir+xml","application/xml-patch+xml"],"#,
                r#"{guides}"rest":[{{"mode":"server","security":{security},"resource":["#
            ),
            date = DATE,
            version = env!("CARGO_PKG_VERSION"),
            base = quoted(base),
            guides = guides(validator.registry()),
            security = match (self.settings.smart, &self.settings.issuer) {
                (false, _) => OPEN.to_owned(),
                (true, None) => guarded(base),
                (true, Some(issuer)) => guarded_elsewhere(issuer),
            },
        );
        let referring = self.referring();
        for (i, kind) in self.definitions.resources.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            let profiles = supported.get(self.definitions.name(*kind)).map_or(&[][..], Vec::as_slice);
            self.write_resource(*kind, profiles, referring.get(kind).map_or(&[], Vec::as_slice), &mut out);
        }
        out.push_str("],\"interaction\":[");
        let system =
            ROUTES.iter().filter_map(|r| if let Declared::System(codes) = r.declared { Some(codes) } else { None });
        list(system.flatten(), &mut out, |code, out| {
            let _ = write!(out, "{{\"code\":\"{code}\"}}");
        });
        out.push(']');
        self.write_system_parameters(&mut out);
        write_operations(operation::at(Level::System, None), &mut out);
        out.push_str(",\"compartment\":[");
        list(&self.definitions.compartments, &mut out, |compartment, out| {
            let name = compartment.name.to_ascii_lowercase();
            let _ = write!(out, "\"http://hl7.org/fhir/CompartmentDefinition/{name}\"");
        });
        out.push_str("]}]}");
        out
    }

    /// For each type the `_revinclude` values that lead to it.
    fn referring(&self) -> FxHashMap<TypeId, Vec<String>> {
        let definitions = self.search_definitions();
        let mut referring: FxHashMap<TypeId, Vec<String>> = FxHashMap::default();
        for source in self.definitions.resources.iter().filter(|source| !self.is_trail(**source)) {
            for parameter in definitions.search_parameters_of(*source) {
                if parameter.kind != SearchKind::Reference || !is_served(parameter) {
                    continue;
                }
                for target in &parameter.targets {
                    let value = format!("{}:{}", self.definitions.name(*source), parameter.code);
                    referring.entry(*target).or_default().push(value);
                }
            }
        }
        referring
    }

    fn write_resource(&self, kind: TypeId, profiles: &[String], referring: &[String], out: &mut String) {
        let name = self.definitions.name(kind);
        // The audit trail is read and searched, and no more.
        let trail = self.is_trail(kind);
        let _ = write!(out, r#"{{"type":"{name}","profile":"http://hl7.org/fhir/StructureDefinition/{name}","#);
        if !profiles.is_empty() {
            out.push_str("\"supportedProfile\":[");
            list(profiles, out, |profile, out| escape_into(profile, out));
            out.push_str("],");
        }
        out.push_str("\"interaction\":[");
        let codes = ROUTES.iter().filter_map(|r| if let Declared::Type(code) = r.declared { Some(code) } else { None });
        let codes = codes.filter(|code| !trail || !matches!(*code, "create" | "update" | "patch" | "delete"));
        list(codes, out, |code, out| {
            let _ = write!(out, "{{\"code\":\"{code}\"}}");
        });
        let _ = write!(
            out,
            concat!(
                r#"],"versioning":"versioned","readHistory":true,"updateCreate":{update},"conditionalCreate":{write},"#,
                r#""conditionalRead":"full-support","conditionalUpdate":{write},"conditionalDelete":"{delete}","#,
                r#""referencePolicy":["literal","logical"]"#
            ),
            update = self.settings.update_create && !trail,
            write = !trail,
            delete = match (trail, self.settings.delete_multiple) {
                (true, _) => "not-supported",
                (false, true) => "multiple",
                (false, false) => "single",
            },
        );
        let definitions = self.search_definitions();
        let parameters = definitions.search_parameters_of(kind);
        let served = || parameters.iter().filter(|p| is_served(p));
        let mut includes = served().filter(|p| p.kind == SearchKind::Reference && !trail).peekable();
        if includes.peek().is_some() {
            out.push_str(",\"searchInclude\":[");
            list(includes, out, |p, out| {
                let _ = write!(out, "\"{name}:{}\"", p.code);
            });
            out.push(']');
        }
        if !referring.is_empty() {
            out.push_str(",\"searchRevInclude\":[");
            list(referring, out, |value, out| {
                let _ = write!(out, "\"{value}\"");
            });
            out.push(']');
        }
        out.push_str(",\"searchParam\":[");
        list(served(), out, |p, out| write_parameter(p, out));
        out.push(']');
        let operations = operation::at(Level::Type, Some(name)).chain(operation::at(Level::Instance, Some(name)));
        write_operations(operations.filter(|operation| !trail || !operation.affects_state), out);
        out.push('}');
    }

    /// The parameters that every type has.
    fn write_system_parameters(&self, out: &mut String) {
        let definitions = self.search_definitions();
        let some = definitions.resources.first().map_or(Vec::new(), |kind| definitions.search_parameters_of(*kind));
        let added = some.into_iter().filter(|p| definitions.is_custom(p));
        let common = definitions
            .search_parameters
            .iter()
            .chain(added)
            .filter(|p| is_served(p) && p.bases.iter().any(|b| &**b == "Resource"));
        let mut common: Vec<_> = common.collect();
        common.sort_by(|a, b| a.code.cmp(&b.code));
        if !common.is_empty() {
            out.push_str(",\"searchParam\":[");
            list(common, out, write_parameter);
            out.push(']');
        }
    }
}

/// `rest.security` where there is an authorization server: that it is SMART's, and its addresses.
fn guarded(base: &str) -> String {
    let at = Endpoints::of(base);
    let named = [
        ("authorize", &at.authorize),
        ("token", &at.token),
        ("introspect", &at.introspect),
        ("revoke", &at.revoke),
        ("manage", &at.manage),
        ("register", &at.register),
    ];
    let mut out = String::from(
        r#"{"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":["#,
    );
    list(named, &mut out, |(name, address), out| {
        let _ = write!(out, r#"{{"url":"{name}","valueUri":{}}}"#, quoted(address));
    });
    out.push_str(concat!(
        r#"]}],"cors":true,"service":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/"#,
        r#"restful-security-service","code":"SMART-on-FHIR","display":"SMART-on-FHIR"}],"#,
        r#""text":"OAuth 2.0 by SMART App Launch"}],"#,
        r#""description":"Every request needs an access token; .well-known/smart-configuration says where from."}"#
    ));
    out
}

/// `rest.security` where another server issues the tokens: its addresses are its own to tell.
fn guarded_elsewhere(issuer: &str) -> String {
    let told = format!(
        "Every request needs an access token of {issuer}; .well-known/smart-configuration says what is known of it."
    );
    format!(
        concat!(
            r#"{{"cors":true,"service":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/"#,
            r#"restful-security-service","code":"SMART-on-FHIR","display":"SMART-on-FHIR"}}],"#,
            r#""text":"OAuth 2.0 by SMART App Launch"}}],"description":{}}}"#
        ),
        quoted(&told)
    )
}

/// The profiles of packages, by the type that they are about.
fn supported(registry: &Registry) -> FxHashMap<String, Vec<String>> {
    let mut all: FxHashMap<String, Vec<String>> = FxHashMap::default();
    for profile in registry.of_packages("StructureDefinition") {
        all.entry(profile.about.to_string()).or_default().push(profile.canonical());
    }
    all.values_mut().for_each(|profiles| profiles.sort());
    all
}

/// What packages say of whole servers: their guides, and the statements of servers that they ask for.
fn guides(registry: &Registry) -> String {
    let mut out = String::new();
    let guides: Vec<&String> = registry.packages.iter().flat_map(|p| &p.guides).collect();
    let mut statements: Vec<String> = registry
        .of_packages("CapabilityStatement")
        .filter(|s| {
            let json = s.json();
            let text = String::from_utf8_lossy(&json);
            let dense: String = text.split_ascii_whitespace().collect();
            dense.contains(r#""kind":"requirements""#) && dense.contains(r#""mode":"server""#)
        })
        .map(|s| s.canonical())
        .collect();
    statements.sort();
    for (name, values) in [("instantiates", statements), ("implementationGuide", guides.into_iter().cloned().collect())]
    {
        if !values.is_empty() {
            let _ = write!(out, "\"{name}\":[");
            list(values, &mut out, |value, out| escape_into(&value, out));
            out.push_str("],");
        }
    }
    out
}

fn write_parameter(parameter: &SearchParameter, out: &mut String) {
    let _ = write!(
        out,
        r#"{{"name":"{}","definition":"{}","type":"{}"}}"#,
        parameter.code,
        parameter.url,
        parameter.kind.code()
    );
}

fn write_operations(operations: impl Iterator<Item = &'static operation::Operation>, out: &mut String) {
    let mut names: Vec<&operation::Operation> = operations.collect();
    names.sort_by_key(|o| o.name);
    names.dedup_by_key(|o| o.name);
    if names.is_empty() {
        return;
    }
    out.push_str(",\"operation\":[");
    list(names, out, |operation, out| {
        let _ = write!(out, r#"{{"name":"{}","definition":"{}"}}"#, operation.name, operation.definition);
    });
    out.push(']');
}

fn list<T>(items: impl IntoIterator<Item = T>, out: &mut String, mut write: impl FnMut(T, &mut String)) {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(item, out);
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    escape_into(text, &mut out);
    out
}
