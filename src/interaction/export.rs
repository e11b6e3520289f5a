//! Everything that is stored, as NDJSON, for the command line. The bulk data operation is not here.

use super::{Service, outcome};
use crate::base::{Failure, TenantId};
use crate::definitions::TypeId;
use crate::index::Condition;
use crate::store::{Body, Budget, Query};

/// Rows read at once.
const ROWS: usize = 1_000;

impl Service {
    /// Gives every current resource of some types (all, if none is named) as a line of JSON, in the order in which
    /// they were written, all as of one moment. Returns how many there were. `sink` gets the type and whole lines.
    pub async fn export(
        &self,
        tenant: TenantId,
        kinds: &[TypeId],
        sink: &mut (dyn FnMut(TypeId, &[u8]) -> std::io::Result<()> + Send),
    ) -> Result<u64, Failure> {
        let snapshot = self.everything(tenant).await?;
        let mut query = Query {
            kinds: if kinds.is_empty() { self.definitions.resources.clone() } else { kinds.to_vec() },
            condition: Condition::Everything,
            sort: Vec::new(),
            after: None,
            skip: 0,
            limit: ROWS,
            total: false,
            budget: Budget::default(),
        };
        let mut count = 0;
        let mut line = Vec::new();
        loop {
            let page = snapshot.search(&query).await.map_err(outcome::of_store)?;
            for version in &page.rows {
                let Some(body) = &version.body else { continue };
                line.clear();
                let kind = self.definitions.name(version.kind);
                Body::write_resource(body, kind, version.id.as_str(), version.version, version.last_updated, &mut line);
                line.push(b'\n');
                sink(version.kind, &line).map_err(Failure::internal)?;
                count += 1;
            }
            query.after = page.rows.last().map(|v| v.number);
            if !page.more || query.after.is_none() {
                return Ok(count);
            }
        }
    }
}
