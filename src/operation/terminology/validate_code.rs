//! `$validate-code` on value sets and code systems (R4 valueset-operation-validate-code.html,
//! codesystem-operation-validate-code.html), and many at once.

use super::super::Call;
use super::super::parameters::{Inputs, answer, resource, value};
use super::{Desk, failure, missing, stored};
use crate::base::Failure;
use crate::interaction::Reply;
use crate::json::Tree;
use crate::terminology::{Asked, Coding, Library, Problem, Rules, ValueSet, Verdict, validate};

pub(crate) async fn on_value_set(call: Call<'_>) -> Result<Reply, Failure> {
    let desk = Desk::of(&call, Some("valueSet")).await?;
    let rules = desk.rules();
    let Some(set) = desk.value_set(&call, &rules).await? else {
        return Err(missing("say which value set by 'url' or 'valueSet'"));
    };
    let asked = asked(&desk.inputs, None)?;
    let parameters = desk.with(|library| judged(library, Some(&set), &asked, &rules)).map_err(failure)?;
    Ok(answer(shown(&desk.inputs, &asked, parameters)))
}

pub(crate) async fn on_code_system(call: Call<'_>) -> Result<Reply, Failure> {
    let desk = Desk::of(&call, Some("codeSystem")).await?;
    let mut rules = desk.rules();
    rules.limit = usize::MAX;
    let url = match stored(&call).await? {
        Some(resource) => resource.get("url").and_then(Tree::as_str).map(str::to_owned),
        None => desk.inputs.text("url").map(str::to_owned),
    };
    let mut asked = asked(&desk.inputs, url.as_deref())?;
    if let Some(version) = desk.inputs.text("version") {
        for coding in asked.codings.iter_mut().filter(|c| c.version.is_empty()) {
            coding.version = version.to_owned();
        }
    }
    let parameters = desk.with(|library| judged(library, None, &asked, &rules)).map_err(failure)?;
    Ok(answer(shown(&desk.inputs, &asked, parameters)))
}

/// Each `validation` is asked as if it came alone, with what stands beside them all.
pub(crate) async fn batch(call: Call<'_>) -> Result<Reply, Failure> {
    const MOST: usize = 1_000;
    let desk = Desk::of(&call, None).await?;
    let mut answers = Vec::new();
    for (i, input) in desk.inputs.all("validation").enumerate() {
        if i >= MOST {
            return Err(missing(&format!("a batch has {MOST} validations at most")));
        }
        let inputs = desk.inputs.beside("validation", &input.value);
        let one = Desk {
            inputs,
            language: desk.language.clone(),
            own: crate::terminology::Shelf::default(),
            held: desk.held.clone(),
        };
        let rules = one.rules();
        let asked = asked(&one.inputs, None)?;
        let parameters = desk.with(|library| {
            let set = match (one.inputs.get("valueSet"), one.inputs.text("url")) {
                (Some(input), _) => Some(std::sync::Arc::new(ValueSet::of(&input.value))),
                (None, Some(url)) => Some(crate::terminology::value_set(library, url, &rules)?),
                (None, None) => None,
            };
            judged(library, set.as_deref(), &asked, &rules)
        });
        let answered = match parameters {
            Ok(verdict) => Tree::object([
                ("resourceType", Tree::string("Parameters")),
                ("parameter", Tree::Array(shown(&one.inputs, &asked, verdict))),
            ]),
            Err(problem) => Problem::outcome(&[problem]),
        };
        answers.push(resource("validation", answered));
    }
    Ok(answer(answers))
}

/// What is asked about. `system`: where the address or the parameter `url` names the code system.
fn asked(inputs: &Inputs, system: Option<&str>) -> Result<Asked, Failure> {
    let allow_abstract = inputs.flag("abstract") != Some(false);
    let with = |mut coding: Coding| {
        if coding.system.is_empty() {
            coding.system = system.unwrap_or_default().to_owned();
        }
        coding
    };
    if let Some(input) = inputs.get("codeableConcept") {
        let codings =
            input.value.get("coding").map_or(&[][..], Tree::items).iter().map(|c| with(Coding::from(c))).collect();
        return Ok(Asked { codings, place: "CodeableConcept", infer: false, allow_abstract });
    }
    if let Some(input) = inputs.get("coding") {
        let coding = match &input.value {
            // In a query string a coding is written as a token.
            Tree::String(token) => {
                let (system, code) = token.rsplit_once('|').unwrap_or(("", token));
                Coding { system: system.to_owned(), code: code.to_owned(), ..Coding::default() }
            }
            tree => Coding::from(tree),
        };
        return Ok(Asked { codings: vec![with(coding)], place: "Coding", infer: false, allow_abstract });
    }
    let Some(code) = inputs.text("code") else {
        return Err(missing("say what is to be validated by 'code', 'coding' or 'codeableConcept'"));
    };
    let text = |name: &str| inputs.text(name).unwrap_or_default().to_owned();
    let coding = Coding {
        system: text("system"),
        version: text("systemVersion"),
        code: code.to_owned(),
        display: inputs.text("display").map(str::to_owned),
    };
    let infer = inputs.flag("inferSystem") == Some(true) || inputs.text("system").is_none();
    Ok(Asked { codings: vec![with(coding)], place: "", infer, allow_abstract })
}

fn judged(library: &dyn Library, set: Option<&ValueSet>, asked: &Asked, rules: &Rules) -> Result<Verdict, Problem> {
    validate(library, set, asked, rules)
}

/// The answer's parameters.
fn shown(inputs: &Inputs, asked: &Asked, verdict: Verdict) -> Vec<Tree> {
    let mut out = vec![value("result", "Boolean", Tree::Bool(verdict.result))];
    let mut put = |name: &str, kind: &str, text: &Option<String>| {
        if let Some(text) = text {
            out.push(value(name, kind, Tree::string(text)));
        }
    };
    put("message", "String", &verdict.message());
    put("code", "Code", &verdict.code);
    put("system", "Uri", &verdict.system);
    put("version", "String", &verdict.version);
    put("display", "String", &verdict.display);
    put("normalized-code", "Code", &verdict.normalized);
    put("status", "Code", &verdict.status);
    for system in &verdict.unknown {
        put("x-unknown-system", "Canonical", &Some(system.clone()));
    }
    for system in &verdict.caused_by {
        put("x-caused-by-unknown-system", "Canonical", &Some(system.clone()));
    }
    if verdict.inactive {
        out.push(value("inactive", "Boolean", Tree::Bool(true)));
    }
    if asked.place == "CodeableConcept"
        && let Some(input) = inputs.get("codeableConcept")
    {
        out.push(value("codeableConcept", "CodeableConcept", input.value.clone()));
    }
    if !verdict.problems.is_empty() {
        out.push(resource("issues", Problem::outcome(&verdict.problems)));
    }
    out
}
