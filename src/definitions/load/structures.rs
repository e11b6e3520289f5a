//! Structures, elements and invariants.

use crate::definitions::model::{
    Binding, BindingStrength, Choice, Core, Element, ElementType, Structure, StructureKind, TypeId,
};
use crate::primitive::Primitive;
use rustc_hash::FxHashMap;

const VALUE_SETS: &str = "http://hl7.org/fhir/ValueSet/";

/// A structure as the table has it.
struct Head<'t> {
    name: &'t str,
    letter: &'t str,
    parent: &'t str,
    lines: Vec<&'t str>,
}

/// What the lines of elements refer to.
struct Names<'t> {
    heads: Vec<Head<'t>>,
    ids: FxHashMap<&'t str, TypeId>,
    /// The types of an open choice.
    open: &'t str,
}

/// Reads the two tables.
pub fn load(elements: &str, invariants: &str, definitions: &mut Core) -> Result<(), String> {
    let names = heads(elements)?;
    definitions.structures.reserve(names.heads.len());
    for head in &names.heads {
        let structure = structure(head, &names, &definitions.structures)?;
        definitions.by_name.insert(head.name.into(), structure.id);
        if structure.kind == StructureKind::Resource {
            definitions.resources.push(structure.id);
        }
        definitions.structures.push(structure);
    }
    attach(invariants, &names, &mut definitions.structures)?;
    definitions.resources.sort_by_key(|id| names.heads.get(id.0 as usize).map(|h| h.name));
    Ok(())
}

fn heads(table: &str) -> Result<Names<'_>, String> {
    let mut names = Names { heads: Vec::with_capacity(800), ids: FxHashMap::default(), open: "" };
    for line in table.lines() {
        if let Some(element) = line.strip_prefix('\t') {
            names.heads.last_mut().ok_or("an element without a structure")?.lines.push(element);
        } else if let Some(open) = line.strip_prefix("*\t") {
            names.open = open;
        } else {
            let mut fields = line.split('\t');
            let name = fields.next().unwrap_or_default();
            let letter = fields.next().unwrap_or_default();
            let parent = fields.next().unwrap_or_default();
            names.ids.insert(name, TypeId(names.heads.len() as u16));
            names.heads.push(Head { name, letter, parent, lines: Vec::new() });
        }
    }
    Ok(names)
}

fn structure(head: &Head<'_>, names: &Names<'_>, before: &[Structure]) -> Result<Structure, String> {
    let id = names.id(head.name)?;
    let kind = match head.letter {
        "R" => StructureKind::Resource,
        "A" => StructureKind::AbstractResource,
        "B" => StructureKind::Backbone,
        "C" => StructureKind::Complex,
        other => return Err(format!("{}: unknown kind {other}", head.name)),
    };
    let (mut elements, mut choices) = (Vec::new(), Vec::new());
    if !head.parent.is_empty() {
        // The table has a structure after the one that it inherits from.
        let parent = before.get(names.id(head.parent)?.0 as usize).ok_or("a structure before its parent")?;
        elements.reserve_exact(parent.elements.len() + head.lines.len());
        elements.clone_from(&parent.elements);
        choices.clone_from(&parent.choices);
    }
    let next = elements.last().map_or(0, |e: &Element| e.order + 1);
    for (line, order) in head.lines.iter().zip(next..) {
        element(head, line, order, names, &mut elements, &mut choices)?;
    }
    let by_name = elements.iter().enumerate().map(|(i, e)| (e.name.clone(), i as u16)).collect();
    Ok(Structure { id, name: head.name.into(), kind, elements, choices, by_name, invariants: Vec::new() })
}

/// Adds one line of the table: one element, or one for each type of a choice.
fn element(
    head: &Head<'_>,
    line: &str,
    order: u16,
    names: &Names<'_>,
    elements: &mut Vec<Element>,
    choices: &mut Vec<Choice>,
) -> Result<(), String> {
    let mut fields = line.split('\t');
    let name = fields.next().unwrap_or_default();
    let (min, max) = fields.next().and_then(|c| c.split_at_checked(1)).ok_or_else(|| format!("{line}: cardinality"))?;
    let flags = fields.next().unwrap_or_default();
    let types = fields.next().unwrap_or_default();
    let binding = binding(fields.next().unwrap_or_default());
    let min = min.parse().map_err(|_| format!("{line}: cardinality"))?;
    let types = if types == "*" { names.open } else { types };
    let fhirpath = name.strip_suffix("[x]").unwrap_or(name);
    let choice = match fhirpath.len() < name.len() {
        true => {
            choices.push(Choice { name: fhirpath.into(), min });
            Some(choices.len() as u16 - 1)
        }
        false => None,
    };
    for one in types.split(' ') {
        let (kind, type_name, targets) = names.kind(head, fhirpath, one)?;
        let property = match choice {
            Some(_) => property_of(fhirpath, type_name),
            None => fhirpath.into(),
        };
        elements.push(Element {
            name: property,
            fhirpath: fhirpath.into(),
            choice,
            min: if choice.is_some() { 0 } else { min },
            many: max == "*",
            kind,
            type_name: type_name.into(),
            targets,
            summary: flags.contains('S'),
            modifier: flags.contains('M'),
            attribute: flags.contains('A'),
            binding: binding.clone(),
            order,
            invariants: Vec::new(),
        });
    }
    Ok(())
}

/// `value` and `Quantity` make `valueQuantity`.
fn property_of(stem: &str, type_name: &str) -> Box<str> {
    let mut property = String::with_capacity(stem.len() + type_name.len());
    property.push_str(stem);
    property.push_str(type_name);
    if let Some(first) = property.get_mut(stem.len()..=stem.len()) {
        first.make_ascii_uppercase();
    }
    property.into()
}

fn binding(field: &str) -> Option<Binding> {
    let (letter, value_set) = field.split_at_checked(1)?;
    let strength = match letter {
        "R" => BindingStrength::Required,
        "E" => BindingStrength::Extensible,
        "P" => BindingStrength::Preferred,
        _ => BindingStrength::Example,
    };
    let value_set = match value_set.contains(':') {
        true => value_set.into(),
        false => format!("{VALUE_SETS}{value_set}").into(),
    };
    Some(Binding { strength, value_set })
}

impl<'t> Names<'t> {
    fn id(&self, name: &str) -> Result<TypeId, String> {
        self.ids.get(name).copied().ok_or_else(|| format!("no structure {name}"))
    }

    /// What a type of an element means: `+BackboneElement` the backbone element of its path, `#Bundle.link` another
    /// one, `Reference(Patient|Group)` a type with targets.
    fn kind<'n>(
        &'n self,
        head: &Head<'_>,
        element: &str,
        text: &'n str,
    ) -> Result<(ElementType, &'n str, Vec<TypeId>), String> {
        if let Some(parent) = text.strip_prefix('+') {
            return Ok((ElementType::Complex(self.id(&format!("{}.{element}", head.name))?), parent, Vec::new()));
        }
        if let Some(path) = text.strip_prefix('#') {
            let id = self.id(path)?;
            let parent = self.heads.get(id.0 as usize).map_or("", |h| h.parent);
            return Ok((ElementType::Complex(id), parent, Vec::new()));
        }
        let (name, targets) = match text.split_once('(') {
            Some((name, targets)) => {
                let targets = targets.trim_end_matches(')').split('|');
                (name, targets.map(|t| self.id(t)).collect::<Result<Vec<_>, _>>()?)
            }
            None => (text, Vec::new()),
        };
        let kind = match Primitive::named(name) {
            Some(primitive) => ElementType::Primitive(primitive),
            None if name == "Resource" => ElementType::Resource,
            None => ElementType::Complex(self.id(name)?),
        };
        Ok((kind, name, targets))
    }
}

/// Puts the invariants where they belong, and hands those of structures down to what inherits from them.
fn attach(table: &str, names: &Names<'_>, structures: &mut [Structure]) -> Result<(), String> {
    for line in table.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [on, element, key, severity, expression] = fields.as_slice() else {
            return Err(format!("{line}: five fields are expected"));
        };
        let invariant = ((*key).into(), *severity == "E", (*expression).into());
        let on = structures.get_mut(names.id(on)?.0 as usize).ok_or("no such structure")?;
        if element.is_empty() {
            on.invariants.push(invariant);
            continue;
        }
        let stem = element.strip_suffix("[x]");
        for e in &mut on.elements {
            if &*e.name == *element || e.choice.is_some() && Some(&*e.fhirpath) == stem {
                e.invariants.push(invariant.clone());
            }
        }
    }
    for head in names.heads.iter().filter(|h| !h.parent.is_empty()) {
        let (own, parent) = (names.id(head.name)?.0 as usize, names.id(head.parent)?.0 as usize);
        let mut all = structures.get(parent).map(|p| p.invariants.clone()).unwrap_or_default();
        if let Some(own) = structures.get_mut(own) {
            all.append(&mut own.invariants);
            own.invariants = all;
        }
    }
    Ok(())
}
