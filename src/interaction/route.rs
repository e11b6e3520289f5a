//! Verb and path to interaction, by one table that the CapabilityStatement also reads. Says what can be asked for,
//! not whether it may be.

use super::{Interaction, Verb};
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::{Definitions, TypeId};

/// A part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// This word.
    Word(&'static str),
    /// A resource type.
    Type,
    /// A logical id.
    Id,
    /// A version id.
    Version,
    /// A resource type or `*`, under a compartment.
    Member,
    /// `$name`.
    Operation,
}

/// Where a route is declared in the CapabilityStatement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// `rest.resource.interaction.code`
    Type(&'static str),
    /// `rest.interaction.code`, one or several
    System(&'static [&'static str]),
    /// Nowhere by itself: it is another form of something declared.
    Implied,
}

/// What a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Target {
    Capabilities,
    Read,
    VersionRead,
    Create,
    Update,
    ConditionalUpdate,
    Patch,
    ConditionalPatch,
    Delete,
    ConditionalDelete,
    HistoryInstance,
    HistoryType,
    HistorySystem,
    SearchType,
    SearchSystem,
    SearchCompartment,
    Bundle,
    Operation,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The verb. HEAD is served wherever GET is.
    pub verb: Verb,
    /// The parts of the path under the base.
    pub path: &'static [Part],
    /// What it leads to.
    pub target: Target,
    /// Where it is declared.
    pub declared: Declared,
}

const fn route(verb: Verb, path: &'static [Part], target: Target, declared: Declared) -> Route {
    Route { verb, path, target, declared }
}

/// All routes of the RESTful API (R4 http.html#summary).
pub const ROUTES: &[Route] = {
    use Declared::{Implied, System, Type as OnType};
    use Part::{Id, Member, Operation, Type, Version, Word};
    use Verb::{Delete, Get, Patch, Post, Put};
    const SEARCH: Part = Word("_search");
    const HISTORY: Part = Word("_history");
    &[
        route(Get, &[Word("metadata")], Target::Capabilities, Implied),
        route(Get, &[], Target::SearchSystem, System(&["search-system"])),
        route(Post, &[], Target::Bundle, System(&["transaction", "batch"])),
        route(Post, &[SEARCH], Target::SearchSystem, Implied),
        route(Get, &[HISTORY], Target::HistorySystem, System(&["history-system"])),
        route(Get, &[Type, Id], Target::Read, OnType("read")),
        route(Get, &[Type, Id, HISTORY, Version], Target::VersionRead, OnType("vread")),
        route(Put, &[Type, Id], Target::Update, OnType("update")),
        route(Put, &[Type], Target::ConditionalUpdate, Implied),
        route(Patch, &[Type, Id], Target::Patch, OnType("patch")),
        route(Patch, &[Type], Target::ConditionalPatch, Implied),
        route(Delete, &[Type, Id], Target::Delete, OnType("delete")),
        route(Delete, &[Type], Target::ConditionalDelete, Implied),
        route(Get, &[Type, Id, HISTORY], Target::HistoryInstance, OnType("history-instance")),
        route(Get, &[Type, HISTORY], Target::HistoryType, OnType("history-type")),
        route(Post, &[Type], Target::Create, OnType("create")),
        route(Get, &[Type], Target::SearchType, OnType("search-type")),
        route(Post, &[Type, SEARCH], Target::SearchType, Implied),
        route(Get, &[Type, Id, Member], Target::SearchCompartment, Implied),
        route(Post, &[Type, Id, Member, SEARCH], Target::SearchCompartment, Implied),
        route(Post, &[Type, Id, SEARCH], Target::SearchCompartment, Implied),
        route(Get, &[Operation], Target::Operation, Implied),
        route(Post, &[Operation], Target::Operation, Implied),
        route(Get, &[Type, Operation], Target::Operation, Implied),
        route(Post, &[Type, Operation], Target::Operation, Implied),
        route(Get, &[Type, Id, Operation], Target::Operation, Implied),
        route(Post, &[Type, Id, Operation], Target::Operation, Implied),
    ]
};

impl Part {
    /// Whether a segment can stand here. Words of the API begin with `_` or `$`; types and ids do not.
    fn takes(self, segment: &str) -> bool {
        let word = segment.starts_with(['_', '$']) || segment == "metadata";
        match self {
            Part::Word(expected) => segment == expected,
            Part::Type | Part::Id => !word,
            Part::Version => true,
            Part::Member => segment == "*" || segment.starts_with(|c: char| c.is_ascii_uppercase()),
            Part::Operation => segment.starts_with('$'),
        }
    }
}

/// The segments that a path fills into a route, as far as they are given.
#[derive(Default)]
struct Filled<'p> {
    kind: Option<TypeId>,
    id: Option<ResourceId>,
    version: &'p str,
    member: &'p str,
    operation: &'p str,
}

/// Finds the interaction of a verb and a path under the base.
pub fn find(definitions: &Definitions, verb: Verb, path: &str) -> Result<Interaction, Failure> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
    let verb = if verb == Verb::Head { Verb::Get } else { verb };
    let mut known = None;
    for route in ROUTES {
        let fits = route.path.len() == segments.len() && route.path.iter().zip(&segments).all(|(p, s)| p.takes(s));
        if fits && route.verb == verb {
            return build(route.target, fill(definitions, route, &segments)?, definitions);
        }
        known = known.or(fits.then_some(route));
    }
    let Some(route) = known else {
        return Err(Failure::new(
            FailureKind::NotFound,
            IssueCode::NotFound,
            "this path is no address of the RESTful API",
        ));
    };
    fill(definitions, route, &segments)?;
    Err(Failure::new(FailureKind::NotAllowed, IssueCode::NotSupported, "this method is not allowed on this address"))
}

/// The verbs that are served on a path, for the `Allow` header.
pub fn allowed(path: &str) -> Vec<Verb> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
    let mut verbs = Vec::new();
    for route in ROUTES {
        let fits = route.path.len() == segments.len() && route.path.iter().zip(&segments).all(|(p, s)| p.takes(s));
        if fits && !verbs.contains(&route.verb) {
            verbs.push(route.verb);
            if route.verb == Verb::Get {
                verbs.push(Verb::Head);
            }
        }
    }
    verbs
}

fn fill<'p>(definitions: &Definitions, route: &Route, segments: &[&'p str]) -> Result<Filled<'p>, Failure> {
    let mut filled = Filled::default();
    for (part, segment) in route.path.iter().zip(segments) {
        match part {
            Part::Word(_) => {}
            Part::Type => filled.kind = Some(resource_type(definitions, segment)?),
            Part::Id => filled.id = Some(logical_id(segment)?),
            Part::Version => filled.version = segment,
            Part::Member => filled.member = segment,
            Part::Operation => filled.operation = &segment[1..],
        }
    }
    Ok(filled)
}

/// The resource type of a name in a path.
pub(super) fn resource_type(definitions: &Definitions, name: &str) -> Result<TypeId, Failure> {
    definitions.resource(name).ok_or_else(|| {
        Failure::new(
            FailureKind::NotFound,
            IssueCode::NotSupported,
            format!("'{}' is no resource type of FHIR R4", shown(name)),
        )
    })
}

fn logical_id(text: &str) -> Result<ResourceId, Failure> {
    ResourceId::new(text).ok_or_else(|| {
        Failure::malformed(
            IssueCode::Value,
            format!("'{}' is no logical id: 1 to 64 of A-Z, a-z, 0-9, '-' and '.'", shown(text)),
        )
    })
}

/// Text of the client as it is repeated in a message: not too much of it.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(70).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

fn build(target: Target, filled: Filled<'_>, definitions: &Definitions) -> Result<Interaction, Failure> {
    let Filled { kind, id, version, member, operation } = filled;
    Ok(match (target, kind, id) {
        (Target::Capabilities, ..) => Interaction::Capabilities,
        (Target::SearchSystem, ..) => Interaction::SearchSystem,
        (Target::HistorySystem, ..) => Interaction::HistorySystem,
        (Target::Bundle, ..) => Interaction::Bundle,
        (Target::Operation, kind, id) => Interaction::Operation { name: operation.to_owned(), kind, id },
        (Target::Read, Some(kind), Some(id)) => Interaction::Read { kind, id },
        (Target::VersionRead, Some(kind), Some(id)) => {
            Interaction::VersionRead { kind, id, version: version.to_owned() }
        }
        (Target::Update, Some(kind), Some(id)) => Interaction::Update { kind, id },
        (Target::Patch, Some(kind), Some(id)) => Interaction::Patch { kind, id },
        (Target::Delete, Some(kind), Some(id)) => Interaction::Delete { kind, id },
        (Target::HistoryInstance, Some(kind), Some(id)) => Interaction::HistoryInstance { kind, id },
        (Target::SearchCompartment, Some(compartment), Some(id)) => {
            if definitions.compartment(definitions.name(compartment)).is_none() {
                return Err(Failure::new(
                    FailureKind::NotFound,
                    IssueCode::NotSupported,
                    format!("there is no {} compartment", definitions.name(compartment)),
                ));
            }
            let kind = match member {
                "" | "*" => None,
                name => Some(resource_type(definitions, name)?),
            };
            Interaction::SearchCompartment { compartment, id, kind }
        }
        (Target::Create, Some(kind), _) => Interaction::Create { kind },
        (Target::ConditionalUpdate, Some(kind), _) => Interaction::ConditionalUpdate { kind },
        (Target::ConditionalPatch, Some(kind), _) => Interaction::ConditionalPatch { kind },
        (Target::ConditionalDelete, Some(kind), _) => Interaction::ConditionalDelete { kind },
        (Target::HistoryType, Some(kind), _) => Interaction::HistoryType { kind },
        (Target::SearchType, Some(kind), _) => Interaction::SearchType { kind },
        _ => return Err(Failure::internal(format_args!("the route to {target:?} lacks a part"))),
    })
}
