//! The walk: every property of every object against its row in the tables. Structure and cardinality are judged
//! here; values, codes, references, narrative and invariants in the files of their names.

use super::entries::BundleEntries;
use super::place::Place;
use super::plan::Row;
use super::reference::Container;
use super::{Asked, Level, MAX_ISSUES, Validator};
use crate::base::{Issue, IssueCode, Severity};
use crate::definitions::{Definitions, Element, ElementType, Structure, TypeId};
use crate::fhirpath::eval::{Node, NodeType};
use crate::json::{Kind, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::OnceCell;
use std::rc::Rc;

/// Steps of all invariants of one validation, and those more for each byte.
const STEPS: u64 = 2_000_000;
const STEPS_PER_BYTE: u64 = 200;

/// One validation.
pub(super) struct Walk<'v, 'd> {
    pub validator: &'v Validator,
    pub issues: Vec<Issue>,
    /// Steps that the expressions of invariants may still take, all together.
    pub budget: u64,
    /// Whether it was said that they are used up.
    pub exhausted: bool,
    /// The profiles that nodes are being held against, with the places of those.
    pub held: Vec<(usize, u32)>,
    /// Which nodes were found to keep which profiles.
    pub tried: FxHashMap<(usize, u32), bool>,
    /// Code systems of which it was said that they are not known.
    pub unknown_systems: FxHashSet<String>,
    /// Value sets of which it was said that codes could not be held against them.
    pub undecided: FxHashSet<String>,
    /// What the caller wants to know.
    pub asked: &'v Asked,
    /// The whole document.
    pub root: Value<'d>,
    entries: Rc<OnceCell<BundleEntries<'d>>>,
}

/// What the rules of an object may look at beyond the object.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s, 'd> {
    /// The resource that holds the contained ones.
    pub container: &'s Container<'d>,
    /// The resource that this is in: `%resource`.
    pub resource: Node<'d>,
    /// Whether this is a contained resource.
    pub contained: bool,
}

/// An element of a structure, and the object in which it is met.
#[derive(Clone, Copy)]
struct Property<'a, 'd> {
    element: &'a Element,
    row: &'a Row,
    object: Value<'d>,
}

impl<'v, 'd> Walk<'v, 'd> {
    pub(super) fn new(validator: &'v Validator, root: Value<'d>, asked: &'v Asked) -> Self {
        let budget = STEPS + STEPS_PER_BYTE * root.raw().len() as u64;
        Walk {
            validator,
            issues: Vec::new(),
            budget,
            exhausted: false,
            held: Vec::new(),
            tried: FxHashMap::default(),
            unknown_systems: FxHashSet::default(),
            undecided: FxHashSet::default(),
            asked,
            root,
            entries: Rc::default(),
        }
    }

    /// Another validation of the same document, within what this one is holding it against.
    pub(super) fn another(&self) -> Self {
        let mut other = Walk::new(self.validator, self.root, self.asked);
        other.held.clone_from(&self.held);
        other.entries = self.entries.clone();
        other
    }

    pub(super) fn definitions(&self) -> &'v Definitions {
        &self.validator.definitions
    }

    /// The resources of the document by their addresses.
    pub(super) fn entries(&self) -> &BundleEntries<'d> {
        self.entries.get_or_init(|| BundleEntries::of(self.root))
    }

    /// Validates a whole document.
    pub(super) fn document(mut self, expected: Option<TypeId>) -> Vec<Issue> {
        let resource = self.root;
        let known = resource.get("resourceType").and_then(Value::as_str);
        let known = known.and_then(|name| self.definitions().type_named(&name)).or(expected);
        let name = known.map_or("Resource", |t| self.definitions().name(t));
        self.standing(expected, resource, &Place::root(name));
        while self.issues.len() > MAX_ISSUES {
            match self.issues.iter().rposition(|issue| !issue.is_error()) {
                Some(least) => self.issues.remove(least),
                None => break,
            };
        }
        self.issues
    }

    /// Notes an error.
    pub(super) fn report(&mut self, code: IssueCode, place: &Place<'_>, message: impl Into<String>) {
        self.note(Severity::Error, code, place, message);
    }

    /// Notes an issue of any severity.
    pub(super) fn note(&mut self, severity: Severity, code: IssueCode, place: &Place<'_>, message: impl Into<String>) {
        let issue = Issue::new(severity, code, message).at(place.expression());
        // Warnings, however many, keep no error from being found.
        if self.issues.len() >= MAX_ISSUES && !issue.is_error() || self.full() {
            return;
        }
        // Rules of an element and of a slice of it may say the same.
        if !self.issues.contains(&issue) {
            self.issues.push(issue);
        }
    }

    fn full(&self) -> bool {
        self.issues.len() >= MAX_ISSUES && self.issues.iter().filter(|i| i.is_error()).count() >= MAX_ISSUES
    }

    /// An object of a known structure.
    pub(super) fn object(&mut self, kind: TypeId, object: Value<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        let structure = self.definitions().structure(kind);
        let plan = &self.validator.plans[kind.0 as usize];
        if object.kind() != Kind::Object {
            let message = format!("{} is a JSON object, not {}", structure.name, a(object));
            return self.report(IssueCode::Structure, place, message);
        }
        let mut seen = 0u128;
        let mut content = false;
        for (key, value) in object.entries() {
            if self.full() {
                return;
            }
            let plain = key.strip_prefix('_');
            let Some(index) = structure.by_name.get(plain.unwrap_or(&key)).map(|i| *i as usize) else {
                if !(plan.resource && key == "resourceType") {
                    self.unknown(structure, &key, place);
                }
                continue;
            };
            let of = Property { element: &structure.elements[index], row: &plan.rows[index], object };
            content |= &*key != "id";
            match plain {
                None => {
                    self.mark(of, &mut seen, place);
                    self.property(of, value, place, scope);
                }
                Some(name) => {
                    let partner = object.get(name);
                    if partner.is_none() {
                        self.mark(of, &mut seen, place);
                    }
                    self.beside(of, partner, value, place, scope);
                }
            }
        }
        if !content && !plan.resource {
            let message = "an element has a value or children: leave an empty one out (ele-1)";
            self.report(IssueCode::Invariant, place, message);
        }
        for mandatory in plan.mandatory.iter().filter(|m| seen & m.bit == 0) {
            let suffix = if mandatory.choice { "[x]" } else { "" };
            let message = format!("{}.{}{suffix} is mandatory and is missing", structure.name, mandatory.name);
            self.report(IssueCode::Required, &place.child(&mandatory.name), message);
        }
        let node = Node { value: Some(object), extra: None, kind: NodeType::Complex(kind) };
        self.invariants(&plan.invariants, node, place, scope);
    }

    /// Notes that an element is there; a choice element may be there with one type only.
    fn mark(&mut self, of: Property<'_, 'd>, seen: &mut u128, before: &Place<'_>) {
        if of.row.choice && *seen & of.row.bit != 0 {
            let message = format!("{}[x] has one value only: '{}' is one more", of.element.fhirpath, of.element.name);
            self.report(IssueCode::Structure, &before.child(&of.element.fhirpath), message);
        }
        *seen |= of.row.bit;
    }

    /// The value of a property: one or an array, as the element may repeat or not.
    fn property(&mut self, of: Property<'_, 'd>, value: Value<'d>, before: &Place<'_>, scope: Scope<'_, 'd>) {
        let place = before.child(&of.element.fhirpath);
        let name = &of.element.name;
        if of.row.contained && scope.contained {
            let message = "a contained resource has no contained resources of its own (dom-2)";
            return self.report(IssueCode::Invariant, &place, message);
        }
        match (of.row.many, value.kind()) {
            (true, Kind::Array) if value.is_empty() => {
                let message = format!("an array is not empty: leave '{name}' out");
                self.report(IssueCode::Structure, &place, message);
            }
            (true, Kind::Array) => self.items(of, value, place, scope),
            (true, _) => {
                let message = format!("'{name}' may repeat: a JSON array is expected, not {}", a(value));
                self.report(IssueCode::Structure, &place, message);
            }
            (false, Kind::Array) => {
                let message = format!("'{name}' does not repeat: no JSON array is expected here");
                self.report(IssueCode::Structure, &place, message);
            }
            (false, _) => self.item(of, value, &place, scope),
        }
    }

    fn items(&mut self, of: Property<'_, 'd>, array: Value<'d>, place: Place<'_>, scope: Scope<'_, 'd>) {
        // A null is legal where `_name` has something at the same position. That is rare: looked up only then.
        let nulls = matches!(of.row.kind, ElementType::Primitive(_)) && array.items().any(Value::is_null);
        let mut beside = nulls.then(|| {
            let partner = of.object.entries().find(|(key, _)| key.strip_prefix('_') == Some(&of.element.name));
            partner.into_iter().flat_map(|(_, partner)| partner.items())
        });
        for (i, item) in array.items().enumerate() {
            if self.full() {
                return;
            }
            let extended = beside.as_mut().and_then(Iterator::next).is_some_and(|partner| !partner.is_null());
            if !(item.is_null() && extended) {
                self.item(of, item, &place.item(i), scope);
            }
        }
    }

    /// One value.
    fn item(&mut self, of: Property<'_, 'd>, item: Value<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        self.value(of, item, place, scope);
        if !of.row.invariants.is_empty() {
            let kind = match of.row.kind {
                ElementType::Primitive(primitive) => NodeType::Primitive(primitive),
                ElementType::Complex(id) => NodeType::Complex(id),
                ElementType::Resource => return,
            };
            let node = Node { value: Some(item), extra: None, kind };
            self.invariants(&of.row.invariants, node, place, scope);
        }
    }

    fn value(&mut self, of: Property<'_, 'd>, item: Value<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        match of.row.kind {
            ElementType::Primitive(_) if item.is_null() => {
                let message = format!("null is not a value: leave '{}' out", of.element.name);
                self.report(IssueCode::Structure, place, message);
            }
            ElementType::Primitive(primitive) => self.primitive(of.element, of.row, primitive, item, place),
            ElementType::Complex(kind) => {
                self.object(kind, item, place, scope);
                if of.row.bound {
                    self.bound_object(of.element, item, place);
                }
                if of.row.reference {
                    self.target(of.element, item, place);
                }
                if self.asked.level == Level::Full && of.row.reference {
                    self.reference_in_bundle(item, place, scope);
                }
                if self.asked.level == Level::Full && of.row.coded {
                    self.coded(of.element, of.row, item, place);
                }
                if self.asked.level == Level::Full && &*of.element.type_name == "Attachment" {
                    self.attachment_size(item, place);
                }
                if self.asked.level == Level::Full && Some(kind) == self.validator.extension {
                    let modifier = &*of.element.name == "modifierExtension";
                    let parent = place.parent().unwrap_or(*place);
                    self.extension(item, modifier, &parent, place, scope);
                }
            }
            ElementType::Resource if of.row.contained => {
                self.resource(None, item, place, Scope { contained: true, ..scope });
            }
            ElementType::Resource => {
                self.standing(None, item, place);
            }
        }
    }

    fn unknown(&mut self, structure: &Structure, key: &str, place: &Place<'_>) {
        let mut message = format!("'{}' is not an element of {}", shown(key), structure.name);
        if let Some(name) = resembling(structure, key) {
            message.push_str(&format!(" (did you mean '{name}'?)"));
        }
        self.report(IssueCode::Structure, &place.child(shown(key)), message);
    }

    /// `_name`: id and extensions of a primitive, for each of its repetitions (R4 json.html#primitive). `partner` is
    /// what stands under the name itself.
    fn beside(
        &mut self,
        of: Property<'_, 'd>,
        partner: Option<Value<'d>>,
        value: Value<'d>,
        before: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        let place = before.child(&of.element.fhirpath);
        let name = &of.element.name;
        if !matches!(of.row.kind, ElementType::Primitive(_)) || of.row.attribute {
            let key = format!("_{name}");
            let message = format!("'{key}' is not allowed: '{name}' is not a primitive that can have extensions");
            return self.report(IssueCode::Structure, &before.child(&key), message);
        }
        if !of.row.many {
            self.extended(value, &place, scope);
            return self.alone(value, partner, &place);
        }
        if value.kind() != Kind::Array || value.is_empty() {
            let message = format!("'{name}' may repeat: '_{name}' is a JSON array with an item for each repetition");
            return self.report(IssueCode::Structure, &place, message);
        }
        if partner.is_some_and(|p| p.items().count() != value.items().count()) {
            let message = format!("'{name}' and '_{name}' have different lengths: fill up with null");
            return self.report(IssueCode::Structure, &place, message);
        }
        for (i, item) in value.items().enumerate() {
            if self.full() {
                return;
            }
            if !item.is_null() {
                self.extended(item, &place.item(i), scope);
                if partner.is_none() {
                    self.alone(item, None, &place.item(i));
                }
            } else if partner.is_none() {
                let message = format!("a null in '_{name}' needs a value at the same position of '{name}'");
                self.report(IssueCode::Structure, &place.item(i), message);
            }
        }
    }

    /// What has neither a value nor extensions is no element.
    fn alone(&mut self, value: Value<'d>, partner: Option<Value<'d>>, place: &Place<'_>) {
        if partner.is_none()
            && value.kind() == Kind::Object
            && value.get("id").is_some()
            && value.get("extension").is_none()
        {
            self.report(IssueCode::Invariant, place, "an element has a value or extensions, not only an id (ele-1)");
        }
    }

    /// What stands under `_name`: an object with id and extensions only.
    fn extended(&mut self, value: Value<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        if value.kind() != Kind::Object || value.is_empty() {
            let message = format!("id and extensions of a primitive are a JSON object, not {}", a(value));
            return self.report(IssueCode::Structure, place, message);
        }
        for (key, value) in value.entries() {
            if self.full() {
                return;
            }
            match &*key {
                "id" => self.element_id(value, &place.child("id")),
                "extension" => self.extensions(value, &place.child("extension"), scope),
                _ => {
                    let message = format!("a primitive has only 'id' and 'extension', not '{}'", shown(&key));
                    self.report(IssueCode::Structure, &place.child(shown(&key)), message);
                }
            }
        }
    }

    fn extensions(&mut self, value: Value<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        if value.kind() != Kind::Array || value.is_empty() {
            let message = "'extension' may repeat: a JSON array that is not empty is expected";
            return self.report(IssueCode::Structure, place, message);
        }
        let Some(extension) = self.validator.extension else { return };
        for (i, item) in value.items().enumerate() {
            if self.full() {
                return;
            }
            self.object(extension, item, &place.item(i), scope);
            if self.asked.level == Level::Full {
                let parent = place.parent().unwrap_or(*place);
                self.extension(item, false, &parent, &place.item(i), scope);
            }
        }
    }
}

/// The kind of a value with its article, for messages.
pub(super) fn a(value: Value<'_>) -> &'static str {
    match value.kind() {
        Kind::Null => "null",
        Kind::Bool => "a boolean",
        Kind::Number => "a number",
        Kind::String => "a string",
        Kind::Array => "an array",
        Kind::Object if value.is_empty() => "an empty object",
        Kind::Object => "an object",
    }
}

/// A text from outside, cut to a length fit for a message.
pub(super) fn shown(text: &str) -> &str {
    match text.char_indices().nth(60) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// The property of a structure that somebody may have meant.
fn resembling<'s>(structure: &'s Structure, key: &str) -> Option<&'s str> {
    if key.len() > 60 {
        return None;
    }
    let near = |name: &str| name.eq_ignore_ascii_case(key) || (key.len() > 3 && distance(name, key) <= 2);
    structure.elements.iter().map(|e| &*e.name).filter(|n| near(n)).min_by_key(|n| distance(n, key))
}

/// How many letters must be put in, left out or changed to get from one word to the other.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}
