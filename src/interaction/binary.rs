//! Binary (R4 binary.html#rest): its content as it is, in and out. All else about it is like any other resource.

use super::ReplyContent;
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::{Definitions, TypeId};
use crate::json::{Document, Limits, Value, escape_into};
use crate::primitive::Reference;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A Binary resource around content as it was sent. `context`: what the `X-Security-Context` header refers to.
pub(super) fn wrap(content_type: &str, bytes: &[u8], context: Option<&str>) -> Vec<u8> {
    let mut out = String::with_capacity(80 + content_type.len() + bytes.len() * 4 / 3);
    out.push_str("{\"resourceType\":\"Binary\",\"contentType\":");
    escape_into(content_type, &mut out);
    if let Some(reference) = context {
        out.push_str(",\"securityContext\":{\"reference\":");
        escape_into(reference, &mut out);
        out.push('}');
    }
    out.push_str(",\"data\":\"");
    STANDARD.encode_string(bytes, &mut out);
    out.push_str("\"}");
    out.into_bytes()
}

/// The content of a Binary.
pub(super) fn unwrap(json: &[u8], limits: &Limits) -> Result<ReplyContent, Failure> {
    let document = Document::parse(json, limits).map_err(Failure::internal)?;
    let (content_type, bytes) = content(document.root())?;
    let context = document.root().get("securityContext").and_then(|c| c.get("reference"));
    let security_context = context.and_then(Value::as_str).map(|reference| reference.into_owned());
    Ok(ReplyContent::Raw { content_type, bytes, security_context })
}

/// Content type and content of a Binary.
pub(super) fn content(binary: Value<'_>) -> Result<(String, Vec<u8>), Failure> {
    let text = |name| binary.get(name).and_then(Value::as_str);
    let content_type = text("contentType").unwrap_or_default().into_owned();
    // Base64 may be broken into lines (R4 datatypes.html#base64Binary).
    let mut data = text("data").unwrap_or_default().into_owned();
    data.retain(|c| !c.is_ascii_whitespace());
    let bytes = STANDARD.decode(data).map_err(|_| {
        Failure::new(FailureKind::Unprocessable, IssueCode::Value, "the data of the Binary are not base64")
            .at("Binary.data")
    })?;
    Ok((content_type, bytes))
}

/// The resource of this server that the security context of a Binary names.
pub(super) fn security_context(binary: Value<'_>, definitions: &Definitions) -> Option<(TypeId, ResourceId)> {
    let reference = binary.get("securityContext")?.get("reference")?.as_str()?;
    match Reference::parse(&reference) {
        Reference::Relative { kind, id, .. } => Some((definitions.resource(kind)?, ResourceId::new(id)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let json = wrap("text/plain; a=\"b\"", b"h\xffi", Some("Patient/1"));
        let ReplyContent::Raw { content_type, bytes, security_context } =
            unwrap(&json, &Limits::default()).expect("a Binary")
        else {
            panic!("not raw");
        };
        assert_eq!(security_context.as_deref(), Some("Patient/1"));
        assert_eq!((content_type.as_str(), bytes.as_slice()), ("text/plain; a=\"b\"", &b"h\xffi"[..]));
    }
}
