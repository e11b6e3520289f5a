//! Floor 7: the operations (R4 operations.html), one file each. The table says where each can be called and how; the
//! CapabilityStatement reads it.

mod access_log;
mod access_policy;
mod everything;
mod fhirpath;
mod meta;
mod package;
mod parameters;
mod reindex_status;
mod terminology;
mod validate;

use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::interaction::{Context, Reply, Request, Service, Verb};

/// Where an operation is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `[base]/$name`
    System,
    /// `[base]/[type]/$name`
    Type,
    /// `[base]/[type]/[id]/$name`
    Instance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    AccessLog,
    AccessPolicy,
    BatchValidateCode,
    Closure,
    CodeSystemValidateCode,
    Expand,
    Lookup,
    Subsumes,
    Translate,
    ValueSetValidateCode,
    Validate,
    Everything,
    FhirPath,
    Meta,
    MetaAdd,
    MetaDelete,
    PackageAdd,
    PackageRemove,
    PackageList,
    ReindexStatus,
}

/// An operation that is served.
#[derive(Debug)]
pub struct Operation {
    /// Its name, without `$`.
    pub name: &'static str,
    /// Canonical of its definition.
    pub definition: &'static str,
    /// Where it can be called.
    pub levels: &'static [Level],
    /// The types it can be called on; empty: all.
    pub kinds: &'static [&'static str],
    /// Whether GET calls it too; POST always does.
    pub get: bool,
    /// Whether it changes what is stored.
    pub affects_state: bool,
    run: Run,
}

/// All operations that are served.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "access-log",
        definition: "urn:vesta:operation:access-log",
        levels: &[Level::Instance],
        kinds: &["Patient"],
        get: true,
        affects_state: false,
        run: Run::AccessLog,
    },
    Operation {
        name: "access-policy",
        definition: "urn:vesta:operation:access-policy",
        levels: &[Level::System],
        kinds: &[],
        get: true,
        affects_state: true,
        run: Run::AccessPolicy,
    },
    Operation {
        name: "batch-validate-code",
        definition: "urn:vesta:OperationDefinition:batch-validate-code",
        levels: &[Level::Type],
        kinds: &["ValueSet"],
        get: false,
        affects_state: false,
        run: Run::BatchValidateCode,
    },
    Operation {
        name: "closure",
        definition: "http://hl7.org/fhir/OperationDefinition/ConceptMap-closure",
        levels: &[Level::System],
        kinds: &[],
        get: false,
        affects_state: true,
        run: Run::Closure,
    },
    Operation {
        name: "expand",
        definition: "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
        levels: &[Level::Type, Level::Instance],
        kinds: &["ValueSet"],
        get: true,
        affects_state: false,
        run: Run::Expand,
    },
    Operation {
        name: "lookup",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
        levels: &[Level::Type, Level::Instance],
        kinds: &["CodeSystem"],
        get: true,
        affects_state: false,
        run: Run::Lookup,
    },
    Operation {
        name: "subsumes",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
        levels: &[Level::Type, Level::Instance],
        kinds: &["CodeSystem"],
        get: true,
        affects_state: false,
        run: Run::Subsumes,
    },
    Operation {
        name: "translate",
        definition: "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
        levels: &[Level::Type, Level::Instance],
        kinds: &["ConceptMap"],
        get: true,
        affects_state: false,
        run: Run::Translate,
    },
    Operation {
        name: "validate-code",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
        levels: &[Level::Type, Level::Instance],
        kinds: &["CodeSystem"],
        get: true,
        affects_state: false,
        run: Run::CodeSystemValidateCode,
    },
    Operation {
        name: "validate-code",
        definition: "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
        levels: &[Level::Type, Level::Instance],
        kinds: &["ValueSet"],
        get: true,
        affects_state: false,
        run: Run::ValueSetValidateCode,
    },
    Operation {
        name: "everything",
        definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        levels: &[Level::Instance],
        kinds: &["Patient"],
        get: true,
        affects_state: false,
        run: Run::Everything,
    },
    Operation {
        name: "fhirpath",
        definition: "urn:vesta:OperationDefinition:fhirpath",
        levels: &[Level::System, Level::Instance],
        kinds: &[],
        get: true,
        affects_state: false,
        run: Run::FhirPath,
    },
    Operation {
        name: "meta",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta",
        levels: &[Level::System, Level::Type, Level::Instance],
        kinds: &[],
        get: true,
        affects_state: false,
        run: Run::Meta,
    },
    Operation {
        name: "meta-add",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta-add",
        levels: &[Level::Instance],
        kinds: &[],
        get: false,
        affects_state: true,
        run: Run::MetaAdd,
    },
    Operation {
        name: "meta-delete",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete",
        levels: &[Level::Instance],
        kinds: &[],
        get: false,
        affects_state: true,
        run: Run::MetaDelete,
    },
    Operation {
        name: "package-add",
        definition: "urn:vesta:operation:package-add",
        levels: &[Level::System],
        kinds: &[],
        get: false,
        affects_state: true,
        run: Run::PackageAdd,
    },
    Operation {
        name: "package-list",
        definition: "urn:vesta:operation:package-list",
        levels: &[Level::System],
        kinds: &[],
        get: true,
        affects_state: false,
        run: Run::PackageList,
    },
    Operation {
        name: "package-remove",
        definition: "urn:vesta:operation:package-remove",
        levels: &[Level::System],
        kinds: &[],
        get: false,
        affects_state: true,
        run: Run::PackageRemove,
    },
    Operation {
        name: "reindex-status",
        definition: "urn:vesta:operation:reindex-status",
        levels: &[Level::System],
        kinds: &[],
        get: true,
        affects_state: false,
        run: Run::ReindexStatus,
    },
    Operation {
        name: "validate",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate",
        levels: &[Level::Type, Level::Instance],
        kinds: &[],
        get: false,
        affects_state: false,
        run: Run::Validate,
    },
];

impl Operation {
    fn is_on(&self, level: Level, kind: Option<&str>) -> bool {
        self.levels.contains(&level) && kind.is_none_or(|kind| self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

/// The operations that can be called at a level, on a type.
pub fn at(level: Level, kind: Option<&str>) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(move |o| o.is_on(level, kind))
}

/// Whether the operation of this name changes what is stored.
pub(crate) fn affects_state(name: &str) -> bool {
    OPERATIONS.iter().any(|o| o.name == name && o.affects_state)
}

/// Whether the operation of this name is for administrators alone.
pub(crate) fn for_administrators(name: &str) -> bool {
    matches!(name, "access-policy" | "package-add" | "package-list" | "package-remove" | "reindex-status")
}

/// What an operation is called on.
pub(crate) struct Call<'r> {
    pub service: &'r Service,
    pub context: &'r Context,
    pub request: &'r Request,
    pub kind: Option<TypeId>,
    pub id: Option<ResourceId>,
}

/// The operation that is called; a failure where there is none of this name, or it is not called so.
pub(crate) fn find(
    service: &Service,
    verb: Verb,
    name: &str,
    kind: Option<TypeId>,
    id: Option<&ResourceId>,
) -> Result<&'static Operation, Failure> {
    let level = level_of(kind, id);
    let kind = kind.map(|kind| service.definitions.name(kind));
    let Some(operation) = OPERATIONS.iter().find(|o| o.name == name && o.is_on(level, kind)) else {
        let short: String = name.chars().take(64).collect();
        return Err(Failure::new(
            FailureKind::NotFound,
            IssueCode::NotSupported,
            format!("the operation ${short} is not served here"),
        ));
    };
    if matches!(verb, Verb::Get | Verb::Head) && !operation.get {
        return Err(Failure::new(
            FailureKind::NotAllowed,
            IssueCode::NotSupported,
            format!("${name} is called by POST"),
        ));
    }
    Ok(operation)
}

fn level_of(kind: Option<TypeId>, id: Option<&ResourceId>) -> Level {
    match (kind, id) {
        (None, _) => Level::System,
        (Some(_), None) => Level::Type,
        (Some(_), Some(_)) => Level::Instance,
    }
}

/// Calls an operation.
pub(crate) async fn perform(
    service: &Service,
    context: &Context,
    request: &Request,
    name: &str,
    kind: Option<TypeId>,
    id: Option<ResourceId>,
) -> Result<Reply, Failure> {
    let operation = find(service, request.verb, name, kind, id.as_ref())?;
    let (level, kind_name) = (level_of(kind, id.as_ref()), kind.map(|kind| service.definitions.name(kind)));
    let call = Call { service, context, request, kind, id };
    let done = run(operation.run, call).await;
    match (kind_name, level) {
        (Some(kind), Level::Type) => {
            terminology::elsewhere::or_elsewhere(service, context, request, (kind, name), done).await
        }
        _ => done,
    }
}

async fn run(what: Run, call: Call<'_>) -> Result<Reply, Failure> {
    match what {
        Run::AccessLog => access_log::perform(call).await,
        Run::AccessPolicy => access_policy::perform(call).await,
        Run::BatchValidateCode => terminology::validate_code::batch(call).await,
        Run::Closure => terminology::closure::perform(call).await,
        Run::CodeSystemValidateCode => terminology::validate_code::on_code_system(call).await,
        Run::Expand => terminology::expand::perform(call).await,
        Run::Lookup => terminology::lookup::perform(call).await,
        Run::Subsumes => terminology::subsumes::perform(call).await,
        Run::Translate => terminology::translate::perform(call).await,
        Run::ValueSetValidateCode => terminology::validate_code::on_value_set(call).await,
        Run::Validate => validate::perform(call).await,
        Run::Everything => everything::perform(call).await,
        Run::FhirPath => fhirpath::perform(call).await,
        Run::Meta => meta::perform(call).await,
        Run::MetaAdd => meta::change(call, meta::Change::Add).await,
        Run::PackageAdd => package::add(call).await,
        Run::PackageRemove => package::remove(call).await,
        Run::PackageList => package::list(call).await,
        Run::ReindexStatus => reindex_status::perform(call).await,
        Run::MetaDelete => meta::change(call, meta::Change::Delete).await,
    }
}
