//! JSON Patch (RFC 6902; R4 http.html#patch): all operations or none. A broken patch document is malformed; an
//! operation that does not fit the resource, a failed test included, is unprocessable.

use super::measure::{Cost, same, size};
use super::pointer::{self, Pointer};
use crate::base::{Failure, FailureKind, Issue, IssueCode};
use crate::json::{Kind, Tree, Value};
use std::borrow::Cow;

/// The resource as the patch makes it. Issues name the operation: `patch[2].path`.
pub fn json_patch(resource: &Tree, patch: Value<'_>) -> Result<Tree, Failure> {
    if patch.kind() != Kind::Array {
        return Err(Failure::malformed(IssueCode::Structure, "a JSON Patch is an array of operations").at("patch"));
    }
    // All of the document is read first: a broken one changes nothing and fails in the same way on any resource.
    let mut read = Vec::new();
    for (number, operation) in patch.items().enumerate() {
        read.push(Operation::read(number, operation)?);
    }
    let mut patching = Patching { tree: resource.clone(), cost: Cost::default() };
    patching.cost.put(0, size(resource)).map_err(|f| f.at("patch"))?;
    for (number, operation) in read.iter().enumerate() {
        patching.apply(number, operation)?;
    }
    Ok(patching.tree)
}

/// One operation of a patch document.
struct Operation<'p> {
    path: Pointer<'p>,
    action: Action<'p>,
}

enum Action<'p> {
    Add(Value<'p>),
    Remove,
    Replace(Value<'p>),
    Move(Pointer<'p>),
    Copy(Pointer<'p>),
    Test(Value<'p>),
}

impl<'p> Operation<'p> {
    fn read(number: usize, operation: Value<'p>) -> Result<Self, Failure> {
        if operation.kind() != Kind::Object {
            let message = "an operation of a JSON Patch is an object";
            return Err(Failure::malformed(IssueCode::Structure, message).at(&format!("patch[{number}]")));
        }
        let Some(name) = member(number, operation, "op")?.as_str() else {
            return Err(broken(number, "op", "'op' is a string"));
        };
        let path = pointer(number, operation, "path")?;
        let action = match &*name {
            "add" => Action::Add(member(number, operation, "value")?),
            "remove" => Action::Remove,
            "replace" => Action::Replace(member(number, operation, "value")?),
            "move" => Action::Move(pointer(number, operation, "from")?),
            "copy" => Action::Copy(pointer(number, operation, "from")?),
            "test" => Action::Test(member(number, operation, "value")?),
            _ => return Err(broken(number, "op", "'op' is one of: add, copy, move, remove, replace, test")),
        };
        Ok(Operation { path, action })
    }
}

fn member<'p>(number: usize, operation: Value<'p>, name: &str) -> Result<Value<'p>, Failure> {
    operation.get(name).ok_or_else(|| {
        let message = format!("this operation of a JSON Patch needs a member '{name}'");
        Failure::malformed(IssueCode::Required, message).at(&format!("patch[{number}].{name}"))
    })
}

fn pointer<'p>(number: usize, operation: Value<'p>, name: &str) -> Result<Pointer<'p>, Failure> {
    let value = member(number, operation, name)?;
    match value.as_str() {
        // A string without escapes is borrowed from the patch; the others are few.
        Some(Cow::Borrowed(text)) => Pointer::parse(text).map_err(|message| broken(number, name, message)),
        Some(Cow::Owned(text)) => match Pointer::parse(&text) {
            Ok(pointer) => Ok(Pointer(pointer.0.into_iter().map(|t| Cow::Owned(t.into_owned())).collect())),
            Err(message) => Err(broken(number, name, message)),
        },
        None => Err(broken(number, name, "a JSON Pointer is a string")),
    }
}

fn broken(number: usize, name: &str, message: &str) -> Failure {
    Failure::malformed(IssueCode::Value, message).at(&format!("patch[{number}].{name}"))
}

/// An operation that does not fit the resource.
fn unfit(number: usize, name: &str, message: impl Into<String>) -> Failure {
    let issue = Issue::error(IssueCode::Processing, message).at(format!("patch[{number}].{name}"));
    Failure::of(FailureKind::Unprocessable, vec![issue])
}

struct Patching {
    tree: Tree,
    cost: Cost,
}

impl Patching {
    fn apply(&mut self, number: usize, operation: &Operation<'_>) -> Result<(), Failure> {
        let path = &operation.path;
        let in_path = |message: String| unfit(number, "path", message);
        match &operation.action {
            Action::Add(value) => self.add(path, Tree::from(*value), number)?,
            Action::Remove => {
                self.take(path).map_err(in_path)?;
            }
            Action::Replace(value) => {
                let value = Tree::from(*value);
                self.charge(path, &value, number)?;
                *pointer::find_mut(&mut self.tree, &path.0, &mut self.cost.work).map_err(in_path)? = value;
            }
            Action::Move(from) if from.holds(path) => {
                return Err(unfit(number, "path", "a value cannot be moved into itself"));
            }
            Action::Move(from) => {
                // The whole document can only be moved to where it is.
                if !from.0.is_empty() {
                    let value = self.take(from).map_err(|message| unfit(number, "from", message))?;
                    self.add(path, value, number)?;
                }
            }
            Action::Copy(from) => {
                let found = pointer::find(&self.tree, &from.0, &mut self.cost.work);
                let found = found.map_err(|message| unfit(number, "from", message))?;
                // Measured before it is copied: that is what the bound is for.
                let level = path.0.len();
                self.cost.put(level, size(found)).map_err(|f| f.at(&format!("patch[{number}].from")))?;
                let value = found.clone();
                self.insert(path, value).map_err(in_path)?;
            }
            Action::Test(value) => {
                let found = pointer::find(&self.tree, &path.0, &mut self.cost.work).map_err(in_path)?;
                if !same(found, &Tree::from(*value), &mut self.cost.work) {
                    return Err(unfit(number, "value", "the test fails: another value is there"));
                }
            }
        }
        self.cost.check().map_err(|f| f.at(&format!("patch[{number}]")))
    }

    fn charge(&mut self, path: &Pointer<'_>, value: &Tree, number: usize) -> Result<(), Failure> {
        self.cost.put(path.0.len(), size(value)).map_err(|f| f.at(&format!("patch[{number}].path")))
    }

    fn add(&mut self, path: &Pointer<'_>, value: Tree, number: usize) -> Result<(), Failure> {
        self.charge(path, &value, number)?;
        self.insert(path, value).map_err(|message| unfit(number, "path", message))
    }

    /// Puts a value in (RFC 6902 section 4.1): before the item of an array, over the member of an object.
    fn insert(&mut self, path: &Pointer<'_>, value: Tree) -> Result<(), String> {
        let Some((parent, last)) = path.split() else {
            self.tree = value;
            return Ok(());
        };
        let parent = pointer::find_mut(&mut self.tree, parent, &mut self.cost.work)?;
        match parent {
            Tree::Object(entries) => self.cost.work += entries.len() as u64,
            Tree::Array(items) => {
                let at = if last == "-" { Some(items.len()) } else { pointer::index(last) };
                let Some(at) = at.filter(|at| *at <= items.len()) else {
                    return Err(pointer::absent(parent, last));
                };
                self.cost.work += (items.len() - at) as u64;
                items.insert(at, value);
                return Ok(());
            }
            _ => return Err(pointer::absent(parent, last)),
        }
        parent.set(last, value);
        Ok(())
    }

    /// Takes a value out.
    fn take(&mut self, path: &Pointer<'_>) -> Result<Tree, String> {
        let Some((parent, last)) = path.split() else {
            return Err("the whole resource cannot be removed by a patch".to_owned());
        };
        let parent = pointer::find_mut(&mut self.tree, parent, &mut self.cost.work)?;
        let taken = match parent {
            Tree::Object(entries) => {
                self.cost.work += entries.len() as u64;
                parent.remove(last)
            }
            Tree::Array(items) => {
                self.cost.work += items.len() as u64;
                pointer::index(last).filter(|at| *at < items.len()).map(|at| items.remove(at))
            }
            _ => None,
        };
        taken.ok_or_else(|| pointer::absent(parent, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    fn patched(resource: &str, patch: &str) -> Result<String, String> {
        let tree = Tree::parse(resource.as_bytes()).expect("JSON");
        let patch = Document::parse(patch.as_bytes(), &Limits::default()).expect("JSON");
        match json_patch(&tree, patch.root()) {
            Ok(tree) => Ok(tree.to_json()),
            Err(f) => Err(format!("{:?} {}", f.kind, f.issues[0].expression.as_deref().unwrap_or_default())),
        }
    }

    fn suite(file: &str) {
        let path = format!("{}/../shared/data/patch/{file}", env!("CARGO_MANIFEST_DIR"));
        let Ok(bytes) = std::fs::read(&path) else {
            crate::base::skipped(format_args!("{path} is missing"));
            return;
        };
        let records = Tree::parse(&bytes).expect("JSON");
        let mut count = 0;
        for record in records.items() {
            if record.get("disabled") == Some(&Tree::Bool(true)) {
                continue;
            }
            let (document, patch) = (record.get("doc").expect("doc"), record.get("patch").expect("patch").to_json());
            let patch = Document::parse(patch.as_bytes(), &Limits::default()).expect("JSON");
            let result = json_patch(document, patch.root());
            match (record.get("expected"), result) {
                (Some(expected), Ok(tree)) => assert!(same(&tree, expected, &mut 0), "{record:?}: {tree:?}"),
                (None, Ok(tree)) => assert!(record.get("error").is_none(), "{record:?}: {tree:?}"),
                (expected, Err(failure)) => {
                    assert!(expected.is_none() && record.get("error").is_some(), "{record:?}: {failure}");
                }
            }
            count += 1;
        }
        println!("{file}: all {count} records");
        assert!(count > 0);
    }

    #[test]
    fn suite_of_rfc_6902() {
        suite("rfc6902-tests.dev.json");
    }

    #[test]
    fn suite_of_fhir() {
        suite("fhir-json-patch-tests.dev.json");
    }

    #[test]
    fn applied() {
        for (resource, patch, expected) in [
            (r#"{"a":1.00,"b":[1]}"#, r#"[{"op":"add","path":"/b/-","value":2.50}]"#, r#"{"a":1.00,"b":[1,2.50]}"#),
            (r#"{"a":1.00}"#, r#"[{"op":"test","path":"/a","value":1}]"#, r#"{"a":1.00}"#),
            (r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a/b","path":"/a"}]"#, r#"{"a":1}"#),
            (r#"{"a":1}"#, r#"[{"op":"copy","from":"","path":"/b"}]"#, r#"{"a":1,"b":{"a":1}}"#),
            (r#"{"a":1}"#, r#"[{"op":"move","from":"","path":""}]"#, r#"{"a":1}"#),
            (r#"{"a/b":[0,1]}"#, r#"[{"op":"remove","path":"\/a~1b\/0"}]"#, r#"{"a/b":[1]}"#),
            (r#"{"a":1}"#, r#"[{"op":"add","path":"/a","value":null}]"#, r#"{"a":null}"#),
            (
                r#"{"a":{"x":1,"y":2}}"#,
                r#"[{"op":"test","path":"/a","value":{"y":2.0,"x":1e0}}]"#,
                r#"{"a":{"x":1,"y":2}}"#,
            ),
        ] {
            assert_eq!(patched(resource, patch).as_deref(), Ok(expected), "{patch}");
        }
    }

    #[test]
    fn refused_with_place() {
        for (patch, expected) in [
            ("{}", "Malformed patch"),
            ("[1]", "Malformed patch[0]"),
            (r#"[{"path":"/a"}]"#, "Malformed patch[0].op"),
            (r#"[{"op":"spam","path":"/a"}]"#, "Malformed patch[0].op"),
            (r#"[{"op":1,"path":"/a"}]"#, "Malformed patch[0].op"),
            (r#"[{"op":"remove"}]"#, "Malformed patch[0].path"),
            (r#"[{"op":"remove","path":7}]"#, "Malformed patch[0].path"),
            (r#"[{"op":"remove","path":"a"}]"#, "Malformed patch[0].path"),
            (r#"[{"op":"add","path":"/a"}]"#, "Malformed patch[0].value"),
            (r#"[{"op":"move","path":"/a"}]"#, "Malformed patch[0].from"),
            (r#"[{"op":"remove","path":"/x"},{"op":"spam","path":"/a"}]"#, "Malformed patch[1].op"),
            (r#"[{"op":"test","path":"/a","value":2}]"#, "Unprocessable patch[0].value"),
            (r#"[{"op":"test","path":"/a","value":"1"}]"#, "Unprocessable patch[0].value"),
            (r#"[{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}]"#, "Unprocessable patch[1].path"),
            (r#"[{"op":"move","from":"/b","path":"/b/c"}]"#, "Unprocessable patch[0].path"),
            (r#"[{"op":"copy","from":"/x","path":"/b"}]"#, "Unprocessable patch[0].from"),
            (r#"[{"op":"replace","path":"/x","value":1}]"#, "Unprocessable patch[0].path"),
            (r#"[{"op":"add","path":"/l/3","value":1}]"#, "Unprocessable patch[0].path"),
            (r#"[{"op":"replace","path":"/l/-","value":1}]"#, "Unprocessable patch[0].path"),
            (r#"[{"op":"add","path":"/a/b","value":1}]"#, "Unprocessable patch[0].path"),
            (r#"[{"op":"remove","path":""}]"#, "Unprocessable patch[0].path"),
        ] {
            assert_eq!(patched(r#"{"a":1,"b":{"c":1},"l":[1,2]}"#, patch), Err(expected.into()), "{patch}");
        }
    }

    #[test]
    fn bounded() {
        let copies = vec![r#"{"op":"copy","from":"","path":"/a"}"#; 40].join(",");
        assert!(patched(r#"{"a":1,"b":"x"}"#, &format!("[{copies}]")).is_ok());
        let doubling = vec![r#"{"op":"copy","from":"/l","path":"/l/-"}"#; 40].join(",");
        let refused = patched(r#"{"l":["0123456789"]}"#, &format!("[{doubling}]"));
        assert!(refused.is_err_and(|e| e.starts_with("Unprocessable patch[")));
        let deeper = vec![r#"{"op":"move","from":"/a","path":"/b/c"},{"op":"move","from":"/b","path":"/a"},{"op":"add","path":"/b","value":{}}"#; 600].join(",");
        assert!(patched(r#"{"a":1,"b":{}}"#, &format!("[{deeper}]")).is_err());
    }
}
