//! Binaries as somebody sees them: each is judged by what its security context names, which cannot be searched by. So a
//! search that may find some judges its matches one by one before it shows or counts them.

use super::view::{MOST_VERSIONS, View, denied, unreadable};
use crate::access::Action;
use crate::base::{Failure, FailureKind, IssueCode};
use crate::definitions::TypeId;
use crate::interaction::binary;
use crate::json::{Document, Limits};
use crate::store::{Page, Query, StoreError, Version};

/// Binaries that are read at once to be judged: one may be large.
const BINARIES: usize = 20;
/// Rows that are read at once to be left out.
const SKIPPED: u64 = 500;
/// Most Binaries that are judged to count them; of more the number is not told.
const MOST_COUNTED: usize = 1_000;

impl View {
    pub(super) fn is_binary(&self, kind: TypeId) -> bool {
        self.definitions.name(kind) == "Binary"
    }

    /// A Binary is seen by those who see what its security context names (R4 binary.html#security-context). One that
    /// has none is not for those who may see only some patients.
    pub(super) async fn context_allows(&self, version: &Version, action: Action) -> Result<bool, StoreError> {
        if self.definitions.name(version.kind) != "Binary" {
            return Ok(true);
        }
        let json = version.to_json("Binary").unwrap_or_default();
        let document = Document::parse(&json, &Limits::NONE).map_err(unreadable)?;
        self.binary_allows(document.root(), version.kind, action).await
    }

    /// The same on a Binary that is not stored.
    pub(super) async fn binary_allows(
        &self,
        binary: crate::json::Value<'_>,
        kind: TypeId,
        action: Action,
    ) -> Result<bool, StoreError> {
        let Some((target, id)) = binary::security_context(binary, &self.definitions) else {
            return Ok(!self.grant.is_bound(kind, action));
        };
        // One Binary that points to another says nothing.
        if self.definitions.name(target) == "Binary" {
            return Ok(false);
        }
        match self.inner.read(target, &id).await? {
            Some(version) => Box::pin(self.inside(&version, Action::Read)).await,
            None => Ok(false),
        }
    }

    /// A narrowed search among Binaries, which are judged one by one: those that may not be seen leave no gap in a page
    /// and do not count.
    pub(super) async fn search_binaries(&self, query: &Query) -> Result<Page, StoreError> {
        let mut page = Page::default();
        if query.limit > 0 {
            // What is left out at the beginning is judged as well: what is hidden there does not count.
            let (mut skip, mut looked_at) = (query.skip, 0);
            let limit = query.limit.saturating_add(1).max(skip.min(SKIPPED) as usize);
            let mut raw = Query { limit, skip: 0, total: false, ..query.clone() };
            'filling: loop {
                let found = self.inner.search(&raw).await?;
                looked_at += found.rows.len();
                match raw.sort.is_empty() {
                    true => raw.after = found.rows.last().map(|row| row.number),
                    false => raw.skip += found.rows.len() as u64,
                }
                for version in self.matches(found.rows).await? {
                    if skip > 0 {
                        skip -= 1;
                    } else if page.rows.len() < query.limit {
                        page.rows.push(version);
                    } else {
                        page.more = true;
                        break 'filling;
                    }
                }
                if !found.more {
                    break;
                }
                if looked_at >= MOST_VERSIONS {
                    let why = format!("among {MOST_VERSIONS} matches there are too few that you may see");
                    return Err(denied(Failure::new(FailureKind::TooCostly, IssueCode::TooCostly, why)));
                }
            }
        }
        if query.total {
            page.total = self.count_with_binaries(query).await?;
        }
        Ok(page)
    }

    /// How many matches may be seen, where some are Binaries; none where these are too many to be judged.
    async fn count_with_binaries(&self, query: &Query) -> Result<Option<u64>, StoreError> {
        let (binaries, others): (Vec<TypeId>, Vec<TypeId>) =
            query.kinds.iter().copied().partition(|kind| self.is_binary(*kind));
        let all = Query { sort: Vec::new(), after: None, skip: 0, ..query.clone() };
        let mut total = 0;
        if !others.is_empty() {
            let counted = Query { kinds: others, limit: 0, total: true, ..all.clone() };
            total += self.inner.search(&counted).await?.total.unwrap_or_default();
        }
        let mut raw = Query { kinds: binaries, limit: BINARIES, total: false, ..all };
        let mut looked_at = 0;
        loop {
            let found = self.inner.search(&raw).await?;
            looked_at += found.rows.len();
            raw.after = found.rows.last().map(|row| row.number);
            total += self.matches(found.rows).await?.len() as u64;
            match (found.more, looked_at >= MOST_COUNTED) {
                (false, _) => return Ok(Some(total)),
                (true, true) => return Ok(None),
                (true, false) => {}
            }
        }
    }
}
