//! Floor 5: the storage contract and its engines. One meaning, proven by `tests/store_contract`.
//!
//! A commit is atomic and durable when it returns; a search that starts afterwards sees it; a snapshot shows one
//! moment; every version stays readable; version ids count 1, 2, 3 …; conditional forms are safe under parallel
//! writers (guards); every commit has a place in one order per tenant (the change log).
//! Knows nothing of HTTP, access rules or query strings.

mod body;
mod budget;
mod contract;
pub mod embedded;
mod item;
mod lease;
pub mod memory;
#[cfg(feature = "mongodb")]
pub mod mongodb;
pub mod moving;
mod notice;
mod raw;
mod report;
mod trail;
mod vocabulary;

pub use body::Body;
pub use budget::{Budget, Limit, Waiting};
pub use contract::{
    ChangeLog, Committed, Content, Effect, Expect, Guard, HistoryQuery, HistoryScope, Indexing, Method, Page, Place,
    Query, Snapshot, Sort, Store, StoreError, Transaction, Version, Write,
};
pub use item::{Item, ItemExpect, ItemWrite, MAX_KEY};
pub use lease::Lease;
pub use notice::{Crier, Notice, Notices};
pub use raw::{RawItem, RawStore, RawTarget, RawVersion, Still, Taker, UNFINISHED};
pub use report::CheckReport;
pub use trail::{AuditRecord, Chain, Hash, Head, Link, LinkContent, sha256};
pub use vocabulary::{FhirVocabulary, Vocabulary};
