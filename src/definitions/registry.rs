//! The registry: conformance resources of implementation guides beside those of the specification, by canonical and
//! version. Immutable: whoever adds a package makes a new one, which replaces the old whole. What the resources mean
//! is read by those who need it.

use super::load::PROFILES;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A resource of a package.
#[derive(Debug)]
pub struct Conformance {
    /// `StructureDefinition`, `ValueSet`, …
    pub kind: Box<str>,
    /// Canonical, without version.
    pub url: Box<str>,
    /// Its own version.
    pub version: Box<str>,
    /// The type that a StructureDefinition is about, or the codes of types where a SearchParameter has them.
    pub about: Box<str>,
    /// Name and version of its package, such as `hl7.fhir.us.core#6.1.0`.
    pub package: Arc<str>,
    text: Text,
}

#[derive(Debug)]
enum Text {
    /// Compiled into the program.
    Own(&'static str),
    /// Zstandard.
    Packed(Box<[u8]>),
}

impl Conformance {
    /// A resource with its JSON text.
    pub fn new(kind: &str, url: &str, version: &str, about: &str, package: Arc<str>, json: &[u8]) -> Conformance {
        // Compression into memory does not fail; if it did, the resource would be empty and refused by who reads it.
        let packed = zstd::bulk::compress(json, 3).unwrap_or_default();
        Conformance {
            kind: kind.into(),
            url: url.into(),
            version: version.into(),
            about: about.into(),
            package,
            text: Text::Packed(packed.into()),
        }
    }

    /// A resource whose text was packed before.
    pub(super) fn packed_as(
        kind: &str,
        url: &str,
        version: &str,
        about: &str,
        package: Arc<str>,
        packed: &[u8],
    ) -> Conformance {
        Conformance {
            kind: kind.into(),
            url: url.into(),
            version: version.into(),
            about: about.into(),
            package,
            text: Text::Packed(packed.into()),
        }
    }

    /// The text as it is kept.
    pub(super) fn packed(&self) -> Cow<'_, [u8]> {
        match &self.text {
            Text::Own(text) => Cow::Owned(zstd::bulk::compress(text.as_bytes(), 3).unwrap_or_default()),
            Text::Packed(bytes) => Cow::Borrowed(bytes),
        }
    }

    /// The JSON text.
    pub fn json(&self) -> Cow<'static, [u8]> {
        match &self.text {
            Text::Own(text) => Cow::Borrowed(text.as_bytes()),
            Text::Packed(bytes) => Cow::Owned(zstd::stream::decode_all(&bytes[..]).unwrap_or_default()),
        }
    }

    /// Canonical and version.
    pub fn canonical(&self) -> String {
        if self.version.is_empty() { self.url.to_string() } else { format!("{}|{}", self.url, self.version) }
    }
}

/// A package that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageInfo {
    /// `hl7.fhir.us.core`
    pub name: String,
    /// `6.1.0`
    pub version: String,
    /// How many conformance resources it has.
    pub resources: usize,
    /// Canonicals of its ImplementationGuides, with version.
    pub guides: Vec<String>,
}

/// All conformance resources of packages.
#[derive(Debug, Default)]
pub struct Registry {
    /// The packages, in the order in which they were added.
    pub packages: Vec<PackageInfo>,
    /// What lies below and comes first.
    base: Option<Arc<Registry>>,
    by_url: HashMap<Box<str>, Vec<Arc<Conformance>>>,
}

impl Registry {
    /// What the specification itself defines.
    pub fn core() -> Arc<Registry> {
        static CORE: OnceLock<Arc<Registry>> = OnceLock::new();
        CORE.get_or_init(|| {
            let package: Arc<str> = "hl7.fhir.r4.core#4.0.1".into();
            let mut registry = Registry::default();
            for line in PROFILES.lines() {
                let mut fields = line.splitn(3, '\t');
                let (Some(url), Some(about), Some(json)) = (fields.next(), fields.next(), fields.next()) else {
                    continue;
                };
                registry.put(Conformance {
                    kind: "StructureDefinition".into(),
                    url: url.into(),
                    version: "4.0.1".into(),
                    about: about.into(),
                    package: package.clone(),
                    text: Text::Own(json),
                });
            }
            Arc::new(registry)
        })
        .clone()
    }

    /// A registry that has more.
    pub fn with(&self, info: PackageInfo, resources: Vec<Conformance>) -> Registry {
        let mut registry =
            Registry { packages: self.packages.clone(), base: self.base.clone(), by_url: self.by_url.clone() };
        registry.packages.push(info);
        for resource in resources {
            registry.put(resource);
        }
        registry
    }

    /// A registry with more that displaces nothing: what is in `base` under a canonical is found there.
    pub fn over(base: Arc<Registry>, resources: Vec<Arc<Conformance>>) -> Registry {
        let mut registry = Registry { packages: base.packages.clone(), base: Some(base), by_url: HashMap::new() };
        for resource in resources {
            registry.by_url.entry(resource.url.clone()).or_default().push(resource);
        }
        registry
    }

    fn put(&mut self, resource: Conformance) {
        self.by_url.entry(resource.url.clone()).or_default().push(Arc::new(resource));
    }

    /// The resource of a type with a canonical; without a version the newest one.
    pub fn find(&self, kind: &str, canonical: &str) -> Option<&Arc<Conformance>> {
        if let Some(found) = self.base.as_ref().and_then(|base| base.find(kind, canonical)) {
            return Some(found);
        }
        let (url, version) = split(canonical);
        let all = self.by_url.get(url)?.iter().filter(|c| &*c.kind == kind);
        match version {
            Some(version) => all.rev().find(|c| of_version(&c.version, version)),
            None => all.max_by(|a, b| compare(&a.version, &b.version)),
        }
    }

    /// All versions of the resource of a type with a canonical (without version).
    pub fn versions<'r>(&'r self, kind: &'r str, url: &str) -> impl Iterator<Item = &'r Arc<Conformance>> {
        let below = self.base.as_ref().and_then(|base| base.by_url.get(url));
        let all = below.into_iter().chain(self.by_url.get(url)).flatten();
        all.filter(move |c| &*c.kind == kind)
    }

    /// The type of the resource with this canonical, whatever its version.
    pub fn kind_of(&self, url: &str) -> Option<&str> {
        let below = self.base.as_ref().and_then(|base| base.kind_of(url));
        below.or_else(|| self.by_url.get(url)?.first().map(|c| &*c.kind))
    }

    /// All resources of a type that packages brought, without those of the specification.
    pub fn of_packages<'r>(&'r self, kind: &'r str) -> impl Iterator<Item = &'r Arc<Conformance>> {
        let own = |c: &Conformance| matches!(c.text, Text::Own(_));
        self.by_url.values().flatten().filter(move |c| &*c.kind == kind && !own(c))
    }
}

/// Canonical and version of `url|version`; what follows a `#` is left out.
pub fn split(canonical: &str) -> (&str, Option<&str>) {
    let canonical = canonical.split('#').next().unwrap_or(canonical);
    match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    }
}

/// Whether a version is the one that is asked for: `4.0` also means `4.0.1`.
fn of_version(version: &str, wanted: &str) -> bool {
    version == wanted || version.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
}

/// Which of two versions is newer: numbers by their value; what has a label after it (`-ballot`) is older.
fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let key = |version: &str| {
        let (numbers, label) = version.split_once('-').map_or((version, None), |(n, l)| (n, Some(l.to_owned())));
        let numbers: Vec<u64> = numbers.split('.').map(|n| n.parse().unwrap_or(0)).collect();
        (numbers, label.is_none(), label)
    };
    key(a).cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(version: &str) -> Conformance {
        Conformance::new("ValueSet", "http://x/v", version, "", "p#1".into(), version.as_bytes())
    }

    #[test]
    fn versions_stand_side_by_side() {
        let info = PackageInfo { name: "p".into(), version: "1".into(), resources: 3, guides: vec![] };
        let registry = Registry::default().with(info, vec![one("1.10.0"), one("1.9.0"), one("2.0.0-ballot")]);
        let found = |canonical: &str| registry.find("ValueSet", canonical).map(|c| c.version.to_string());
        assert_eq!(found("http://x/v|1.9.0").as_deref(), Some("1.9.0"));
        assert_eq!(found("http://x/v|1.10").as_deref(), Some("1.10.0"));
        assert_eq!(found("http://x/v").as_deref(), Some("2.0.0-ballot"));
        assert_eq!(found("http://x/v|3"), None);
        assert_eq!(registry.find("StructureDefinition", "http://x/v").map(|_| ()), None);
        assert_eq!(compare("1.9.0", "1.10.0"), std::cmp::Ordering::Less);
        assert_eq!(compare("2.0.0-ballot", "2.0.0"), std::cmp::Ordering::Less);
    }

    #[test]
    fn the_specification_is_in_it() {
        let core = Registry::core();
        let birth = core.find("StructureDefinition", "http://hl7.org/fhir/StructureDefinition/patient-birthTime");
        assert!(birth.is_some_and(|b| b.json().starts_with(b"{")));
    }
}
