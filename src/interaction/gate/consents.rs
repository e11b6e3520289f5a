//! The Consents of all patients as they are now, read whoever asks and kept for all grants of a tenant: whole once, and
//! after that only what the history of the type says was changed since. They lie by whom they can mean, so that a grant
//! looks only at those that can deny something to its user. Judges nobody.

use super::circumstances::{PAGE, active};
use crate::access::Statement;
use crate::base::{Failure, FailureKind, IssueCode, ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::interaction::{Service, outcome};
use crate::json::Tree;
use crate::store::{Budget, HistoryQuery, HistoryScope, Place, Query, Snapshot, Version};
use parking_lot::RwLock;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Versions that are read at first to see what was changed.
const FEW: usize = 4;

/// What is known of the Consents.
pub(super) struct Known {
    books: RwLock<FxHashMap<TenantId, Arc<Book>>>,
    /// Whoever reads them does it for all who wait.
    turn: tokio::sync::Mutex<()>,
    /// Patients whose Consents deny something to one principal, at most: each is a part of every condition.
    pub most: usize,
}

/// The Consents of a tenant that can deny something.
#[derive(Clone, Default)]
pub(super) struct Book {
    /// The state of the store that it shows.
    position: u64,
    statements: FxHashMap<ResourceId, Arc<Statement>>,
    /// Those that may mean anybody.
    anybody: FxHashSet<ResourceId>,
    /// Those that can only mean whom they name, by these.
    named: FxHashMap<(TypeId, ResourceId), FxHashSet<ResourceId>>,
}

impl Default for Known {
    fn default() -> Known {
        Known { books: RwLock::default(), turn: tokio::sync::Mutex::default(), most: 20_000 }
    }
}

impl Known {
    fn book(&self, tenant: TenantId, position: u64) -> Option<Arc<Book>> {
        self.books.read().get(&tenant).filter(|book| book.position >= position).cloned()
    }
}

impl Book {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Those that can deny something to somebody who is, or may be, one of these.
    pub fn concerning<'b>(&'b self, actors: impl Iterator<Item = &'b (TypeId, ResourceId)>) -> Vec<Arc<Statement>> {
        let named: FxHashSet<&ResourceId> = actors.filter_map(|actor| self.named.get(actor)).flatten().collect();
        let ids = self.anybody.iter().chain(named);
        ids.filter_map(|id| self.statements.get(id).cloned()).collect()
    }

    /// A Consent as it is now; none where it can deny nothing any more.
    fn put(&mut self, id: ResourceId, statement: Option<Arc<Statement>>) {
        if let Some(before) = self.statements.remove(&id) {
            self.anybody.remove(&id);
            for actor in before.means().into_iter().flatten() {
                if let Some(ids) = self.named.get_mut(&actor) {
                    ids.remove(&id);
                    if ids.is_empty() {
                        self.named.remove(&actor);
                    }
                }
            }
        }
        let Some(statement) = statement else { return };
        match statement.means() {
            None => drop(self.anybody.insert(id.clone())),
            Some(actors) => {
                for actor in actors {
                    self.named.entry(actor).or_default().insert(id.clone());
                }
            }
        }
        self.statements.insert(id, statement);
    }
}

/// The failure where more is denied than can be decided by.
pub(super) fn too_many(most: usize) -> Failure {
    let why = format!(
        "more than {most} patients deny something to this user by active Consents; by so many nothing is decided here"
    );
    Failure::new(FailureKind::Unavailable, IssueCode::TooCostly, why)
}

impl Service {
    /// The Consents that can deny something, as a state of the store shows them or a later one.
    pub(super) async fn consents(
        &self,
        tenant: TenantId,
        snapshot: &dyn Snapshot,
        kind: TypeId,
    ) -> Result<Arc<Book>, Failure> {
        let known = &self.gate.consents;
        let position = snapshot.position();
        if let Some(book) = known.book(tenant, position) {
            return Ok(book);
        }
        let _turn = known.turn.lock().await;
        if let Some(book) = known.book(tenant, position) {
            return Ok(book);
        }
        let before = known.books.read().get(&tenant).map(|book| book.position);
        let changes = match before {
            None => self.all_consents(snapshot, kind).await?,
            Some(before) => self.changed_consents(snapshot, kind, before).await?,
        };
        let mut books = known.books.write();
        let book = Arc::make_mut(books.entry(tenant).or_default());
        for (id, statement) in changes {
            book.put(id, statement);
        }
        book.position = position;
        Ok(books.get(&tenant).cloned().unwrap_or_default())
    }

    /// What a Consent says, if it can deny something.
    pub(super) fn consent_of(&self, version: &Version) -> Result<Option<Arc<Statement>>, Failure> {
        let Some(json) = version.to_json("Consent") else { return Ok(None) };
        let tree = Tree::parse(&json).map_err(Failure::internal)?;
        Ok(Statement::read(&tree, &self.definitions, &self.extractor).map(Arc::new))
    }

    async fn all_consents(&self, snapshot: &dyn Snapshot, kind: TypeId) -> Result<Changes, Failure> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = Query {
                kinds: vec![kind],
                condition: active(self, kind),
                sort: Vec::new(),
                after,
                skip: 0,
                limit: PAGE,
                total: false,
                budget: Budget::default(),
            };
            let rows = snapshot.search(&query).await.map_err(outcome::of_store)?.rows;
            for row in &rows {
                let statement = self.consent_of(row)?;
                found.extend(statement.map(|statement| (row.id.clone(), Some(statement))));
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = Some(last.number),
                _ => return Ok(found),
            }
        }
    }

    /// What was changed after a position; nothing of those that are gone or deny nothing any more.
    async fn changed_consents(&self, snapshot: &dyn Snapshot, kind: TypeId, since: u64) -> Result<Changes, Failure> {
        let (mut found, mut seen, mut place) = (Vec::new(), FxHashSet::default(), Place::Newest);
        // Most times few were changed, or none: the versions that are looked at come with their bodies.
        let mut limit = FEW;
        loop {
            let query = HistoryQuery {
                scope: HistoryScope::Type(kind),
                since: None,
                current_during: None,
                place,
                limit,
                total: false,
                budget: Budget::default(),
            };
            let rows = snapshot.history(&query).await.map_err(outcome::of_store)?.rows;
            for row in rows.iter().take_while(|row| row.number > since) {
                // The newest comes first.
                if seen.insert(row.id.clone()) {
                    found.push((row.id.clone(), self.consent_of(row)?));
                }
            }
            match rows.last() {
                Some(last) if rows.len() == limit && last.number > since => place = Place::Below(last.number),
                _ => return Ok(found),
            }
            limit = PAGE;
        }
    }
}

type Changes = Vec<(ResourceId, Option<Arc<Statement>>)>;
