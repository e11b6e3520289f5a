//! The index of all tenants: one for each type, each behind a lock of its own, and the position that is published.
//! It is derived from the truth and can always be made again.

use super::segment::Section;
use super::type_index::{Entry, TypeIndex};
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::Terms;
use crate::store::Vocabulary;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The index of a tenant.
#[derive(Default)]
pub struct TenantIndex {
    /// The last number that readers see. What the index knows beyond it is invisible.
    position: AtomicU64,
    /// The last number that is in no part that is still added to.
    frozen: AtomicU64,
    /// Held while versions are added and published, and while they are frozen.
    adding: Mutex<()>,
    types: RwLock<FxHashMap<TypeId, Arc<RwLock<TypeIndex>>>>,
}

/// A version, as the index wants it.
pub struct Indexed {
    /// Its number.
    pub number: u64,
    /// Its type.
    pub kind: TypeId,
    /// Its logical id.
    pub id: ResourceId,
    /// The number of the version of the same resource before it.
    pub previous: Option<u64>,
    /// Its terms, stamped; none for a delete.
    pub terms: Option<Terms>,
    /// The schema that they were found by.
    pub schema: u64,
}

impl TenantIndex {
    /// The last number that readers see.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Lets readers see everything up to a number.
    pub fn publish(&self, position: u64) {
        self.position.store(position, Ordering::Release);
    }

    /// The last number that is in no part that is still added to.
    pub fn frozen(&self) -> u64 {
        self.frozen.load(Ordering::Acquire)
    }

    /// Adds versions and lets readers see them. Those that have terms of another schema than resources have now are
    /// handed over before, to be found `again`: what is frozen after this schema came must not be of an older one.
    pub fn add_and_publish(
        &self,
        vocabulary: &dyn Vocabulary,
        versions: &mut [Indexed],
        position: u64,
        again: impl Fn(&mut Indexed),
    ) {
        let _alone = self.adding.lock();
        let schema = vocabulary.schema();
        versions.iter_mut().filter(|v| v.terms.is_some() && v.schema != schema).for_each(again);
        self.add(vocabulary, versions);
        self.publish(position);
    }

    /// What is in memory and published is not added to any more, if it is so many versions; gives the numbers from
    /// and to.
    pub fn freeze_published(&self, least: u64) -> Option<(u64, u64)> {
        let _alone = self.adding.lock();
        let position = self.position();
        let enough = position.saturating_sub(self.frozen()) >= least.max(1);
        enough.then(|| (self.freeze(position), position))
    }

    /// What is in memory up to a number, which is the last, is not added to any more; gives its first number. Only
    /// for an index to which nobody else adds.
    pub fn freeze(&self, position: u64) -> u64 {
        for kind in self.kinds() {
            let index = self.types.read_recursive().get(&kind).cloned();
            if let Some(index) = index {
                index.write().freeze();
            }
        }
        self.frozen.swap(position, Ordering::AcqRel) + 1
    }

    /// Adds the versions of a section, whose numbers are greater than all before.
    pub fn attach(&self, kind: TypeId, section: Arc<Section>) {
        let index = self.types.write().entry(kind).or_default().clone();
        index.write().attach(section);
    }

    /// Puts a section in the place of what it was made of. Refused if it is not of as many versions.
    pub fn replace(&self, kind: TypeId, from: u64, to: u64, section: &Arc<Section>) -> bool {
        let index = self.types.read_recursive().get(&kind).cloned();
        index.is_some_and(|index| index.write().replace(from, to, section))
    }

    /// Looks at the index of a type; an empty one if there is nothing of it.
    pub fn with<R>(&self, kind: TypeId, look: impl FnOnce(&TypeIndex) -> R) -> R {
        let found = self.types.read_recursive().get(&kind).cloned();
        match found {
            // Recursive, as a chain may come back to a type: a writer that waits must not stand in between.
            Some(index) => look(&index.read_recursive()),
            None => look(&TypeIndex::default()),
        }
    }

    /// The types of which there are versions.
    pub fn kinds(&self) -> Vec<TypeId> {
        let mut kinds: Vec<_> = self.types.read_recursive().keys().copied().collect();
        kinds.sort();
        kinds
    }

    /// Adds versions, in order of their numbers. They become visible when they are published.
    pub fn add(&self, vocabulary: &dyn Vocabulary, versions: &[Indexed]) {
        let mut by_kind: FxHashMap<TypeId, Vec<&Indexed>> = FxHashMap::default();
        for version in versions {
            by_kind.entry(version.kind).or_default().push(version);
        }
        for (kind, versions) in by_kind {
            let index = self.types.write().entry(kind).or_default().clone();
            // One lock at a time: a reader that has another one and waits for this cannot be waited for.
            let mut index = index.write();
            for version in versions {
                index.add(&Entry {
                    number: version.number as u32,
                    previous: version.previous,
                    id: vocabulary.id_term(kind, version.id.as_str()),
                    terms: version.terms.as_ref(),
                });
            }
        }
    }
}

/// The index of all tenants.
#[derive(Default)]
pub struct Index {
    tenants: RwLock<FxHashMap<TenantId, Arc<TenantIndex>>>,
}

impl Index {
    /// The tenants that have one.
    pub fn tenants(&self) -> Vec<TenantId> {
        self.tenants.read().keys().copied().collect()
    }

    /// The index of a tenant.
    pub fn tenant(&self, tenant: TenantId) -> Arc<TenantIndex> {
        if let Some(found) = self.tenants.read().get(&tenant) {
            return found.clone();
        }
        self.tenants.write().entry(tenant).or_default().clone()
    }
}
