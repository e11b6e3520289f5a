//! From an HTTP request to an [`interaction::Request`](crate::interaction::Request): the verb, the path under the
//! base, the conditional and preference headers, and what the body is. Knows headers and media types; what they lead
//! to is decided by `interaction`.

use super::negotiate::is_our_version;
use crate::base::{Failure, FailureKind, IssueCode};
use crate::interaction::{Handling, Media, Preconditions, Prefer, Return, Strictness, Verb, version_ids};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HttpDate};
use percent_encoding::percent_decode;
use std::time::SystemTime;

/// The names of the headers that are read here; the documents and CORS declare these.
pub mod names {
    pub const IF_MATCH: &str = "if-match";
    pub const IF_NONE_MATCH: &str = "if-none-match";
    pub const IF_MODIFIED_SINCE: &str = "if-modified-since";
    pub const IF_NONE_EXIST: &str = "if-none-exist";
    pub const PREFER: &str = "prefer";
    pub const X_PROVENANCE: &str = "x-provenance";
    pub const X_SECURITY_CONTEXT: &str = "x-security-context";

    /// All of them.
    #[cfg(test)]
    pub const ALL: [&str; 7] =
        [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_NONE_EXIST, PREFER, X_PROVENANCE, X_SECURITY_CONTEXT];
}

const IF_MATCH: HeaderName = HeaderName::from_static(names::IF_MATCH);
const IF_NONE_MATCH: HeaderName = HeaderName::from_static(names::IF_NONE_MATCH);
const IF_MODIFIED_SINCE: HeaderName = HeaderName::from_static(names::IF_MODIFIED_SINCE);
const IF_NONE_EXIST: HeaderName = HeaderName::from_static(names::IF_NONE_EXIST);
const PREFER: HeaderName = HeaderName::from_static(names::PREFER);
const X_PROVENANCE: HeaderName = HeaderName::from_static(names::X_PROVENANCE);
/// Also an answer's header (R4 binary.html#security-context).
pub const X_SECURITY_CONTEXT: HeaderName = HeaderName::from_static(names::X_SECURITY_CONTEXT);

/// The verb of an HTTP method; none for those that FHIR does not use.
pub fn verb(method: &Method) -> Option<Verb> {
    Some(match *method {
        Method::GET => Verb::Get,
        Method::HEAD => Verb::Head,
        Method::POST => Verb::Post,
        Method::PUT => Verb::Put,
        Method::PATCH => Verb::Patch,
        Method::DELETE => Verb::Delete,
        _ => return None,
    })
}

/// The path under the base, decoded, without a slash at either end. A slash that came encoded is refused: no part of
/// a FHIR address holds one.
pub fn path(raw: &str) -> Result<String, Failure> {
    let raw = raw.strip_prefix('/').unwrap_or(raw);
    let raw = raw.strip_suffix('/').unwrap_or(raw);
    if !raw.contains('%') {
        return Ok(raw.to_owned());
    }
    let unreadable = || Failure::malformed(IssueCode::Invalid, "the path is not percent-encoded UTF-8");
    if raw.to_ascii_lowercase().contains("%2f") {
        return Err(Failure::not_found("no part of a FHIR address holds an encoded slash"));
    }
    percent_decode(raw.as_bytes()).decode_utf8().map(|p| p.into_owned()).map_err(|_| unreadable())
}

/// The preconditions. The headers are looked for only where they can mean something.
pub fn preconditions(verb: Verb, headers: &HeaderMap) -> Result<Preconditions, Failure> {
    let versions = |name: HeaderName| -> Result<Option<Vec<String>>, Failure> {
        Ok(text(headers, name)?.map(|tags| version_ids(&tags)))
    };
    let mut found = Preconditions { if_none_match: versions(IF_NONE_MATCH)?, ..Preconditions::default() };
    match verb {
        Verb::Get | Verb::Head => {
            // A date that cannot be read is ignored (RFC 9110 13.1.3).
            found.if_modified_since = text(headers, IF_MODIFIED_SINCE)?
                .and_then(|date| date.parse::<HttpDate>().ok())
                .and_then(|date| SystemTime::from(date).duration_since(SystemTime::UNIX_EPOCH).ok())
                .map(|since| since.as_secs() as i64);
        }
        _ => {
            found.if_match = versions(IF_MATCH)?;
            found.if_none_exist = text(headers, IF_NONE_EXIST)?;
        }
    }
    Ok(found)
}

/// The preferences of all `Prefer` headers (RFC 7240): of each the first counts, unknown ones are ignored.
pub fn prefer(headers: &HeaderMap) -> Prefer {
    let mut found = Prefer::default();
    let (mut returns, mut handling, mut validation) = (None, None, None);
    for value in headers.get_all(PREFER).filter_map(|v| v.to_str().ok()) {
        for preference in value.split([',', ';']).map(str::trim) {
            let Some((name, value)) = preference.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "return" if returns.is_none() => {
                    returns = match value {
                        "minimal" => Some(Return::Minimal),
                        "representation" => Some(Return::Representation),
                        "OperationOutcome" => Some(Return::OperationOutcome),
                        _ => None,
                    }
                }
                "handling" if handling.is_none() => {
                    handling = match value {
                        "strict" => Some(Handling::Strict),
                        "lenient" => Some(Handling::Lenient),
                        _ => None,
                    }
                }
                "validation" if validation.is_none() => {
                    validation = match value {
                        "structure" => Some(Strictness::Structure),
                        "full" => Some(Strictness::Full),
                        "strict" => Some(Strictness::Strict),
                        _ => None,
                    }
                }
                _ => {}
            }
        }
    }
    found.returns = returns;
    found.validation = validation;
    found.handling = handling.unwrap_or_default();
    found
}

/// The header `X-Provenance`.
pub fn provenance(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    text(headers, X_PROVENANCE)
}

/// The reference of `X-Security-Context`.
pub fn security_context(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    text(headers, X_SECURITY_CONTEXT)
}

/// The characters of a header, which must be UTF-8.
fn text(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get(&name) else { return Ok(None) };
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Failure::malformed(IssueCode::Invalid, format!("the header {name} is not UTF-8"))),
    }
}

/// What a body is, before XML is turned into JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// As `interaction` takes it.
    As(Media),
    /// A resource as XML.
    Xml,
}

/// What the body of a request is, by its Content-Type and where it goes (R4 http.html#mime-type).
pub fn sent(verb: Verb, path: &str, headers: &HeaderMap, body: &[u8]) -> Result<Sent, Failure> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';');
    let media = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let to_binary = path == "Binary" || path.starts_with("Binary/");
    let raw = || match takes_archive(verb, path) || to_binary && matches!(verb, Verb::Post | Verb::Put) {
        true if media.contains('/') => Ok(Sent::As(Media::Raw(content_type.to_owned()))),
        _ => Err(unsupported(&media)),
    };
    let found = match media.as_str() {
        "application/fhir+json" => Sent::As(Media::Json),
        "application/fhir+xml" => Sent::Xml,
        // A Binary may hold any JSON or XML; it is a resource only if it says so.
        "application/json" | "text/json" | "application/xml" | "text/xml"
            if to_binary && memchr::memmem::find(body, b"Binary").is_none() =>
        {
            return raw();
        }
        "application/json" | "text/json" | "application/json+fhir" => Sent::As(Media::Json),
        "application/xml" | "text/xml" | "application/xml+fhir" => Sent::Xml,
        "application/json-patch+json" if verb == Verb::Patch => Sent::As(Media::JsonPatch),
        "application/merge-patch+json" if verb == Verb::Patch => Sent::As(Media::MergePatch),
        "application/xml-patch+xml" if verb == Verb::Patch => Sent::As(Media::XmlPatch),
        "application/x-www-form-urlencoded" if is_search(path) => return Ok(Sent::As(Media::Form)),
        "" => match body.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'{' | b'[') => Sent::As(Media::Json),
            Some(b'<') => Sent::Xml,
            _ => return Err(unsupported("(none)")),
        },
        _ => return raw(),
    };
    for parameter in parts {
        if !is_our_version(parameter) {
            return Err(Failure::new(
                FailureKind::UnsupportedMedia,
                IssueCode::NotSupported,
                "only FHIR version 4.0 can be read",
            ));
        }
        if !is_utf8(parameter) {
            return Err(Failure::new(
                FailureKind::UnsupportedMedia,
                IssueCode::NotSupported,
                "FHIR is always UTF-8; no other charset can be read",
            ));
        }
    }
    Ok(found)
}

/// Whether the archive of a package is sent here as it is.
pub fn takes_archive(verb: Verb, path: &str) -> bool {
    path == "$package-add" && verb == Verb::Post
}

fn is_search(path: &str) -> bool {
    path == "_search" || path.ends_with("/_search")
}

/// Whether a parameter of a media type is anything but a charset other than UTF-8.
fn is_utf8(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let charset = value.trim().trim_matches('"');
            ["utf-8", "utf8", "us-ascii"].iter().any(|ours| charset.eq_ignore_ascii_case(ours))
        }
        _ => true,
    }
}

fn unsupported(media: &str) -> Failure {
    Failure::new(
        FailureKind::UnsupportedMedia,
        IssueCode::NotSupported,
        format!("Content-Type {media:?} cannot be read here; send application/fhir+json or application/fhir+xml"),
    )
}

/// Whether a request with this verb needs a body at this path.
pub fn needs_body(verb: Verb, path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    match verb {
        Verb::Post => last != "_search" && !last.starts_with('$'),
        Verb::Put | Verb::Patch => true,
        Verb::Get | Verb::Head | Verb::Delete => false,
    }
}

/// Whether this is the address of a Binary, whose content can be asked for as it is (R4 http.html#binary).
pub fn is_binary(verb: Verb, path: &str) -> bool {
    matches!(verb, Verb::Get | Verb::Head) && path.starts_with("Binary/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn paths() {
        let check = |raw: &str, expected: Option<&str>| assert_eq!(path(raw).ok().as_deref(), expected, "{raw}");
        check("", Some(""));
        check("/", Some(""));
        check("/Patient/1", Some("Patient/1"));
        check("/Patient/", Some("Patient"));
        check("/Patient/a%20b", Some("Patient/a b"));
        check("/Patient%2F1", None);
        check("/Patient/%FF", None);
    }

    #[test]
    fn preconditions_are_read() {
        let all = headers(&[
            ("if-match", "W/\"3\""),
            ("if-none-match", "W/\"1\", \"2\",*"),
            ("if-none-exist", "Patient?identifier=a|b"),
            ("if-modified-since", "Thu, 01 Jan 1970 00:01:00 GMT"),
        ]);
        let read = preconditions(Verb::Get, &all).expect("readable");
        assert_eq!(read.if_none_match.as_deref(), Some(&["1".to_owned(), "2".to_owned(), "*".to_owned()][..]));
        assert_eq!(read.if_modified_since, Some(60));
        let write = preconditions(Verb::Post, &all).expect("readable");
        assert_eq!(write.if_match.as_deref(), Some(&["3".to_owned()][..]));
        assert_eq!(write.if_none_exist.as_deref(), Some("Patient?identifier=a|b"));
    }

    #[test]
    fn preferences_are_read() {
        let read =
            prefer(&headers(&[("prefer", "respond-async, return=minimal; handling=strict, return=representation")]));
        assert_eq!((read.returns, read.handling), (Some(Return::Minimal), Handling::Strict));
        assert_eq!(prefer(&headers(&[("prefer", "validation=full")])).validation, Some(Strictness::Full));
        let none = prefer(&headers(&[("prefer", "return=nothing")]));
        assert_eq!((none.returns, none.handling), (None, Handling::Lenient));
    }

    #[test]
    fn bodies() {
        let check = |verb, path: &str, content_type: &'static str, expected: Option<Sent>| {
            let got = sent(verb, path, &headers(&[("content-type", content_type)]), b"{}").ok();
            assert_eq!(got, expected, "{verb:?} {path} {content_type}");
        };
        let json = Some(Sent::As(Media::Json));
        check(Verb::Post, "Patient", "application/fhir+json", json.clone());
        check(Verb::Post, "Patient", "application/json", json.clone());
        check(Verb::Post, "Patient", "application/fhir+json; charset=utf-8; fhirVersion=4.0", json.clone());
        check(Verb::Post, "Patient", "application/fhir+json; fhirVersion=3.0", None);
        check(Verb::Post, "Patient", "application/fhir+json; charset=iso-8859-1", None);
        check(Verb::Post, "Patient", "application/fhir+xml", Some(Sent::Xml));
        check(Verb::Post, "Patient", "text/plain", None);
        check(Verb::Post, "Patient", "", json);
        check(Verb::Patch, "Patient/1", "application/json-patch+json", Some(Sent::As(Media::JsonPatch)));
        check(Verb::Post, "Patient", "application/json-patch+json", None);
        check(Verb::Post, "Patient", "application/x-www-form-urlencoded", None);
        check(Verb::Post, "Patient/_search", "application/x-www-form-urlencoded", Some(Sent::As(Media::Form)));
        check(Verb::Post, "Binary", "image/png", Some(Sent::As(Media::Raw("image/png".into()))));
        check(Verb::Post, "Binary", "application/json", Some(Sent::As(Media::Raw("application/json".into()))));
        check(Verb::Patch, "Binary/1", "image/png", None);
    }
}
