//! A code system in memory: concepts by number, found by code, with their hierarchy in both directions. Made once from a
//! CodeSystem resource. What a value set asks of it is in `filter`.

use super::Problem;
use super::tree::{each, flag, strings, text};
use crate::json::Tree;
use rustc_hash::{FxHashMap, FxHashSet};

/// The namespace of the properties that FHIR defines.
const PROPERTIES: &str = "http://hl7.org/fhir/concept-properties#";

/// How much of a code system is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Content {
    Complete,
    Fragment,
    Supplement,
    Example,
    NotPresent,
}

/// A designation of a concept.
#[derive(Clone, Debug)]
pub struct Designation {
    /// Its language.
    pub language: Option<Box<str>>,
    /// What it is for, as a Coding.
    pub purpose: Option<Tree>,
    /// The words.
    pub value: Box<str>,
    /// As it stands in the resource.
    pub whole: Tree,
}

/// A property of a concept.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its code.
    pub code: Box<str>,
    /// The name of the value: `valueCode`.
    pub key: Box<str>,
    /// The value.
    pub value: Tree,
}

impl Property {
    /// The value as a filter compares it.
    pub fn text(&self) -> String {
        match &self.value {
            Tree::String(text) | Tree::Number(text) => text.clone(),
            Tree::Bool(b) => b.to_string(),
            Tree::Object(_) => self.value.get("code").and_then(Tree::as_str).unwrap_or_default().to_owned(),
            _ => String::new(),
        }
    }
}

/// A concept.
#[derive(Clone, Debug, Default)]
pub struct Concept {
    /// Its code.
    pub code: Box<str>,
    /// Its display.
    pub display: Option<Box<str>>,
    /// Its definition.
    pub definition: Option<Box<str>>,
    /// Its designations.
    pub designations: Vec<Designation>,
    /// Its properties.
    pub properties: Vec<Property>,
    /// Its extensions.
    pub extensions: Vec<Tree>,
    /// The concepts above it.
    pub parents: Vec<u32>,
    /// The concepts below it.
    pub children: Vec<u32>,
}

/// A property that the code system declares.
#[derive(Clone, Debug)]
pub struct PropertyDefinition {
    /// Its code.
    pub code: Box<str>,
    /// What it means.
    pub uri: Box<str>,
}

/// A code system.
#[derive(Debug)]
pub struct CodeSystem {
    /// Canonical, without version.
    pub url: Box<str>,
    /// Version; empty without one.
    pub version: Box<str>,
    /// Name for machines.
    pub name: Box<str>,
    /// Publication status.
    pub status: Box<str>,
    /// Standards status (an extension).
    pub standards_status: Box<str>,
    /// Whether it is for trial only.
    pub experimental: bool,
    /// Language of its displays.
    pub language: Option<Box<str>>,
    /// How much is there.
    pub content: Content,
    /// Whether case matters.
    pub case_sensitive: bool,
    /// The canonical of the code system that it supplements.
    pub supplements: Option<Box<str>>,
    /// What it declares.
    pub properties: Vec<PropertyDefinition>,
    /// The concepts, each after those it is nested in.
    pub concepts: Vec<Concept>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
    index: FxHashMap<Box<str>, u32>,
    folded: FxHashMap<Box<str>, u32>,
    standard: Standard,
}

/// Something that is wrong with a code system, so that its hierarchy cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code where it was met.
    pub code: Box<str>,
    /// Whether the concepts go round in a circle; if not, the code stands twice.
    pub circle: bool,
    /// In words.
    pub text: String,
}

/// Faults that a message names.
const FAULTS_SHOWN: usize = 5;

/// The codes of the properties that are asked for with every concept.
#[derive(Debug, Default)]
struct Standard {
    not_selectable: Box<str>,
    status: Box<str>,
    inactive: Box<str>,
    deprecation_date: Box<str>,
}

/// The standards status in the extensions of a resource or concept.
pub(super) fn standards_status(of: &Tree) -> Box<str> {
    let url = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status";
    let found = each(of, "extension").iter().find(|e| text(e, "url") == url);
    found.map(|e| text(e, "valueCode")).unwrap_or_default().into()
}

impl CodeSystem {
    /// Makes it from a CodeSystem resource.
    pub fn of(resource: &Tree) -> CodeSystem {
        let content = match text(resource, "content") {
            "fragment" => Content::Fragment,
            "supplement" => Content::Supplement,
            "example" => Content::Example,
            "not-present" => Content::NotPresent,
            _ => Content::Complete,
        };
        let mut made = CodeSystem {
            url: text(resource, "url").into(),
            version: text(resource, "version").into(),
            name: text(resource, "name").into(),
            status: text(resource, "status").into(),
            standards_status: standards_status(resource),
            experimental: flag(resource, "experimental") == Some(true),
            language: strings(resource, "language"),
            content,
            case_sensitive: flag(resource, "caseSensitive") != Some(false),
            supplements: strings(resource, "supplements"),
            properties: each(resource, "property")
                .iter()
                .map(|p| PropertyDefinition { code: text(p, "code").into(), uri: text(p, "uri").into() })
                .collect(),
            concepts: Vec::new(),
            faults: Vec::new(),
            index: FxHashMap::default(),
            folded: FxHashMap::default(),
            standard: Standard::default(),
        };
        made.standard = Standard {
            not_selectable: made.code_of("notSelectable"),
            status: made.code_of("status"),
            inactive: made.code_of("inactive"),
            deprecation_date: made.code_of("deprecationDate"),
        };
        made.take(each(resource, "concept"));
        made.tie();
        made
    }

    /// Makes it from a CodeSystem resource whose concepts stand apart, in lists.
    pub fn of_parts<E>(resource: &Tree, parts: impl Iterator<Item = Result<Tree, E>>) -> Result<CodeSystem, E> {
        let mut made = CodeSystem::of(resource);
        for part in parts {
            made.take(part?.items());
        }
        made.tie();
        Ok(made)
    }

    /// Takes the concepts of a list and those nested in them.
    fn take(&mut self, concepts: &[Tree]) {
        let mut open: Vec<(&Tree, Option<u32>)> = concepts.iter().rev().map(|c| (c, None)).collect();
        while let Some((tree, parent)) = open.pop() {
            let number = self.concepts.len() as u32;
            let code: Box<str> = text(tree, "code").into();
            if self.index.insert(code.clone(), number).is_some() {
                let text = format!("the code '{code}' stands twice");
                self.faults.push(Fault { code: code.clone(), circle: false, text });
            }
            self.concepts.push(concept(tree, code, parent));
            open.extend(each(tree, "concept").iter().rev().map(|c| (c, Some(number))));
        }
    }

    /// Ties the hierarchy that properties tell, and cuts cycles.
    fn tie(&mut self) {
        let (up, down) = (self.code_of("parent"), self.code_of("child"));
        let mut edges = Vec::new();
        for (number, concept) in self.concepts.iter().enumerate() {
            let number = number as u32;
            edges.extend(concept.parents.iter().map(|parent| (*parent, number)));
            for property in &concept.properties {
                let other = || self.index.get(property.text().as_str()).copied();
                if *property.code == *up {
                    edges.extend(other().map(|parent| (parent, number)));
                } else if *property.code == *down {
                    edges.extend(other().map(|child| (number, child)));
                }
            }
        }
        let mut known = FxHashSet::default();
        edges.retain(|edge| known.insert(*edge));
        for concept in &mut self.concepts {
            concept.parents.clear();
            concept.children.clear();
        }
        for (parent, child) in edges {
            if let Some(concept) = self.concepts.get_mut(parent as usize) {
                concept.children.push(child);
            }
            if let Some(concept) = self.concepts.get_mut(child as usize) {
                concept.parents.push(parent);
            }
        }
        self.cut_cycles();
        if !self.case_sensitive {
            self.folded =
                self.concepts.iter().enumerate().map(|(i, c)| (c.code.to_lowercase().into(), i as u32)).collect();
        }
    }

    /// Removes the edges that close a cycle, and says which.
    fn cut_cycles(&mut self) {
        let mut state = vec![0u8; self.concepts.len()];
        for start in 0..self.concepts.len() {
            if state.get(start) != Some(&0) {
                continue;
            }
            let mut path: Vec<(usize, usize)> = vec![(start, 0)];
            state[start] = 1;
            while let Some((at, next)) = path.last_mut() {
                let at = *at;
                let Some(child) = self.concepts.get(at).and_then(|c| c.children.get(*next)).copied() else {
                    state[at] = 2;
                    path.pop();
                    continue;
                };
                match state.get(child as usize).copied() {
                    Some(0) => {
                        *next += 1;
                        state[child as usize] = 1;
                        path.push((child as usize, 0));
                    }
                    Some(1) => {
                        let (above, below) =
                            (self.concepts[at].code.clone(), self.concepts[child as usize].code.clone());
                        let text =
                            format!("the concepts go round in a circle: '{below}' is below '{above}' and above it");
                        self.faults.push(Fault { code: below, circle: true, text });
                        self.concepts[at].children.remove(*next);
                        self.concepts[child as usize].parents.retain(|p| *p != at as u32);
                    }
                    _ => *next += 1,
                }
            }
        }
    }

    /// Canonical with version.
    pub fn canonical(&self) -> String {
        super::tree::canonical(&self.url, &self.version)
    }

    /// Refuses what is asked of its hierarchy where that cannot be relied on: the circles were cut somewhere, and where
    /// would decide the answer.
    pub fn sound(&self) -> Result<(), Problem> {
        match self.faults.is_empty() {
            true => Ok(()),
            false => Err(self.unsound(self.faults.iter())),
        }
    }

    /// The circles of its concepts, if there are any.
    pub(super) fn circle(&self) -> Option<(&str, Problem)> {
        let mut circles = self.faults.iter().filter(|fault| fault.circle).peekable();
        let code = &*circles.peek()?.code;
        Some((code, self.unsound(circles)))
    }

    fn unsound<'f>(&self, faults: impl Iterator<Item = &'f Fault>) -> Problem {
        let texts: Vec<&str> = faults.take(FAULTS_SHOWN).map(|fault| fault.text.as_str()).collect();
        let text = format!("The code system {} cannot be relied on: {}", self.canonical(), texts.join("; "));
        Problem::error("processing", "vs-invalid", "CODESYSTEM_FAULTY", text)
    }

    /// The code under which a property that FHIR defines is declared here.
    pub fn code_of(&self, standard: &str) -> Box<str> {
        let uri = format!("{PROPERTIES}{standard}");
        let declared = self.properties.iter().find(|p| *p.uri == *uri);
        declared.map_or_else(|| standard.into(), |p| p.code.clone())
    }

    /// The number of a code. In a system where case does not matter, any case will do.
    pub fn find(&self, code: &str) -> Option<u32> {
        let exact = self.index.get(code).copied();
        if exact.is_some() || self.case_sensitive {
            return exact;
        }
        self.folded.get(code.to_lowercase().as_str()).copied()
    }

    /// The concept of a number.
    pub fn concept(&self, number: u32) -> Option<&Concept> {
        self.concepts.get(number as usize)
    }

    fn value<'c>(&self, concept: &'c Concept, code: &str) -> Option<&'c Property> {
        concept.properties.iter().find(|p| *p.code == *code)
    }

    /// Whether a concept only groups others.
    pub fn is_abstract(&self, concept: &Concept) -> bool {
        self.value(concept, &self.standard.not_selectable).is_some_and(|p| p.value == Tree::Bool(true))
    }

    /// The code of the property that tells the status of a concept.
    pub fn status_code(&self) -> &str {
        &self.standard.status
    }

    /// The status of a concept, as its properties tell it.
    pub fn status_of(&self, concept: &Concept) -> Option<String> {
        self.value(concept, &self.standard.status).map(Property::text)
    }

    /// Whether a concept is not in use any more.
    pub fn is_inactive(&self, concept: &Concept) -> bool {
        self.value(concept, &self.standard.inactive).is_some_and(|p| p.text() == "true")
            || matches!(self.status_of(concept).as_deref(), Some("retired" | "inactive"))
    }

    /// Whether a concept is going out of use.
    pub fn is_deprecated(&self, concept: &Concept) -> bool {
        let called = concept.extensions.iter().any(|e| {
            text(e, "url").ends_with("structuredefinition-standards-status") && text(e, "valueCode") == "deprecated"
        });
        called
            || self.status_of(concept).as_deref() == Some("deprecated")
            || self.value(concept, &self.standard.deprecation_date).is_some()
    }

    /// The concepts below one, without it, marked in a list of all.
    pub fn below(&self, number: u32) -> Vec<bool> {
        self.reach(number, |c| &c.children)
    }

    /// The concepts above one, without it, marked in a list of all.
    pub fn above(&self, number: u32) -> Vec<bool> {
        self.reach(number, |c| &c.parents)
    }

    fn reach(&self, number: u32, next: impl Fn(&Concept) -> &Vec<u32>) -> Vec<bool> {
        let mut marked = vec![false; self.concepts.len()];
        let mut open = vec![number];
        while let Some(at) = open.pop() {
            for other in self.concept(at).into_iter().flat_map(&next) {
                if let Some(mark) = marked.get_mut(*other as usize)
                    && !*mark
                {
                    *mark = true;
                    open.push(*other);
                }
            }
        }
        marked
    }

    /// Whether one concept is above another. Looks only at what is above the lower one.
    pub fn subsumes(&self, above: u32, below: u32) -> bool {
        let mut seen = FxHashSet::default();
        let mut open = vec![below];
        while let Some(at) = open.pop() {
            for parent in self.concept(at).into_iter().flat_map(|c| &c.parents) {
                if *parent == above {
                    return true;
                }
                if seen.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
        false
    }
}

fn concept(tree: &Tree, code: Box<str>, parent: Option<u32>) -> Concept {
    let designation = |d: &Tree| Designation {
        language: strings(d, "language"),
        purpose: d.get("use").cloned(),
        value: text(d, "value").into(),
        whole: d.clone(),
    };
    let property = |p: &Tree| {
        let Tree::Object(entries) = p else { return None };
        let (key, value) = entries.iter().find(|(k, _)| k.starts_with("value"))?;
        Some(Property { code: text(p, "code").into(), key: key.as_str().into(), value: value.clone() })
    };
    Concept {
        code,
        display: strings(tree, "display"),
        definition: strings(tree, "definition"),
        designations: each(tree, "designation").iter().map(designation).collect(),
        properties: each(tree, "property").iter().filter_map(property).collect(),
        extensions: each(tree, "extension").to_vec(),
        parents: parent.into_iter().collect(),
        children: Vec::new(),
    }
}
