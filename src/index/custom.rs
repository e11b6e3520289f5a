//! From a SearchParameter resource (R4 searchparameter.html) to a parameter that resources can be found by, or what is
//! wrong with it and where. Which other parameters there are beside those of the specification is looked after
//! elsewhere.

use super::extract::{branches, problems_of};
use super::values::Encoder;
use crate::base::{Issue, IssueCode};
use crate::definitions::{
    CustomComponent, CustomParameter, CustomParameters, Definitions, SearchKind, SearchParameter, TypeId,
};
use crate::fhirpath::{Branch, Start};
use crate::json::Value;

/// Bytes of an expression at most.
const LONGEST: usize = 10_000;
/// Parts of an expression at most, on one type: each costs time with every resource that is written.
const MOST_BRANCHES: usize = 50;
/// Components of a composite at most.
const MOST_COMPONENTS: usize = 10;

/// What a SearchParameter resource says.
#[derive(Debug)]
pub enum Defined {
    /// Nothing that is in effect: its status is another than `active`.
    Inactive,
    /// What the specification says already.
    Known,
    /// A parameter of its own.
    New(Box<CustomParameter>),
    /// Something that cannot be: why, each with its place.
    Wrong(Vec<Issue>),
}

/// Reads a SearchParameter. `definitions` has the parameters that components may refer to; `drafts` says whether one
/// that is a draft is in effect as well.
pub fn defined(definitions: &Definitions, origin: &str, resource: Value<'_>, drafts: bool) -> Defined {
    match text(resource, "status").as_deref() {
        Some("active") => {}
        Some("draft") if drafts => {}
        _ => return Defined::Inactive,
    }
    let reading = Reading { definitions, resource };
    match reading.parameter(origin) {
        Ok(Some(parameter)) => Defined::New(Box::new(parameter)),
        Ok(None) => Defined::Known,
        Err(issues) => Defined::Wrong(issues),
    }
}

fn text(value: Value<'_>, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(|text| text.into_owned())
}

fn wrong<T>(place: &str, code: IssueCode, why: impl Into<String>) -> Result<T, Vec<Issue>> {
    Err(vec![issue(place, code, why)])
}

fn issue(place: &str, code: IssueCode, why: impl Into<String>) -> Issue {
    Issue::error(code, why).at(format!("SearchParameter.{place}"))
}

/// A part of a text of the client, for messages.
fn brief(text: &str) -> String {
    text.chars().take(80).collect()
}

struct Reading<'r> {
    definitions: &'r Definitions,
    resource: Value<'r>,
}

impl Reading<'_> {
    /// The parameter; none if the specification has it.
    fn parameter(&self, origin: &str) -> Result<Option<CustomParameter>, Vec<Issue>> {
        let need = |name: &str| {
            let missing =
                || vec![issue(name, IssueCode::Required, format!("an active SearchParameter needs '{name}'"))];
            text(self.resource, name).ok_or_else(missing)
        };
        let (url, code) = (need("url")?, need("code")?);
        let kind = self.kind(&need("type")?)?;
        let expression = text(self.resource, "expression").unwrap_or_default();
        let mut parameter = CustomParameter {
            number: 0,
            origin: origin.to_owned(),
            url,
            code,
            kind,
            bases: self.bases()?,
            expression,
            targets: self.targets(kind)?,
            components: Vec::new(),
        };
        if self.is_known(&parameter)? {
            return Ok(None);
        }
        if parameter.kind == SearchKind::Special {
            let why = "a parameter of type 'special' means what its text says, which no server can know";
            return wrong("type", IssueCode::NotSupported, why);
        }
        self.check_code(&parameter)?;
        if parameter.expression.is_empty() {
            let why = "without an expression nothing can be found by the parameter";
            return wrong("expression", IssueCode::Required, why);
        }
        if parameter.expression.len() > LONGEST {
            let why = format!("the expression is longer than {LONGEST} bytes");
            return wrong("expression", IssueCode::TooLong, why);
        }
        parameter.components = self.components(kind)?;
        self.check_expression(&parameter)?;
        Ok(Some(parameter))
    }

    fn kind(&self, code: &str) -> Result<SearchKind, Vec<Issue>> {
        let unknown = || vec![issue("type", IssueCode::CodeInvalid, format!("there is no type '{}'", brief(code)))];
        SearchKind::of(code).ok_or_else(unknown)
    }

    fn names(&self, list: &str) -> Vec<(String, String)> {
        let all = self.resource.get(list).into_iter().flat_map(Value::items).enumerate();
        let named = all.filter_map(|(i, name)| Some((format!("{list}[{i}]"), name.as_str()?.into_owned())));
        named.collect()
    }

    fn bases(&self) -> Result<Vec<String>, Vec<Issue>> {
        let mut bases = Vec::new();
        for (place, name) in self.names("base") {
            let abstracts = matches!(name.as_str(), "Resource" | "DomainResource");
            if name == "AuditEvent" {
                let why = "the audit trail is found by the parameters of the specification only";
                return wrong(&place, IssueCode::NotSupported, why);
            }
            if !abstracts && self.definitions.resource(&name).is_none() {
                let why = format!("there is no resource type '{}'", brief(&name));
                return wrong(&place, IssueCode::CodeInvalid, why);
            }
            if !bases.contains(&name) {
                bases.push(name);
            }
        }
        if bases.is_empty() {
            return wrong("base", IssueCode::Required, "an active SearchParameter needs 'base'");
        }
        Ok(bases)
    }

    fn targets(&self, kind: SearchKind) -> Result<Vec<String>, Vec<Issue>> {
        let mut targets = Vec::new();
        for (place, name) in self.names("target") {
            match name.as_str() {
                // All types.
                "Resource" | "DomainResource" => return Ok(Vec::new()),
                _ if self.definitions.resource(&name).is_none() => {
                    let why = format!("there is no resource type '{}'", brief(&name));
                    return wrong(&place, IssueCode::CodeInvalid, why);
                }
                _ => targets.push(name),
            }
        }
        Ok(if kind == SearchKind::Reference { targets } else { Vec::new() })
    }

    /// Whether the specification has it; refused if it has another of that name or canonical.
    fn is_known(&self, parameter: &CustomParameter) -> Result<bool, Vec<Issue>> {
        let definitions = self.definitions;
        let core = definitions.search_parameters.iter().find(|p| *p.url == *parameter.url);
        if let Some(core) = core.filter(|core| !core.bases.is_empty()) {
            let same = *core.code == *parameter.code && core.kind == parameter.kind;
            let written = parameter.expression.is_empty() || parameter.expression == *core.expression;
            if same && written {
                return Ok(true);
            }
        }
        let kinds = parameter.kinds(definitions);
        let there = |kind: &TypeId| Some((*kind, definitions.core_search_parameter(*kind, &parameter.code)?));
        let taken: Vec<(TypeId, &SearchParameter)> = kinds.iter().filter_map(there).collect();
        let differs = taken.iter().find(|(kind, core)| !self.same(parameter, core, *kind));
        if let Some((kind, core)) = differs {
            let name = definitions.name(*kind);
            let why = format!("{name} has a search parameter '{}' by the specification: {}", core.code, core.url);
            return wrong("code", IssueCode::Duplicate, why);
        }
        if !taken.is_empty() {
            if taken.len() < kinds.len() {
                let name = taken.first().map_or("", |(kind, _)| definitions.name(*kind));
                let why = format!(
                    "{name} has the search parameter '{}' by the specification; leave it out of the bases",
                    parameter.code
                );
                return wrong("base", IssueCode::Duplicate, why);
            }
            return Ok(true);
        }
        match core {
            Some(core) => {
                let why = format!("this is the canonical of the specification's parameter '{}'", core.code);
                wrong("url", IssueCode::Duplicate, why)
            }
            None => Ok(false),
        }
    }

    /// Whether it leads to the same values on a type as one of the specification does.
    fn same(&self, parameter: &CustomParameter, core: &SearchParameter, kind: TypeId) -> bool {
        let led = |expression: &str| {
            let start = Start { resource: kind, context: None };
            let branches = branches(self.definitions, start, expression).ok()?;
            let mut shown: Vec<String> = branches.iter().map(|branch| format!("{branch:?}")).collect();
            shown.sort();
            shown.dedup();
            Some(shown)
        };
        let own = led(&parameter.expression);
        // Of a composite the components say the rest: it is taken for the specification's.
        parameter.kind == core.kind && own.is_some() && own == led(&core.expression)
    }

    fn check_code(&self, parameter: &CustomParameter) -> Result<(), Vec<Issue>> {
        let code = &parameter.code;
        let legal = code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) && code.len() <= 64;
        if !legal {
            let why = "the name in a query is made of up to 64 letters, digits, '-' and '_'";
            return wrong("code", IssueCode::Value, why);
        }
        if code.starts_with('_') {
            let why = "names that begin with '_' are those of the specification for all resources";
            return wrong("code", IssueCode::BusinessRule, why);
        }
        Ok(())
    }

    fn components(&self, kind: SearchKind) -> Result<Vec<CustomComponent>, Vec<Issue>> {
        let mut components = Vec::new();
        if kind != SearchKind::Composite {
            return Ok(components);
        }
        let all = self.resource.get("component").into_iter().flat_map(Value::items);
        for (i, component) in all.enumerate() {
            let need = |name: &str| {
                let place = format!("component[{i}].{name}");
                let missing = || vec![issue(&place, IssueCode::Required, format!("a component needs '{name}'"))];
                text(component, name).ok_or_else(missing)
            };
            let (definition, expression) = (need("definition")?, need("expression")?);
            let url = definition.split('|').next().unwrap_or_default().to_owned();
            let of = self.definitions.search_parameter_by_url(&url);
            let of = of.filter(|p| !matches!(p.kind, SearchKind::Composite | SearchKind::Special));
            let Some(of) = of else {
                let why = format!("no search parameter that a component can be is known by '{}'", brief(&definition));
                return wrong(&format!("component[{i}].definition"), IssueCode::NotFound, why);
            };
            components.push(CustomComponent { definition: url, kind: of.kind, expression });
        }
        match components.len() {
            0 | 1 => wrong("component", IssueCode::Required, "a composite has at least two components"),
            2..=MOST_COMPONENTS => Ok(components),
            _ => wrong("component", IssueCode::TooLong, format!("more than {MOST_COMPONENTS} components")),
        }
    }

    /// Compiles the expression for every type that it is for, in the way in which resources get their terms.
    fn check_expression(&self, parameter: &CustomParameter) -> Result<(), Vec<Issue>> {
        let definitions = self.definitions;
        // Which elements are hidden from whom is decided by the names in an expression: they stand there as they are.
        let texts = parameter.components.iter().map(|c| &c.expression).chain([&parameter.expression]);
        if texts.into_iter().any(|text| text.contains(['`', '\\'])) {
            let why = "an expression of a search parameter has no names between backquotes and no backslashes";
            return wrong("expression", IssueCode::NotSupported, why);
        }
        let numbered = CustomParameters::default().renewed(vec![parameter.clone()]);
        let whole = definitions.with_custom(&numbered, |_| false);
        let Some(number) = numbered.parameters.first().map(|p| p.number) else { return Ok(()) };
        for kind in parameter.kinds(definitions) {
            let name = definitions.name(kind);
            let start = Start { resource: kind, context: None };
            let branches = branches(definitions, start, &parameter.expression).map_err(|error| {
                vec![issue(
                    "expression",
                    IssueCode::Invalid,
                    format!("the expression cannot be used on {name}: {error}"),
                )]
            })?;
            if branches.len() > MOST_BRANCHES {
                let why = format!("the expression has {} parts on {name}; {MOST_BRANCHES} are allowed", branches.len());
                return wrong("expression", IssueCode::TooLong, why);
            }
            if branches.is_empty() {
                let why = format!("no part of the expression is about {name}");
                return wrong("expression", IssueCode::Invalid, why);
            }
            if parameter.kind == SearchKind::Composite {
                self.check_components(parameter, kind, &branches)?;
            } else if !branches.iter().any(|branch| has_form(definitions, parameter.kind, branch)) {
                let kind = parameter.kind.code();
                let types: Vec<_> = branches.iter().map(|b| &*b.type_name).take(8).collect();
                let why = format!("a parameter of type '{kind}' cannot have values of type {}", types.join(", "));
                return wrong("type", IssueCode::Invalid, why);
            }
            // Components that are themselves added are not among these definitions, and were checked before.
            if parameter.kind != SearchKind::Composite
                && let Some(why) = problems_of(&whole, kind, number)
            {
                let why = format!("the expression cannot be used on {name}: {why}");
                return wrong("expression", IssueCode::Invalid, why);
            }
        }
        Ok(())
    }

    fn check_components(&self, parameter: &CustomParameter, kind: TypeId, bases: &[Branch]) -> Result<(), Vec<Issue>> {
        for (i, component) in parameter.components.iter().enumerate() {
            let place = format!("component[{i}].expression");
            let mut fits = false;
            for base in bases {
                let start = Start { resource: kind, context: Some(base) };
                match branches(self.definitions, start, &component.expression) {
                    Ok(found) => fits |= found.iter().any(|b| has_form(self.definitions, component.kind, b)),
                    Err(error) => return wrong(&place, IssueCode::Invalid, error.to_string()),
                }
            }
            if !fits {
                let why = format!("it leads to no value that a parameter of type '{}' can have", component.kind.code());
                return wrong(&place, IssueCode::Invalid, why);
            }
        }
        Ok(())
    }
}

fn has_form(definitions: &Definitions, kind: SearchKind, branch: &Branch) -> bool {
    Encoder::for_branch(definitions, kind, branch) != Encoder::Nothing
}
