//! One request from its arrival to its answer. Everything is done here by hand, in order, in one function per step:
//! there are no layers of middleware whose order one would have to know.

use super::connection::Verbatim;
use super::heavy::may_take_long;
use super::held::Share;
use super::limits::BodyError;
use super::negotiate::{self, Wanted};
use super::site::Site;

use super::{answer, auth, cors, docs, encoding, exchange, limits, metrics, page, request_id};
use crate::access::Caller;
use crate::audit::Event;
use crate::authorization;
use crate::base::{Failure, FailureKind, Issue, IssueCode, TenantId};
use crate::interaction::{Context, Limit, Media, Payload, Reply, ReplyContent, Request, Verb, route, without_tokens};
use crate::xml;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

/// Answers a request, whatever it is, and counts and logs it.
pub async fn handle(site: Arc<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let started = Instant::now();
    let id = request_id::of(request.headers());
    request.extensions_mut().insert(request_id::Given(id.clone()));
    let flight = site.metrics.enter();
    let place = Place::of(&site, request.path());
    let answered = AssertUnwindSafe(dispatch(&site, place, &request, payload)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| {
        // The panic hook has written where it was; the client only learns that something went wrong.
        let failure = Failure::internal(format_args!("a request panicked (request id {id:?})"));
        answer::failure(&failure, Wanted::JSON, &site.definitions)
    });
    let kept = place.is_declaration().then_some(&site.packed);
    if response.extensions().get::<answer::EndsLikeAnAnswer>().is_some()
        && let Some(verbatim) = request.conn_data::<Verbatim>()
    {
        verbatim.say();
    }
    response = answer::pack(response, request.headers(), kept).await;
    let headers = response.headers_mut();
    if !matches!(place, Place::Auth(_)) {
        cors::permit(request.headers(), headers);
    }
    answer::common_headers(headers, id, site.options.tls.is_some());
    if site.is_stopping() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let name = match place {
        Place::Fhir(path) => metrics::name_of(request.method().as_str(), path),
        _ => metrics::SITE,
    };
    let status = response.status().as_u16();
    site.metrics.count(name, status, started.elapsed());
    log(&site, &request, name, status, started, response.headers());
    drop(flight);
    response
}

/// One line: never the path, query or body, which may tell about patients.
fn log(site: &Site, request: &HttpRequest, name: usize, status: u16, started: Instant, answer: &header::HeaderMap) {
    if status < 500 && !site.options.log_requests {
        return;
    }
    let method = request.method().as_str();
    let interaction = metrics::NAMES.get(name).copied().unwrap_or_default();
    let ms = started.elapsed().as_micros() as f64 / 1e3;
    let id = answer.get(&request_id::X_REQUEST_ID).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if status < 500 {
        tracing::info!(method, interaction, status, ms, id, "request");
    } else {
        tracing::error!(method, interaction, status, ms, id, "request failed");
    }
}

/// The forms of a patch (R4 http.html#patch; merge patch as clients send it, too), for whoever sends another (RFC 5789).
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const PATCHES: &str =
    "application/json-patch+json, application/merge-patch+json, application/fhir+json, application/fhir+xml";

/// Where the authorization server is.
const AUTHORIZATION: &str = "/auth/";

/// Where a request goes.
#[derive(Clone, Copy)]
enum Place<'p> {
    Page,
    Live,
    Ready,
    OpenApi,
    Docs(&'p str),
    /// The path below that of the authorization server, still encoded.
    Auth(&'p str),
    /// The path under the FHIR base, still encoded.
    Fhir(&'p str),
    Nowhere,
}

impl<'p> Place<'p> {
    fn of(site: &Site, path: &'p str) -> Self {
        if let Some(rest) = path.strip_prefix(site.options.base_path.as_str()) {
            let at_root = site.options.base_path.is_empty();
            if !at_root && (rest.is_empty() || rest.starts_with('/')) {
                return Place::Fhir(rest);
            }
        }
        match path {
            _ if site.authorization.is_some() && path.starts_with(AUTHORIZATION) => {
                Place::Auth(&path[AUTHORIZATION.len()..])
            }
            "/health/live" => Place::Live,
            "/health/ready" => Place::Ready,
            "/openapi.json" => Place::OpenApi,
            "/docs" => Place::Docs("/"),
            _ if path.starts_with("/docs/") => Place::Docs(&path["/docs".len()..]),
            _ if site.options.base_path.is_empty() => Place::Fhir(path),
            "/" => Place::Page,
            _ => Place::Nowhere,
        }
    }
}

impl Place<'_> {
    /// Whether what the server declares of itself stands here: large, often asked for, always the same.
    fn is_declaration(self) -> bool {
        matches!(self, Place::OpenApi) || matches!(self, Place::Fhir(path) if path.trim_matches('/') == "metadata")
    }
}

async fn dispatch(site: &Arc<Site>, place: Place<'_>, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
    let definitions = &site.definitions;
    if limits::size_of(request.headers()) > site.options.limits.headers {
        let why = format!("the headers are larger than this server accepts ({} bytes)", site.options.limits.headers);
        let issue = Issue::error(IssueCode::TooLong, why);
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return answer::issues(status, &[issue], Wanted::JSON, definitions);
    }
    if request.method() == Method::OPTIONS {
        return match (place, &site.authorization) {
            (Place::Auth(path), Some(authorization)) if cors::is_preflight(request.headers()) => {
                auth::preflight(authorization, path, request).await
            }
            _ => options(place, request),
        };
    }
    if let (Place::Auth(path), Some(authorization)) = (place, &site.authorization) {
        return auth::handle(site, authorization, path, request, payload).await;
    }
    if let Place::Fhir(path) = place {
        return fhir(site, path, request, payload).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) && !matches!(place, Place::Nowhere) {
        let failure = Failure::new(FailureKind::NotAllowed, IssueCode::NotSupported, "only GET is served here");
        let mut response = answer::failure(&failure, Wanted::JSON, definitions);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        return response;
    }
    match place {
        Place::Page => match site.base(request.headers(), request.uri()) {
            Some(base) => page::page(site, &base),
            None => answer::failure(&bad_host(), Wanted::JSON, definitions),
        },
        Place::Live => page::health(site, false),
        Place::Ready => page::health(site, true),
        Place::OpenApi => docs::openapi(site.openapi()),
        Place::Docs(file) => docs::file(request.path(), file),
        Place::Nowhere | Place::Fhir(_) | Place::Auth(_) => {
            let why = format!("nothing is served at this address; the FHIR base is {}", site.options.base_path);
            answer::failure(&Failure::not_found(why), Wanted::JSON, definitions)
        }
    }
}

fn options(place: Place<'_>, request: &HttpRequest) -> HttpResponse {
    if cors::is_preflight(request.headers()) {
        return cors::preflight();
    }
    let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
    let (name, value) = match place {
        Place::Fhir(path) => answer::allow(path.trim_matches('/')),
        Place::Auth(path) => {
            let methods = authorization::route::allowed(path.trim_matches('/')).unwrap_or("GET, HEAD, OPTIONS");
            (header::ALLOW, HeaderValue::from_static(methods))
        }
        _ => (header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS")),
    };
    response.headers_mut().insert(name, value);
    response
}

fn bad_host() -> Failure {
    Failure::malformed(IssueCode::Invalid, "the Host header holds what no host name does")
}

/// A request under the FHIR base.
async fn fhir(site: &Arc<Site>, raw_path: &str, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
    let mut trace = Trace { wanted: Wanted::JSON, caller: Caller::Open, told: false };
    let done = match perform(site, raw_path, request, payload, &mut trace).await {
        Err(stop) if !trace.told => Err(told(site, request, &trace, stop).await),
        done => done,
    };
    let wanted = trace.wanted;
    match done {
        Ok(response) => response,
        Err(Stop::TooSlow) => {
            let issue = Issue::error(IssueCode::Timeout, "the body came too slowly");
            let mut response = answer::issues(StatusCode::REQUEST_TIMEOUT, &[issue], wanted, &site.definitions);
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
        Err(Stop::TooLong) => {
            let issue = Issue::error(
                IssueCode::TooLong,
                format!("the address is longer than this server accepts ({} bytes)", site.options.limits.url),
            );
            answer::issues(StatusCode::URI_TOO_LONG, &[issue], wanted, &site.definitions)
        }
        Err(Stop::Failed(failure)) => {
            let mut response = answer::failure(&failure, wanted, &site.definitions);
            auth::challenge(&failure, &mut response);
            if failure.kind == FailureKind::UnsupportedMedia && request.method() == Method::PATCH {
                response.headers_mut().insert(ACCEPT_PATCH, HeaderValue::from_static(PATCHES));
            }
            if failure.kind == FailureKind::NotAllowed {
                let (name, value) = answer::allow(raw_path.trim_matches('/'));
                response.headers_mut().insert(name, value);
            }
            response
        }
    }
}

/// What is known of a request so far.
struct Trace {
    /// The form of the answer.
    wanted: Wanted,
    /// Who asks.
    caller: Caller,
    /// Whether the audit trail is told by others: from the interaction on, and of a token that is missing.
    told: bool,
}

/// Tells the audit trail of a request that never became an interaction; gives why it is refused.
async fn told(site: &Site, request: &HttpRequest, trace: &Trace, stop: Stop) -> Stop {
    let failure = match &stop {
        Stop::Failed(failure) => failure.clone(),
        Stop::TooSlow => Failure::malformed(IssueCode::Timeout, "the body came too slowly"),
        Stop::TooLong => Failure::malformed(IssueCode::TooLong, "the address is too long"),
    };
    let mut context = seen(site, request);
    context.caller = trace.caller.clone();
    let event = Event::refusal(&failure).query(address(request));
    match site.service.record(&context, event).await {
        Ok(()) => stop,
        Err(other) => Stop::Failed(other),
    }
}

/// A request as the audit trail knows it before it is an interaction.
fn seen(site: &Site, request: &HttpRequest) -> Context {
    let mut context = Context::open(TenantId::default(), site.own_base(request.headers(), request.uri()));
    context.remote = site.remote(request);
    context.request_id = request_id::given(request);
    context
}

/// Method and address as the audit trail tells them, without tokens.
fn address(request: &HttpRequest) -> String {
    const LONGEST: usize = 2_000;
    let text = without_tokens(&format!("{} {}", request.method(), request.uri()));
    text.chars().take(LONGEST).collect()
}

/// Why a request was not performed.
enum Stop {
    Failed(Failure),
    TooSlow,
    TooLong,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl From<BodyError> for Stop {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Refused(failure) => Stop::Failed(failure),
            BodyError::TooSlow => Stop::TooSlow,
        }
    }
}

async fn perform(
    site: &Arc<Site>,
    raw_path: &str,
    request: &HttpRequest,
    payload: web::Payload,
    trace: &mut Trace,
) -> Result<HttpResponse, Stop> {
    let (headers, query) = (request.headers(), request.query_string());
    let Some(verb) = exchange::verb(request.method()) else {
        return Err(
            Failure::new(FailureKind::NotAllowed, IssueCode::NotSupported, "FHIR has no use of this method").into()
        );
    };
    if request.path().len() + query.len() > site.options.limits.url {
        return Err(Stop::TooLong);
    }
    let path = exchange::path(raw_path)?;
    let mut caller = Caller::Open;
    if let Some(authorization) = &site.authorization {
        if let (Some(name), Verb::Get | Verb::Head) = (path.strip_prefix(".well-known/"), verb)
            && let Some(document) = auth::well_known(site, authorization, name, request).await
        {
            return Ok(document);
        }
        let public = path == "metadata" && matches!(verb, Verb::Get | Verb::Head);
        if !public {
            caller = match auth::caller(authorization, headers).await {
                Ok(caller) => caller,
                Err(failure) => {
                    trace.told = true;
                    return Err(authorization
                        .refusal_recorded(&seen(site, request), &address(request), failure)
                        .await
                        .into());
                }
            };
        }
    }
    trace.caller = caller.clone();
    let wanted = &mut trace.wanted;
    let binary = exchange::is_binary(verb, &path);
    match negotiate::wanted(headers, query) {
        Ok(found) => *wanted = found,
        // What a Binary holds may have any type; whether it is the one asked for is known only when it is there.
        Err(_) if binary => wanted.named = false,
        Err(failure) => return Err(failure.into()),
    }
    if site.is_stopping() {
        let why = "the server is stopping";
        return Err(Failure::new(FailureKind::Unavailable, IssueCode::Transient, why).into());
    }
    let Some(base) = site.base(headers, request.uri()) else { return Err(bad_host().into()) };
    // What is no address of the API, or does not take this method, is not worth a body.
    if matches!(verb, Verb::Post | Verb::Put | Verb::Patch)
        && let Err(failure) = route::find(&site.definitions, verb, &path)
    {
        limits::discard(payload).await;
        // What leads to no interaction is not told, as with the other methods.
        trace.told = true;
        return Err(failure.into());
    }
    // The share is held until the answer is made.
    let (bytes, _share) = match verb {
        Verb::Post | Verb::Put | Verb::Patch => read_body(site, request, payload).await?,
        Verb::Get | Verb::Head | Verb::Delete => (Vec::new(), site.held.share()),
    };
    if bytes.is_empty() && exchange::needs_body(verb, &path) {
        return Err(Failure::malformed(IssueCode::Required, "the body is missing").into());
    }
    let size = bytes.len();
    let (body, xml) = match bytes.is_empty() {
        true => (None, None),
        false => taken(verb, &path, headers, bytes, site).await.map(|(body, xml)| (Some(body), xml))?,
    };
    if let Some(Payload { media: Media::Form, bytes }) = &body {
        // The parameters of a search by POST may name the format, too.
        let form = String::from_utf8_lossy(bytes);
        if form.contains("_format=") || form.contains("_pretty=") {
            *wanted = negotiate::wanted(headers, &form)?;
        }
    }
    let asked = Request {
        verb,
        query: query.to_owned(),
        preconditions: exchange::preconditions(verb, headers)?,
        prefer: exchange::prefer(headers),
        provenance: exchange::provenance(headers)?,
        raw: binary && !wanted.named,
        security_context: exchange::security_context(headers)?,
        as_sent: xml.is_none(),
        body,
        path,
    };
    let heavy = size > answer::LARGE || may_take_long(&asked);
    let mut context = Context::open(TenantId::default(), base);
    context.budget = site.service.budget();
    context.caller = caller;
    context.remote = site.remote(request);
    context.request_id = request_id::given(request);
    context.language = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).map(str::to_owned);
    trace.told = true;
    // If the client goes away this future is dropped, and the work ends, on whatever thread it is.
    let _waiting = context.budget.waiting();
    let mut reply =
        if heavy { aside(site, &context, asked).await } else { site.service.perform(&context, asked).await };
    if let Some(xml) = xml {
        located(xml, site, &mut reply).await;
    }
    Ok(answer::reply(reply?, *wanted, &context.base, &site.definitions).await?)
}

/// Performs a large request on a thread that may block.
async fn aside(site: &Arc<Site>, context: &Context, request: Request) -> Result<Reply, Failure> {
    let (service, context) = (site.service.clone(), context.clone());
    let runtime = tokio::runtime::Handle::current();
    let counted = site.clone();
    let work = move || {
        let done = runtime.block_on(service.perform(&context, request));
        if done.is_err() && context.budget.check() == Err(Limit::Cancelled) {
            counted.metrics.count_abandoned();
        }
        done
    };
    web::block(work).await.map_err(|_| Failure::internal("the thread of a large request panicked"))?
}

/// The body of a request, unpacked, and its share of all bodies.
async fn read_body(site: &Site, request: &HttpRequest, payload: web::Payload) -> Result<(Vec<u8>, Share), Stop> {
    let limit = site.options.limits.body;
    let packed = encoding::is_packed(request.headers())?;
    let mut share = site.held.share();
    let bytes = limits::body(request.headers(), payload, &site.options.limits, &mut share).await?;
    if !packed || bytes.is_empty() {
        return Ok((bytes, share));
    }
    let turn = site.unpacking.clone().acquire_owned().await.map_err(Failure::internal)?;
    // If the client goes away the thread goes on for a moment, and so do its share and its turn.
    let unpack = move || {
        let _turn = turn;
        encoding::unpack(&bytes, limit, &mut share).map(|unpacked| (unpacked, share))
    };
    Ok(web::block(unpack).await.map_err(|_| Failure::internal("unpacking was cancelled"))??)
}

/// The body as `interaction` takes it: XML is turned into JSON.
async fn taken(
    verb: Verb,
    path: &str,
    headers: &header::HeaderMap,
    bytes: Vec<u8>,
    site: &Arc<Site>,
) -> Result<(Payload, Option<Arc<[u8]>>), Failure> {
    let media = match exchange::sent(verb, path, headers, &bytes)? {
        exchange::Sent::As(media) => return Ok((Payload { media, bytes }, None)),
        exchange::Sent::Xml => Media::Json,
    };
    let xml: Arc<[u8]> = bytes.into();
    let bytes = xml.clone();
    let (definitions, limits) = (site.definitions.clone(), site.service.settings.limits);
    let convert = move || xml::to_json(&bytes, &*definitions, &limits);
    let json = if xml.len() > answer::LARGE {
        web::block(convert).await.map_err(|_| Failure::internal("reading XML was cancelled"))??
    } else {
        convert()?
    };
    Ok((Payload { media, bytes: json.into_bytes() }, Some(xml)))
}

/// Gives the issues of an answer their lines in the XML that was sent.
async fn located(xml: Arc<[u8]>, site: &Site, reply: &mut Result<Reply, Failure>) {
    let issues = match reply {
        Ok(Reply { content: ReplyContent::Outcome(issues), .. }) => issues,
        Err(failure) => &mut failure.issues,
        Ok(_) => return,
    };
    // What was found before is of the JSON that it became.
    issues.iter_mut().for_each(|issue| issue.position = None);
    let (definitions, limits) = (site.definitions.clone(), site.service.settings.limits);
    if xml.len() <= answer::LARGE {
        return xml::locate(&xml, &*definitions, &limits, issues);
    }
    let mut found = issues.clone();
    let locate = move || {
        xml::locate(&xml, &*definitions, &limits, &mut found);
        found
    };
    // Without it they say what is wrong, and not where.
    if let Ok(found) = web::block(locate).await {
        *issues = found;
    }
}
