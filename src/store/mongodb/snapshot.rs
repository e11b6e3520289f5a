//! One state of one tenant: every question is asked with the position, so that what is committed later is not seen.

use super::Shared;
use super::document::{damaged, name_of, terms_of, version_of};
use super::filter::{Settled, leading_term, led};
use super::lead::{self, Led, Mark};
use super::resolve::{Asked, settle};
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::Terms;
use crate::store::{Budget, HistoryQuery, HistoryScope, Page, Place, Query, Snapshot, Sort, StoreError, Version};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::action::Action;
use mongodb::bson::{Bson, Document, doc};
use std::cmp::Ordering;
use std::sync::Arc;

/// A state of a tenant. Holds nothing open.
pub struct MongoSnapshot {
    pub(super) shared: Arc<Shared>,
    pub(super) tenant: TenantId,
    pub(super) position: u64,
    /// How far versions have what leads to them.
    pub(super) mark: Mark,
}

/// What is visible of a tenant at a position.
#[derive(Clone, Copy)]
pub struct Visible<'s> {
    pub shared: &'s Shared,
    pub tenant: TenantId,
    pub position: u64,
    /// How far versions have what leads to them.
    pub mark: Mark,
}

impl Visible<'_> {
    /// How a search for some types is led, if it is, and may be: nobody relies on what some versions lack.
    pub fn led(&self, kinds: &[TypeId], settled: &Settled, sorts: &[Sort]) -> Option<Led> {
        let [kind] = kinds else { return None };
        let leads = self.shared.vocabulary.leads(*kind).filter(|_| self.mark.covers(self.position))?;
        lead::led(leads, settled, sorts)
    }

    /// The filter of the current resources of some types at a position that fulfil a filter; those with a number after
    /// another, if that is given.
    pub fn filter(&self, kinds: &[TypeId], after: Option<u64>, by: Option<&Led>, and: Document) -> Document {
        let position = self.position as i64;
        let names: Vec<_> = kinds.iter().map(|kind| Bson::from(self.shared.vocabulary.name(*kind))).collect();
        let mut numbers = doc! { "$lte": position };
        if let Some(after) = after {
            numbers.insert("$gt", after.min(self.position) as i64);
        }
        let mut moment = doc! { "s": { "$gt": position }, "d": false };
        let mut lead = doc! { "t": i64::from(self.tenant.0) };
        let [one] = &names[..] else {
            lead.insert("k", doc! { "$in": names });
            return led(lead, vec![doc! { "n": numbers }, moment, and]);
        };
        lead.insert("k", one.clone());
        if let Some((digests, limits)) = by.map(|by| by.filter(self.mark.is_crowded())) {
            // A delete is led to and found by nothing: what an index says is enough.
            moment.remove("d");
            lead.insert("y", digests);
            return led(lead, vec![doc! { "n": numbers }, moment, limits, and]);
        }
        let (term, mut rest) = leading_term(and);
        match term {
            Some(term) => {
                moment.remove("d");
                lead.insert("x", term);
                rest.insert(0, moment);
                rest.insert(0, doc! { "n": numbers });
            }
            None => {
                lead.insert("n", numbers);
                rest.insert(0, moment);
            }
        }
        led(lead, rest)
    }
}

/// The sort keys of a row and its number.
type Row = (Vec<Option<Box<[u8]>>>, u64);

fn keys(sorts: &[Sort], terms: &Terms) -> Vec<Option<Box<[u8]>>> {
    let key = |sort: &Sort| {
        let inside = terms.range(&sort.from, &sort.to).iter().map(|t| t.0.get(sort.skip..).unwrap_or_default());
        let key = if sort.descending { inside.max() } else { inside.min() };
        key.map(Box::from)
    };
    sorts.iter().map(key).collect()
}

fn compare(sorts: &[Sort], a: &Row, b: &Row) -> Ordering {
    for (sort, pair) in sorts.iter().zip(a.0.iter().zip(&b.0)) {
        let order = match pair {
            (Some(a), Some(b)) if sort.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
    a.1.cmp(&b.1)
}

/// Rows that are looked at between two looks at the budget.
const STRIDE: u64 = 64;

/// Counts rows and asks the budget now and then.
pub struct Spending<'b> {
    budget: &'b Budget,
    rows: u64,
}

impl<'b> Spending<'b> {
    pub fn of(budget: &'b Budget) -> Spending<'b> {
        Spending { budget, rows: 0 }
    }

    /// One more row.
    pub fn row(&mut self) -> Result<(), StoreError> {
        self.rows += 1;
        if self.rows.is_multiple_of(STRIDE) {
            self.budget.spend(STRIDE)?;
        }
        Ok(())
    }
}

/// A search with its condition settled.
struct Search<'s> {
    snapshot: &'s MongoSnapshot,
    query: &'s Query,
    kinds: Vec<TypeId>,
    settled: Settled,
    /// How it is led, if it is.
    led: Option<Led>,
}

impl Search<'_> {
    /// What is asked of the database, and whether all that comes back fulfils the condition.
    fn filter(&self, after: Option<u64>) -> (Document, bool) {
        let snapshot = self.snapshot;
        let filter = self.settled.filter(&*snapshot.shared.vocabulary);
        let query = snapshot.visible().filter(&self.kinds, after, self.led.as_ref(), filter.document);
        (query, filter.exact)
    }

    fn fulfils(&self, found: &Document) -> Result<bool, StoreError> {
        let (kind, id) = name_of(found, &*self.snapshot.shared.vocabulary)?;
        Ok(self.settled.matches(kind, &id, &terms_of(found)?))
    }

    /// How many fulfil it.
    async fn total(&self) -> Result<u64, StoreError> {
        let (query, exact) = self.filter(None);
        let versions = &self.snapshot.shared.versions;
        if exact {
            let count = versions.count_documents(query);
            return Ok(count.optional(self.query.budget.left(), |count, left| count.max_time(left)).await?);
        }
        let find = versions.find(query).projection(doc! { "k": 1, "i": 1, "x": 1 });
        let mut rows = find.optional(self.query.budget.left(), |find, left| find.max_time(left)).await?;
        let mut spending = Spending::of(&self.query.budget);
        let mut total = 0;
        while let Some(found) = rows.try_next().await? {
            spending.row()?;
            total += u64::from(self.fulfils(&found)?);
        }
        Ok(total)
    }

    /// The page in order of numbers.
    async fn in_order_of_numbers(&self) -> Result<(Vec<Version>, bool), StoreError> {
        let (query, exact) = self.filter(self.query.after);
        let shared = &self.snapshot.shared;
        let needed = self.query.limit.saturating_add(1);
        let mut find = shared.versions.find(query).sort(doc! { "n": 1 });
        let mut left_out = self.query.skip;
        if self.led.is_some() && !exact {
            // Almost all that it is led to are wanted.
            find = find.batch_size(batch((needed as u64).saturating_add(left_out)));
        }
        if exact {
            find = find.skip(left_out).limit(i64::try_from(needed).unwrap_or(i64::MAX)).projection(doc! { "x": 0 });
            left_out = 0;
        }
        let mut rows = find.optional(self.query.budget.left(), |find, left| find.max_time(left)).await?;
        let mut spending = Spending::of(&self.query.budget);
        let mut page = Vec::new();
        while let Some(found) = rows.try_next().await? {
            spending.row()?;
            if !exact && !self.fulfils(&found)? {
                continue;
            }
            if left_out > 0 {
                left_out -= 1;
                continue;
            }
            if page.len() == self.query.limit {
                return Ok((page, true));
            }
            page.push(version_of(&found, &*shared.vocabulary, self.snapshot.position)?);
        }
        Ok((page, false))
    }

    /// The page in another order: keys of all that match, then the bodies of the page.
    async fn in_order_of_keys(&self) -> Result<(Vec<Version>, bool), StoreError> {
        let (query, exact) = self.filter(self.query.after);
        let shared = &self.snapshot.shared;
        let find = shared.versions.find(query).projection(doc! { "n": 1, "k": 1, "i": 1, "x": 1 });
        let mut found = find.optional(self.query.budget.left(), |find, left| find.max_time(left)).await?;
        let mut spending = Spending::of(&self.query.budget);
        let mut rows: Vec<Row> = Vec::new();
        while let Some(found) = found.try_next().await? {
            spending.row()?;
            if !exact && !self.fulfils(&found)? {
                continue;
            }
            let number = found.get_i64("n").map_err(|_| damaged(&found))? as u64;
            rows.push((keys(&self.query.sort, &terms_of(&found)?), number));
        }
        self.page_of(rows).await
    }

    /// The page in the order of the main date, newest first: the keys of those with the latest starts, as many as the
    /// page needs and all with the start of the last of these, then the bodies of the page.
    async fn in_order_of_dates(&self) -> Result<(Vec<Version>, bool), StoreError> {
        let (query, exact) = self.filter(self.query.after);
        let needed = (self.query.limit as u64).saturating_add(1).saturating_add(self.query.skip);
        let find = self.snapshot.shared.versions.find(query).sort(doc! { "l": -1, "n": 1 });
        let find = find.projection(doc! { "n": 1, "k": 1, "i": 1, "x": 1, "l": 1 }).batch_size(batch(needed));
        let mut found = find.optional(self.query.budget.left(), |find, left| find.max_time(left)).await?;
        let mut spending = Spending::of(&self.query.budget);
        let mut rows: Vec<Row> = Vec::new();
        let mut last = None;
        while let Some(found) = found.try_next().await? {
            spending.row()?;
            let start = found.get_i64("l").ok();
            // Without a date they are in the order of their numbers already.
            if rows.len() as u64 >= needed && (start.is_none() || start != last) {
                break;
            }
            if !exact && !self.fulfils(&found)? {
                continue;
            }
            last = start;
            let number = found.get_i64("n").map_err(|_| damaged(&found))? as u64;
            rows.push((keys(&self.query.sort, &terms_of(&found)?), number));
        }
        self.page_of(rows).await
    }

    /// The page of some rows that has all that come before its end.
    async fn page_of(&self, mut rows: Vec<Row>) -> Result<(Vec<Version>, bool), StoreError> {
        rows.sort_by(|a, b| compare(&self.query.sort, a, b));
        let start = usize::try_from(self.query.skip).unwrap_or(usize::MAX).min(rows.len());
        let end = start.saturating_add(self.query.limit).min(rows.len());
        let numbers: Vec<u64> = rows[start..end].iter().map(|r| r.1).collect();
        Ok((self.snapshot.load(&numbers, &self.query.budget).await?, rows.len() > end))
    }
}

/// Rows that are fetched at once where so many are needed.
fn batch(needed: u64) -> u32 {
    u32::try_from(needed).unwrap_or(u32::MAX).clamp(2, 1000)
}

impl MongoSnapshot {
    fn visible(&self) -> Visible<'_> {
        Visible { shared: &self.shared, tenant: self.tenant, position: self.position, mark: self.mark }
    }

    /// Versions by number, in the order of the numbers given.
    async fn load(&self, numbers: &[u64], budget: &Budget) -> Result<Vec<Version>, StoreError> {
        let mut loaded = std::collections::HashMap::with_capacity(numbers.len());
        for some in numbers.chunks(1000) {
            let named: Vec<_> =
                some.iter().map(|n| Bson::from(super::document::version_key(self.tenant, *n))).collect();
            let named = led(doc! { "_id": { "$in": named } }, vec![doc! { "t": i64::from(self.tenant.0) }]);
            let find = self.shared.versions.find(named).projection(doc! { "x": 0 });
            let found = find.optional(budget.left(), |find, left| find.max_time(left)).await?;
            let found: Vec<Document> = found.try_collect().await?;
            for found in found {
                let version = version_of(&found, &*self.shared.vocabulary, self.position)?;
                loaded.insert(version.number, version);
            }
        }
        let row = |n: &u64| loaded.remove(n).ok_or_else(|| StoreError::Broken(format!("version {n} is missing")));
        numbers.iter().map(row).collect()
    }

    async fn one(&self, mut filter: Document) -> Result<Option<Version>, StoreError> {
        filter.insert("t", i64::from(self.tenant.0));
        filter.insert("n", doc! { "$lte": self.position as i64 });
        let newest_first = doc! { "n": -1 };
        let found = self.shared.versions.find_one(filter).sort(newest_first).projection(doc! { "x": 0 }).await?;
        found.map(|found| version_of(&found, &*self.shared.vocabulary, self.position)).transpose()
    }

    async fn search_here(&self, query: Query) -> Result<Page, StoreError> {
        let mut kinds = query.kinds.clone();
        kinds.sort();
        kinds.dedup();
        query.budget.check()?;
        let Visible { shared, tenant, position, mark } = self.visible();
        let asked = Asked { shared, tenant, position, mark, budget: &query.budget };
        let settled = settle(asked, &kinds, &query.condition).await?;
        let led = self.visible().led(&kinds, &settled, &query.sort);
        let search = Search { snapshot: self, query: &query, kinds, settled, led };
        let total = if query.total { Some(search.total().await?) } else { None };
        let (rows, more) = match (query.limit, query.sort.is_empty(), total) {
            (0, _, Some(total)) if query.after.is_none() => (Vec::new(), total > query.skip),
            (_, true, _) => search.in_order_of_numbers().await?,
            (_, false, _) if search.led.as_ref().is_some_and(Led::is_in_order) => search.in_order_of_dates().await?,
            (_, false, _) => search.in_order_of_keys().await?,
        };
        Ok(Page { rows, total, more })
    }

    /// The filter of a history, but for where its page begins.
    fn history_filter(&self, query: &HistoryQuery) -> Document {
        let mut filter = doc! { "t": i64::from(self.tenant.0) };
        match &query.scope {
            HistoryScope::Instance(kind, id) => {
                filter.insert("k", self.shared.vocabulary.name(*kind));
                filter.insert("i", id.as_str());
            }
            HistoryScope::Type(kind) => {
                filter.insert("k", self.shared.vocabulary.name(*kind));
            }
            HistoryScope::System => {}
        }
        if let Some((from, to)) = query.current_during {
            // Current from its own time up to its successor's, as far as there is one at this position.
            let superseded = [doc! { "s": { "$gt": self.position as i64 } }, doc! { "e": { "$gt": from.0 } }];
            filter.insert("$or", superseded.to_vec());
            let until = if from < to { to.0 } else { i64::MIN };
            filter.insert("u", doc! { "$lt": until });
        }
        if let Some(since) = query.since {
            let mut bounds = filter.get_document("u").cloned().unwrap_or_default();
            bounds.insert("$gte", since.0);
            filter.insert("u", bounds);
        }
        filter
    }

    async fn history_here(&self, query: HistoryQuery) -> Result<Page, StoreError> {
        let mut filter = self.history_filter(&query);
        filter.insert("n", doc! { "$lte": self.position as i64 });
        let (budget, mut total) = (&query.budget, None);
        budget.check()?;
        if query.total {
            let count = self.shared.versions.count_documents(filter.clone());
            total = Some(count.optional(budget.left(), |count, left| count.max_time(left)).await?);
        }
        let bound = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let order = match query.place {
            Place::Newest => -1,
            Place::Below(number) => {
                filter.insert("n", doc! { "$lte": self.position as i64, "$lt": bound(number) });
                -1
            }
            Place::Above(number) => {
                filter.insert("n", doc! { "$lte": self.position as i64, "$gt": bound(number) });
                1
            }
        };
        let needed = i64::try_from(query.limit.saturating_add(1)).unwrap_or(i64::MAX);
        let find = self.shared.versions.find(filter).sort(doc! { "n": order }).limit(needed);
        let find = find.projection(doc! { "x": 0 }).optional(budget.left(), |find, left| find.max_time(left));
        let found: Vec<Document> = find.await?.try_collect().await?;
        let more = found.len() > query.limit;
        let rows = found.iter().take(query.limit).map(|f| version_of(f, &*self.shared.vocabulary, self.position));
        let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
        if order > 0 {
            rows.reverse();
        }
        Ok(Page { rows, total, more })
    }

    async fn follows_delete_here(&self, kind: TypeId, id: ResourceId, number: u64) -> Result<bool, StoreError> {
        let filter = doc! {
            "t": i64::from(self.tenant.0),
            "k": self.shared.vocabulary.name(kind),
            "i": id.as_str(),
            "n": { "$lt": i64::try_from(number).unwrap_or(i64::MAX) },
        };
        let before = self.shared.versions.find_one(filter).sort(doc! { "n": -1 }).projection(doc! { "d": 1 }).await?;
        Ok(before.is_some_and(|before| before.get_bool("d").unwrap_or_default()))
    }

    fn copy(&self) -> MongoSnapshot {
        let MongoSnapshot { shared, tenant, position, mark } = self;
        MongoSnapshot { shared: shared.clone(), tenant: *tenant, position: *position, mark: *mark }
    }
}

#[async_trait]
impl Snapshot for MongoSnapshot {
    fn position(&self) -> u64 {
        self.position
    }

    async fn read(&self, kind: TypeId, id: &ResourceId) -> Result<Option<Version>, StoreError> {
        let filter = doc! { "k": self.shared.vocabulary.name(kind), "i": id.as_str() };
        let here = self.copy();
        self.shared.run(async move { here.one(filter).await }).await
    }

    async fn version(&self, kind: TypeId, id: &ResourceId, version: u64) -> Result<Option<Version>, StoreError> {
        let Ok(version) = i64::try_from(version) else { return Ok(None) };
        let filter = doc! { "k": self.shared.vocabulary.name(kind), "i": id.as_str(), "v": version };
        let here = self.copy();
        self.shared.run(async move { here.one(filter).await }).await
    }

    async fn search(&self, query: &Query) -> Result<Page, StoreError> {
        let (here, query) = (self.copy(), query.clone());
        self.shared.run(async move { here.search_here(query).await }).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page, StoreError> {
        let (here, query) = (self.copy(), query.clone());
        self.shared.run(async move { here.history_here(query).await }).await
    }

    async fn follows_delete(&self, version: &Version) -> Result<bool, StoreError> {
        let (here, kind, id, number) = (self.copy(), version.kind, version.id.clone(), version.number);
        self.shared.run(async move { here.follows_delete_here(kind, id, number).await }).await
    }
}
