//! The type table: resource types have numbers of their own in the store, as those of the process may change.

use super::truth::{MetaRow, meta};
use crate::definitions::TypeId;
use crate::store::{StoreError, Vocabulary};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// The type table.
#[derive(Default)]
pub struct Types(RwLock<Table>);

#[derive(Default)]
struct Table {
    stored: FxHashMap<TypeId, u16>,
    kinds: Vec<TypeId>,
}

impl Types {
    /// Reads the rows of the table among those of `meta`.
    pub fn load(rows: &[MetaRow], vocabulary: &dyn Vocabulary) -> Result<Types, StoreError> {
        let mut table = Table::default();
        for (key, name) in rows.iter().filter(|(key, _)| key.first() == Some(&b't')) {
            let number = table.kinds.len() as u16;
            let name = String::from_utf8_lossy(name);
            if *key != meta::kind(number) {
                return Err(StoreError::Broken(format!("the type table of the store lacks row {number}")));
            }
            let kind = vocabulary
                .kind(&name)
                .ok_or_else(|| StoreError::Broken(format!("the store holds the type {name}, which is not known")))?;
            table.stored.insert(kind, number);
            table.kinds.push(kind);
        }
        Ok(Types(RwLock::new(table)))
    }

    /// The stored number of a type, if it has one.
    pub fn stored(&self, kind: TypeId) -> Option<u16> {
        self.0.read().stored.get(&kind).copied()
    }

    /// The type of a stored number.
    pub fn kind(&self, stored: u16) -> Result<TypeId, StoreError> {
        let found = self.0.read().kinds.get(stored as usize).copied();
        found.ok_or_else(|| StoreError::Broken(format!("type {stored} is not in the type table of the store")))
    }

    /// How many there are: the number of the next.
    pub fn len(&self) -> u16 {
        self.0.read().kinds.len() as u16
    }

    /// Adds a type, which has been stored, under the next number.
    pub fn add(&self, kind: TypeId) {
        let mut table = self.0.write();
        let number = table.kinds.len() as u16;
        table.stored.insert(kind, number);
        table.kinds.push(kind);
    }
}
