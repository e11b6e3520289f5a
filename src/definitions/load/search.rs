//! Search parameters, compartments and operations.

use super::words;
use crate::definitions::model::{
    ByType, Compartment, Component, Core, OperationDefinition, SearchKind, SearchParameter, StructureKind,
};
use rustc_hash::FxHashMap;

const PARAMETERS: &str = "http://hl7.org/fhir/SearchParameter/";

/// Reads the table of search parameters.
pub fn parameters(table: &str, definitions: &mut Core) -> Result<(), String> {
    for line in table.lines() {
        if let Some(component) = line.strip_prefix('\t') {
            let (definition, expression) = component.split_once('\t').ok_or("a component has two fields")?;
            let parameter = definitions.search_parameters.last_mut().ok_or("a component without a parameter")?;
            let component = Component { definition: long(definition), expression: expression.into() };
            parameter.components.push(component);
        } else {
            let parameter = parameter(line, definitions)?;
            definitions.search_parameters.push(parameter);
        }
    }
    // The package has the definitions of these two components the wrong way round: `code` is a token.
    let relationship = |p: &&mut SearchParameter| p.url.ends_with("/DocumentReference-relationship");
    if let Some(parameter) = definitions.search_parameters.iter_mut().find(relationship)
        && let [first, second] = parameter.components.as_mut_slice()
        && first.definition.ends_with("relatesto")
    {
        std::mem::swap(&mut first.definition, &mut second.definition);
    }
    definitions.search_by_type = by_type(definitions);
    Ok(())
}

fn parameter(line: &str, definitions: &Core) -> Result<SearchParameter, String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [url, code, kind, bases, targets, flags, comparators, modifiers, chain, expression] = fields.as_slice() else {
        return Err(format!("{line}: ten fields are expected"));
    };
    let kind = SearchKind::of(kind).ok_or_else(|| format!("{url}: unknown type {kind}"))?;
    let targets = match *targets {
        "*" => definitions.resources.iter().copied().filter(|r| definitions.name(*r) != "Parameters").collect(),
        names => {
            let names = names.split(' ').filter(|n| !n.is_empty());
            let ids = names.map(|n| definitions.resource(n).ok_or_else(|| format!("{url}: no resource type {n}")));
            ids.collect::<Result<Vec<_>, _>>()?
        }
    };
    let flag = |at: usize| match flags.as_bytes().get(at) {
        Some(b'Y') => Some(true),
        Some(b'N') => Some(false),
        _ => None,
    };
    Ok(SearchParameter {
        number: definitions.search_parameters.len() as u16,
        url: long(url),
        code: (*code).into(),
        kind,
        bases: words(bases),
        expression: (*expression).into(),
        targets,
        components: Vec::new(),
        multiple_or: flag(0),
        multiple_and: flag(1),
        comparators: words(comparators),
        modifiers: words(modifiers),
        chain: words(chain),
    })
}

fn long(url: &str) -> Box<str> {
    match url.contains(':') {
        true => url.into(),
        false => format!("{PARAMETERS}{url}").into(),
    }
}

/// For each resource type, code to number. Parameters of the type itself go before those of DomainResource, those
/// before the ones of Resource. Where two have the same code on the same base (the package has examples that do),
/// the one whose canonical is named after the base wins, otherwise the first.
fn by_type(definitions: &Core) -> ByType {
    let mut by_base: FxHashMap<&str, Vec<&SearchParameter>> = FxHashMap::default();
    for parameter in &definitions.search_parameters {
        for base in &parameter.bases {
            by_base.entry(base).or_default().push(parameter);
        }
    }
    for (base, parameters) in &mut by_base {
        parameters.sort_by_key(|p| !named_after(p, base));
    }
    let mut all = ByType::default();
    for id in &definitions.resources {
        let structure = definitions.structure(*id);
        // Bundle, Binary and Parameters are no DomainResources: they have no text.
        let bases: &[&str] = match structure.by_name.contains_key("text") {
            true => &["DomainResource", "Resource"],
            false => &["Resource"],
        };
        let own = std::iter::once(&*structure.name).filter(|_| structure.kind == StructureKind::Resource);
        let mut codes = FxHashMap::default();
        for parameter in own.chain(bases.iter().copied()).flat_map(|b| by_base.get(b).into_iter().flatten()) {
            codes.entry(parameter.code.clone()).or_insert(parameter.number);
        }
        all.insert(*id, codes);
    }
    all
}

fn named_after(parameter: &SearchParameter, base: &str) -> bool {
    let name = parameter.url.strip_prefix(PARAMETERS).and_then(|name| name.strip_prefix(base));
    name.is_some_and(|rest| rest.starts_with('-'))
}

/// Reads the table of compartments.
pub fn compartments(table: &str, definitions: &mut Core) -> Result<(), String> {
    for line in table.lines() {
        let Some(member) = line.strip_prefix('\t') else {
            let name = line.split('\t').next().unwrap_or_default();
            definitions.compartments.push(Compartment { name: name.into(), members: FxHashMap::default() });
            continue;
        };
        let (kind, codes) = member.split_once('\t').ok_or("a member has two fields")?;
        let kind = definitions.resource(kind).ok_or_else(|| format!("no resource type {kind}"))?;
        let compartment = definitions.compartments.last_mut().ok_or("a member without a compartment")?;
        compartment.members.insert(kind, words(codes));
    }
    Ok(())
}

/// Reads the table of operations.
pub fn operations(table: &str, definitions: &mut Core) -> Result<(), String> {
    for line in table.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [url, code, flags, resources] = fields.as_slice() else {
            return Err(format!("{line}: four fields are expected"));
        };
        definitions.operations.push(OperationDefinition {
            url: (*url).into(),
            code: (*code).into(),
            system: flags.contains('S'),
            on_type: flags.contains('T'),
            on_instance: flags.contains('I'),
            affects_state: flags.contains('A'),
            resources: words(resources),
        });
    }
    Ok(())
}
