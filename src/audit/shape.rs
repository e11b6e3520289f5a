//! An event as the body of an AuditEvent, after the profiles of IHE BALP: the client, the server and the user as agents;
//! the resource or the query, each patient, and the id of the request as entities. Written as text: it happens with
//! every request.

use super::event::What;
use super::{Event, Origin, Severity};
use crate::access::{Caller, Principal};
use crate::definitions::Definitions;
use crate::json::escape_into;
use crate::store::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BALP: &str = "https://profiles.ihe.net/ITI/BALP/";

type Coding = (&'static str, &'static str, &'static str);

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ENTITY_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";

const SOURCE: Coding = (DCM, "110153", "Source Role ID");
const DESTINATION: Coding = (DCM, "110152", "Destination Role ID");
const APPLICATION: Coding = (DCM, "110150", "Application");
const CUSTODIAN: Coding =
    ("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian");
const OAUTH_SERVICE: Coding =
    ("https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes", "AuthzOauthService", "OAuth authorization server");
const OAUTH_USER: Coding =
    ("https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes", "UserOauthAgent", "User as known to OAuth");
const RECIPIENT: Coding = (PARTICIPATION, "IRCP", "information recipient");
const AUTHOR: Coding = (PARTICIPATION, "AUT", "author (originator)");
const SYSTEM_OBJECT: Coding = (ENTITY_TYPE, "2", "System Object");
const PERSON: Coding = (ENTITY_TYPE, "1", "Person");

/// What is known of a sort of event without looking at one.
struct Sort {
    kind: Coding,
    subtype: Option<Coding>,
    action: char,
    client: Coding,
    server: Coding,
    user: Coding,
    profile: &'static str,
    /// `source.type`: an application server or a security server.
    source: Coding,
}

const APPLICATION_SERVER: Coding =
    ("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server");
const SECURITY_SERVER: Coding = ("http://terminology.hl7.org/CodeSystem/security-source-type", "6", "Security Server");

fn sort(what: What) -> Sort {
    let security = |kind, subtype| Sort {
        kind,
        subtype,
        action: 'E',
        client: APPLICATION,
        server: OAUTH_SERVICE,
        user: RECIPIENT,
        profile: "",
        source: SECURITY_SERVER,
    };
    let authentication = (DCM, "110114", "User Authentication");
    let alert = (DCM, "110113", "Security Alert");
    let plain = |kind, subtype| Sort { server: SOURCE, source: APPLICATION_SERVER, ..security(kind, subtype) };
    match what {
        What::Rest(code) => interaction(code),
        What::SignIn => security(authentication, Some((DCM, "110122", "Login"))),
        What::SignOut => security(authentication, Some((DCM, "110123", "Logout"))),
        What::Token => security(authentication, Some(("urn:ihe:event-type-code", "ITI-71", "Get Access Token"))),
        What::Authorization => {
            let system = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType";
            security(alert, Some((system, "AuthZ-Consent", "Consent based authorization")))
        }
        What::Refusal => security(alert, None),
        What::Administration => security(alert, Some((DCM, "110131", "Security Configuration"))),
        What::Launch => plain((DCM, "110100", "Application Activity"), Some((DCM, "110120", "Application Start"))),
        What::Export => plain((DCM, "110106", "Export"), None),
    }
}

fn interaction(code: &'static str) -> Sort {
    let (action, profile) = match code {
        "read" | "vread" => ('R', "Read"),
        "create" => ('C', "Create"),
        "update" | "patch" => ('U', "Update"),
        "delete" => ('D', "Delete"),
        "search-type" | "search-system" => ('E', "Query"),
        _ if code.starts_with("history") => ('R', ""),
        _ => ('E', ""),
    };
    let (client, server) = match action {
        'R' => (DESTINATION, SOURCE),
        'D' => (APPLICATION, CUSTODIAN),
        _ => (SOURCE, DESTINATION),
    };
    let user = if matches!(action, 'C' | 'U' | 'D') { AUTHOR } else { RECIPIENT };
    // Written as the profiles of BALP fix it, which is not how R4 writes it.
    let kind = ("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "Restful Operation");
    let subtype = Some((INTERACTION, code, code));
    Sort { kind, subtype, action, client, server, user, profile, source: APPLICATION_SERVER }
}

/// The body of the AuditEvent.
pub(super) fn body(event: &Event, origin: &Origin<'_>, definitions: &Definitions) -> Body {
    let sort = sort(event.what);
    let mut out = String::with_capacity(2048);
    profile(event, &sort, &mut out);
    out.push_str("},\"type\":");
    coding(sort.kind, &mut out);
    if let Some(subtype) = sort.subtype {
        out.push_str(",\"subtype\":[");
        coding(subtype, &mut out);
        out.push(']');
    }
    out.push_str(",\"action\":\"");
    out.push(sort.action);
    out.push_str("\",\"recorded\":\"");
    origin.now.write_instant(&mut out);
    out.push_str("\",\"outcome\":\"");
    out.push_str(event.severity.code());
    out.push('"');
    if let Some(why) = &event.why {
        out.push_str(",\"outcomeDesc\":");
        text(why, &mut out);
    }
    let principal = origin.caller.principal().map(|p| &**p);
    if let Some(reason) = principal.and_then(|p| p.break_glass.as_deref()).or(event.emergency.as_deref()) {
        out.push_str(",\"purposeOfEvent\":[{\"coding\":[");
        coding((REASON, "BTG", "break the glass"), &mut out);
        out.push_str("],\"text\":");
        text(reason, &mut out);
        out.push_str("}]");
    }
    agents(event, origin, &sort, principal, definitions, &mut out);
    let host = origin.base.split("://").nth(1).unwrap_or(origin.base).split('/').next().unwrap_or_default();
    out.push_str(",\"source\":{\"site\":");
    text(host, &mut out);
    out.push_str(",\"observer\":{\"display\":\"Vesta\"},\"type\":[");
    coding(sort.source, &mut out);
    out.push_str("]}");
    entities(event, origin, &mut out);
    out.push('}');
    Body(out.into_bytes())
}

/// The profile that it follows; what failed follows none, because they speak of what succeeded.
fn profile(event: &Event, sort: &Sort, out: &mut String) {
    let about_one = event.data.len() == 1 || event.query.is_some();
    if sort.profile.is_empty() || event.severity != Severity::None || !about_one {
        return;
    }
    out.push_str(",\"profile\":[\"");
    out.push_str(BALP);
    out.push_str("StructureDefinition/IHE.BasicAudit.");
    if event.patients.len() == 1 {
        out.push_str("Patient");
    }
    out.push_str(sort.profile);
    out.push_str("\"]");
}

fn agents(
    event: &Event,
    origin: &Origin<'_>,
    sort: &Sort,
    principal: Option<&Principal>,
    definitions: &Definitions,
    out: &mut String,
) {
    let client = principal.and_then(|p| p.client.as_deref()).or(event.client.as_deref());
    // A principal without a role or a user resource is a backend service: it is the client, and no person.
    let person = principal.filter(|p| p.user.is_some() || p.role.is_some());
    let has_user = person.is_some() || event.user.is_some();
    out.push_str(",\"agent\":[{\"type\":{\"coding\":[");
    coding(sort.client, out);
    out.push_str("]},\"who\":{");
    match (client, principal) {
        (Some(client), _) => identifier(client, out),
        (None, Some(_)) => out.push_str("\"display\":\"pages of this server\""),
        (None, None) if matches!(origin.caller, Caller::Open) && event.user.is_none() => {
            out.push_str("\"display\":\"anonymous\"");
        }
        (None, None) => out.push_str("\"display\":\"unknown\""),
    }
    out.push_str("},\"requestor\":");
    out.push_str(if has_user { "false" } else { "true" });
    out.push_str(",\"network\":{\"address\":\"");
    match origin.remote {
        Some(address) => {
            use std::fmt::Write;
            let _ = write!(out, "{address}");
            out.push_str("\",\"type\":\"2\"}");
        }
        None => out.push_str("localhost\",\"type\":\"1\"}"),
    }
    if !has_user {
        purposes(principal, out);
        policy(principal, out);
    }
    out.push_str("},{\"type\":{\"coding\":[");
    coding(sort.server, out);
    out.push_str("]},\"who\":{\"display\":\"Vesta\"},\"requestor\":false,\"network\":{\"address\":");
    text(origin.base, out);
    out.push_str(",\"type\":\"5\"}}");
    if has_user {
        user(event, sort, person, definitions, out);
    }
    out.push(']');
}

fn user(event: &Event, sort: &Sort, person: Option<&Principal>, definitions: &Definitions, out: &mut String) {
    out.push_str(",{\"type\":{\"coding\":[");
    coding(sort.user, out);
    if person.is_some_and(|p| p.token.is_some()) {
        out.push(',');
        coding(OAUTH_USER, out);
    }
    out.push_str("]}");
    if let Some(role) = person.and_then(|p| p.role) {
        out.push_str(",\"role\":[{\"coding\":[{\"code\":\"");
        out.push_str(role.code());
        out.push_str("\"}]}]");
    }
    out.push_str(",\"who\":{");
    match (person.and_then(|p| p.user.as_ref()), person) {
        (Some(user), _) => {
            out.push_str("\"reference\":\"");
            out.push_str(definitions.name(user.kind));
            out.push('/');
            out.push_str(user.id.as_str());
            out.push('"');
        }
        (None, Some(person)) => identifier(&person.subject, out),
        (None, None) => identifier(event.user.as_deref().unwrap_or_default(), out),
    }
    out.push('}');
    if let Some(subject) = person.map(|p| p.subject.as_str()).or(event.user.as_deref()) {
        out.push_str(",\"altId\":");
        text(subject, out);
    }
    out.push_str(",\"requestor\":true");
    policy(person, out);
    purposes(person, out);
    out.push('}');
}

/// The id of the token, as the policy that let the agent act.
fn policy(principal: Option<&Principal>, out: &mut String) {
    if let Some(token) = principal.and_then(|p| p.token.as_deref()) {
        out.push_str(",\"policy\":[");
        text(token, out);
        out.push(']');
    }
}

fn purposes(principal: Option<&Principal>, out: &mut String) {
    let Some(principal) = principal.filter(|p| !p.purposes.is_empty()) else { return };
    out.push_str(",\"purposeOfUse\":[");
    for (i, purpose) in principal.purposes.iter().enumerate() {
        out.push_str(if i > 0 { ",{\"coding\":[{\"system\":\"" } else { "{\"coding\":[{\"system\":\"" });
        out.push_str(REASON);
        out.push_str("\",\"code\":");
        text(purpose, out);
        out.push_str("}]}");
    }
    out.push(']');
}

fn entities(event: &Event, origin: &Origin<'_>, out: &mut String) {
    let mut first = true;
    let mut begin = |out: &mut String| {
        out.push_str(if std::mem::take(&mut first) { ",\"entity\":[{" } else { ",{" });
    };
    for reference in &event.data {
        begin(out);
        out.push_str("\"what\":{\"reference\":");
        text(reference, out);
        out.push_str("},");
        entity_type(SYSTEM_OBJECT, Some((ENTITY_ROLE, "4", "Domain Resource")), out);
        out.push('}');
    }
    if let Some(query) = &event.query {
        begin(out);
        entity_type(SYSTEM_OBJECT, Some((ENTITY_ROLE, "24", "Query")), out);
        out.push_str(",\"query\":\"");
        STANDARD.encode_string(query, out);
        out.push_str("\"}");
    }
    for patient in event.patients.iter() {
        begin(out);
        out.push_str("\"what\":{\"reference\":\"Patient/");
        out.push_str(patient);
        out.push_str("\"},");
        entity_type(PERSON, Some((ENTITY_ROLE, "1", "Patient")), out);
        out.push('}');
    }
    if !event.details.is_empty() {
        begin(out);
        entity_type(SYSTEM_OBJECT, Some((ENTITY_ROLE, "13", "Security Resource")), out);
        for (i, (name, value)) in event.details.iter().filter(|(_, value)| !value.is_empty()).enumerate() {
            out.push_str(if i > 0 { ",{\"type\":\"" } else { ",\"detail\":[{\"type\":\"" });
            out.push_str(name);
            out.push_str("\",\"valueString\":");
            text(value, out);
            out.push('}');
        }
        if event.details.iter().any(|(_, value)| !value.is_empty()) {
            out.push(']');
        }
        out.push('}');
    }
    if !origin.request_id.is_empty() {
        begin(out);
        out.push_str("\"what\":{\"identifier\":{\"value\":");
        text(origin.request_id, out);
        out.push_str("}},\"type\":{\"system\":\"");
        out.push_str(BALP);
        out.push_str("CodeSystem/BasicAuditEntityType\",\"code\":\"XrequestId\"}}");
    }
    if !first {
        out.push(']');
    }
}

fn entity_type(kind: Coding, role: Option<Coding>, out: &mut String) {
    out.push_str("\"type\":");
    coding(kind, out);
    if let Some(role) = role {
        out.push_str(",\"role\":");
        coding(role, out);
    }
}

fn coding((system, code, display): Coding, out: &mut String) {
    out.push_str("{\"system\":\"");
    out.push_str(system);
    out.push_str("\",\"code\":\"");
    out.push_str(code);
    out.push_str("\",\"display\":\"");
    out.push_str(display);
    out.push_str("\"}");
}

fn identifier(value: &str, out: &mut String) {
    out.push_str("\"identifier\":{\"value\":");
    text(value, out);
    out.push('}');
}

/// A JSON string. FHIR has no empty strings and none of only white space.
fn text(value: &str, out: &mut String) {
    escape_into(if value.trim().is_empty() { "-" } else { value }, out);
}
