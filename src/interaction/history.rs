//! history of an instance, a type and the system (R4 http.html#history): newest first, with `_since`, `_at` and
//! `_count`. Pages show the moment of the first one: a link carries its position and the place reached. They lead on
//! and to the first page, not back: a store finds what comes after a version, not how many were before it.

use super::page::{Page, Response};
use super::{Context, Effect, Handling, Reply, ReplyContent, Request, Service, outcome};
use crate::base::{Failure, IssueCode, Timestamp};
use crate::primitive::{DateTime, Precision};
use crate::search::{self, Cursor};
use crate::store::{HistoryQuery, HistoryScope, Method, Snapshot, Version};

/// The parameters of a history, beside that of its page links.
pub const PARAMETERS: [&str; 5] = ["_since", "_at", "_count", "_format", "_pretty"];

/// What the parameters ask for.
#[derive(Debug, Default)]
struct Asked {
    since: Option<Timestamp>,
    during: Option<(Timestamp, Timestamp)>,
    count: Option<usize>,
    page: Option<String>,
    /// The parameters that were used, for the links.
    used: Vec<(String, String)>,
}

fn read(query: &str, handling: Handling) -> Result<Asked, Failure> {
    let mut asked = Asked::default();
    for (name, value) in search::pairs(query)? {
        match name.as_str() {
            _ if value.is_empty() => continue,
            "_since" => asked.since = Some(instant(&value).map_err(|f| f.at("_since"))?),
            "_at" => {
                let time = DateTime::parse(&value).ok_or_else(|| not_a_date(&value).at("_at"))?;
                asked.during = Some((Timestamp(time.start()), Timestamp(time.end())));
            }
            "_count" => {
                let count = value.parse().map_err(|_| {
                    Failure::malformed(IssueCode::Value, "'_count' must be a number, 0 or more").at("_count")
                })?;
                asked.count = Some(count);
            }
            "_page" => {
                asked.page = Some(value);
                continue;
            }
            name if PARAMETERS.contains(&name) => {}
            "_summary" if value == "false" => {}
            _ if handling == Handling::Strict => {
                return Err(Failure::malformed(
                    IssueCode::NotSupported,
                    "a history has the parameters _since, _at and _count",
                )
                .at(&name));
            }
            _ => continue,
        }
        asked.used.push((name, value));
    }
    Ok(asked)
}

/// Since when: an instant, or a date, which means its beginning. A year or month alone is hardly meant.
fn instant(text: &str) -> Result<Timestamp, Failure> {
    let time = DateTime::parse(text).ok_or_else(|| not_a_date(text))?;
    match time.precision() {
        Precision::Year | Precision::Month => Err(not_a_date(text)),
        _ => Ok(Timestamp(time.start())),
    }
}

fn not_a_date(text: &str) -> Failure {
    let short: String = text.chars().take(40).collect();
    Failure::malformed(IssueCode::Value, format!("'{short}' is not a time such as 2026-11-23T08:00:00Z"))
}

/// Judges the parameters alone, where there is no history yet.
pub(super) fn judge(request: &Request) -> Result<(), Failure> {
    read(&request.query, request.prefer.handling).map(|_| ())
}

pub(super) async fn perform(
    service: &Service,
    context: &Context,
    request: &Request,
    scope: HistoryScope,
) -> Result<Reply, Failure> {
    let asked = read(&request.query, request.prefer.handling)?;
    let path = path(service, &scope);
    // A link belongs to this history with these filters.
    let belongs = format!("history {path} {:?} {:?}", asked.since, asked.during);
    let seal = service.seal(context);
    let cursor = match &asked.page {
        Some(text) => Some(Cursor::decode_for(text, &belongs, &seal)?),
        None => None,
    };
    let snapshot = match cursor {
        Some(cursor) => service.snapshot_at(context, cursor.position).await?,
        None => service.snapshot(context).await?,
    };
    let count = asked.count.unwrap_or(service.settings.page).min(service.settings.max_page);
    let query = HistoryQuery {
        scope,
        since: asked.since,
        current_during: asked.during,
        before: cursor.and_then(|c| c.after),
        limit: count,
        total: cursor.is_none_or(|c| c.total.is_none()),
    };
    let page = snapshot.history(&query).await.map_err(outcome::of_store)?;
    if page.rows.is_empty() {
        exists(service, &*snapshot, &query.scope).await?;
    }
    let total = cursor.and_then(|c| c.total).or(page.total);
    let next = page.rows.last().filter(|_| page.more && count > 0).map(|last| Cursor {
        position: snapshot.position(),
        offset: cursor.map_or(0, |c| c.offset).saturating_add(page.rows.len() as u64),
        after: Some(last.number),
        total,
        began: cursor.map_or_else(|| service.clock.now(), |c| c.began),
    });
    let address =
        |cursor: Option<Cursor>| address(context, &path, &asked.used, cursor.map(|c| c.encode(&belongs, &seal)));
    let mut links = vec![("self", address(cursor))];
    links.push(("first", address(None)));
    if next.is_some() {
        links.push(("next", address(next)));
    }
    let room = page.rows.iter().map(|v| v.body.as_ref().map_or(0, Vec::len) + 512).sum();
    let mut bundle = Page::new(service, "history", total, &links, room);
    for version in &page.rows {
        entry(service, context, &mut bundle, version);
    }
    Ok(Reply::of(Effect::Ok, ReplyContent::Json(bundle.finish())))
}

/// The path of a history under the base.
fn path(service: &Service, scope: &HistoryScope) -> String {
    match scope {
        HistoryScope::Instance(kind, id) => format!("{}/{id}/_history", service.definitions.name(*kind)),
        HistoryScope::Type(kind) => format!("{}/_history", service.definitions.name(*kind)),
        HistoryScope::System => "_history".to_owned(),
    }
}

fn address(context: &Context, path: &str, used: &[(String, String)], page: Option<String>) -> String {
    let pairs = used.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let query = search::encode(pairs.chain(page.as_deref().map(|p| ("_page", p))));
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{path}{mark}{query}", context.base)
}

/// An instance that never was has no history, not an empty one.
async fn exists(service: &Service, snapshot: &dyn Snapshot, scope: &HistoryScope) -> Result<(), Failure> {
    let HistoryScope::Instance(kind, id) = scope else { return Ok(()) };
    match snapshot.read(*kind, id).await.map_err(outcome::of_store)? {
        Some(_) => Ok(()),
        None => Err(Failure::not_found(format!("there is no {}/{id}", service.definitions.name(*kind)))),
    }
}

fn entry(service: &Service, context: &Context, bundle: &mut Page, version: &Version) {
    let kind = service.definitions.name(version.kind);
    let id = version.id.as_str();
    let mut entry = bundle.entry();
    entry.full_url(&context.base, kind, id);
    entry.version(kind, version);
    let (method, status) = match version.method {
        Method::Create => ("POST", (201, "Created")),
        Method::Update if version.version == 1 => ("PUT", (201, "Created")),
        Method::Update => ("PUT", (200, "OK")),
        Method::Patch => ("PATCH", (200, "OK")),
        Method::Delete => ("DELETE", (204, "No Content")),
    };
    match version.method {
        Method::Create => entry.request(method, kind),
        _ => entry.request(method, &format!("{kind}/{id}")),
    }
    let location = format!("{kind}/{id}/_history/{}", version.version);
    entry.response(&Response {
        status,
        location: Some(&location).filter(|_| !version.is_deleted()).map(String::as_str),
        version: Some(version.version),
        last_updated: Some(version.last_updated),
        outcome: None,
    });
    entry.end();
}
