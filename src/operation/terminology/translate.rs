//! `$translate` (R4 conceptmap-operation-translate.html): what a code means elsewhere, and in reverse. The names of later
//! versions of the operation (`sourceCode`, `targetCode`, …) are understood, too.

use super::super::Call;
use super::super::parameters::{Inputs, answer, parts, value};
use super::{Desk, missing, stored};
use crate::base::Failure;
use crate::interaction::Reply;
use crate::json::Tree;
use crate::terminology::{Coding, ConceptMap, Match, translate};
use std::sync::Arc;

/// The message where no map is held here that could tell.
pub(super) const NO_MAP: &str = "no concept map is known that fits what is asked";

/// The codes that are to be translated.
fn codings(inputs: &Inputs, names: [&str; 3], system: Option<&str>) -> Vec<Coding> {
    let [code, coding, concept] = names;
    if let Some(input) = inputs.get(concept) {
        return input.value.get("coding").map_or(&[][..], Tree::items).iter().map(Coding::from).collect();
    }
    if let Some(input) = inputs.get(coding) {
        return vec![Coding::from(&input.value)];
    }
    let of = |code: &str| Coding {
        code: code.to_owned(),
        system: system.unwrap_or_default().to_owned(),
        ..Coding::default()
    };
    inputs.text(code).map(of).into_iter().collect()
}

pub(crate) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let desk = Desk::of(&call, Some("conceptMap")).await?;
    let inputs = &desk.inputs;
    let (mut near, mut far) = (
        inputs.text("system").or(inputs.text("sourceSystem")),
        inputs.text("targetsystem").or(inputs.text("targetSystem")),
    );
    let (mut from, mut to) =
        (inputs.text("source").or(inputs.text("sourceScope")), inputs.text("target").or(inputs.text("targetScope")));
    let backwards = codings(inputs, ["targetCode", "targetCoding", "targetCodeableConcept"], far);
    let later = !backwards.is_empty();
    let reverse = later || inputs.flag("reverse") == Some(true);
    let mut asked = codings(inputs, ["code", "coding", "codeableConcept"], near);
    if asked.is_empty() {
        asked = codings(inputs, ["sourceCode", "sourceCoding", "sourceCodeableConcept"], near);
    }
    if later {
        asked = backwards;
        (near, far) = (far, near);
        (from, to) = (to, from);
    }
    let _ = near;
    if asked.iter().all(|c| c.code.is_empty()) {
        return Err(missing("say what is to be translated by 'code' and 'system', 'coding' or 'codeableConcept'"));
    }
    let given = match (inputs.get("conceptMap"), stored(&call).await?) {
        (Some(input), _) => Some(Arc::new(ConceptMap::of(&input.value))),
        (None, Some(resource)) => Some(Arc::new(ConceptMap::of(&resource))),
        (None, None) => None,
    };
    let found = desk.with(|library| {
        let url = inputs.text("url");
        let version = inputs.text("conceptMapVersion");
        let maps = match &given {
            Some(map) => vec![map.clone()],
            None => library.concept_maps(),
        };
        let chosen = maps.into_iter().filter(|map| {
            let same = |ours: &Option<Box<str>>, asked: Option<&str>| {
                asked.is_none_or(|a| ours.as_deref().is_none_or(|o| o == a))
            };
            let (source, target) =
                if reverse && later { (&map.target, &map.source) } else { (&map.source, &map.target) };
            url.is_none_or(|url| *map.url == *url)
                && version.is_none_or(|version| *map.version == *version)
                && (url.is_some()
                    || given.is_some()
                    || same(source, from)
                        && same(target, to)
                        && asked.iter().any(|coding| map.is_about(&coding.system, far, reverse)))
        });
        let chosen: Vec<Arc<ConceptMap>> = chosen.collect();
        let mut all: Vec<(Coding, Match)> = Vec::new();
        for coding in &asked {
            for map in &chosen {
                let within = to.filter(|_| !reverse);
                let matches = translate(library, map, (&coding.system, &coding.code), far, within, reverse, 0);
                all.extend(matches.into_iter().map(|m| (coding.clone(), m)));
            }
        }
        (chosen.is_empty(), all)
    });
    let (no_map, matches) = found;
    let good = |m: &Match| m.concept.is_some() && !matches!(m.equivalence.as_str(), "unmatched" | "disjoint");
    let mut out = vec![value("result", "Boolean", Tree::Bool(matches.iter().any(|(_, m)| good(m))))];
    if no_map {
        out.push(value("message", "String", Tree::string(NO_MAP)));
    } else if matches.is_empty() {
        out.push(value("message", "String", Tree::string("the concept maps say nothing of this code")));
    }
    for (coding, m) in matches {
        let concept =
            |system: &str, code: &str| Tree::object([("system", Tree::string(system)), ("code", Tree::string(code))]);
        let mut shown = vec![value("equivalence", "Code", Tree::string(&m.equivalence))];
        // The later form of the reverse question wants both ends.
        let there = m.concept.as_ref().map(|(system, code)| concept(system, code));
        if later {
            shown.push(value("concept", "Coding", concept(&coding.system, &coding.code)));
            shown.extend(there.map(|c| value("source", "Coding", c)));
            shown.push(value("originMap", "Canonical", Tree::string(&m.map)));
        } else {
            shown.extend(there.map(|c| value("concept", "Coding", c)));
            shown.push(value("source", "Uri", Tree::string(&m.map)));
        }
        if let Some(comment) = &m.comment {
            shown.push(value("comment", "String", Tree::string(comment)));
        }
        out.push(parts("match", shown));
    }
    Ok(answer(out))
}
