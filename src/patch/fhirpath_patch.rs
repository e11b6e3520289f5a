//! FHIRPath Patch (R4 fhirpatch.html): a Parameters resource of operations, applied one after the other, all or none.
//! Where an operation works is found by its expression on the resource as the operations before left it; how the tree
//! is changed is in `edit`.

mod edit;
mod operation;

use super::measure::{Cost, size};
use crate::base::{Failure, FailureKind, Issue, IssueCode};
use crate::definitions::Definitions;
use crate::json::{Kind, Tree, Value};
use operation::Operation;

/// Operations of one patch at most: each reads the whole resource.
const OPERATIONS_MAX: usize = 1_000;

/// The resource as the patch makes it. Issues name the operation: `Parameters.parameter[2].part[1]`. `now` is what
/// `now()` gives, in microseconds since 1970. What the expressions of all operations take is taken from `steps`.
pub fn fhirpath_patch(
    resource: &Tree,
    patch: Value<'_>,
    definitions: &Definitions,
    now: i64,
    steps: &mut u64,
) -> Result<Tree, Failure> {
    let parameters = patch.get("resourceType").and_then(Value::as_plain) == Some("Parameters");
    if patch.kind() != Kind::Object || !parameters {
        let message = "a FHIRPath Patch is a Parameters resource";
        return Err(Failure::malformed(IssueCode::Structure, message).at("Parameters"));
    }
    // All of the document is read first: a broken one fails in the same way on any resource.
    let mut operations = Vec::new();
    for (number, parameter) in patch.get("parameter").into_iter().flat_map(Value::items).enumerate() {
        if number >= OPERATIONS_MAX {
            let message = format!("a FHIRPath Patch has {OPERATIONS_MAX} operations at most");
            return Err(Failure::malformed(IssueCode::TooCostly, message).at("Parameters.parameter"));
        }
        operations.push(Operation::read(number, parameter)?);
    }
    let mut tree = resource.clone();
    let mut cost = Cost::default();
    for operation in &operations {
        cost.put(0, size(&tree)).map_err(|f| f.at(&operation.place))?;
        operation.apply(&mut tree, definitions, now, steps)?;
    }
    cost.put(0, size(&tree)).map_err(|f| f.at("Parameters"))?;
    Ok(tree)
}

/// A patch document that is not one.
fn broken(place: impl Into<String>, message: impl Into<String>) -> Failure {
    Failure::of(FailureKind::Malformed, vec![Issue::error(IssueCode::Value, message).at(place)])
}

/// An operation that does not fit the resource.
fn unfit(place: impl Into<String>, message: impl Into<String>) -> Failure {
    Failure::of(FailureKind::Unprocessable, vec![Issue::error(IssueCode::Processing, message).at(place)])
}

#[cfg(test)]
mod tests;
