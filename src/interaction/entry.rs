//! An entry of a batch or transaction: from its `request` to a request like one that comes alone (R4 bundle.html,
//! http.html#transaction), and where its issues are. What is done with entries is in `batch` and `transaction`.

use super::request::version_ids;
use super::{
    Context, Interaction, Media, Payload, Preconditions, Prefer, Request, Return, Service, Verb, binary, route,
};
use crate::base::{Failure, Issue, IssueCode};
use crate::json::{Kind, Value};
use crate::primitive::DateTime;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// An entry that can be tried.
pub(crate) struct Entry<'d> {
    /// Its place in the Bundle, from 0.
    pub index: usize,
    /// Its `fullUrl`.
    pub full_url: Option<Cow<'d, str>>,
    /// Its resource.
    pub resource: Option<Value<'d>>,
    /// What it asks, without a body.
    pub request: Request,
    /// What that is.
    pub interaction: Interaction,
}

/// The failure of a batch or transaction inside one.
pub(super) fn nested() -> Failure {
    Failure::malformed(IssueCode::NotSupported, "a batch or transaction cannot stand inside another")
}

/// The place of a verb in the order of processing (R4 http.html#trules).
pub(super) fn rank(verb: Verb) -> usize {
    match verb {
        Verb::Delete => 0,
        Verb::Post => 1,
        Verb::Put | Verb::Patch => 2,
        Verb::Get | Verb::Head => 3,
    }
}

/// One failure out of several: the kind of the first, the issues of all (as many as anyone reads).
pub(super) fn join(failures: Vec<Failure>) -> Option<Failure> {
    const MOST: usize = 100;
    let mut failures = failures.into_iter();
    let mut first = failures.next()?;
    for failure in failures {
        first.issues.extend(failure.issues);
        if first.issues.len() > MOST {
            break;
        }
    }
    first.issues.truncate(MOST);
    Some(first)
}

/// A failure of an entry, with places that lead from the Bundle.
pub(super) fn at_entry(index: usize, mut failure: Failure) -> Failure {
    failure.issues = failure.issues.into_iter().map(|issue| issue_at_entry(index, issue)).collect();
    failure
}

fn issue_at_entry(index: usize, issue: Issue) -> Issue {
    let place = match &issue.expression {
        None => format!("Bundle.entry[{index}]"),
        Some(place) if place.starts_with("Bundle.entry[") => return issue,
        Some(place) if place.starts_with(|c: char| c.is_ascii_uppercase()) => {
            // From the type of the resource on.
            let end = place.find(['.', '[']).unwrap_or(place.len());
            format!("Bundle.entry[{index}].resource{}", place.get(end..).unwrap_or_default())
        }
        Some(_) => format!("Bundle.entry[{index}].request.url"),
    };
    issue.at(place)
}

/// Reads an entry.
pub(super) fn entry<'d>(
    service: &Service,
    context: &Context,
    outer: &Request,
    index: usize,
    entry: Value<'d>,
) -> Result<Entry<'d>, Failure> {
    let place = |rest: &str| format!("Bundle.entry[{index}]{rest}");
    if entry.kind() != Kind::Object {
        return Err(Failure::malformed(IssueCode::Structure, "an entry is a JSON object").at(&place("")));
    }
    let Some(asked) = entry.get("request").filter(|r| r.kind() == Kind::Object) else {
        return Err(Failure::malformed(IssueCode::Required, "the entry has no 'request'").at(&place(".request")));
    };
    members(service, entry, ENTRY).map_err(|f| prefixed(f, &place("")))?;
    members(service, asked, REQUEST).map_err(|f| prefixed(f, &place(".request")))?;
    let verb = verb(asked).map_err(|f| f.at(&place(".request.method")))?;
    let url = asked.get("url").and_then(Value::as_str);
    let url = url.filter(|u| !u.is_empty()).ok_or_else(|| {
        Failure::malformed(IssueCode::Required, "the request has no 'url'").at(&place(".request.url"))
    })?;
    let (path, query) = address(context, &url).map_err(|f| f.at(&place(".request.url")))?;
    let interaction = route::find(&service.definitions, verb, &path).map_err(|f| f.at(&place(".request.url")))?;
    service.refuse_to_write_trail(&interaction).map_err(|f| f.at(&place(".request.url")))?;
    if interaction == Interaction::Bundle {
        return Err(nested().at(&place(".request.url")));
    }
    let resource = entry.get("resource").filter(|r| !r.is_null());
    let writes = matches!(
        interaction,
        Interaction::Create { .. }
            | Interaction::Update { .. }
            | Interaction::ConditionalUpdate { .. }
            | Interaction::Patch { .. }
            | Interaction::ConditionalPatch { .. }
    );
    if writes && resource.is_none() {
        return Err(Failure::malformed(IssueCode::Required, "the entry has no 'resource'").at(&place(".resource")));
    }
    let request = Request {
        verb,
        path,
        query,
        preconditions: preconditions(asked).map_err(|f| f.at(&place(".request")))?,
        prefer: Prefer { returns: outer.prefer.returns.or(Some(Return::Minimal)), ..outer.prefer },
        body: None,
        as_sent: false,
        provenance: None,
        raw: false,
        security_context: None,
    };
    let full_url = entry.get("fullUrl").and_then(Value::as_str);
    Ok(Entry { index, full_url, resource, request, interaction })
}

/// The elements of an entry, and whether they are strings.
const ENTRY: &[(&str, bool)] = &[
    ("link", false),
    ("fullUrl", true),
    ("resource", false),
    ("search", false),
    ("request", false),
    ("response", false),
];

/// The elements of a request in an entry, and whether they are strings.
const REQUEST: &[(&str, bool)] = &[
    ("method", true),
    ("url", true),
    ("ifNoneMatch", true),
    ("ifModifiedSince", true),
    ("ifMatch", true),
    ("ifNoneExist", true),
];

/// Refuses what would otherwise be passed over: a precondition that is misspelt or no string would not be checked, and
/// the write would go ahead without it.
fn members(service: &Service, object: Value<'_>, known: &[(&str, bool)]) -> Result<(), Failure> {
    for (key, value) in object.entries() {
        match known.iter().find(|(name, _)| *name == key) {
            Some((_, true)) if !matches!(value.kind(), Kind::String | Kind::Null) => {
                return Err(Failure::malformed(IssueCode::Structure, format!("'{key}' must be a string")).at(&key));
            }
            Some(_) => {}
            None if matches!(&*key, "id" | "extension" | "modifierExtension") || key.starts_with('_') => {}
            None if service.settings.validation == super::Policy::Off => {}
            None => {
                let name: String = key.chars().take(64).collect();
                let why = format!("'{name}' is not an element that can stand here");
                return Err(Failure::malformed(IssueCode::Structure, why).at(&name));
            }
        }
    }
    Ok(())
}

/// A failure whose places lead on from a place.
fn prefixed(mut failure: Failure, place: &str) -> Failure {
    for issue in &mut failure.issues {
        issue.expression = issue.expression.take().map(|inner| format!("{place}.{inner}"));
    }
    failure
}

fn verb(request: Value<'_>) -> Result<Verb, Failure> {
    match request.get("method").and_then(Value::as_plain) {
        Some("GET") => Ok(Verb::Get),
        Some("HEAD") => Ok(Verb::Head),
        Some("POST") => Ok(Verb::Post),
        Some("PUT") => Ok(Verb::Put),
        Some("PATCH") => Ok(Verb::Patch),
        Some("DELETE") => Ok(Verb::Delete),
        Some(_) => Err(Failure::malformed(IssueCode::Value, "'method' is one of GET, HEAD, POST, PUT, PATCH, DELETE")),
        None => Err(Failure::malformed(IssueCode::Required, "the request has no 'method'")),
    }
}

/// Path under the base and query string of an entry's address.
fn address(context: &Context, url: &str) -> Result<(String, String), Failure> {
    let relative = match url.strip_prefix(context.base.as_str()) {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => rest,
        _ => url,
    };
    let relative = relative.strip_prefix('/').unwrap_or(relative);
    let (path, query) = relative.split_once('?').unwrap_or((relative, ""));
    if path.contains(':') {
        return Err(Failure::malformed(
            IssueCode::Value,
            "the address of an entry is relative to the base of this server",
        ));
    }
    let path = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| Failure::malformed(IssueCode::Value, "the address is not UTF-8 when percent-decoded"))?;
    Ok((path.into_owned(), query.to_owned()))
}

fn preconditions(request: Value<'_>) -> Result<Preconditions, Failure> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let if_modified_since = match text("ifModifiedSince") {
        None => None,
        Some(instant) => {
            let time = DateTime::parse(&instant)
                .ok_or_else(|| Failure::malformed(IssueCode::Value, "'ifModifiedSince' is not an instant"))?;
            Some(time.start().div_euclid(1_000_000))
        }
    };
    Ok(Preconditions {
        if_match: text("ifMatch").map(|tags| version_ids(&tags)),
        if_none_match: text("ifNoneMatch").map(|tags| version_ids(&tags)),
        if_modified_since,
        if_none_exist: text("ifNoneExist").map(Cow::into_owned),
    })
}

/// The patch that the resource of an entry holds: a FHIRPath Patch as it is, any other in a Binary (R4 http.html#patch).
pub(super) fn patch(resource: Value<'_>) -> Result<Payload, Failure> {
    match resource.get("resourceType").and_then(Value::as_plain) {
        Some("Binary") => {
            let (content_type, bytes) = binary::content(resource)?;
            let media = match content_type.split(';').next().unwrap_or_default().trim() {
                "application/json-patch+json" => Media::JsonPatch,
                "application/merge-patch+json" => Media::MergePatch,
                "application/xml-patch+xml" => Media::XmlPatch,
                "application/json" => Media::Json,
                other => Media::Raw(other.to_owned()),
            };
            Ok(Payload { media, bytes })
        }
        Some("Parameters") => Ok(Payload { media: Media::Json, bytes: resource.raw().as_bytes().to_vec() }),
        _ => Err(Failure::malformed(
            IssueCode::Value,
            "a patch is a Parameters resource, or stands in a Binary with its content type",
        )),
    }
}
