//! The authorization server over HTTP: requests below `/auth/` to its plain shapes, its answers to responses, and the
//! check of the token on the way to the FHIR API. Decides nothing itself.

use super::limits::{self, BodyError, Limits};
use super::site::Site;
use super::{answer, cors};
use crate::access::Caller;
use crate::authorization::Authorization;
use crate::authorization::exchange::{Answered, Asked, Content, Method as Plain, Parameters, Readers, Went, bearer};
use crate::authorization::noted::Noted;
use crate::authorization::pages::POLICY;
use crate::authorization::route;
use crate::base::{Failure, FailureKind, IssueCode};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::Arc;

/// No request to the authorization server needs a larger body.
const LARGEST: usize = 256 << 10;

const PRAGMA: HeaderName = HeaderName::from_static("pragma");

/// A request to an address below `/auth/`.
pub async fn handle(
    site: &Site,
    authorization: &Arc<Authorization>,
    raw_path: &str,
    request: &HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let Some(method) = method(request.method()) else {
        return allowing(response(Answered::new(Went::NotAllowed, Content::Nothing)), raw_path.trim_matches('/'));
    };
    if request.path().len() + request.query_string().len() > site.options.limits.url {
        return refused(StatusCode::URI_TOO_LONG);
    }
    let Ok(path) = super::exchange::path(raw_path) else { return refused(StatusCode::NOT_FOUND) };
    let headers = request.headers();
    let limits = Limits { body: LARGEST, ..site.options.limits.clone() };
    let body = match limits::body(headers, payload, &limits, &mut site.held.share()).await {
        Ok(body) => body,
        Err(BodyError::TooSlow) => return refused(StatusCode::REQUEST_TIMEOUT),
        Err(BodyError::Refused(failure)) => return refused(answer::status_of(failure.kind)),
    };
    let form = match text(headers, header::CONTENT_TYPE) {
        Some(media) if media.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") => {
            Parameters::read(&String::from_utf8_lossy(&body))
        }
        _ => Parameters::default(),
    };
    let asked = Asked {
        method,
        path,
        query: Parameters::read(request.query_string()),
        form,
        body,
        authorization: text(headers, header::AUTHORIZATION),
        cookies: cookies(headers),
        origin: text(headers, header::ORIGIN),
        languages: text(headers, header::ACCEPT_LANGUAGE),
        agent: text(headers, header::USER_AGENT),
        remote: site.remote(request),
        base: site.own_base(headers, request.uri()),
        request_id: super::request_id::given(request),
        noted: Noted::default(),
    };
    let (path, origin) = (asked.path.clone(), asked.origin.clone());
    // On its own, so that a client that goes away stops neither what it began nor the record of it.
    let (answering, own) = (authorization.clone(), asked);
    let answering = actix_web::rt::spawn(async move { answering.answer_recorded(own).await });
    let mut answered = answering.await.unwrap_or_else(|_| Answered::new(Went::Internal, Content::Nothing));
    if let (Some(origin), Readers::Nobody) = (&origin, &answered.readers) {
        answered.readers = authorization.readers(&path, origin).await;
    }
    allowing(response(answered), &path)
}

/// A 405 says what is allowed (RFC 9110 15.5.6).
fn allowing(mut response: HttpResponse, path: &str) -> HttpResponse {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let methods = route::allowed(path).unwrap_or("GET, HEAD, OPTIONS");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    response
}

/// A preflight request to an address below `/auth/`.
pub async fn preflight(authorization: &Authorization, raw_path: &str, request: &HttpRequest) -> HttpResponse {
    let origin = text(request.headers(), header::ORIGIN).unwrap_or_default();
    let readers = authorization.readers(raw_path.trim_matches('/'), &origin).await;
    if readers == Readers::Nobody {
        return HttpResponse::new(StatusCode::NO_CONTENT);
    }
    let mut response = cors::preflight();
    permit(response.headers_mut(), &readers);
    response
}

/// A well-known document under the FHIR base, if there is one of this name.
pub async fn well_known(
    site: &Site,
    authorization: &Authorization,
    name: &str,
    request: &HttpRequest,
) -> Option<HttpResponse> {
    authorization.well_known(name, &site.own_base(request.headers(), request.uri())).await.map(response)
}

fn method(method: &Method) -> Option<Plain> {
    Some(match *method {
        Method::GET | Method::HEAD => Plain::Get,
        Method::POST => Plain::Post,
        Method::PUT => Plain::Put,
        Method::DELETE => Plain::Delete,
        _ => return None,
    })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// All cookies. By HTTP/2 each may come in a header of its own (RFC 9113 8.2.3).
fn cookies(headers: &HeaderMap) -> Option<String> {
    let all: Vec<&str> = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn refused(status: StatusCode) -> HttpResponse {
    HttpResponse::new(status)
}

fn status_of(went: Went) -> StatusCode {
    match went {
        Went::Ok => StatusCode::OK,
        Went::Created => StatusCode::CREATED,
        Went::NoContent => StatusCode::NO_CONTENT,
        Went::SeeOther => StatusCode::SEE_OTHER,
        Went::BadRequest => StatusCode::BAD_REQUEST,
        Went::Unauthenticated => StatusCode::UNAUTHORIZED,
        Went::Forbidden => StatusCode::FORBIDDEN,
        Went::NotFound => StatusCode::NOT_FOUND,
        Went::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Went::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Went::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Went::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Went::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// An answer of the authorization server as a response.
fn response(answered: Answered) -> HttpResponse {
    let status = status_of(answered.went);
    let (body, media) = match answered.content {
        Content::Nothing | Content::Address(_) => (String::new(), None),
        Content::Json(ref value) => (value.to_string(), Some("application/json")),
        Content::Page(ref html) => (html.clone(), Some("text/html; charset=utf-8")),
    };
    let mut response = HttpResponse::with_body(status, actix_web::body::BoxBody::new(body));
    let headers = response.headers_mut();
    if let Some(media) = media {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    }
    if let Content::Address(address) = &answered.content
        && let Ok(value) = HeaderValue::from_str(address)
    {
        headers.insert(header::LOCATION, value);
    }
    match answered.keep {
        Some(seconds) => {
            let value = HeaderValue::from_maybe_shared(format!("public, max-age={seconds}"));
            headers.insert(header::CACHE_CONTROL, value.unwrap_or(HeaderValue::from_static("no-store")));
        }
        None => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        }
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let policy = HeaderValue::from_str(&POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.unwrap_or(HeaderValue::from_static("default-src 'none'")));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    for cookie in answered.cookies.iter().filter_map(|cookie| HeaderValue::from_str(cookie).ok()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    if let Some(challenge) = answered.challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    permit(headers, &answered.readers);
    response
}

fn permit(headers: &mut HeaderMap, readers: &Readers) {
    let value = match readers {
        Readers::Nobody => return,
        Readers::Everybody => Ok(HeaderValue::from_static("*")),
        Readers::Origin(origin) => HeaderValue::from_str(origin),
    };
    if let Ok(value) = value {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
}

/// Who asks for something of the FHIR API. `path` is below the base; what is public asks nobody.
pub async fn caller(authorization: &Authorization, headers: &HeaderMap) -> Result<Caller, Failure> {
    let Some(sent) = headers.get(header::AUTHORIZATION) else {
        return Err(unauthenticated("sign in: send an access token as 'Authorization: Bearer …'"));
    };
    let Some(token) = sent.to_str().ok().and_then(bearer) else {
        return Err(unauthenticated("the Authorization header holds no bearer token"));
    };
    match authorization.caller(token).await? {
        Some(principal) => Ok(Caller::Known(principal)),
        None => Err(invalid()),
    }
}

fn unauthenticated(why: &str) -> Failure {
    Failure::new(FailureKind::Unauthenticated, IssueCode::Login, why)
}

fn invalid() -> Failure {
    Failure::new(FailureKind::Unauthenticated, IssueCode::Expired, "the access token is not valid (any more)")
}

/// What a 401 or 403 says to a client about tokens (RFC 6750 3).
pub fn challenge(failure: &Failure, response: &mut HttpResponse) {
    let code = failure.issues.first().map(|issue| issue.code);
    let value = match (failure.kind, code) {
        (FailureKind::Unauthenticated, Some(IssueCode::Expired)) => "Bearer realm=\"vesta\", error=\"invalid_token\"",
        (FailureKind::Unauthenticated, _) => "Bearer realm=\"vesta\"",
        (FailureKind::Forbidden, _) => "Bearer realm=\"vesta\", error=\"insufficient_scope\"",
        _ => return,
    };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_in_several_headers_are_all_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookies(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("a=1"));
        headers.append(header::COOKIE, HeaderValue::from_static("b=2; c=3"));
        assert_eq!(cookies(&headers).as_deref(), Some("a=1; b=2; c=3"));
    }
}
