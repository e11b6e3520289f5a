//! Profiles (R4 profiling.html): definitions are read into rules once ([`build`], [`over`]), cut down to what they say beyond
//! the base definitions ([`prune`]), and resources are held against them ([`check`], [`slicing`]).

mod belonging;
mod build;
mod check;
mod element;
mod expectation;
mod expected;
mod over;
mod prune;
mod slices;
mod slicing;

#[cfg(test)]
mod tests;

pub(super) use check::type_named;
use element::Rebound;
pub use element::{Fault, Profile};

use super::Validator;
use crate::definitions::{Conformance, split_canonical};
use crate::json::{Document, Kind, Limits, Value};
use std::sync::Arc;

/// Profiles that are derived from one another at most.
const LONGEST: usize = 20;

/// A profile that was read, or why it cannot be used.
pub(super) type Digest = Result<Arc<Profile>, Arc<str>>;

impl Validator {
    /// The rules of a profile; none if it is not known or a type of the specification itself.
    pub(super) fn profile(&self, canonical: &str) -> Result<Option<Arc<Profile>>, Arc<str>> {
        if let Some(known) = self.profiles.read().get(canonical) {
            return known.clone().map(Some);
        }
        if self.registry.find("StructureDefinition", canonical).is_none() {
            return Ok(None);
        }
        let digest = self.read_profile(canonical, &mut Vec::new()).and_then(|mut profile| {
            prune::prune(&mut profile, &self.definitions, &self.rules)?;
            Ok(Arc::new(profile))
        });
        // Only canonicals of the registry get here, each with and without its versions.
        self.profiles.write().insert(canonical.into(), digest.clone());
        digest.map(Some)
    }

    /// The name of the type that a profile, or a type of the specification, is about.
    pub(super) fn about(&self, canonical: &str) -> Option<String> {
        if let Some(found) = self.registry.find("StructureDefinition", canonical) {
            return Some(found.about.to_string());
        }
        let name = split_canonical(canonical).0.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
        let known = self.definitions.type_named(name).is_some() || crate::primitive::Primitive::named(name).is_some();
        known.then(|| name.to_owned())
    }

    fn read_profile(&self, canonical: &str, open: &mut Vec<Arc<Conformance>>) -> Result<Profile, Arc<str>> {
        let Some(found) = self.registry.find("StructureDefinition", canonical) else {
            return Err(format!("its base {canonical} is not known").into());
        };
        if open.iter().any(|o| Arc::ptr_eq(o, found)) || open.len() >= LONGEST {
            let chain: Vec<String> = open.iter().chain([found]).map(|c| c.canonical()).collect();
            return Err(format!("it is derived from itself: {}", chain.join(" -> ")).into());
        }
        open.push(found.clone());
        let json = found.json();
        let document = Document::parse(&json, &Limits::NONE).map_err(|e| Arc::from(e.to_string()))?;
        Ok(self.inherited(document.root(), open, false)?)
    }

    /// A definition read over what it is derived from; not cut down: what is derived from it may say more of everything.
    /// `differential`: it is laid over its base even where it has a snapshot.
    fn inherited(
        &self,
        root: Value<'_>,
        open: &mut Vec<Arc<Conformance>>,
        differential: bool,
    ) -> Result<Profile, Fault> {
        let base = root.get("baseDefinition").and_then(Value::as_str).unwrap_or_default();
        let has = |list: &str| root.get(list).and_then(|s| s.get("element")).is_some_and(|e| e.kind() == Kind::Array);
        let whole = has("snapshot") && !(differential && has("differential"));
        let derived = root.get("derivation").and_then(Value::as_plain) == Some("constraint");
        let inherited = match self.registry.find("StructureDefinition", &base) {
            Some(parent) if derived && !whole => {
                let parent = parent.canonical();
                Some(self.read_profile(&parent, open).map_err(|why| Fault::from(&*why))?)
            }
            _ if derived && !whole && self.about(&base).is_none() => {
                return Err(format!("its base {base} is not known").into());
            }
            _ => None,
        };
        build::build(root, inherited.as_ref())
    }

    /// Where a profile binds to codes that its base does not allow, as far as both value sets are known.
    fn widened(&self, rebound: &[Rebound]) -> Option<Fault> {
        rebound.iter().find_map(|Rebound { element, own, base }| {
            let code = self.codes.beyond(own, base)?;
            let why = format!(
                "it binds to {own}, in which is the code '{code}' that is not in {base}, to which its base binds"
            );
            Some(Fault::at(element, why))
        })
    }

    /// Why a definition that is at hand cannot be used, if so; that its base is not known here is none of its faults.
    pub(super) fn fault_of(&self, definition: Value<'_>) -> Option<Fault> {
        let of = |name: &str| definition.get(name).and_then(Value::as_str).unwrap_or_default();
        let base = of("baseDefinition");
        if of("derivation") != "constraint" || !matches!(&*of("kind"), "resource" | "complex-type") {
            return None;
        }
        if split_canonical(&base).0 == of("url") {
            return Some("it is derived from itself".into());
        }
        self.about(&base)?;
        let read = |differential| {
            let mut profile = self.inherited(definition, &mut Vec::new(), differential)?;
            prune::prune(&mut profile, &self.definitions, &self.rules)?;
            match profile.lax.into_iter().next().or_else(|| self.widened(&profile.rebound)) {
                Some(fault) => Err(fault),
                None => Ok(()),
            }
        };
        let whole = definition.get("snapshot").is_some();
        // A snapshot says nothing of what the base says: its differential is laid over that, too.
        read(false).and_then(|()| if whole { read(true) } else { Ok(()) }).err()
    }
}
