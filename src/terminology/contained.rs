//! What a value set contains (R4 references.html#contained): value sets and code systems that its compose names by `#id`, or
//! by their canonical. They are found by it and by what it contains, and by nobody else.

use super::tree::{each, text};
use super::{CodeSystem, Library, Problem, Rules, Shelf, ValueSet, library};
use crate::json::Tree;
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::{Arc, Weak};

/// What stands beside an include or exclude in the resource.
#[derive(Clone, Default)]
pub(super) enum Contained {
    /// Nothing.
    #[default]
    Nothing,
    /// What the value set contains.
    Of(Arc<Shelf>),
    /// It is itself contained, beside these. They live as long as what contains them, which whoever asks holds.
    Among(Weak<Shelf>, Arc<Names>),
}

/// The canonicals of contained code systems, by fragment.
type Names = FxHashMap<String, Box<str>>;

impl fmt::Debug for Contained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Contained::Nothing => "Nothing",
            Contained::Of(_) => "Of",
            Contained::Among(..) => "Among",
        })
    }
}

impl Contained {
    /// What a ValueSet resource contains.
    pub(super) fn of(resource: &Tree) -> Contained {
        let all: Vec<&Tree> = each(resource, "contained").iter().filter(|c| !text(c, "id").is_empty()).collect();
        let is = |c: &&Tree| matches!(text(c, "resourceType"), "ValueSet" | "CodeSystem");
        if !all.iter().any(is) {
            return Contained::Nothing;
        }
        let container = super::tree::canonical(text(resource, "url"), text(resource, "version"));
        let systems = all.iter().filter(|c| text(c, "resourceType") == "CodeSystem" && !text(c, "url").is_empty());
        let names: Arc<Names> =
            Arc::new(systems.map(|c| (format!("#{}", text(c, "id")), text(c, "url").into())).collect());
        Contained::Of(Arc::new_cyclic(|among: &Weak<Shelf>| {
            let mut shelf = Shelf::default();
            for one in all {
                let fragment = format!("#{}", text(one, "id"));
                match text(one, "resourceType") {
                    "CodeSystem" => {
                        let mut system = one.clone();
                        if text(one, "url").is_empty() {
                            system.set("url", Tree::string(&fragment));
                        }
                        let system = Arc::new(CodeSystem::of(&system));
                        shelf.add_code_system(system.clone());
                        shelf.name_code_system(&fragment, system);
                    }
                    "ValueSet" => {
                        // Several value sets may contain one of the same id: each has a name of its own.
                        let mut named = one.clone();
                        named.set("url", Tree::string(format!("{container}{fragment}")));
                        named.remove("version");
                        let set = Arc::new(ValueSet::within(&named, Contained::Among(among.clone(), names.clone())));
                        shelf.name_value_set(&fragment, set.clone());
                        if !text(one, "url").is_empty() {
                            shelf.name_value_set(text(one, "url"), set);
                        }
                    }
                    _ => {}
                }
            }
            shelf
        }))
    }

    fn shelf(&self) -> Option<Arc<Shelf>> {
        match self {
            Contained::Nothing => None,
            Contained::Of(shelf) => Some(shelf.clone()),
            Contained::Among(shelf, _) => shelf.upgrade(),
        }
    }

    /// The name of a code system: where a fragment is meant, that of what it leads to.
    pub(super) fn name_of(&self, system: &str) -> Box<str> {
        let found = match self {
            _ if !system.starts_with('#') => None,
            Contained::Nothing => None,
            Contained::Of(shelf) => shelf.code_systems(system).first().map(|found| found.url.clone()),
            Contained::Among(_, names) => names.get(system).cloned(),
        };
        found.unwrap_or_else(|| system.into())
    }

    /// The versions of a code system: those that are contained, or else those of a library.
    pub(super) fn code_systems(&self, library: &dyn Library, url: &str) -> Vec<Arc<CodeSystem>> {
        let own = self.shelf().map(|shelf| shelf.code_systems(url)).unwrap_or_default();
        if own.is_empty() { library.code_systems(url) } else { own }
    }

    /// A value set that is imported: one that is contained, or else one of a library.
    pub(super) fn value_set(
        &self,
        library: &dyn Library,
        canonical: &str,
        rules: &Rules,
    ) -> Result<Arc<ValueSet>, Problem> {
        let own = self.shelf().map(|shelf| shelf.value_sets(super::tree::split(canonical).0)).unwrap_or_default();
        match own.into_iter().next() {
            Some(set) => Ok(set),
            None => library::value_set(library, canonical, rules),
        }
    }
}
