//! Path expressions, as search parameters have them, resolved against the definitions: each branch knows the JSON
//! properties on its way and the FHIR type at its end, so that nothing has to be guessed from the document.
//!
//! Understood: paths (also over choice elements), `as` and `ofType` with a type, unions, `where` with a condition,
//! `extension('url')`, `[n]`, `first()`, `%resource`; and conditions made of `exists()`, `hasExtension('url')`,
//! `resolve() is Type`, `=` and `!=` with a literal, `and`, `or`, `not()`. Anything else is an error that says where.

use super::ast::{BinaryOperator, Expression, ExpressionKind, Literal, TypeSpecifier};
use super::plan::{Predicate, Step};
use crate::definitions::{Definitions, Element, ElementType, StructureKind, TypeId};

/// Levels of an expression's tree.
const DEEPEST: usize = 100;
/// Branches of one expression.
const MOST_BRANCHES: usize = 1_000;

/// Why an expression cannot be compiled, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Byte offset into the expression.
    pub at: usize,
    /// What is wrong or not supported.
    pub message: String,
}

impl std::fmt::Display for CompileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at position {}", self.message, self.at)
    }
}

impl std::error::Error for CompileError {}

/// One way from where the expression starts to a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Whether it starts at the resource (`%resource`) and not at the context.
    pub from_resource: bool,
    /// The steps.
    pub steps: Vec<Step>,
    /// Type of the value.
    pub kind: ElementType,
    /// Name of the type, such as `Quantity`.
    pub type_name: Box<str>,
    /// The structure and the index of the element that the value stands in; none for the start.
    pub element: Option<(TypeId, u16)>,
    /// A condition whose result, true or false, is the value; the steps lead to what it is asked of.
    pub condition: Option<Predicate>,
    /// Whether there can be several values.
    pub many: bool,
}

/// Where an expression starts.
#[derive(Clone, Copy, Debug)]
pub struct Start<'b> {
    /// The resource type.
    pub resource: TypeId,
    /// The context, where it is not the resource: what another expression has led to.
    pub context: Option<&'b Branch>,
}

/// Compiles an expression. Parts that begin with another resource type give no branch.
pub fn compile(
    definitions: &Definitions,
    start: Start<'_>,
    expression: &Expression,
) -> Result<Vec<Branch>, CompileError> {
    let resource = Branch {
        from_resource: start.context.is_some(),
        steps: Vec::new(),
        kind: ElementType::Complex(start.resource),
        type_name: definitions.name(start.resource).into(),
        element: None,
        condition: None,
        many: false,
    };
    let context = match start.context {
        Some(of) => Branch { from_resource: false, steps: Vec::new(), condition: None, ..of.clone() },
        None => resource.clone(),
    };
    let compiler = Compiler { definitions, resource, at_resource: start.context.is_none() };
    compiler.branches(expression, &[context], 0)
}

impl Branch {
    /// The branches of an element below this one: one for each type it can have.
    pub fn member(&self, definitions: &Definitions, name: &str) -> Vec<Branch> {
        let ElementType::Complex(id) = self.kind else { return Vec::new() };
        let structure = definitions.structure(id);
        let elements = || structure.elements.iter().enumerate();
        let step = |(i, element): (usize, &Element)| self.step(id, i, element);
        let found: Vec<Branch> = elements().filter(|(_, element)| &*element.fhirpath == name).map(step).collect();
        if !found.is_empty() {
            return found;
        }
        // Not FHIRPath, but expressions of guides have it: `valueDateTime` for the one type of a choice.
        elements().filter(|(_, element)| element.choice.is_some() && &*element.name == name).map(step).collect()
    }

    fn step(&self, owner: TypeId, index: usize, element: &Element) -> Branch {
        let mut steps = self.steps.clone();
        steps.push(Step::Property(element.name.clone()));
        Branch {
            from_resource: self.from_resource,
            steps,
            kind: element.kind,
            type_name: element.type_name.clone(),
            element: Some((owner, index as u16)),
            condition: None,
            many: self.many || element.many,
        }
    }

    fn with(mut self, step: Step) -> Branch {
        self.steps.push(step);
        self
    }

    fn is_type(&self, name: &str) -> bool {
        // One official expression writes `DateTime` for `dateTime`.
        self.type_name.eq_ignore_ascii_case(name)
    }
}

struct Compiler<'d> {
    definitions: &'d Definitions,
    resource: Branch,
    at_resource: bool,
}

type Branches = Result<Vec<Branch>, CompileError>;

fn error<T>(at: usize, message: impl Into<String>) -> Result<T, CompileError> {
    Err(CompileError { at, message: message.into() })
}

impl Compiler<'_> {
    fn branches(&self, expression: &Expression, context: &[Branch], depth: usize) -> Branches {
        use ExpressionKind as K;
        let at = expression.at;
        if depth > DEEPEST {
            return error(at, "nested too deeply");
        }
        let of = |of: &Option<Box<Expression>>| match of {
            Some(of) => self.branches(of, context, depth + 1),
            None => Ok(context.to_vec()),
        };
        let branches = match &expression.kind {
            K::This => context.to_vec(),
            K::External(name) if name == "resource" => vec![self.resource.clone()],
            K::External(name) if name == "context" => context.to_vec(),
            K::Member { of: None, name } if self.is_resource_name(name) && self.at_start(context) => {
                let own = matches!(name.as_str(), "Resource" | "DomainResource") || *name == *self.resource.type_name;
                if own { context.to_vec() } else { Vec::new() }
            }
            K::Member { of: from, name } => self.member(of(from)?, name, at)?,
            K::As { of: from, specifier } => typed(self.branches(from, context, depth + 1)?, specifier, at)?,
            K::Indexer { of: from, index } => item(self.branches(from, context, depth + 1)?, number(index), at)?,
            K::Binary { operator: BinaryOperator::Union, left, right } => {
                let mut both = self.branches(left, context, depth + 1)?;
                both.extend(self.branches(right, context, depth + 1)?);
                both
            }
            K::Call { of: from, name, arguments } => match (name.as_str(), arguments.as_slice()) {
                ("as" | "ofType", [argument]) => match specifier(argument) {
                    Some(specifier) => typed(of(from)?, &specifier, at)?,
                    None => return error(argument.at, "the name of a type is expected"),
                },
                ("where", [criterion]) => self.filtered(of(from)?, criterion, depth)?,
                ("extension", [argument]) => {
                    let url = string(argument)?;
                    let extensions = self.member(of(from)?, "extension", at)?;
                    extensions.into_iter().map(|branch| branch.with(Step::Guard(Predicate::Url(url.into())))).collect()
                }
                ("first", []) => item(of(from)?, Some(0), at)?,
                _ => self.condition(expression, context, depth)?,
            },
            _ => self.condition(expression, context, depth)?,
        };
        if branches.len() > MOST_BRANCHES {
            return error(at, "too many branches");
        }
        Ok(branches)
    }

    /// The result of a condition as a value.
    fn condition(&self, expression: &Expression, context: &[Branch], depth: usize) -> Branches {
        let [of] = context else { return error(expression.at, "a condition is asked of one thing") };
        let condition = self.predicate(expression, of, depth + 1)?;
        let kind = ElementType::Primitive(crate::primitive::Primitive::Boolean);
        Ok(vec![Branch { kind, type_name: "boolean".into(), element: None, condition: Some(condition), ..of.clone() }])
    }

    fn is_resource_name(&self, name: &str) -> bool {
        let is = |id| {
            let kind = self.definitions.structure(id).kind;
            matches!(kind, StructureKind::Resource | StructureKind::AbstractResource)
        };
        self.definitions.type_named(name).is_some_and(is)
    }

    /// Whether nothing has been stepped over yet, so that a name can be that of the resource type.
    fn at_start(&self, context: &[Branch]) -> bool {
        self.at_resource && context.iter().all(|branch| branch.steps.is_empty() && branch.element.is_none())
    }

    fn member(&self, of: Vec<Branch>, name: &str, at: usize) -> Branches {
        let branches: Vec<Branch> = of.iter().flat_map(|branch| branch.member(self.definitions, name)).collect();
        match of.first() {
            Some(first) if branches.is_empty() => error(at, format!("{} has no element '{name}'", first.type_name)),
            _ => Ok(branches),
        }
    }

    fn filtered(&self, of: Vec<Branch>, criterion: &Expression, depth: usize) -> Branches {
        of.into_iter()
            .map(|branch| {
                let guard = self.predicate(criterion, &branch, depth + 1)?;
                Ok(branch.with(Step::Guard(guard)))
            })
            .collect()
    }

    /// A condition on what a branch leads to.
    fn predicate(&self, criterion: &Expression, of: &Branch, depth: usize) -> Result<Predicate, CompileError> {
        use ExpressionKind as K;
        let at = criterion.at;
        if depth > DEEPEST {
            return error(at, "nested too deeply");
        }
        let inner = |e: &Expression| self.predicate(e, of, depth + 1);
        match &criterion.kind {
            K::Literal(Literal::Boolean(value)) => Ok(Predicate::Constant(*value)),
            K::Binary { operator: BinaryOperator::And, left, right } => {
                Ok(Predicate::And(Box::new((inner(left)?, inner(right)?))))
            }
            K::Binary { operator: BinaryOperator::Or, left, right } => {
                Ok(Predicate::Or(Box::new((inner(left)?, inner(right)?))))
            }
            K::Binary { operator: operator @ (BinaryOperator::Equal | BinaryOperator::NotEqual), left, right } => {
                let value = literal(right)?;
                let equal = *operator == BinaryOperator::Equal;
                Ok(Predicate::Compare { paths: self.relative(left, of, depth)?, value, equal })
            }
            K::Is { of: value, specifier } if is_resolve(value) => {
                Ok(Predicate::Refers(specifier.name.as_str().into()))
            }
            K::Call { of: from, name, arguments } => match (name.as_str(), arguments.as_slice(), from) {
                ("exists", [], Some(from)) => Ok(Predicate::Exists(self.relative(from, of, depth)?)),
                ("not", [], Some(from)) => Ok(Predicate::Not(Box::new(inner(from)?))),
                ("hasExtension", [url], None) => {
                    let step = Step::Guard(Predicate::Url(string(url)?.into()));
                    Ok(Predicate::Exists(vec![vec![Step::Property("extension".into()), step]]))
                }
                _ => error(at, format!("'{name}' is not supported here")),
            },
            _ => error(at, "this condition is not supported"),
        }
    }

    /// The steps from what a branch leads to.
    fn relative(&self, path: &Expression, of: &Branch, depth: usize) -> Result<Vec<Vec<Step>>, CompileError> {
        let context = Branch { steps: Vec::new(), condition: None, ..of.clone() };
        let branches = self.branches(path, &[context], depth + 1)?;
        if branches.iter().any(|branch| branch.condition.is_some() || branch.from_resource != of.from_resource) {
            return error(path.at, "a path is expected here");
        }
        Ok(branches.into_iter().map(|branch| branch.steps).collect())
    }
}

fn typed(of: Vec<Branch>, specifier: &TypeSpecifier, at: usize) -> Branches {
    if of.iter().any(|branch| branch.kind == ElementType::Resource) {
        return error(at, "the type of a resource inside another is not supported");
    }
    let empty = of.is_empty();
    let branches: Vec<Branch> = of.into_iter().filter(|branch| branch.is_type(&specifier.name)).collect();
    if branches.is_empty() && !empty {
        return error(at, format!("there is no value of type '{}' here", specifier.name));
    }
    Ok(branches)
}

fn item(of: Vec<Branch>, index: Option<usize>, at: usize) -> Branches {
    let Some(index) = index else { return error(at, "only a number is supported as index") };
    // An index counts over all values; below a repeating element that is not the place in its array.
    let counts_one_array = |branch: &Branch| branch.steps.len() <= 1;
    if !of.iter().all(counts_one_array) {
        return error(at, "an index is supported on the first element of a path only");
    }
    Ok(of.into_iter().map(|branch| Branch { many: false, ..branch.with(Step::Item(index)) }).collect())
}

fn number(index: &Expression) -> Option<usize> {
    match &index.kind {
        ExpressionKind::Literal(Literal::Number(text)) => text.parse().ok(),
        _ => None,
    }
}

fn string(argument: &Expression) -> Result<&str, CompileError> {
    match &argument.kind {
        ExpressionKind::Literal(Literal::String(text)) => Ok(text),
        _ => error(argument.at, "a string is expected"),
    }
}

fn literal(operand: &Expression) -> Result<Literal, CompileError> {
    match &operand.kind {
        ExpressionKind::Literal(value @ (Literal::Boolean(_) | Literal::String(_))) => Ok(value.clone()),
        _ => error(operand.at, "only a string or a boolean is supported here"),
    }
}

/// The type that an argument names.
fn specifier(argument: &Expression) -> Option<TypeSpecifier> {
    let ExpressionKind::Member { of, name } = &argument.kind else { return None };
    let namespace = match of.as_deref().map(|of| &of.kind) {
        None => None,
        Some(ExpressionKind::Member { of: None, name }) => Some(name.clone()),
        Some(_) => return None,
    };
    Some(TypeSpecifier { namespace, name: name.clone() })
}

fn is_resolve(value: &Expression) -> bool {
    matches!(&value.kind, ExpressionKind::Call { of: None, name, arguments } if name == "resolve" && arguments.is_empty())
}
