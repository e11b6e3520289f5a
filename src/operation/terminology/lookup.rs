//! `$lookup` (R4 codesystem-operation-lookup.html): everything that is known of a code.

use super::super::Call;
use super::super::parameters::{answer, parts, value};
use super::{Desk, failure, missing, stored};
use crate::base::{Failure, FailureKind, IssueCode};
use crate::interaction::Reply;
use crate::json::Tree;
use crate::terminology::{Coding, Library, Rules, best_display, code_system, supplements_of};

pub(crate) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let desk = Desk::of(&call, None).await?;
    let rules = desk.rules();
    let mut coding = match desk.inputs.get("coding") {
        Some(input) => Coding::from(&input.value),
        None => Coding {
            system: desk.inputs.text("system").unwrap_or_default().to_owned(),
            code: desk.inputs.text("code").unwrap_or_default().to_owned(),
            ..Coding::default()
        },
    };
    if let Some(resource) = stored(&call).await? {
        coding.system = resource.get("url").and_then(Tree::as_str).unwrap_or_default().to_owned();
    }
    if let Some(version) = desk.inputs.text("version") {
        coding.version = version.to_owned();
    }
    if coding.code.is_empty() || coding.system.is_empty() {
        return Err(missing("say which code by 'code' and 'system', or by 'coding'"));
    }
    desk.with(|library| look_up(library, &coding, &rules)).map(answer)
}

fn look_up(library: &dyn Library, coding: &Coding, rules: &Rules) -> Result<Vec<Tree>, Failure> {
    if coding.system == crate::ucum::SYSTEM {
        return unit(coding);
    }
    let wanted: Vec<Box<str>> = rules.supplements.iter().map(|s| s.as_str().into()).collect();
    let added = supplements_of(library, &coding.system, &wanted).map_err(failure)?;
    let system = code_system(library, &coding.system, &coding.version).map_err(failure)?;
    system.sound().map_err(failure)?;
    let Some(concept) = system.find(&coding.code).and_then(|number| system.concept(number)) else {
        let short: String = coding.code.chars().take(100).collect();
        let message = format!("the code '{short}' is not in the code system {}", system.canonical());
        return Err(Failure::new(FailureKind::NotFound, IssueCode::NotFound, message));
    };
    let text = |text: &str| Tree::string(text);
    let mut out = vec![
        value("name", "String", text(if system.name.is_empty() { &system.url } else { &system.name })),
        value("code", "Code", text(&concept.code)),
        value("system", "Uri", text(&system.url)),
    ];
    if !system.version.is_empty() {
        out.push(value("version", "String", text(&system.version)));
    }
    let display = best_display(&system, concept, &added, rules.language.as_deref());
    out.push(value("display", "String", text(&display.unwrap_or_else(|| concept.code.to_string()))));
    if let Some(definition) = &concept.definition {
        out.push(value("definition", "String", text(definition)));
    }
    out.push(value("abstract", "Boolean", Tree::Bool(system.is_abstract(concept))));
    let wanted = |name: &str| rules.properties.is_empty() || rules.properties.iter().any(|p| p == name || p == "*");
    if wanted("designation") {
        if let Some(display) = &concept.display
            && let Some(language) = &system.language
        {
            let designation = vec![
                value("language", "Code", text(language)),
                value(
                    "use",
                    "Coding",
                    Tree::object([
                        ("system", text("http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra")),
                        ("code", text("preferredForLanguage")),
                        ("display", text("Preferred For Language")),
                    ]),
                ),
                value("value", "String", text(display)),
            ];
            out.push(parts("designation", designation));
        }
        let shown = |d: &crate::terminology::Designation, source: Option<String>| {
            let mut all = Vec::new();
            if let Some(language) = &d.language {
                all.push(value("language", "Code", text(language)));
            }
            if let Some(purpose) = &d.purpose {
                all.push(value("use", "Coding", purpose.clone()));
            }
            all.push(value("value", "String", text(&d.value)));
            if let Some(source) = source {
                all.push(value("source", "Canonical", Tree::String(source)));
            }
            parts("designation", all)
        };
        out.extend(concept.designations.iter().map(|d| shown(d, None)));
        for supplement in &added {
            let theirs = supplement.find(&concept.code).and_then(|n| supplement.concept(n));
            out.extend(
                theirs.into_iter().flat_map(|c| &c.designations).map(|d| shown(d, Some(supplement.canonical()))),
            );
        }
    }
    let property = |code: &str, kind: &str, content: Tree| {
        parts("property", vec![value("code", "Code", text(code)), value("value", kind, content)])
    };
    if wanted("inactive") {
        out.push(property("inactive", "Boolean", Tree::Bool(system.is_inactive(concept))));
    }
    for (name, numbers) in [("parent", &concept.parents), ("child", &concept.children)] {
        if wanted(name) {
            let codes = numbers.iter().filter_map(|n| system.concept(*n));
            out.extend(codes.map(|c| property(name, "Code", text(&c.code))));
        }
    }
    for p in
        concept.properties.iter().filter(|p| wanted(&p.code) && !matches!(&*p.code, "parent" | "child" | "inactive"))
    {
        out.push(property(&p.code, p.key.strip_prefix("value").unwrap_or("String"), p.value.clone()));
    }
    out.extend(added.iter().map(|s| value("used-supplement", "Canonical", Tree::String(s.canonical()))));
    Ok(out)
}

fn unit(coding: &Coding) -> Result<Vec<Tree>, Failure> {
    if let Some(fault) = crate::ucum::fault(&coding.code) {
        let message = format!("the unit '{}' {fault}", coding.code.chars().take(100).collect::<String>());
        return Err(Failure::new(FailureKind::NotFound, IssueCode::NotFound, message));
    }
    Ok(vec![
        value("name", "String", Tree::string("UCUM")),
        value("code", "Code", Tree::string(&coding.code)),
        value("system", "Uri", Tree::string(crate::ucum::SYSTEM)),
        value("version", "String", Tree::string(crate::ucum::VERSION)),
        value("display", "String", Tree::string(crate::ucum::display(&coding.code).unwrap_or_default())),
    ])
}
