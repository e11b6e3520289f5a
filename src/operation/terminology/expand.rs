//! `$expand` (R4 valueset-operation-expand.html): what a value set comes to.

use super::super::Call;
use super::{Desk, failure, missing};
use crate::base::Failure;
use crate::interaction::{Effect, Reply, ReplyContent};
use crate::json::Tree;
use crate::terminology;

/// Parameters that an expansion shows again, and how their values are called there.
const SHOWN: [(&str, &str); 12] = [
    ("excludeNested", "valueBoolean"),
    ("activeOnly", "valueBoolean"),
    ("includeDesignations", "valueBoolean"),
    ("includeDefinition", "valueBoolean"),
    ("excludeNotForUI", "valueBoolean"),
    ("displayLanguage", "valueCode"),
    ("designation", "valueString"),
    ("filter", "valueString"),
    ("count", "valueInteger"),
    ("offset", "valueInteger"),
    ("property", "valueString"),
    ("default-valueset-version", "valueUri"),
];

pub(crate) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let desk = Desk::of(&call, Some("valueSet")).await?;
    let mut rules = desk.rules();
    let Some(set) = desk.value_set(&call, &rules).await? else {
        return Err(missing("say which value set by 'url' or 'valueSet'"));
    };
    for (name, key) in SHOWN {
        for input in desk.inputs.all(name) {
            if name == "property" || name == "includeDefinition" {
                continue;
            }
            let value = match (&input.value, key) {
                (Tree::String(text), "valueBoolean") => Tree::Bool(text == "true"),
                (Tree::String(text), "valueInteger") => Tree::Number(text.parse::<u32>().unwrap_or(0).to_string()),
                (value, _) => value.clone(),
            };
            rules.echo.push(Tree::Object(vec![("name".into(), Tree::string(name)), (key.into(), value)]));
        }
    }
    if let Some(language) = rules.language.as_deref().filter(|_| desk.inputs.get("displayLanguage").is_none()) {
        // What the header asks for is shown like the parameter.
        let shown = [("name", Tree::string("displayLanguage")), ("valueCode", Tree::string(language))];
        rules.echo.push(Tree::object(shown));
    }
    let identifier = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let timestamp = call.service.clock.now().to_instant();
    let with_definition = desk.inputs.flag("includeDefinition") == Some(true);
    let resource = tokio::task::spawn_blocking(move || {
        desk.with(|library| {
            let expansion = terminology::expand(library, &set, &rules)?;
            Ok(expansion.resource(library, &set, &rules, with_definition, &identifier, &timestamp))
        })
    });
    let resource = resource.await.map_err(Failure::internal)?.map_err(failure)?;
    Ok(Reply::of(Effect::Ok, ReplyContent::Json(resource.to_json().into_bytes())))
}
