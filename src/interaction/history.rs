//! history of an instance, a type and the system (R4 http.html#history): newest first, with `_since`, `_at`,
//! `_count`, `_summary` and `_elements`. Pages show the moment of the first one: a link carries its position and the version at which the page
//! begins, or ends where it leads back.

use super::page::{Page, Response};
use super::subset::Subset;
use super::{Context, Effect, Handling, Reply, ReplyContent, Request, Service, outcome};
use crate::base::{Failure, IssueCode, Timestamp};
use crate::primitive::{DateTime, Precision};
use crate::search::{self, Cursor, Seal};
use crate::store::{self, HistoryQuery, HistoryScope, Method, Place, Snapshot, Version};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::HashMap;

/// The parameters of a history, beside that of its page links.
pub const PARAMETERS: [&str; 7] = ["_since", "_at", "_count", "_summary", "_elements", "_format", "_pretty"];

/// What the parameters ask for.
#[derive(Debug, Default)]
struct Asked {
    since: Option<Timestamp>,
    during: Option<(Timestamp, Timestamp)>,
    count: Option<usize>,
    page: Option<String>,
    /// Whether it asks for the number of versions alone.
    counts_only: bool,
    /// Which part of each version.
    subset: Option<Subset>,
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
            "_summary" => asked.counts_only = value == "count",
            name if PARAMETERS.contains(&name) => {}
            _ if handling == Handling::Strict => {
                return Err(Failure::malformed(
                    IssueCode::NotSupported,
                    "a history has the parameters _since, _at, _count, _summary and _elements",
                )
                .at(&name));
            }
            _ => continue,
        }
        asked.used.push((name, value));
    }
    if !asked.counts_only {
        asked.subset = Subset::of_query(&asked.used)?;
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
    let links = Links {
        // A link belongs to this history with these filters.
        belongs: format!("history {path} {:?} {:?}", asked.since, asked.during),
        seal: service.seal(context),
    };
    let (cursor, place) = match &asked.page {
        Some(text) => links.read(text).map(|(cursor, place)| (Some(cursor), place))?,
        None => (None, Place::Newest),
    };
    let snapshot = match cursor {
        Some(cursor) => service.snapshot_at(context, cursor.position).await?,
        None => service.snapshot(context).await?,
    };
    let count = match asked.counts_only {
        true => 0,
        false => asked.count.unwrap_or(service.settings.page).min(service.settings.max_page),
    };
    let query = HistoryQuery {
        scope,
        since: asked.since,
        current_during: asked.during,
        place,
        limit: count,
        total: cursor.is_none_or(|c| c.total.is_none()),
        budget: context.budget.clone(),
    };
    let page = snapshot.history(&query).await.map_err(outcome::of_store)?;
    if page.rows.is_empty() {
        exists(service, &*snapshot, &query.scope).await?;
    }
    let total = cursor.and_then(|c| c.total).or(page.total);
    let at = |number| Cursor {
        position: snapshot.position(),
        offset: 0,
        after: Some(number),
        total,
        began: cursor.map_or_else(|| service.clock.now(), |c| c.began),
    };
    let [previous, next] = beside(place, &page).map(|place| {
        let text = links.write(place.filter(|_| count > 0)?, at)?;
        Some(address(context, &path, &asked.used, Some(&text)))
    });
    let mut shown = vec![("self", address(context, &path, &asked.used, asked.page.as_deref()))];
    shown.push(("first", address(context, &path, &asked.used, None)));
    shown.extend(previous.map(|url| ("previous", url)));
    shown.extend(next.map(|url| ("next", url)));
    let brought_back = brought_back(&*snapshot, &page.rows).await?;
    let room = page.rows.iter().map(|v| v.body.as_ref().map_or(0, Vec::len) + 512).sum();
    let mut bundle = Page::new(service, "history", total, &shown, room);
    for (version, brought_back) in page.rows.iter().zip(brought_back) {
        entry(service, context, &mut bundle, (version, brought_back), asked.subset.as_ref())?;
    }
    Ok(Reply::of(Effect::Ok, ReplyContent::Json(bundle.finish())))
}

/// How the links of a history are sealed.
struct Links {
    belongs: String,
    seal: Seal,
}

impl Links {
    /// What a link that leads back belongs to: the same history, read the other way.
    fn back(&self) -> String {
        format!("{} back", self.belongs)
    }

    /// Reads a link: its cursor, and which page it is.
    fn read(&self, text: &str) -> Result<(Cursor, Place), Failure> {
        let on = Cursor::decode_for(text, &self.belongs, &self.seal);
        let (cursor, place): (_, fn(u64) -> Place) = match on {
            Ok(cursor) => (cursor, Place::Below),
            Err(_) => (Cursor::decode_for(text, &self.back(), &self.seal)?, Place::Above),
        };
        Ok((cursor, cursor.after.map_or(Place::Newest, place)))
    }

    /// Writes a link to a page; none to the first, which needs no cursor.
    fn write(&self, place: Place, at: impl Fn(u64) -> Cursor) -> Option<String> {
        match place {
            Place::Newest => None,
            Place::Below(number) => Some(at(number).encode(&self.belongs, &self.seal)),
            Place::Above(number) => Some(at(number).encode(&self.back(), &self.seal)),
        }
    }
}

/// The pages before and after a page.
fn beside(place: Place, page: &store::Page) -> [Option<Place>; 2] {
    let above = page.rows.first().map(|v| Place::Above(v.number));
    let below = page.rows.last().map(|v| Place::Below(v.number));
    match place {
        Place::Newest => [None, below.filter(|_| page.more)],
        // The last row of the page before, and what is above it.
        Place::Below(number) => [Some(Place::Above(number.saturating_sub(1))), below.filter(|_| page.more)],
        Place::Above(_) => [above.filter(|_| page.more), below],
    }
}

/// Which rows brought their resource back after a delete. For most the row before them tells.
async fn brought_back(snapshot: &dyn Snapshot, rows: &[Version]) -> Result<Vec<bool>, Failure> {
    const AT_ONCE: usize = 8;
    let deletes: HashMap<_, _> = rows.iter().map(|v| ((v.kind, v.id.as_str(), v.version), v.is_deleted())).collect();
    let asked: Vec<_> = rows
        .iter()
        .map(|version| {
            let before = (version.kind, version.id.as_str(), version.version.saturating_sub(1));
            let known = match version.method {
                Method::Update if version.version > 1 => deletes.get(&before).copied(),
                _ => Some(false),
            };
            async move {
                match known {
                    Some(known) => Ok(known),
                    None => snapshot.follows_delete(version).await.map_err(outcome::of_store),
                }
            }
        })
        .collect();
    stream::iter(asked).buffered(AT_ONCE).try_collect().await
}

/// The path of a history under the base.
fn path(service: &Service, scope: &HistoryScope) -> String {
    match scope {
        HistoryScope::Instance(kind, id) => format!("{}/{id}/_history", service.definitions.name(*kind)),
        HistoryScope::Type(kind) => format!("{}/_history", service.definitions.name(*kind)),
        HistoryScope::System => "_history".to_owned(),
    }
}

fn address(context: &Context, path: &str, used: &[(String, String)], page: Option<&str>) -> String {
    let pairs = used.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let query = search::encode(pairs.chain(page.map(|p| ("_page", p))));
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

/// An entry: the version, the interaction that made it, and what that answered. Conditional forms stand as what they came
/// to (R4 http.html#history).
fn entry(
    service: &Service,
    context: &Context,
    bundle: &mut Page,
    (version, brought_back): (&Version, bool),
    subset: Option<&Subset>,
) -> Result<(), Failure> {
    let kind = service.definitions.name(version.kind);
    let id = version.id.as_str();
    let mut entry = bundle.entry();
    entry.full_url(&context.base, kind, id);
    match subset.zip(version.to_json(kind)) {
        Some((subset, json)) => {
            context.ledger.saw(&json);
            entry.resource(&subset.apply(&service.definitions, &json)?);
        }
        None => entry.version(kind, version),
    }
    let (method, status) = match version.method {
        Method::Create => ("POST", (201, "Created")),
        Method::Update if version.version == 1 || brought_back => ("PUT", (201, "Created")),
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
    Ok(())
}
