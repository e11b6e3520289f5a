//! Which format the client wants (R4 http.html#mime-type, http.html#parameters): the Accept header with its
//! q-values, overridden by `_format`; `_pretty`; the `fhirVersion` parameter of media types. Does not convert.

use crate::base::{Failure, FailureKind, IssueCode};
use actix_web::http::header::{ACCEPT, HeaderMap};
use percent_encoding::percent_decode_str;

/// A format that Vesta writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/fhir+json`
    Json,
    /// `application/fhir+xml`
    Xml,
    /// `application/fhir+ndjson`: one resource a line; of a Bundle, its entries.
    Ndjson,
}

impl Format {
    /// The Content-Type of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/fhir+json; charset=utf-8",
            Format::Xml => "application/fhir+xml; charset=utf-8",
            Format::Ndjson => "application/fhir+ndjson; charset=utf-8",
        }
    }
}

/// What the client wants to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The format.
    pub format: Format,
    /// Indented, for people.
    pub pretty: bool,
    /// Whether a FHIR format was named. If not, a Binary is given as what it holds (R4 http.html#binary).
    pub named: bool,
}

impl Wanted {
    /// What is given to who cannot be asked: errors before and in negotiation.
    pub const JSON: Wanted = Wanted { format: Format::Json, pretty: false, named: true };
}

/// What a request wants. `parameters` is the raw query string, or the form body of a search.
pub fn wanted(headers: &HeaderMap, parameters: &str) -> Result<Wanted, Failure> {
    let (format, pretty) = in_parameters(parameters);
    let pretty = pretty.is_some_and(|p| p == "true");
    if let Some(format) = format.filter(|f| !f.is_empty()) {
        return match format_of(&format) {
            Some(format) => Ok(Wanted { format, pretty, named: true }),
            None => Err(not_acceptable(format!("_format={format:?} cannot be produced"))),
        };
    }
    let mut values = headers.get_all(ACCEPT).filter_map(|v| v.to_str().ok());
    let Some(first) = values.next() else {
        return Ok(Wanted { format: Format::Json, pretty, named: false });
    };
    match first {
        "*/*" | "" => return Ok(Wanted { format: Format::Json, pretty, named: false }),
        "application/fhir+json" | "application/json" => {
            return Ok(Wanted { format: Format::Json, pretty, named: true });
        }
        _ => {}
    }
    let accept = values.fold(first.to_owned(), |all, next| all + "," + next);
    accepted(&accept).map(|(format, named)| Wanted { format, pretty, named }).ok_or_else(|| {
        not_acceptable(
            "none of the formats in Accept can be produced; there are application/fhir+json, application/fhir+xml \
             and application/fhir+ndjson, all of FHIR version 4.0",
        )
    })
}

fn not_acceptable(why: impl Into<String>) -> Failure {
    Failure::new(FailureKind::NotAcceptable, IssueCode::NotSupported, why)
}

/// `_format` and `_pretty` of a query string.
fn in_parameters(parameters: &str) -> (Option<String>, Option<String>) {
    if !parameters.contains("_format=") && !parameters.contains("_pretty=") {
        return (None, None);
    }
    let value = |name: &str| {
        let pair = parameters.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='))?;
        Some(percent_decode_str(pair).decode_utf8_lossy().trim().to_ascii_lowercase())
    };
    (value("_format"), value("_pretty"))
}

/// The format that a value of `_format` names. A `+` may have come as a space.
fn format_of(value: &str) -> Option<Format> {
    match value {
        "json" => Some(Format::Json),
        "xml" => Some(Format::Xml),
        "ndjson" => Some(Format::Ndjson),
        media => named(&media.replacen("fhir ", "fhir+", 1)),
    }
}

/// The format that a media type with its parameters names, if it is one of ours in our version of FHIR.
fn named(media: &str) -> Option<Format> {
    let mut parts = media.split(';');
    let format = match parts.next()?.trim() {
        "application/fhir+json" | "application/json" | "text/json" | "application/json+fhir" => Format::Json,
        "application/fhir+xml" | "application/xml" | "text/xml" | "application/xml+fhir" => Format::Xml,
        "application/fhir+ndjson" | "application/ndjson" | "application/x-ndjson" => Format::Ndjson,
        _ => return None,
    };
    parts.all(is_our_version).then_some(format)
}

/// Whether a parameter of a media type allows FHIR R4: any parameter but a `fhirVersion` of another version.
pub fn is_our_version(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("fhirversion") => {
            matches!(value.trim().trim_matches('"'), "4.0" | "4.0.1")
        }
        _ => true,
    }
}

/// The best format for an Accept header, and whether a FHIR format was named there.
fn accepted(accept: &str) -> Option<(Format, bool)> {
    let accept = accept.to_ascii_lowercase();
    // A browser's standing header names XML but means HTML; what is shown best there is JSON.
    let browser = accept.contains("text/html") && accept.contains("*/*");
    let mut best: Option<(Format, u32, bool)> = None;
    let mut refused = Vec::new();
    let mut any = 0;
    for range in accept.split(',') {
        let quality = quality(range);
        let media = range.split(';').next().unwrap_or_default().trim();
        if matches!(media, "*/*" | "application/*") && range.split(';').skip(1).all(is_our_version) {
            any = any.max(quality);
        } else if let Some(format) = named(range).filter(|_| !(browser && matches!(media, "application/xml"))) {
            if quality == 0 {
                refused.push(format);
            } else if best.is_none_or(|(_, q, _)| quality > q) {
                best = Some((format, quality, true));
            }
        }
    }
    let wild = [Format::Json, Format::Xml, Format::Ndjson].into_iter().find(|f| !refused.contains(f));
    match (best, wild) {
        (Some((_, quality, _)), Some(wild)) if any > quality && !named_in(&accept, wild) => Some((wild, false)),
        (Some((format, ..)), _) => Some((format, true)),
        (None, Some(wild)) if any > 0 => Some((wild, false)),
        _ => None,
    }
}

/// Whether a format stands in an Accept header by name: then its own q-value counts, not that of a wildcard.
fn named_in(accept: &str, format: Format) -> bool {
    accept.split(',').any(|range| named(range) == Some(format))
}

/// The q-value of a media or coding range in thousandths.
pub fn quality(range: &str) -> u32 {
    let q = range.split(';').skip(1).find_map(|p| p.trim().strip_prefix("q="));
    match q.map(|q| q.trim().parse::<f32>()) {
        None => 1000,
        Some(Ok(q)) if (0.0..=1.0).contains(&q) => (q * 1000.0) as u32,
        Some(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn check(accept: Option<&str>, query: &str, expected: Option<Format>) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_str(accept).expect("a header value"));
        }
        let got = wanted(&headers, query).ok().map(|w| w.format);
        assert_eq!(got, expected, "Accept {accept:?}, query {query:?}");
    }

    #[test]
    fn accept() {
        use Format::*;
        check(None, "", Some(Json));
        check(Some("*/*"), "", Some(Json));
        check(Some("application/*"), "", Some(Json));
        check(Some("application/fhir+xml"), "", Some(Xml));
        check(Some("application/fhir+xml;q=0.5, application/fhir+json;q=0.9"), "", Some(Json));
        check(Some("text/html;q=0.5, application/fhir+json;q=0.9"), "", Some(Json));
        check(Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), "", Some(Json));
        check(Some("application/fhir+xml, */*;q=0.1"), "", Some(Xml));
        check(Some("application/fhir+json;q=0, */*"), "", Some(Xml));
        check(Some("application/fhir+json; fhirVersion=4.0"), "", Some(Json));
        check(Some("application/fhir+json; fhirVersion=3.0"), "", None);
        check(Some("application/fhir+json; fhirVersion=3.0, application/fhir+xml;fhirVersion=4.0"), "", Some(Xml));
        check(Some("application/fhir+ndjson"), "", Some(Ndjson));
        check(Some("text/html"), "", None);
        check(Some("application/x-nope"), "", None);
    }

    #[test]
    fn format_parameter_overrides() {
        use Format::*;
        check(Some("text/html"), "_format=json", Some(Json));
        check(Some("application/fhir+json"), "name=a&_format=xml", Some(Xml));
        check(None, "_format=application/fhir+xml", Some(Xml));
        check(None, "_format=application/fhir%2Bxml&x=1", Some(Xml));
        check(None, "_format=application%2Ffhir%20json", Some(Json));
        check(None, "_format=application/fhir+json;fhirVersion=3.0", None);
        check(None, "_format=html", None);
        check(None, "x_format=xml", Some(Json));
    }
}
