//! The resources of a Bundle by the addresses that references name them with (R4 bundle.html#references). Made when
//! the first reference asks for it.

use super::walk::Scope;
use crate::definitions::Definitions;
use crate::fhirpath::eval::Node;
use crate::json::Value;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

/// The entries of the outermost Bundle, if the document is one.
pub(super) struct BundleEntries<'d> {
    by_url: HashMap<Cow<'d, str>, Value<'d>>,
    /// All resources of entries, in the order of the document.
    resources: Vec<Value<'d>>,
    /// For each resource the fullUrl that it stands under.
    urls: HashMap<u32, Cow<'d, str>>,
    /// Types and ids of all resources.
    names: OnceCell<HashSet<String>>,
}

impl<'d> BundleEntries<'d> {
    pub(super) fn of(root: Value<'d>) -> Self {
        let (mut by_url, mut urls, mut resources) = (HashMap::new(), HashMap::new(), Vec::new());
        if root.get("resourceType").and_then(Value::as_plain) == Some("Bundle") {
            for entry in root.get("entry").into_iter().flat_map(Value::items) {
                let Some(resource) = entry.get("resource") else { continue };
                resources.push(resource);
                let Some(url) = entry.get("fullUrl").and_then(Value::as_str) else { continue };
                by_url.entry(url.clone()).or_insert(resource);
                urls.insert(resource.place(), url);
            }
        }
        BundleEntries { by_url, resources, urls, names: OnceCell::new() }
    }

    /// The resource of the entry that something stands in.
    pub(super) fn around(&self, value: Value<'d>) -> Option<Value<'d>> {
        let before = self.resources.partition_point(|r| r.place() <= value.place());
        self.resources.get(before.checked_sub(1)?).copied().filter(|r| r.encloses(value))
    }

    /// The resource under an address.
    pub(super) fn at(&self, url: &str) -> Option<Value<'d>> {
        self.by_url.get(url).copied()
    }

    /// Whether some resource has this type and id: `Patient/1`.
    pub(super) fn holds(&self, named: &str) -> bool {
        let name = |r: &Value<'d>| {
            let of = |name: &str| r.get(name).and_then(Value::as_str);
            Some(format!("{}/{}", of("resourceType")?, of("id")?))
        };
        self.names.get_or_init(|| self.by_url.values().filter_map(name).collect()).contains(named)
    }

    /// What a reference points to: a contained resource, or one of the Bundle.
    pub(super) fn resolve(&self, reference: &str, scope: Scope<'_, 'd>, definitions: &Definitions) -> Option<Node<'d>> {
        self.resolve_from(reference, scope.container.node, definitions)
    }

    /// The same from the resource that holds the contained ones.
    pub(super) fn resolve_from(
        &self,
        reference: &str,
        container: Node<'d>,
        definitions: &Definitions,
    ) -> Option<Node<'d>> {
        if let Some(id) = reference.strip_prefix('#') {
            let root = container.value?;
            if id.is_empty() {
                return Some(container);
            }
            let mut contained = root.get("contained")?.items();
            let found = contained.find(|r| r.get("id").and_then(Value::as_str).is_some_and(|i| i == id))?;
            return Node::resource(found, definitions);
        }
        self.entry(reference, container.value).and_then(|found| Node::resource(found, definitions))
    }

    fn entry(&self, reference: &str, from: Option<Value<'d>>) -> Option<Value<'d>> {
        let plain = reference.split(['#', '|']).next().unwrap_or(reference);
        let plain = plain.split_once("/_history/").map_or(plain, |(before, _)| before);
        if let Some(found) = self.by_url.get(plain) {
            return Some(*found);
        }
        if plain.contains(':') {
            return None;
        }
        // A relative reference is meant from the base of the fullUrl of its resource.
        let own = self.urls.get(&from?.place())?;
        let base = own.rsplitn(3, '/').nth(2)?;
        self.by_url.get(format!("{base}/{plain}").as_str()).copied()
    }
}
