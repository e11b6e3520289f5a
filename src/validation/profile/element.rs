//! What a profile says, as a tree of rules beside the tree of elements: read from the definition once, then only
//! walked. How it is read is in `build`.

use super::super::rule::Rule;
use crate::definitions::BindingStrength;
use crate::fhirpath::Expression;
use crate::json::Tree;
use std::sync::Arc;

/// A profile or extension, ready to be checked against.
#[derive(Default)]
pub struct Profile {
    /// Canonical and version, for messages.
    pub canonical: Box<str>,
    /// The type that it is about.
    pub about: Box<str>,
    /// Where an extension may stand; empty where it is none or says nothing.
    pub contexts: Vec<(Box<str>, Box<str>)>,
    /// What must hold where an extension stands.
    pub context_rules: Vec<Arc<Rule>>,
    /// The elements; the first is the root.
    pub elements: Vec<ElementRules>,
    /// Whether it is an extension that changes the meaning of its element.
    pub modifier: bool,
    /// What is wrong with it without making it useless: where it allows what its base does not, which counts for nothing,
    /// and where a discriminator leads nowhere. That is told to who stores it.
    pub lax: Vec<Fault>,
    /// Where it binds to another value set than the one that its base requires.
    pub rebound: Vec<Rebound>,
}

/// An element that a profile binds to another value set than the one that its base requires. Codes have to be in both.
#[derive(Clone, Debug)]
pub struct Rebound {
    /// Id of the element.
    pub element: Box<str>,
    /// The value set of the profile.
    pub own: Box<str>,
    /// The value set that the base requires.
    pub base: Box<str>,
}

/// Why a definition cannot be used.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Id of the element that is wrong; empty: the definition as a whole.
    pub element: Box<str>,
    /// What is wrong.
    pub why: String,
}

impl Fault {
    /// A fault of an element.
    pub fn at(element: &str, why: impl Into<String>) -> Fault {
        Fault { element: element.into(), why: why.into() }
    }
}

impl From<&str> for Fault {
    fn from(why: &str) -> Fault {
        Fault::at("", why)
    }
}

impl From<String> for Fault {
    fn from(why: String) -> Fault {
        Fault::at("", why)
    }
}

impl From<Fault> for std::sync::Arc<str> {
    fn from(fault: Fault) -> Self {
        match &*fault.element {
            "" => fault.why.into(),
            element => format!("{element}: {}", fault.why).into(),
        }
    }
}

/// What is said of one element, or of one slice of it. The number of another is its place in `Profile::elements`.
#[derive(Clone, Default)]
pub struct ElementRules {
    /// Name in FHIRPath; empty for the root.
    pub name: Box<str>,
    /// Id in the definition, for messages.
    pub id: Box<str>,
    /// Name of the slice; of a slice of a slice with that of the one around it, `slice/reslice`.
    pub slice: Option<Box<str>>,
    /// Rules of the elements below.
    pub children: Vec<u32>,
    /// How its values are divided.
    pub slicing: Option<Slicing>,
    /// What is said of each slice.
    pub slices: Vec<u32>,
    /// Least number.
    pub min: u32,
    /// Largest number; none: any.
    pub max: Option<u32>,
    /// What the definition says itself, rather than what it is derived from.
    pub said: Said,
    /// Its types; empty: as the base has them.
    pub types: Vec<TypeRules>,
    /// The only value.
    pub fixed: Option<Tree>,
    /// What the value must contain.
    pub pattern: Option<Tree>,
    /// Its binding.
    pub binding: Option<Bound>,
    /// Bindings that hold beside it (an extension of later versions).
    pub more_bindings: Vec<Bound>,
    /// What is there instead where a primitive has no value; empty: it may be without; with nothing in it: it has a value.
    pub without_value: Option<Vec<Box<str>>>,
    /// What its narrative has in which languages.
    pub languages: Vec<Languages>,
    /// Its invariants.
    pub rules: Vec<Arc<Rule>>,
    /// Largest length of a string.
    pub max_length: Option<u64>,
    /// Least and largest value.
    pub range: [Option<Tree>; 2],
    /// Path of the element whose rules hold here too.
    pub same_as: Option<Box<str>>,
}

impl ElementRules {
    /// What messages call it.
    pub fn called(&self) -> String {
        match &self.slice {
            Some(slice) => format!("the slice '{slice}' of {}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// What a definition says itself of the numbers of an element, and of how it is sliced; none where it does not.
#[derive(Clone, Copy, Default)]
pub struct Said {
    pub min: Option<u32>,
    /// Within: none is any number.
    pub max: Option<Option<u32>>,
    /// Whether its slices stand in their order.
    pub ordered: Option<bool>,
}

/// One type of an element.
#[derive(Clone, Default, PartialEq)]
pub struct TypeRules {
    /// Its name.
    pub code: Box<str>,
    /// Profiles, one of which the value keeps.
    pub profiles: Vec<Box<str>>,
    /// Profiles, one of which the target of a reference keeps.
    pub targets: Vec<Box<str>>,
}

/// A binding of a profile.
#[derive(Clone)]
pub struct Bound {
    pub strength: BindingStrength,
    /// Canonical, with version if the profile names one.
    pub value_set: Box<str>,
    /// What codes beyond an extensible value set must be in all the same.
    pub most: Option<Box<str>>,
}

/// What a profile asks of a narrative (the extension `narrative-language-control`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Languages {
    /// It has a section for each language.
    Sections,
    /// It has none.
    NoSections,
    /// It has one for the language of the resource.
    OfResource,
    /// It has one for this language.
    One(Box<str>),
}

/// How the values of an element are divided into slices.
#[derive(Clone, Default)]
pub struct Slicing {
    pub discriminators: Vec<Discriminator>,
    pub closed: bool,
    pub open_at_end: bool,
    pub ordered: bool,
}

/// What tells slices apart.
#[derive(Clone)]
pub struct Discriminator {
    pub kind: DiscriminatorKind,
    pub path: Box<str>,
    /// The path as an expression; none: it cannot be read.
    pub expression: Option<Arc<Expression>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscriminatorKind {
    /// `value` and `pattern`
    Value,
    Exists,
    Type,
    Profile,
}
