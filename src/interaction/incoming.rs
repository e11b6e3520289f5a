//! What clients send: from the bytes of a body to a resource that may be stored. One parse serves the checks, the
//! validation (`examiner`), the index and the stored body. Stores nothing.

use super::{Media, Payload, Request, Service, binary};
use crate::base::{Failure, FailureKind, Issue, IssueCode, TextPosition};
use crate::definitions::TypeId;
use crate::json::{Document, Kind, Limits, SyntaxError, Value};
use crate::store::Content;
use std::borrow::Cow;

/// A resource that passed the checks: what is stored of it, and what was noticed.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// What is stored.
    pub content: Content,
    /// Warnings of the validation.
    pub warnings: Vec<Issue>,
}

/// The body of a request; refuses requests without one.
pub(crate) fn payload(request: &Request) -> Result<&Payload, Failure> {
    match &request.body {
        Some(payload) if !payload.bytes.is_empty() => Ok(payload),
        _ => Err(Failure::malformed(IssueCode::Required, "the request has no body")),
    }
}

/// The JSON text of the resource in a body. The content of a Binary may be sent as it is.
pub(crate) fn resource_text<'r>(
    service: &Service,
    request: &'r Request,
    kind: TypeId,
) -> Result<Cow<'r, [u8]>, Failure> {
    let payload = payload(request)?;
    match &payload.media {
        Media::Json => Ok(Cow::Borrowed(&payload.bytes)),
        Media::Raw(content_type) if service.definitions.name(kind) == "Binary" => {
            Ok(Cow::Owned(binary::wrap(content_type, &payload.bytes, request.security_context.as_deref())))
        }
        other => Err(unsupported(other)),
    }
}

/// The failure for a body in a format that is not read here.
pub(crate) fn unsupported(media: &Media) -> Failure {
    let name = match media {
        Media::Json => "a FHIR resource",
        Media::JsonPatch => "application/json-patch+json",
        Media::MergePatch => "application/merge-patch+json",
        Media::XmlPatch => "application/xml-patch+xml",
        Media::Form => "application/x-www-form-urlencoded",
        Media::Raw(name) => name,
    };
    let name: String = name.chars().take(100).collect();
    Failure::new(
        FailureKind::UnsupportedMedia,
        IssueCode::NotSupported,
        format!("a body of type {name} is not accepted by this interaction"),
    )
}

/// Reads a JSON text.
pub(crate) fn parse<'t>(bytes: &'t [u8], limits: &Limits) -> Result<Document<'t>, Failure> {
    Document::parse(bytes, limits).map_err(of_syntax)
}

/// The failure of a text that is not JSON.
pub(crate) fn of_syntax(error: SyntaxError) -> Failure {
    let mut issue = Issue::error(IssueCode::Structure, format!("this is not JSON: {error}"));
    issue.position = Some(TextPosition { line: error.line, column: error.column });
    Failure::of(FailureKind::Malformed, vec![issue])
}

impl Service {
    /// Checks that a value is a resource of a type, and a Bundle no larger than is taken.
    pub(crate) fn check_type(&self, kind: TypeId, resource: Value<'_>) -> Result<(), Failure> {
        let expected = self.definitions.name(kind);
        if resource.kind() != Kind::Object {
            return Err(Failure::malformed(IssueCode::Structure, "a resource is a JSON object").at(expected));
        }
        match resource.get("resourceType").and_then(Value::as_str) {
            Some(name) if name == expected && name == "Bundle" => self.check_entries(resource),
            Some(name) if name == expected => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(64).collect();
                Err(Failure::malformed(
                    IssueCode::Invalid,
                    format!("the resource is of type '{name}', but {expected} is expected here"),
                )
                .at(expected))
            }
            None => Err(Failure::malformed(IssueCode::Required, "the resource has no 'resourceType'").at(expected)),
        }
    }

    /// Every entry costs: a Bundle with too many is refused before anything else looks at it.
    fn check_entries(&self, bundle: Value<'_>) -> Result<(), Failure> {
        let most = self.settings.max_entries;
        let count = bundle.get("entry").map_or(0, |entries| entries.items().count());
        if count <= most {
            return Ok(());
        }
        let why = format!("the Bundle has {count} entries; this server takes {most} at once");
        Err(Failure::new(FailureKind::TooLarge, IssueCode::TooLong, why).at("Bundle.entry"))
    }
}

/// The logical id in a resource of a type, if there is one; refuses anything but a string.
pub(crate) fn id_of<'d>(kind: &str, resource: Value<'d>) -> Result<Option<Cow<'d, str>>, Failure> {
    match resource.get("id") {
        None => Ok(None),
        Some(id) => match id.as_str() {
            Some(id) => Ok(Some(id)),
            None => Err(Failure::malformed(IssueCode::Structure, "'id' must be a string").at(&format!("{kind}.id"))),
        },
    }
}
