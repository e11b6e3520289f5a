//! `$subsumes` (R4 codesystem-operation-subsumes.html): is one code above another?

use super::super::Call;
use super::super::parameters::{answer, value};
use super::{Desk, failure, missing, stored};
use crate::base::{Failure, FailureKind, IssueCode};
use crate::interaction::Reply;
use crate::json::Tree;
use crate::terminology::{Coding, code_system};

pub(crate) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let desk = Desk::of(&call, None).await?;
    let of = |name: &str, coding: &str| match desk.inputs.get(coding) {
        Some(input) => Coding::from(&input.value),
        None => Coding {
            code: desk.inputs.text(name).unwrap_or_default().to_owned(),
            system: desk.inputs.text("system").unwrap_or_default().to_owned(),
            ..Coding::default()
        },
    };
    let (mut a, mut b) = (of("codeA", "codingA"), of("codeB", "codingB"));
    if let Some(resource) = stored(&call).await? {
        let url = resource.get("url").and_then(Tree::as_str).unwrap_or_default();
        for coding in [&mut a, &mut b] {
            coding.system = url.to_owned();
        }
    }
    if a.code.is_empty() || b.code.is_empty() || a.system.is_empty() {
        return Err(missing("say which codes by 'codeA', 'codeB' and 'system', or by 'codingA' and 'codingB'"));
    }
    if a.system != b.system {
        return Err(
            Failure::malformed(IssueCode::Invalid, "the codes are of two code systems").at("Parameters.parameter")
        );
    }
    let version = desk.inputs.text("version").unwrap_or(&a.version).to_owned();
    let system = desk.with(|library| code_system(library, &a.system, &version)).map_err(failure)?;
    system.sound().map_err(failure)?;
    let find = |coding: &Coding| {
        system.find(&coding.code).ok_or_else(|| {
            let short: String = coding.code.chars().take(100).collect();
            let message = format!("the code '{short}' is not in the code system {}", system.canonical());
            Failure::new(FailureKind::NotFound, IssueCode::NotFound, message)
        })
    };
    let (a, b) = (find(&a)?, find(&b)?);
    let outcome = if a == b {
        "equivalent"
    } else if system.subsumes(a, b) {
        "subsumes"
    } else if system.subsumes(b, a) {
        "subsumed-by"
    } else {
        "not-subsumed"
    };
    Ok(answer(vec![value("outcome", "Code", Tree::string(outcome))]))
}
