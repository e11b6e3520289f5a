//! What many addresses of the OpenAPI document share: parameters, bodies, responses, schemas.

use super::{Named, component};
use crate::definitions::{Definitions, SearchKind, SearchParameter};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AdditionalProperties, Components, Object, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Required};

/// Parameters of the answer to a search (R4 search.html#return).
pub const RESULT: &[&str] = &[
    "_sort",
    "_count",
    "_include",
    "_revinclude",
    "_summary",
    "_elements",
    "_total",
    "_contained",
    "_containedType",
    "_explain",
    "_list",
    "_not-referenced",
    "_format",
    "_pretty",
];
/// Parameters of a history.
pub const HISTORY: &[&str] = &["_since", "_at", "_count", "_format", "_pretty"];
/// Parameters and headers of a read.
pub const READ: &[&str] = &["_summary", "_elements", "_format", "_pretty", "If-None-Match", "If-Modified-Since"];
/// Parameters of a vread.
pub const VREAD: &[&str] = &["_summary", "_elements", "_format", "_pretty"];
/// Headers of a create.
pub const CREATE: &[&str] = &["If-None-Exist", "Prefer", "X-Provenance"];
/// Headers of an update, a patch or a delete.
pub const WRITE: &[&str] = &["If-Match", "Prefer", "X-Provenance"];

/// A reference into the components.
pub fn reference(section: &str, name: &str) -> Ref {
    component(section, name)
}

/// A reference to a response.
pub fn response(name: &str) -> RefOr<Response> {
    RefOr::Ref(component("responses", name))
}

/// The name of a search parameter among the components: parameters of one code and type are the same here.
pub fn search_name(parameter: &SearchParameter) -> String {
    format!("{}.{}", parameter.code, parameter.kind.code())
}

/// All components.
pub fn components(definitions: &Definitions) -> Components {
    let mut components = Components::new();
    components.schemas.insert("resource".into(), RefOr::T(resource("any resource type").into()));
    components.schemas.insert("Bundle".into(), RefOr::T(resource("Bundle").into()));
    components.schemas.insert("OperationOutcome".into(), RefOr::T(resource("OperationOutcome").into()));
    components.parameters = parameters(definitions);
    components.request_bodies = bodies();
    components.responses = responses();
    components
}

fn resource(kind: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(format!("FHIR R4 JSON: {kind}")))
        .property("resourceType", ObjectBuilder::new().schema_type(Type::String))
        .required("resourceType")
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}

fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

fn number() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).build()
}

fn parameters(definitions: &Definitions) -> Named<Parameter> {
    let mut all = Named::new();
    let mut add = |name: &str, place: ParameterIn, schema: Object, description: &str| {
        let required = if matches!(place, ParameterIn::Path) { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(required)
            .description(Some(description))
            .schema(Some(schema));
        all.insert(name.to_owned(), RefOr::T(parameter.build()));
    };
    add("id", ParameterIn::Path, text(), "logical id");
    add("vid", ParameterIn::Path, text(), "version id");
    add("type", ParameterIn::Path, text(), "resource type, or * for all");
    for (name, description) in [
        ("_type", "resource types, separated by commas"),
        ("_sort", "search parameters, separated by commas; '-' in front for descending order"),
        ("_include", "[type]:[parameter](:[type]): also give what this reference of the matches points to"),
        ("_revinclude", "[type]:[parameter](:[type]): also give what points to the matches by this reference"),
        ("_summary", "true, text, data, count or false"),
        ("_elements", "names of elements at the top, separated by commas; the others are left out"),
        ("_total", "none, estimate or accurate"),
        ("_contained", "true, false or both: whether contained resources are looked for"),
        ("_containedType", "container or contained: which of the two is given"),
        ("_explain", "true: the answer also says how the search was read and what each step found"),
        ("_list", "ids of Lists whose entries are meant, or $current-problems and the like"),
        ("_not-referenced", "*:*, [type]:* or [type]:[parameter]: only what nothing refers to so"),
        ("_since", "an instant: only versions made then or later"),
        ("_at", "a date or time: only versions that were current then"),
        ("_format", "json, xml, ndjson or a media type; overrides Accept"),
        ("_pretty", "true: indented"),
    ] {
        add(name, ParameterIn::Query, text(), description);
    }
    add("_count", ParameterIn::Query, number(), "entries of a page");
    for (name, description) in [
        ("If-Match", "W/\"[version]\": only if this is the current version"),
        ("If-None-Match", "W/\"[version]\": not if this is the current version"),
        ("If-Modified-Since", "only if it was changed after this HTTP date"),
        ("If-None-Exist", "search criteria: only if nothing matches them"),
        (
            "Prefer",
            "return=minimal, return=representation or return=OperationOutcome; handling=strict or handling=lenient; \
             validation=structure, validation=full or validation=strict (more than the server does anyway, never less)",
        ),
        ("X-Provenance", "a Provenance resource as JSON, stored with what is written"),
    ] {
        add(name, ParameterIn::Header, text(), description);
    }
    for kind in &definitions.resources {
        for parameter in definitions.search_parameters_of(*kind) {
            let name = search_name(parameter);
            all.entry(name).or_insert_with(|| RefOr::T(search_parameter(parameter)));
        }
    }
    all
}

fn search_parameter(parameter: &SearchParameter) -> Parameter {
    let how = match parameter.kind {
        SearchKind::Number => "number, with a prefix such as gt",
        SearchKind::Date => "date or time, with a prefix such as ge",
        SearchKind::String => "string: the beginning, without regard to case and accents",
        SearchKind::Token => "token: [code], [system]|[code], |[code] or [system]|",
        SearchKind::Reference => "reference: [id], [type]/[id] or a URL",
        SearchKind::Composite => "composite: values joined by $",
        SearchKind::Quantity => "quantity: [prefix][number]|[system]|[code]",
        SearchKind::Uri => "uri, exactly",
        SearchKind::Special => "special",
    };
    ParameterBuilder::new()
        .name(&*parameter.code)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(how))
        .schema(Some(text()))
        .build()
}

fn bodies() -> Named<RequestBody> {
    let body = |content: &[(&str, &str)], required| {
        let mut body = RequestBodyBuilder::new().required(Some(required));
        for (media, schema) in content {
            body = body.content(*media, ContentBuilder::new().schema(Some(Ref::from_schema_name(*schema))).build());
        }
        RefOr::T(body.build())
    };
    const JSON: &str = "application/fhir+json";
    const XML: &str = "application/fhir+xml";
    let mut patch = RequestBodyBuilder::new().required(Some(Required::True));
    for media in ["application/json-patch+json", "application/merge-patch+json", "application/xml-patch+xml"] {
        patch = patch.content(media, ContentBuilder::new().build());
    }
    // A FHIRPath Patch is a Parameters resource.
    for media in [JSON, XML] {
        patch = patch.content(media, ContentBuilder::new().schema(Some(Ref::from_schema_name("resource"))).build());
    }
    let fields = ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build();
    let form = RequestBodyBuilder::new()
        .required(Some(Required::False))
        .content("application/x-www-form-urlencoded", ContentBuilder::new().schema(Some(fields)).build());
    Named::from([
        ("resource".into(), body(&[(JSON, "resource"), (XML, "resource")], Required::True)),
        ("bundle".into(), body(&[(JSON, "Bundle"), (XML, "Bundle")], Required::True)),
        ("parameters".into(), body(&[(JSON, "resource"), (XML, "resource")], Required::False)),
        ("patch".into(), RefOr::T(patch.build())),
        ("form".into(), RefOr::T(form.build())),
    ])
}

fn responses() -> Named<Response> {
    let response = |description: &str, schema: Option<&str>| {
        let mut response = ResponseBuilder::new().description(description);
        for media in ["application/fhir+json", "application/fhir+xml"] {
            if let Some(schema) = schema {
                let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
                response = response.content(media, content);
            }
        }
        RefOr::T(response.build())
    };
    Named::from([
        ("resource".into(), response("A resource, or what Prefer asks for instead", Some("resource"))),
        ("bundle".into(), response("A Bundle", Some("Bundle"))),
        ("outcome".into(), response("What is wrong", Some("OperationOutcome"))),
        ("nothing".into(), response("Done; nothing to say", None)),
    ])
}
