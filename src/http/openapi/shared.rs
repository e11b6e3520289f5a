//! What many addresses of the OpenAPI document share: parameters, bodies, responses, schemas.

use super::super::exchange::names;
use super::{Named, component};
use crate::definitions::{Definitions, SearchKind, SearchParameter};
use crate::interaction::HISTORY_PARAMETERS;
use crate::search;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AdditionalProperties, Components, Object, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Required};

/// Parameters of the answer to a search, as they are read.
pub const CONTROLS: &[&str] = &search::CONTROLS;
/// Filters of a search that are no search parameters of a type.
pub const FILTERS: &[&str] = &["_list", "_not-referenced"];
/// Search parameters whose names are not listed.
pub const CRITERIA: &[&str] = &["criteria"];
/// What an operation is given in the query string.
pub const INPUTS: &[&str] = &["inputs"];
/// How the answer is written.
pub const FORMAT: &[&str] = &["_format", "_pretty"];
/// Parameters of a history, as they are read.
pub const HISTORY: &[&str] = &HISTORY_PARAMETERS;
/// Which part of a resource is given.
pub const SUBSET: &[&str] = &["_summary", "_elements"];
/// Headers of a read.
pub const IF_CHANGED: &[&str] = &[names::IF_NONE_MATCH, names::IF_MODIFIED_SINCE];
/// Header of a create.
pub const IF_NONE: &[&str] = &[names::IF_NONE_EXIST];
/// Headers of an update, a patch or a delete.
pub const IF_SAME: &[&str] = &[names::IF_MATCH, names::IF_NONE_MATCH];
/// Header of a search.
pub const PREFER: &[&str] = &[names::PREFER];
/// Headers of everything that writes.
pub const WRITES: &[&str] = &[names::PREFER, names::X_PROVENANCE];
/// Header of a Binary that is sent as it is.
pub const SECURITY_CONTEXT: &str = names::X_SECURITY_CONTEXT;

/// A header as people write it: `If-Match`. Names of other parameters stay as they are.
pub fn shown(name: &str) -> String {
    if HEADERS.iter().all(|(header, _)| *header != name) {
        return name.to_owned();
    }
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// What each header means.
const HEADERS: &[(&str, &str)] = &[
    (names::IF_MATCH, "W/\"[version]\": only if this is the current version"),
    (names::IF_NONE_MATCH, "W/\"[version]\": not if this is the current version; *: not if there is one"),
    (names::IF_MODIFIED_SINCE, "only if it was changed after this HTTP date"),
    (names::IF_NONE_EXIST, "search criteria: only if nothing matches them"),
    (
        names::PREFER,
        "return=minimal, return=representation or return=OperationOutcome; handling=strict or handling=lenient; \
         validation=structure, validation=full or validation=strict (more than the server does anyway, never less)",
    ),
    (names::X_PROVENANCE, "a Provenance resource as JSON, stored with what is written; in a batch, with each write"),
    (names::X_SECURITY_CONTEXT, "for content that is sent as it is: a reference to what it belongs to"),
];

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

/// Any names with any values.
fn fields() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
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
    for (name, description) in HEADERS {
        add(&shown(name), ParameterIn::Header, text(), description);
    }
    for (name, description) in [
        ("criteria", "search parameters of the type, as for a search by GET"),
        ("inputs", "what the operation is given, by name, where it needs no more than primitives"),
    ] {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .description(Some(description))
            .schema(Some(fields()));
        all.insert(name.to_owned(), RefOr::T(parameter.build()));
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
    let form = RequestBodyBuilder::new()
        .required(Some(Required::False))
        .content("application/x-www-form-urlencoded", ContentBuilder::new().schema(Some(fields())).build());
    let anything = || ContentBuilder::new().build();
    let json_and_xml = || {
        let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("resource"))).build();
        RequestBodyBuilder::new().required(Some(Required::True)).content(JSON, content()).content(XML, content())
    };
    Named::from([
        ("resource".into(), body(&[(JSON, "resource"), (XML, "resource")], Required::True)),
        ("bundle".into(), body(&[(JSON, "Bundle"), (XML, "Bundle")], Required::True)),
        ("parameters".into(), body(&[(JSON, "resource"), (XML, "resource")], Required::False)),
        ("patch".into(), RefOr::T(patch.build())),
        ("form".into(), RefOr::T(form.build())),
        // The resource, or its content.
        ("binary".into(), RefOr::T(json_and_xml().content("*/*", anything()).build())),
        // A Parameters resource, or the archive of a package.
        ("archive".into(), RefOr::T(json_and_xml().content("*/*", anything()).build())),
    ])
}

fn responses() -> Named<Response> {
    let with = |description: &str, schema: &str| {
        let mut response = ResponseBuilder::new().description(description);
        for media in ["application/fhir+json", "application/fhir+xml"] {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            response = response.content(media, content);
        }
        // One resource a line; of a Bundle its entries.
        response.content("application/fhir+ndjson", ContentBuilder::new().build())
    };
    let content = with("A Binary, or, where no format of FHIR is asked for, its content", "resource");
    let nothing = ResponseBuilder::new().description("Done; nothing to say");
    Named::from([
        ("resource".into(), RefOr::T(with("A resource, or what Prefer asks for instead", "resource").build())),
        ("bundle".into(), RefOr::T(with("A Bundle", "Bundle").build())),
        ("binary".into(), RefOr::T(content.content("*/*", ContentBuilder::new().build()).build())),
        ("outcome".into(), RefOr::T(with("What is wrong", "OperationOutcome").build())),
        ("nothing".into(), RefOr::T(nothing.build())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_that_is_read_is_described() {
        assert!(names::ALL.iter().all(|name| HEADERS.iter().any(|(header, _)| header == name)));
        assert_eq!(shown(names::X_SECURITY_CONTEXT), "X-Security-Context");
        assert_eq!(shown("_not-referenced"), "_not-referenced");
    }
}
