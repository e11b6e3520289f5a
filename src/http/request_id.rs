//! Request ids: an `X-Request-Id` that was sent is kept if it is harmless, else one is made. Does not log.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};

/// The header, in requests and in answers.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is echoed.
const LONGEST: usize = 128;

/// The id of a request: what was sent if it is at most 128 visible ASCII characters, else a random one.
pub fn of(headers: &HeaderMap) -> HeaderValue {
    match headers.get(&X_REQUEST_ID) {
        Some(sent) if is_harmless(sent.as_bytes()) => sent.clone(),
        _ => random(),
    }
}

/// The id that a request was given when it came.
pub struct Given(pub HeaderValue);

/// The id of a request as text; empty where it was given none.
pub fn given(request: &HttpRequest) -> String {
    let extensions = request.extensions();
    let id = extensions.get::<Given>().and_then(|given| given.0.to_str().ok());
    id.unwrap_or_default().to_owned()
}

fn is_harmless(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(|b| b.is_ascii_graphic())
}

/// A random id.
pub fn random() -> HeaderValue {
    let mut text = [0; 32];
    let id = uuid::Uuid::new_v4();
    HeaderValue::from_str(id.simple().encode_lower(&mut text)).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(id: &str) -> HeaderValue {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_str(id).expect("a header value"));
        of(&headers)
    }

    #[test]
    fn sane_ids_are_kept_and_others_replaced() {
        assert_eq!(with("abc-1"), "abc-1");
        assert_eq!(with(&"x".repeat(128)), "x".repeat(128).as_str());
        assert_eq!(with(&"x".repeat(129)).len(), 32);
        assert_eq!(with("two words").len(), 32);
        assert_eq!(of(&HeaderMap::new()).len(), 32);
    }
}
