//! From a [`Reply`] or a [`Failure`] to an HTTP response: status, headers, format. The only place that says which
//! status a failure has is `status_of`.

use super::negotiate::{Format, Wanted};
use super::{encoding, exchange};
use crate::base::{Failure, FailureKind, Issue};
use crate::definitions::Definitions;
use crate::interaction::{Effect, Reply, ReplyContent, outcome};
use crate::json::{Document, Limits, Value, minify_into, pretty};
use crate::xml;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use std::sync::Arc;

/// Bodies above this are worked on by a thread that may block, so that other connections of the worker go on.
pub const LARGE: usize = 256 << 10;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding, Prefer");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The HTTP status of a failure. It is that which a batch names for its entries.
pub fn status_of(kind: FailureKind) -> StatusCode {
    StatusCode::from_u16(outcome::status_of(kind).0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The response for a reply.
pub async fn reply(
    reply: Reply,
    wanted: Wanted,
    base: &str,
    definitions: &Arc<Definitions>,
) -> Result<HttpResponse, Failure> {
    let status =
        StatusCode::from_u16(outcome::status_of_effect(reply.effect).0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut next = None;
    let (body, content_type) = match reply.content {
        _ if matches!(reply.effect, Effect::NotModified | Effect::NoContent) => (Vec::new(), None),
        ReplyContent::Nothing => (Vec::new(), None),
        ReplyContent::Json(json) => {
            let written;
            (written, next) = format_aside(json, wanted, definitions).await?;
            (written, Some(HeaderValue::from_static(wanted.format.content_type())))
        }
        ReplyContent::Outcome(issues) => {
            let json = outcome::write(&issues).into_bytes();
            (format(json, wanted, definitions)?.0, Some(HeaderValue::from_static(wanted.format.content_type())))
        }
        ReplyContent::Raw { content_type, bytes, security_context } => {
            let mut response = raw(status, &content_type, bytes, reply.version);
            let headers = response.headers_mut();
            if let Some(date) = reply.last_updated.and_then(|at| HeaderValue::from_maybe_shared(at.to_http_date()).ok())
            {
                headers.insert(header::LAST_MODIFIED, date);
            }
            if let Some(context) = security_context.and_then(|c| HeaderValue::from_maybe_shared(c).ok()) {
                headers.insert(exchange::X_SECURITY_CONTEXT, context);
            }
            return Ok(response);
        }
    };
    let mut response = HttpResponse::with_body(status, actix_web::body::BoxBody::new(body));
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(header::CACHE_CONTROL, PRIVATE);
    if let Some(version) = reply.version {
        headers.insert(header::ETAG, etag(version));
    }
    if let Some(date) = reply.last_updated.and_then(|at| HeaderValue::from_maybe_shared(at.to_http_date()).ok()) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    if let Some(place) = reply.location.and_then(|at| HeaderValue::from_maybe_shared(format!("{base}/{at}")).ok()) {
        headers.insert(header::LOCATION, place);
    }
    if let Some(next) = next.and_then(|url| HeaderValue::from_maybe_shared(format!("<{url}>; rel=\"next\"")).ok()) {
        headers.insert(header::LINK, next);
    }
    Ok(response)
}

fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_maybe_shared(format!("W/\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("W/\"\""))
}

/// Marks a response with content of a client's that ends as the head of an answer does.
pub struct EndsLikeAnAnswer;

/// The content of a Binary. What a browser could run in our name is only offered as a download, without rights.
fn raw(status: StatusCode, content_type: &str, bytes: Vec<u8>, version: Option<u64>) -> HttpResponse {
    let ends_like_an_answer = bytes.ends_with(b"\r\n\r\n");
    let mut response = HttpResponse::with_body(status, actix_web::body::BoxBody::new(bytes));
    if ends_like_an_answer {
        response.extensions_mut().insert(EndsLikeAnAnswer);
    }
    let headers = response.headers_mut();
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let harmless = matches!(
        media.as_str(),
        "image/png" | "image/jpeg" | "image/gif" | "image/webp" | "application/pdf" | "text/plain"
    );
    if !harmless {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    }
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap_or(octets));
    headers.insert(header::CACHE_CONTROL, PRIVATE);
    if let Some(version) = version {
        headers.insert(header::ETAG, etag(version));
    }
    response
}

/// The response for a failure. If even that cannot be had in the format wanted, it is JSON.
pub fn failure(failure: &Failure, wanted: Wanted, definitions: &Definitions) -> HttpResponse {
    let mut response = issues(status_of(failure.kind), &failure.issues, wanted, definitions);
    let headers = response.headers_mut();
    match failure.kind {
        FailureKind::Unavailable => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        FailureKind::Unauthenticated => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    response
}

/// A response that holds issues.
pub fn issues(status: StatusCode, issues: &[Issue], wanted: Wanted, definitions: &Definitions) -> HttpResponse {
    let json = outcome::write(issues).into_bytes();
    let (body, sent) = match format(json.clone(), wanted, definitions) {
        Ok((body, _)) => (body, wanted),
        Err(_) => (json, Wanted::JSON),
    };
    let mut response = HttpResponse::with_body(status, actix_web::body::BoxBody::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(sent.format.content_type()));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// An answer in the format that is wanted; a large one is written by a thread that may block.
async fn format_aside(
    json: Vec<u8>,
    wanted: Wanted,
    definitions: &Arc<Definitions>,
) -> Result<(Vec<u8>, Option<String>), Failure> {
    if json.len() <= LARGE {
        return format(json, wanted, definitions);
    }
    let definitions = definitions.clone();
    let written = web::block(move || format(json, wanted, &definitions)).await;
    written.map_err(|_| Failure::internal("writing a large answer panicked"))?
}

/// JSON in the format that is wanted; for NDJSON also the link to the next page, for which it has no place.
fn format(json: Vec<u8>, wanted: Wanted, definitions: &Definitions) -> Result<(Vec<u8>, Option<String>), Failure> {
    if wanted.format == Format::Json && !wanted.pretty {
        return Ok((json, None));
    }
    let document =
        Document::parse(&json, &Limits::NONE).map_err(|e| Failure::internal(format_args!("own output: {e}")))?;
    let text = match wanted.format {
        Format::Json => pretty(document.root()),
        Format::Xml if wanted.pretty => xml::pretty_from_json(document.root(), definitions)?,
        Format::Xml => xml::from_json(document.root(), definitions)?,
        Format::Ndjson => return Ok((lines(&document), next_link(document.root()))),
    };
    Ok((text.into_bytes(), None))
}

/// One resource a line: of a Bundle its entries (without those that only tell about the search), else the resource.
fn lines(document: &Document<'_>) -> Vec<u8> {
    let root = document.root();
    let mut out = String::with_capacity(document.text().len());
    if root.get("resourceType").and_then(|t| t.as_str()).as_deref() != Some("Bundle") {
        minify_into(root, &mut out);
        out.push('\n');
        return out.into_bytes();
    }
    let entries = root.get("entry").map(|e| e.items()).into_iter().flatten();
    for entry in entries {
        let mode = entry.get("search").and_then(|s| s.get("mode")).and_then(|m| m.as_str());
        if let Some(resource) = entry.get("resource").filter(|_| mode.as_deref() != Some("outcome")) {
            minify_into(resource, &mut out);
            out.push('\n');
        }
    }
    out.into_bytes()
}

/// The link to the next page of a Bundle.
fn next_link(bundle: Value<'_>) -> Option<String> {
    let links = bundle.get("link")?;
    let next = links.items().find(|l| l.get("relation").and_then(|r| r.as_str()).as_deref() == Some("next"))?;
    next.get("url")?.as_str().map(|url| url.into_owned())
}

/// What every response gets, whatever it holds.
pub fn common_headers(headers: &mut HeaderMap, request_id: HeaderValue, secure: bool) {
    headers.insert(super::request_id::X_REQUEST_ID, request_id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::VARY, VARY);
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

/// Packs the body if the client takes gzip and it is worth it. What is asked for again and again comes from `kept`,
/// if it is given.
pub async fn pack(response: HttpResponse, request: &HeaderMap, kept: Option<&encoding::Kept>) -> HttpResponse {
    use actix_web::body::{BodySize, BoxBody, MessageBody};
    let worth = matches!(response.body().size(), BodySize::Sized(n) if n > encoding::SMALLEST as u64);
    if !worth || !encoding::accepts_gzip(request) || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut response, body) = response.into_parts();
    match body.try_into_bytes() {
        Ok(bytes) => match packed(&bytes, kept).await {
            Some(packed) => {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response.set_body(BoxBody::new(packed))
            }
            None => response.set_body(BoxBody::new(bytes)),
        },
        Err(body) => response.set_body(body),
    }
}

async fn packed(bytes: &Bytes, kept: Option<&encoding::Kept>) -> Option<Bytes> {
    match kept {
        Some(kept) => kept.pack(bytes).ok(),
        None if bytes.len() > LARGE => {
            let bytes = bytes.clone();
            web::block(move || encoding::pack(&bytes)).await.ok()?.ok().map(Bytes::from)
        }
        None => encoding::pack(bytes).ok().map(Bytes::from),
    }
}

/// The header `Allow` for a path of the FHIR base.
pub fn allow(path: &str) -> (HeaderName, HeaderValue) {
    let mut methods: Vec<&str> = crate::interaction::route::allowed(path)
        .into_iter()
        .map(|verb| match verb {
            crate::interaction::Verb::Get => "GET",
            crate::interaction::Verb::Head => "HEAD",
            crate::interaction::Verb::Post => "POST",
            crate::interaction::Verb::Put => "PUT",
            crate::interaction::Verb::Patch => "PATCH",
            crate::interaction::Verb::Delete => "DELETE",
        })
        .collect();
    methods.push("OPTIONS");
    let value = HeaderValue::from_maybe_shared(methods.join(", "));
    (header::ALLOW, value.unwrap_or_else(|_| HeaderValue::from_static("OPTIONS")))
}
