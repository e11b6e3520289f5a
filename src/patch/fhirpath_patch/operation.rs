//! One operation of a FHIRPath Patch: reading it from its parts, finding where it works, and doing it.

use super::edit::{self, Path, Place};
use super::{broken, unfit};
use crate::base::Failure;
use crate::definitions::{Definitions, Element, ElementType, TypeId};
use crate::fhirpath::eval::{Alone, Evaluator, Item, Node, NodeType};
use crate::fhirpath::{Expression, ExpressionKind, parse};
use crate::json::{Document, Limits, Tree, Value};

/// An operation.
pub(super) struct Operation<'p> {
    /// Where it stands in the patch.
    pub place: String,
    path: Expression,
    action: Action<'p>,
}

enum Action<'p> {
    Add { name: String, value: Given<'p> },
    Insert { at: usize, value: Given<'p> },
    Delete,
    Replace(Given<'p>),
    Move { from: usize, to: usize },
}

/// A value that is given: a `value[x]`, a resource, or the parts of an element without a type of its own.
struct Given<'p> {
    parameter: Value<'p>,
    place: String,
}

impl<'p> Operation<'p> {
    pub(super) fn read(number: usize, parameter: Value<'p>) -> Result<Self, Failure> {
        let place = format!("Parameters.parameter[{number}]");
        if parameter.get("name").and_then(Value::as_plain) != Some("operation") {
            return Err(broken(format!("{place}.name"), "each parameter of a FHIRPath Patch is called operation"));
        }
        let parts: Vec<Value<'p>> = parameter.get("part").into_iter().flat_map(Value::items).collect();
        for (i, part) in parts.iter().enumerate() {
            let name = part.get("name").and_then(Value::as_str).unwrap_or_default();
            let known = ["type", "path", "name", "value", "index", "source", "destination", "pathLabel"];
            if !known.contains(&&*name) {
                let name: String = name.chars().take(60).collect();
                return Err(broken(
                    format!("{place}.part[{i}].name"),
                    format!("no part of an operation is called '{name}'"),
                ));
            }
        }
        let part = |wanted: &str| {
            let named = |p: &Value<'p>| p.get("name").and_then(Value::as_plain) == Some(wanted);
            let i = parts.iter().position(named);
            match i.and_then(|i| parts.get(i).map(|p| (i, *p))) {
                Some((i, part)) => Ok((format!("{place}.part[{i}]"), part)),
                None => Err(broken(place.clone(), format!("the operation needs a part '{wanted}'"))),
            }
        };
        let text = |wanted: &str| {
            let (place, part) = part(wanted)?;
            let text = ["valueString", "valueCode"].iter().find_map(|key| part.get(key)?.as_str());
            let text =
                text.ok_or_else(|| broken(place.clone(), format!("'{wanted}' is a valueString or valueCode")))?;
            Ok::<_, Failure>((place, text.into_owned()))
        };
        let index = |wanted: &str| {
            let (place, part) = part(wanted)?;
            let number = ["valueInteger", "valueUnsignedInt", "valuePositiveInt"].iter().find_map(|key| part.get(key));
            let number = number.and_then(Value::as_number).and_then(|n| n.parse().ok());
            number.ok_or_else(|| broken(place, format!("'{wanted}' is a valueInteger that is not negative")))
        };
        let value = || part("value").map(|(place, parameter)| Given { parameter, place });
        let (at, kind) = text("type")?;
        let (path_at, path) = text("path")?;
        let path = parse(&path).map_err(|e| broken(path_at, format!("the path is no FHIRPath expression: {e}")))?;
        let action = match kind.as_str() {
            "add" => Action::Add { name: text("name")?.1, value: value()? },
            "insert" => Action::Insert { at: index("index")?, value: value()? },
            "delete" => Action::Delete,
            "replace" => Action::Replace(value()?),
            "move" => Action::Move { from: index("source")?, to: index("destination")? },
            _ => return Err(broken(at, "'type' is one of: add, insert, delete, replace, move")),
        };
        Ok(Operation { place, path, action })
    }

    /// Does it; what its expressions take is taken from the steps.
    pub(super) fn apply(
        &self,
        tree: &mut Tree,
        definitions: &Definitions,
        now: i64,
        steps: &mut u64,
    ) -> Result<(), Failure> {
        let text = tree.to_json();
        let document = Document::parse(text.as_bytes(), &Limits::NONE).map_err(Failure::internal)?;
        let Some(root) = Node::resource(document.root(), definitions) else {
            return Err(unfit(&self.place, "the resource is of no type that is known"));
        };
        let evaluator = Evaluator::new(definitions, root, now, &Alone);
        let mut found = |expression: &Expression| {
            let items = evaluator.evaluate_within(expression, vec![Item::Node(root)], steps);
            items.map_err(|e| unfit(&self.place, format!("the path cannot be evaluated: {e}")))
        };
        let items = found(&self.path)?;
        let whole = document.root();
        match &self.action {
            Action::Add { name, value } => {
                let place = self.one(&items, whole)?;
                self.add(tree, &place, name, value, definitions)
            }
            Action::Delete => match items.as_slice() {
                // What is not there need not be deleted.
                [] => Ok(()),
                [one] => {
                    let path = self.located(one, whole)?.path;
                    edit::delete(tree, &path).map_err(|m| unfit(&self.place, m))
                }
                _ => Err(unfit(&self.place, "the path of a delete finds several elements")),
            },
            Action::Replace(value) => {
                let place = self.one(&items, whole)?;
                self.replace(tree, &place, value, root.kind, definitions)
            }
            Action::Insert { at, value } if items.is_empty() => {
                // Only the first of a list that is not there yet can be inserted.
                let ExpressionKind::Member { of, name } = &self.path.kind else {
                    return Err(unfit(&self.place, "the path finds nothing"));
                };
                let parents = match of {
                    Some(of) => found(of)?,
                    None => found(&Expression { at: 0, kind: ExpressionKind::This })?,
                };
                let parent = self.one(&parents, whole)?;
                if *at > 0 {
                    return Err(unfit(&self.place, format!("the list is empty: nothing can be inserted at {at}")));
                }
                self.add(tree, &parent, name, value, definitions)
            }
            Action::Insert { at, value } => {
                let (list, len, kind) = self.list(tree, &items, whole)?;
                if *at > len {
                    return Err(unfit(
                        &self.place,
                        format!("the list has {len} items: nothing can be inserted at {at}"),
                    ));
                }
                let (_, value, extra) = value.made(kind, definitions)?;
                edit::insert(tree, &list, *at, value, extra).map_err(|m| unfit(&self.place, m))
            }
            Action::Move { from, to } => {
                let (list, len, _) = self.list(tree, &items, whole)?;
                if *from >= len || *to >= len {
                    return Err(unfit(
                        &self.place,
                        format!("the list has {len} items: {from} cannot be moved to {to}"),
                    ));
                }
                edit::reorder(tree, &list, *from, *to).map_err(|m| unfit(&self.place, m))
            }
        }
    }

    fn located(&self, item: &Item<'_>, root: Value<'_>) -> Result<Place, Failure> {
        edit::locate(item, root).ok_or_else(|| unfit(&self.place, "the path gives a value that is no element"))
    }

    fn one(&self, items: &[Item<'_>], root: Value<'_>) -> Result<Place, Failure> {
        match items {
            [one] => self.located(one, root),
            [] => Err(unfit(&self.place, "the path finds no element")),
            more => Err(unfit(&self.place, format!("the path finds {} elements, but one is meant", more.len()))),
        }
    }

    /// The list that all of these stand in, its length, and what its items are.
    fn list(
        &self,
        tree: &Tree,
        items: &[Item<'_>],
        root: Value<'_>,
    ) -> Result<(Path, usize, Option<NodeType>), Failure> {
        let no_list = || unfit(&self.place, "the path does not lead to one list");
        let first = self.located(items.first().ok_or_else(no_list)?, root)?;
        let list = edit::list_of(&first.path).ok_or_else(no_list)?;
        if !edit::holds_all(root, &list, items) {
            return Err(no_list());
        }
        let length = edit::length(tree, &list);
        Ok((list, length, first.kind))
    }

    fn add(
        &self,
        tree: &mut Tree,
        place: &Place,
        name: &str,
        value: &Given<'_>,
        definitions: &Definitions,
    ) -> Result<(), Failure> {
        let Some(parent) = place.kind.and_then(|kind| complex(kind, definitions)) else {
            return Err(unfit(&self.place, "children cannot be added to this element"));
        };
        let given = value.type_name();
        let elements =
            definitions.structure(parent).elements.iter().filter(|e| *e.fhirpath == *name || *e.name == *name);
        let elements: Vec<&Element> = elements.collect();
        let exact = elements.iter().find(|e| given.as_deref().is_some_and(|g| same_type(g, &e.type_name)));
        let Some(element) = exact.or(elements.first()).copied() else {
            let name: String = name.chars().take(60).collect();
            let message = format!("{} has no element '{name}'", definitions.name(parent));
            return Err(unfit(&self.place, message));
        };
        if element.choice.is_some() && exact.is_none() {
            return Err(unfit(&self.place, format!("'{name}' cannot be of the type that is given")));
        }
        let kind = of_element(element);
        let (_, made, extra) = value.made(kind, definitions)?;
        let path = match place.kind {
            Some(NodeType::Primitive(_)) => edit::beside(tree, &place.path).map_err(|m| unfit(&self.place, m))?,
            _ => place.path.clone(),
        };
        if !element.many && elements.iter().any(|e| edit::has(tree, &path, &e.name)) {
            return Err(unfit(&self.place, format!("'{name}' is there already and cannot repeat; replace it instead")));
        }
        edit::add(tree, &path, &element.name, element.many, made, extra).map_err(|m| unfit(&self.place, m))
    }

    fn replace(
        &self,
        tree: &mut Tree,
        place: &Place,
        value: &Given<'_>,
        root: NodeType,
        definitions: &Definitions,
    ) -> Result<(), Failure> {
        let (given, made, extra) = value.made(place.kind, definitions)?;
        let element = edit::element_at(&place.path, root, definitions, tree);
        // A choice element may become another of its types, and is then called otherwise.
        let name = element.and_then(|(parent, element)| {
            element.choice?;
            let given = given.as_deref()?;
            let all = &definitions.structure(parent).elements;
            all.iter()
                .find(|e| e.fhirpath == element.fhirpath && same_type(given, &e.type_name))
                .map(|e| e.name.clone())
        });
        edit::replace(tree, &place.path, name.as_deref(), made, extra).map_err(|m| unfit(&self.place, m))
    }
}

fn complex(kind: NodeType, definitions: &Definitions) -> Option<TypeId> {
    match kind {
        NodeType::Complex(id) => Some(id),
        NodeType::Primitive(_) => definitions.type_named("Element"),
    }
}

fn of_element(element: &Element) -> Option<NodeType> {
    match element.kind {
        ElementType::Primitive(kind) => Some(NodeType::Primitive(kind)),
        ElementType::Complex(id) => Some(NodeType::Complex(id)),
        ElementType::Resource => None,
    }
}

/// Whether `valueCodeableConcept` (`CodeableConcept`) is of a type (`string` and `String` are the same).
fn same_type(given: &str, type_name: &str) -> bool {
    given.eq_ignore_ascii_case(type_name)
}

type Made = (Option<String>, Option<Tree>, Option<Tree>);

impl Given<'_> {
    /// The name of its type, where it is a `value[x]`.
    fn type_name(&self) -> Option<String> {
        let typed = |key: &str| key.trim_start_matches('_').strip_prefix("value").map(str::to_owned);
        self.parameter.entries().find_map(|(key, _)| typed(&key))
    }

    /// The value, and for a primitive what has its id and extensions. `kind` is what it becomes; parts are named by it.
    fn made(&self, kind: Option<NodeType>, definitions: &Definitions) -> Result<Made, Failure> {
        if let Some(resource) = self.parameter.get("resource") {
            return Ok((None, Some(Tree::from(resource)), None));
        }
        if let Some(name) = self.type_name() {
            let value = self.parameter.get(&format!("value{name}")).map(Tree::from);
            let extra = self.parameter.get(&format!("_value{name}")).map(Tree::from);
            return Ok((Some(name), value, extra));
        }
        let Some(NodeType::Complex(id)) = kind else {
            return Err(broken(&self.place, "there is no value"));
        };
        let parts: Vec<Value<'_>> = self.parameter.get("part").into_iter().flat_map(Value::items).collect();
        if parts.is_empty() {
            return Err(broken(&self.place, "there is no value"));
        }
        let mut object = Tree::Object(Vec::new());
        for (i, parameter) in parts.into_iter().enumerate() {
            let place = format!("{}.part[{i}]", self.place);
            let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
            let given = Given { parameter, place };
            let of = given.type_name();
            let all = definitions.structure(id).elements.iter().filter(|e| *e.fhirpath == *name || *e.name == *name);
            let all: Vec<&Element> = all.collect();
            let exact = all.iter().find(|e| of.as_deref().is_some_and(|of| same_type(of, &e.type_name)));
            let Some(element) = exact.or(all.first()).copied() else {
                let name: String = name.chars().take(60).collect();
                return Err(broken(given.place, format!("{} has no element '{name}'", definitions.name(id))));
            };
            let (_, value, extra) = given.made(of_element(element), definitions)?;
            edit::add(&mut object, &[], &element.name, element.many, value, extra)
                .map_err(|m| broken(given.place, m))?;
        }
        Ok((None, Some(object), None))
    }
}
