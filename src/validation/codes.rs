//! What validation knows of codes: the terminology of the packages (and of whoever gives more), and the core package
//! behind it. What cannot be told is not guessed. Answers are kept, so that asking again costs a look-up.

use crate::base::IssueCode;
use crate::definitions::{Codes, Standing, Unfit};
use crate::json::Tree;
use crate::terminology::tree::split;
use crate::terminology::{
    self, Both, CodeSystem, ConceptMap, Content, Library, Packaged, Problem, Rules, Shelf, ValueSet,
};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Answers that are kept at most; then it begins again.
const KEPT: usize = 50_000;

/// Codes of a value set that are compared with another at most.
const COMPARED: usize = 2_000;

/// Code systems of others (media types, languages, currencies, countries) to which elements of FHIR are bound.
const UNLISTED: [&str; 5] =
    ["urn:ietf:bcp:13", "urn:ietf:bcp:47", "urn:iso:std:iso:4217", "urn:iso:std:iso:3166", "urn:iso:std:iso:3166:-2"];

/// Packages, the core package, and what there is beside them: what is in one of them is not displaced by what is in a
/// later one, whatever its version. Otherwise a resource could make the rules of a package laxer.
struct Layers {
    packaged: Arc<Packaged>,
    beside: Arc<dyn Library>,
}

impl Layers {
    fn each(&self) -> [&dyn Library; 3] {
        [&*self.packaged, terminology::core_library(), &*self.beside]
    }
}

impl Library for Layers {
    fn code_systems(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        let mut all = Vec::new();
        // What the specification binds to systems that nobody can list whole is not narrowed by a list somebody stored.
        let layers = if UNLISTED.contains(&url) { &self.each()[..2] } else { &self.each()[..] };
        for layer in layers {
            let found = layer.code_systems(url);
            if found.iter().any(|system| system.content == Content::Complete) {
                return found;
            }
            // A name without codes, or with some, gives way to more.
            all.extend(found);
        }
        all
    }

    fn value_sets(&self, url: &str) -> Vec<Arc<ValueSet>> {
        self.each().into_iter().map(|layer| layer.value_sets(url)).find(|found| !found.is_empty()).unwrap_or_default()
    }

    fn supplements(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        self.each().into_iter().flat_map(|layer| layer.supplements(url)).collect()
    }

    fn concept_maps(&self) -> Vec<Arc<ConceptMap>> {
        Vec::new()
    }
}

/// Whether a code is in a value set, or why that is not known.
type Answer = Result<bool, Arc<Problem>>;
/// Answers by system and code.
type Answers = FxHashMap<Box<str>, Answer>;

/// Answers by the packages, the core package, and a library beside them.
pub struct KnownCodes {
    library: Layers,
    /// By value set, then by system and code.
    members: RwLock<FxHashMap<Box<str>, Answers>>,
    /// By system, code and display.
    standings: RwLock<FxHashMap<Box<str>, Standing>>,
}

impl KnownCodes {
    /// By packages alone.
    pub fn of(packaged: Arc<Packaged>) -> KnownCodes {
        KnownCodes::with(Arc::new(Shelf::default()), packaged)
    }

    /// By packages, and by a library beside them.
    pub fn with(beside: Arc<dyn Library>, packaged: Arc<Packaged>) -> KnownCodes {
        KnownCodes { library: Layers { packaged, beside }, members: RwLock::default(), standings: RwLock::default() }
    }

    fn answer(&self, value_set: &str, system: Option<&str>, code: &str) -> Answer {
        // A bare code and one whose system is empty are asked for differently.
        let key = format!("{}\n{}\n{code}", u8::from(system.is_some()), system.unwrap_or_default());
        if let Some(known) = self.members.read().get(value_set).and_then(|codes| codes.get(key.as_str())) {
            return known.clone();
        }
        let answer = terminology::member_of(&self.library, value_set, system, code).map_err(Arc::new);
        let mut members = self.members.write();
        if members.len() >= KEPT || members.get(value_set).is_some_and(|codes| codes.len() >= KEPT) {
            members.clear();
        }
        members.entry(value_set.into()).or_default().insert(key.into(), answer.clone());
        answer
    }

    fn stands(&self, system: &str, version: Option<&str>, code: &str, display: Option<&str>) -> Standing {
        let library = &self.library;
        let found = terminology::code_system(library, system, version.unwrap_or_default());
        let Ok(found) = found.or_else(|_| terminology::code_system(library, system, "")) else {
            return match system == crate::ucum::SYSTEM && !crate::ucum::is_valid(code) {
                true => Standing::Missing,
                false => Standing::Unknown,
            };
        };
        let Some(concept) = found.find(code).and_then(|number| found.concept(number)) else {
            let whole = found.content == Content::Complete && !found.concepts.is_empty();
            return if whole { Standing::Missing } else { Standing::Unknown };
        };
        let fits = display.and_then(|given| terminology::display_fits(library, system, code, given));
        let right = concept.display.as_deref().filter(|_| fits == Some(false));
        Standing::Known { instead_of_display: right.map(str::to_owned) }
    }
}

impl Codes for KnownCodes {
    fn contains(&self, value_set: &str, system: Option<&str>, _version: Option<&str>, code: &str) -> Option<bool> {
        self.answer(value_set, system, code).ok()
    }

    fn undecided(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<Unfit> {
        self.answer(value_set, system, code).err().and_then(|problem| undecided(&problem))
    }

    fn beyond(&self, value_set: &str, other: &str) -> Option<String> {
        let codes = terminology::codes_of(&self.library, value_set, COMPARED).ok()?;
        let is_out = |(system, code): &terminology::Code| {
            matches!(terminology::member_of(&self.library, other, Some(&**system), code), Ok(false))
        };
        codes.into_iter().find(is_out).map(|(_, code)| code.into_string())
    }

    fn circle(&self, resource: &Tree) -> Option<Unfit> {
        terminology::circle(&self.library, resource).map(|problem| unfit(&problem))
    }

    fn with_contained<'c>(&'c self, contained: &[Tree]) -> Option<Box<dyn Codes + 'c>> {
        let mut own = Shelf::default();
        for resource in contained {
            let Some(id) = resource.get("id").and_then(Tree::as_str) else { continue };
            let mut named = resource.clone();
            named.set("url", Tree::String(format!("#{id}")));
            named.remove("version");
            own.add(&named);
            // They name each other by their canonicals, too.
            if resource.get("url").is_some() {
                own.add(resource);
            }
        }
        Some(Box::new(Contained { own, library: &self.library }))
    }

    fn definition(&self, value_set: &str) -> Vec<Tree> {
        let found = terminology::value_set(&self.library, value_set, &Rules::default());
        found.map(|set| terminology::bare(&self.library, &set)).unwrap_or_default()
    }

    fn knows(&self, url: &str) -> bool {
        !self.library.value_sets(url).is_empty() || !self.library.code_systems(url).is_empty()
    }

    fn standing(&self, system: &str, version: Option<&str>, code: &str, display: Option<&str>) -> Standing {
        let key = format!("{system}\n{}\n{code}\n{}", version.unwrap_or_default(), display.unwrap_or_default());
        if let Some(known) = self.standings.read().get(key.as_str()) {
            return known.clone();
        }
        let answer = self.stands(system, version, code, display);
        let mut standings = self.standings.write();
        if standings.len() >= KEPT {
            standings.clear();
        }
        standings.insert(key.into(), answer.clone());
        answer
    }
}

/// Answers with what a resource contains.
struct Contained<'c> {
    own: Shelf,
    library: &'c Layers,
}

impl Contained<'_> {
    fn answer(&self, value_set: &str, system: Option<&str>, code: &str) -> Result<bool, Problem> {
        terminology::member_of(&Both(&self.own, self.library), value_set, system, code)
    }
}

impl Codes for Contained<'_> {
    fn contains(&self, value_set: &str, system: Option<&str>, _version: Option<&str>, code: &str) -> Option<bool> {
        self.answer(value_set, system, code).ok()
    }

    fn undecided(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<Unfit> {
        self.answer(value_set, system, code).err().and_then(|problem| undecided(&problem))
    }
}

/// Why a question has no answer, unless it cannot have one anywhere.
fn undecided(problem: &Problem) -> Option<Unfit> {
    let open = problem.unknown.as_deref().is_some_and(|system| UNLISTED.contains(&split(system).0));
    (!open).then(|| unfit(problem))
}

fn unfit(problem: &Problem) -> Unfit {
    let code = match problem.code {
        "not-found" => IssueCode::NotFound,
        "too-costly" => IssueCode::TooCostly,
        "not-supported" => IssueCode::NotSupported,
        "invalid" => IssueCode::Invalid,
        _ => IssueCode::Processing,
    };
    let place = problem.place.as_deref().map(Arc::from);
    Unfit { code, why: (&*problem.text).into(), place, missing: problem.is_missing() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::{Conformance, PackageInfo, Registry};

    fn codes(resources: &[(&str, &str, &str)]) -> KnownCodes {
        let of = |(kind, url, json): &(&str, &str, &str)| {
            let json = format!(r#"{{"resourceType":"{kind}","url":"{url}",{json}}}"#);
            Conformance::new(kind, url, "1", "", "p#1".into(), json.as_bytes())
        };
        let info = PackageInfo { name: "p".into(), version: "1".into(), resources: resources.len(), guides: vec![] };
        let registry = Registry::default().with(info, resources.iter().map(of).collect());
        KnownCodes::of(Arc::new(Packaged::of(Arc::new(registry))))
    }

    #[test]
    fn composed() {
        let system = r#""content":"complete","concept":[{"code":"a","display":"Alpha","concept":[{"code":"b"}]},
            {"code":"c"}]"#;
        let below = r#""compose":{"include":[{"system":"s:s","filter":[{"property":"concept","op":"is-a","value":"a"}]}],
            "exclude":[{"system":"s:s","concept":[{"code":"b"}]}]}"#;
        let large = r#""compose":{"include":[{"system":"s:big"},{"valueSet":["s:below"]}]}"#;
        let own = r#""compose":{"include":[{"valueSet":["s:own"]}]}"#;
        let codes = codes(&[
            ("CodeSystem", "s:s", system),
            ("ValueSet", "s:below", below),
            ("ValueSet", "s:large", large),
            ("ValueSet", "s:own", own),
        ]);
        let ask = |set: &str, system: &str, code: &str| codes.contains(set, Some(system), None, code);
        assert_eq!(ask("s:below", "s:s", "a"), Some(true));
        assert_eq!(ask("s:below", "s:s", "b"), Some(false));
        assert_eq!(ask("s:below", "s:s", "c"), Some(false));
        // Nobody here knows what is in the large system.
        assert_eq!(ask("s:large", "s:big", "x"), None);
        assert_eq!(ask("s:large", "s:other", "x"), Some(false));
        // What includes itself decides nothing.
        assert_eq!(ask("s:own", "s:s", "a"), None);
        let why = |set: &str, system: &str, code: &str| codes.undecided(set, Some(system), code);
        let own = why("s:own", "s:s", "a").expect("a reason");
        assert_eq!(
            (own.code, own.place.as_deref()),
            (IssueCode::Processing, Some("ValueSet.compose.include[0].valueSet[0]"))
        );
        assert!(own.why.contains("'s:own' includes itself"), "{own:?}");
        let big = why("s:large", "s:big", "x").expect("a reason");
        assert!(big.code == IssueCode::NotFound && big.why.contains("'s:big'"), "{big:?}");
        assert!(why("s:missing", "s:s", "a").is_some_and(|unfit| unfit.why.contains("'s:missing'")));
        assert_eq!(why("s:below", "s:s", "b"), None);
        // Nobody has all media types: that they are not here is not worth a word.
        let types = "http://hl7.org/fhir/ValueSet/mimetypes";
        assert_eq!((codes.contains(types, None, None, "text/x"), codes.undecided(types, None, "text/x")), (None, None));
        assert_eq!(ask("s:missing", "s:s", "a"), None);
        assert_eq!(codes.contains("http://hl7.org/fhir/ValueSet/administrative-gender", None, None, "x"), Some(false));
        let stands = |system: &str, code: &str, display: &str| codes.standing(system, None, code, Some(display));
        assert_eq!(stands("s:s", "x", "Alpha"), Standing::Missing);
        assert_eq!(stands("s:s", "a", "alpha"), Standing::Known { instead_of_display: None });
        assert_eq!(stands("s:s", "a", "Beta"), Standing::Known { instead_of_display: Some("Alpha".into()) });
        assert_eq!(stands("s:s", "b", "anything"), Standing::Known { instead_of_display: None });
        assert_eq!(stands("s:big", "a", "x"), Standing::Unknown);
        assert_eq!(stands("http://unitsofmeasure.org", "mmm", ""), Standing::Missing);
    }
}
