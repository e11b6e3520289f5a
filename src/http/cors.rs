//! Cross-origin requests (the Fetch standard's CORS protocol): any origin may call, without cookies. There are no
//! credentials that a browser would add by itself, so nothing is opened by this that was not open before.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "accept, authorization, content-type, content-encoding, prefer, if-match, if-none-match, if-none-exist, \
     if-modified-since, x-provenance, x-security-context, x-request-id, x-requested-with, cache-control",
);
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Last-Modified, Location, Content-Location, Link, Retry-After, X-Request-Id, X-Security-Context",
);

/// Whether this is a preflight request.
pub fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight request.
pub fn preflight() -> HttpResponse {
    let mut answer = HttpResponse::new(StatusCode::NO_CONTENT);
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    answer
}

/// The headers that let a page of another origin read the answer. Nothing is done if no origin was sent.
pub fn permit(request: &HeaderMap, answer: &mut HeaderMap) {
    if request.contains_key(header::ORIGIN) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::names;
    use super::*;

    #[test]
    fn every_header_that_is_read_may_be_sent() {
        let text = ALLOWED;
        let allowed: Vec<_> = text.to_str().expect("text").split(", ").collect();
        assert!(names::ALL.iter().all(|name| allowed.contains(name)), "{allowed:?}");
    }
}
