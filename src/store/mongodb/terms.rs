//! What stored versions are found by: terms found in a body again, and the vocabulary kept at the list of added search
//! parameters that is stored, which another process may have changed. Commits ask for that within their transaction
//! (`group`), so that nothing is written by a list of before once `reindex` has passed.

use super::Shared;
use super::items::key_of;
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::definitions::TypeId;
use crate::index::Terms;
use crate::json::{Document as Json, Limits, SyntaxError};
use crate::store::{Body, StoreError};
use mongodb::ClientSession;
use mongodb::bson::doc;
use mongodb::error::Error;
use parking_lot::Mutex;

/// How often the vocabulary is taught the stored list while somebody else teaches it another.
pub const TRIES: usize = 8;

/// What was read of the stored list last: its revision and mark.
#[derive(Default)]
pub struct Learned(Mutex<Option<(u64, u64)>>);

/// The stored list.
struct List {
    mark: u64,
    /// None where its mark was known already.
    value: Option<Vec<u8>>,
}

/// A body whose terms are asked for, and whose it is.
pub struct Found<'f> {
    pub kind: TypeId,
    pub id: &'f ResourceId,
    pub version: u64,
    pub last_updated: Timestamp,
    pub body: &'f [u8],
}

impl Shared {
    /// All terms of a version, and the schema by which they were found.
    pub fn found(&self, of: &Found<'_>) -> Result<(Terms, u64), SyntaxError> {
        let mut text = Vec::new();
        let name = self.vocabulary.name(of.kind);
        Body::write_resource(of.body, name, of.id.as_str(), of.version, of.last_updated, &mut text);
        let document = Json::parse(&text, &Limits::NONE)?;
        let (mut terms, schema) = self.vocabulary.extract_marked(of.kind, document.root());
        self.vocabulary.stamp(&mut terms, of.kind, of.id, of.last_updated);
        Ok((terms, schema))
    }

    /// The terms that every version has, whatever its body.
    pub fn stamped(&self, kind: TypeId, id: &ResourceId, last_updated: Timestamp) -> Terms {
        let mut terms = Terms::default();
        self.vocabulary.stamp(&mut terms, kind, id, last_updated);
        terms
    }

    /// The schema by which something has to be found that is written where `fence` is the mark of the list that
    /// everything was indexed by again, or is about to be. Where the vocabulary was taught another list, what counts is
    /// the one that is stored; that of the fence or a later one.
    pub async fn fit(&self, fence: u64, session: &mut ClientSession) -> Result<u64, Error> {
        match self.vocabulary.taught() {
            (mark, schema) if mark == fence => Ok(schema),
            _ => self.learn(Some(session)).await,
        }
    }

    /// Takes the counter of the tenant 0 within a transaction: its fence.
    pub async fn take_fence(&self, session: &mut ClientSession) -> Result<u64, Error> {
        let key = doc! { "_id": i64::from(TenantId::default().0) };
        let taken = self.tenants.find_one_and_update(key, doc! { "$inc": { "z": 1_i64 } });
        let counter = taken.upsert(true).session(session).await?;
        Ok(counter.and_then(|c| c.get_i64("f").ok()).unwrap_or(0) as u64)
    }

    /// Teaches the vocabulary the list that is stored, if it was taught another; the schema that it gives.
    pub async fn learn(&self, mut session: Option<&mut ClientSession>) -> Result<u64, Error> {
        let Some(mut list) = self.stored_list(session.as_deref_mut(), false).await? else {
            return Ok(self.vocabulary.schema());
        };
        for _ in 0..TRIES {
            let (mark, schema) = self.vocabulary.taught();
            if mark == list.mark {
                return Ok(schema);
            }
            match &list.value {
                Some(value) => self.vocabulary.learn(value),
                None => match self.stored_list(session.as_deref_mut(), true).await? {
                    Some(read) => list = read,
                    None => return Ok(self.vocabulary.schema()),
                },
            }
        }
        Err(Error::custom(StoreError::Unavailable("the search parameters are being changed; try again".into())))
    }

    /// The mark of the list that is stored; none where there is no list.
    pub async fn stored_mark(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.stored_list(None, false).await?.map(|list| list.mark))
    }

    /// The numbers of the parameters of the list that is stored, if it has this mark still.
    pub async fn numbers_of(&self, mark: u64) -> Result<Vec<u16>, StoreError> {
        let list = self.stored_list(None, true).await?.filter(|list| list.mark == mark);
        Ok(list.and_then(|list| list.value).map_or_else(Vec::new, |value| self.vocabulary.numbers_of(&value)))
    }

    /// The list that is stored. Its value, which may be long, is read only if its mark is not known, or `whole`.
    async fn stored_list(&self, session: Option<&mut ClientSession>, whole: bool) -> Result<Option<List>, Error> {
        let Some((collection, key)) = self.vocabulary.defined_by() else { return Ok(None) };
        let tenant = TenantId::default();
        let known = *self.learned.0.lock();
        let mut session = session;
        if let Some((revision, mark)) = known.filter(|_| !whole) {
            let find = self.items.find_one(doc! { "_id": key_of(tenant, collection, key) }).projection(doc! { "r": 1 });
            let found = match session.as_deref_mut() {
                Some(session) => find.session(session).await?,
                None => find.await?,
            };
            let Some(found) = found else { return Ok(None) };
            if found.get_i64("r").ok() == Some(revision as i64) {
                return Ok(Some(List { mark, value: None }));
            }
        }
        let Some(item) = self.stored_item(tenant, collection, key, session).await? else { return Ok(None) };
        let mark = self.vocabulary.mark_of(&item.value);
        *self.learned.0.lock() = Some((item.revision, mark));
        Ok(Some(List { mark, value: Some(item.value) }))
    }
}
