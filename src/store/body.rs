//! The stored body: the JSON text of a resource without its head. The head (resourceType, id, versionId,
//! lastUpdated) is known from the key and the version record and is written in front when the version is read, so
//! that a body can be made before its version number and time are known.

use crate::base::Timestamp;
use crate::json::{Kind, Value, escape_into, minify_into};

/// What follows `…"lastUpdated":"…"` in the JSON text of a resource: the rest of `meta`, its closing brace, the
/// other elements in their order, and the closing brace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(pub Vec<u8>);

impl Body {
    /// The body of a resource: `resourceType`, `id`, `meta.versionId` and `meta.lastUpdated` are left out (the
    /// primitive extensions of the latter two with them), white space between tokens too; all else stays as written.
    pub fn of(resource: Value<'_>) -> Body {
        let mut out = String::with_capacity(resource.raw().len());
        if let Some(meta) = resource.get("meta").filter(|m| m.kind() == Kind::Object) {
            for (key, value) in meta.entries() {
                if !matches!(&*key, "versionId" | "lastUpdated" | "_versionId" | "_lastUpdated") {
                    member(&key, value, &mut out);
                }
            }
        }
        out.push('}');
        for (key, value) in resource.entries() {
            if !matches!(&*key, "resourceType" | "id" | "meta") {
                member(&key, value, &mut out);
            }
        }
        out.push('}');
        Body(out.into_bytes())
    }

    /// Writes the whole resource as JSON.
    pub fn write_resource(body: &[u8], kind: &str, id: &str, version: u64, updated: Timestamp, out: &mut Vec<u8>) {
        use std::io::Write;
        out.reserve(body.len() + 128);
        let _ = write!(
            out,
            "{{\"resourceType\":\"{kind}\",\"id\":\"{id}\",\"meta\":{{\"versionId\":\"{version}\",\"lastUpdated\":\""
        );
        out.extend_from_slice(updated.to_instant().as_bytes());
        out.push(b'"');
        out.extend_from_slice(body);
    }
}

fn member(key: &str, value: Value<'_>, out: &mut String) {
    out.push(',');
    escape_into(key, out);
    out.push(':');
    minify_into(value, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    #[test]
    fn head_is_replaced_and_the_rest_kept() {
        let text = r#"{ "resourceType":"Patient", "x" : [1.00, {"b":1,"a":"\u00e9"}], "meta":{"versionId":"7","tag":[{"code":"t"}],"lastUpdated":"x"}, "id":"q" }"#;
        let doc = Document::parse(text.as_bytes(), &Limits::default()).expect("legal");
        let body = Body::of(doc.root());
        let mut out = Vec::new();
        Body::write_resource(&body.0, "Patient", "p1", 3, Timestamp(0), &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            r#"{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:00.000Z","tag":[{"code":"t"}]},"x":[1.00,{"b":1,"a":"\u00e9"}]}"#
        );
    }
}
