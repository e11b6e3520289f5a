//! Where an element of a document stands in its tree, and the changes a FHIRPath Patch makes there. A primitive is two
//! values, `x` and `_x`, which are kept together; what is left empty goes, too.

use crate::definitions::{Definitions, Element, ElementType, TypeId};
use crate::fhirpath::eval::{Item, NodeType};
use crate::json::{Kind, Tree, Value};
use std::collections::HashSet;

/// A step down a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To a member, by its name without underscore.
    Key(String),
    /// To an item.
    Item(usize),
}

/// The steps from the resource on.
pub(super) type Path = Vec<Step>;

/// An element that an expression found.
#[derive(Debug)]
pub(super) struct Place {
    pub path: Path,
    pub kind: Option<NodeType>,
}

/// Where a node of a document stands; none for values that are computed.
pub(super) fn locate(item: &Item<'_>, root: Value<'_>) -> Option<Place> {
    let Item::Node(node) = item else { return None };
    let wanted = node.value.or(node.extra)?.span();
    let mut path = Vec::new();
    let mut at = root;
    // Spans nest: each step goes to the one child that holds the node.
    while at.span() != wanted {
        let holds = |v: &Value<'_>| v.span().start <= wanted.start && wanted.end <= v.span().end;
        match at.kind() {
            Kind::Object => {
                let (key, child) = at.entries().find(|(_, v)| holds(v))?;
                // Extensions of a primitive are its children; the primitive itself has no value of its own.
                path.push(Step::Key(key.into_owned()));
                at = child;
            }
            Kind::Array => {
                let (i, child) = at.items().enumerate().find(|(_, v)| holds(v))?;
                path.push(Step::Item(i));
                at = child;
            }
            _ => return None,
        }
    }
    // A primitive that only has an id or extensions was found by them.
    if node.value.is_none()
        && let Some(Step::Key(key)) = path.iter_mut().rev().find(|step| matches!(step, Step::Key(_)))
    {
        *key = value_key(key).to_owned();
    }
    Some(Place { path, kind: Some(node.kind) })
}

/// The object with id and extensions of a primitive, made if need be.
pub(super) fn beside(tree: &mut Tree, path: &[Step]) -> Result<Path, String> {
    let nothing = || Tree::Object(Vec::new());
    let (to, item) = match path {
        [to @ .., Step::Item(i)] => (to, Some(*i)),
        to => (to, None),
    };
    let Some((Step::Key(key), parent)) = to.split_last() else { return Err(gone("element")) };
    let key = twin(value_key(key));
    let object = find(tree, parent)?;
    if object.get(&key).is_none() {
        object.set(&key, if item.is_some() { Tree::Array(Vec::new()) } else { nothing() });
    }
    let mut path: Path = parent.iter().cloned().chain([Step::Key(key.clone())]).collect();
    if let (Some(i), Some(Tree::Array(items))) = (item, object.get_mut(&key)) {
        items.resize(items.len().max(i + 1), Tree::Null);
        if let Some(item) = items.get_mut(i).filter(|item| **item == Tree::Null) {
            *item = nothing();
        }
        path.push(Step::Item(i));
    }
    Ok(path)
}

fn find<'t>(tree: &'t mut Tree, path: &[Step]) -> Result<&'t mut Tree, String> {
    path.iter().try_fold(tree, |tree, step| match (step, tree) {
        (Step::Key(key), tree @ Tree::Object(_)) => tree.get_mut(key).ok_or_else(|| gone(key)),
        (Step::Item(i), Tree::Array(items)) => items.get_mut(*i).ok_or_else(|| gone("item")),
        _ => Err(gone("element")),
    })
}

fn look<'t>(tree: &'t Tree, path: &[Step]) -> Option<&'t Tree> {
    path.iter().try_fold(tree, |tree, step| match (step, tree) {
        (Step::Key(key), tree) => tree.get(key),
        (Step::Item(i), Tree::Array(items)) => items.get(*i),
        _ => None,
    })
}

fn gone(what: &str) -> String {
    format!("'{what}' is not there")
}

/// The member beside a member: `_x` of `x` and the other way round.
fn twin(key: &str) -> String {
    match key.strip_prefix('_') {
        Some(key) => key.to_owned(),
        None => format!("_{key}"),
    }
}

fn value_key(key: &str) -> &str {
    key.strip_prefix('_').unwrap_or(key)
}

/// The list that an item stands in.
pub(super) fn list_of(path: &[Step]) -> Option<Path> {
    match path {
        [list @ .., Step::Item(_)] => Some(list.to_vec()),
        _ => None,
    }
}

/// Whether all of some values are items of a list of the document, or what stands beside such an item.
pub(super) fn holds_all(root: Value<'_>, list: &[Step], items: &[Item<'_>]) -> bool {
    let Some((Step::Key(key), parent)) = list.split_last() else { return false };
    let parent = parent.iter().try_fold(root, |at, step| match step {
        Step::Key(key) => at.get(key),
        Step::Item(i) => at.items().nth(*i),
    });
    let Some(parent) = parent else { return false };
    let lists = [key.clone(), twin(key)];
    let members: HashSet<u32> =
        lists.iter().filter_map(|key| parent.get(key)).flat_map(Value::items).map(Value::place).collect();
    items.iter().all(|item| match item {
        Item::Node(node) => node.value.or(node.extra).is_some_and(|value| members.contains(&value.place())),
        _ => false,
    })
}

/// How many items a list has, counting those that only have extensions.
pub(super) fn length(tree: &Tree, list: &[Step]) -> usize {
    let Some((Step::Key(key), parent)) = list.split_last() else { return 0 };
    let Some(parent) = look(tree, parent) else { return 0 };
    let of = |key: &str| parent.get(key).map_or(0, |t| t.items().len());
    of(key).max(of(&twin(key)))
}

/// Whether an object has a member or its twin.
pub(super) fn has(tree: &Tree, path: &[Step], name: &str) -> bool {
    look(tree, path).is_some_and(|t| t.get(name).is_some() || t.get(&twin(name)).is_some())
}

/// Adds an element to an object: at the end of a list, or as the only one.
pub(super) fn add(
    tree: &mut Tree,
    parent: &[Step],
    name: &str,
    many: bool,
    value: Option<Tree>,
    extra: Option<Tree>,
) -> Result<(), String> {
    if many {
        let list: Path = parent.iter().cloned().chain([Step::Key(name.to_owned())]).collect();
        let end = length(tree, &list);
        return insert(tree, &list, end, value, extra);
    }
    let object = find(tree, parent)?;
    let mut put = |key: &str, value: Option<Tree>| {
        if let Some(value) = value {
            object.set(key, value);
        }
    };
    put(name, value);
    put(&twin(name), extra);
    Ok(())
}

/// Puts an item into a list, which is made if need be.
pub(super) fn insert(
    tree: &mut Tree,
    list: &[Step],
    at: usize,
    value: Option<Tree>,
    extra: Option<Tree>,
) -> Result<(), String> {
    let len = length(tree, list);
    let Some((Step::Key(key), parent)) = list.split_last() else { return Err(gone("list")) };
    let name = value_key(key).to_owned();
    let object = find(tree, parent)?;
    for (key, item) in [(name.clone(), value), (twin(&name), extra)] {
        if object.get(&key).is_none() {
            if item.is_none() {
                continue;
            }
            object.set(&key, Tree::Array(vec![Tree::Null; len]));
        }
        let Some(Tree::Array(items)) = object.get_mut(&key) else { return Err(format!("'{key}' is no list")) };
        // The twin may be shorter: nothing after its end has extensions.
        items.resize(items.len().max(len), Tree::Null);
        items.insert(at.min(items.len()), item.unwrap_or(Tree::Null));
    }
    tidy(tree, parent);
    Ok(())
}

/// Takes an item out of a list and puts it elsewhere.
pub(super) fn reorder(tree: &mut Tree, list: &[Step], from: usize, to: usize) -> Result<(), String> {
    let len = length(tree, list);
    let Some((Step::Key(key), parent)) = list.split_last() else { return Err(gone("list")) };
    let object = find(tree, parent)?;
    for key in [key.clone(), twin(key)] {
        if let Some(Tree::Array(items)) = object.get_mut(&key) {
            items.resize(len, Tree::Null);
            let item = items.remove(from);
            items.insert(to, item);
        }
    }
    Ok(())
}

/// Takes an element out, and what it leaves empty.
pub(super) fn delete(tree: &mut Tree, path: &[Step]) -> Result<(), String> {
    let Some((last, parent)) = path.split_last() else {
        return Err("the whole resource cannot be deleted by a patch".to_owned());
    };
    match last {
        Step::Key(key) => {
            let object = find(tree, parent)?;
            object.remove(key);
            // The extensions of a primitive go with it.
            object.remove(&twin(key));
            tidy(tree, parent);
        }
        Step::Item(i) => {
            let Some((Step::Key(key), holder)) = parent.split_last() else { return Err(gone("list")) };
            let object = find(tree, holder)?;
            for key in [key.clone(), twin(key)] {
                if let Some(Tree::Array(items)) = object.get_mut(&key)
                    && *i < items.len()
                {
                    items.remove(*i);
                }
            }
            tidy(tree, holder);
        }
    }
    Ok(())
}

/// Puts a value in the place of another, perhaps under another name.
pub(super) fn replace(
    tree: &mut Tree,
    path: &[Step],
    name: Option<&str>,
    value: Option<Tree>,
    extra: Option<Tree>,
) -> Result<(), String> {
    let Some((last, parent)) = path.split_last() else {
        let Some(value) = value else { return Err("there is no value".to_owned()) };
        *tree = value;
        return Ok(());
    };
    match last {
        Step::Key(key) => {
            let object = find(tree, parent)?;
            let old = value_key(key).to_owned();
            let new = name.unwrap_or(&old);
            let Tree::Object(entries) = &mut *object else { return Err(gone(&old)) };
            let at = entries.iter().position(|(k, _)| *k == old || *k == twin(&old)).unwrap_or(entries.len());
            entries.retain(|(k, _)| *k != old && *k != twin(&old));
            let fresh = [(new.to_owned(), value), (twin(new), extra)];
            let mut at = at.min(entries.len());
            for (key, value) in fresh {
                if let Some(value) = value {
                    entries.insert(at, (key, value));
                    at += 1;
                }
            }
        }
        Step::Item(i) => {
            let Some((Step::Key(key), holder)) = parent.split_last() else { return Err(gone("list")) };
            let name = value_key(key).to_owned();
            let list: Path = holder.iter().cloned().chain([Step::Key(name.clone())]).collect();
            let len = length(tree, &list);
            let object = find(tree, holder)?;
            for (key, value) in [(name.clone(), value), (twin(&name), extra)] {
                if object.get(&key).is_none() && value.is_some() {
                    object.set(&key, Tree::Array(vec![Tree::Null; len]));
                }
                if let Some(Tree::Array(items)) = object.get_mut(&key) {
                    items.resize(items.len().max(i + 1), Tree::Null);
                    if let Some(item) = items.get_mut(*i) {
                        *item = value.unwrap_or(Tree::Null);
                    }
                }
            }
        }
    }
    tidy(tree, parent);
    Ok(())
}

/// Removes what is empty here, and upward what that leaves empty.
fn tidy(tree: &mut Tree, path: &[Step]) {
    let hollow = |t: &Tree| match t {
        Tree::Array(items) => items.iter().all(|i| *i == Tree::Null),
        Tree::Object(entries) => entries.is_empty(),
        _ => false,
    };
    if let Ok(Tree::Object(entries)) = find(tree, path) {
        entries.retain(|(_, value)| !hollow(value));
    }
    let empty = matches!(look(tree, path), Some(t) if hollow(t));
    if empty && !path.is_empty() {
        // What holds it loses a member or an item, and is looked at in turn.
        let _ = delete(tree, path);
    }
}

/// The element that a path leads to, and the type that has it.
pub(super) fn element_at<'s>(
    path: &[Step],
    root: NodeType,
    definitions: &'s Definitions,
    tree: &Tree,
) -> Option<(TypeId, &'s Element)> {
    let NodeType::Complex(mut parent) = root else { return None };
    let mut found = None;
    for (i, step) in path.iter().enumerate() {
        let Step::Key(key) = step else { continue };
        let element = definitions.structure(parent).element(value_key(key))?;
        found = Some((parent, element));
        match element.kind {
            ElementType::Complex(id) => parent = id,
            ElementType::Primitive(_) => parent = definitions.type_named("Element")?,
            ElementType::Resource => {
                let here = path.get(..=i).and_then(|p| look(tree, p))?;
                let here = match (here, path.get(i + 1)) {
                    (Tree::Array(items), Some(Step::Item(n))) => items.get(*n)?,
                    (here, _) => here,
                };
                parent = definitions.resource(here.get("resourceType")?.as_str()?)?;
            }
        }
    }
    found
}
