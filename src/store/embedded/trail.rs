//! Audit trails in the truth: a record is an ordinary version under the tenant's trail, with its hash of the chain in
//! front of the body. The writer only appends; what records are found by is extracted when somebody looks, because
//! every read appends one and almost nobody looks.

use super::Shared;
use super::load::load_tenant;
use super::rebuild::{Damage, rebuild};
use super::record::Header;
use super::truth::{Fault, Reading, Writing, damaged, meta};
use super::writer::PreparedRecord;
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::store::{Head, Link, LinkContent, Method, StoreError};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

/// Threads that make records findable.
const THREADS: usize = 2;

/// The ends of the trails, as far as they are durable, and the turn of whoever makes them findable.
#[derive(Default)]
pub struct Trails {
    heads: RwLock<FxHashMap<TenantId, Head>>,
    turn: Mutex<()>,
}

/// A head in `meta`: number, time, hash.
fn encode(head: &Head) -> Vec<u8> {
    let mut bytes = head.number.to_be_bytes().to_vec();
    bytes.extend_from_slice(&head.last_updated.0.to_be_bytes());
    bytes.extend_from_slice(&head.hash);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Head> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    let (time, hash) = rest.split_first_chunk::<8>()?;
    let (number, last_updated) = (u64::from_be_bytes(*number), Timestamp(i64::from_be_bytes(*time)));
    Some(Head { number, hash: hash.try_into().ok()?, last_updated })
}

/// The number of a record by its id.
pub fn number_of(id: &ResourceId) -> Option<u64> {
    let number: u64 = id.as_str().parse().ok()?;
    (number > 0 && number.to_string() == id.as_str()).then_some(number)
}

impl Shared {
    /// The end of a tenant's trail.
    pub fn head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        if let Some(head) = self.trails.heads.read().get(&tenant) {
            return Ok(*head);
        }
        let head = self.truth.read()?.head(tenant)?;
        Ok(*self.trails.heads.write().entry(tenant).or_insert(head))
    }

    /// The end of a trail after a commit.
    pub fn set_head(&self, tenant: TenantId, head: Head) {
        self.trails.heads.write().insert(tenant, head);
    }

    /// Makes what was appended to a trail findable, and shows it. A record that cannot be read is left out: that it
    /// was tampered with is told by verifying, and must not hide the others.
    pub fn catch_up(&self, tenant: TenantId) -> Result<(), StoreError> {
        let trail = tenant.trail();
        let index = self.index.tenant(trail);
        let last = self.head(tenant)?.number;
        if index.position() >= last {
            return Ok(());
        }
        let _turn = self.trails.turn.lock();
        // Somebody else may have done it meanwhile.
        match index.position() {
            0 => load_tenant(self, trail, last, THREADS, Damage::LeaveOut, &mut |_| {})?,
            reached if reached < last => {
                rebuild(self, trail, (reached + 1, last), THREADS, Damage::LeaveOut, &mut |_| {})?;
                index.publish(last);
                self.keeper.look_after(trail, &index);
            }
            _ => {}
        }
        Ok(())
    }

    /// Records of a tenant's trail as they are stored.
    pub fn links(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        let trail = tenant.trail();
        let reading = self.truth.read()?;
        let mut links = Vec::new();
        for record in reading.records(trail, after.saturating_add(1), u64::MAX)?.take(limit) {
            let (number, record) = record?;
            let content = match self.link(trail, number, record) {
                Ok(Some(content)) => Ok(content),
                Ok(None) => Err("its checksum is wrong".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            links.push(Link { number, content });
        }
        Ok(links)
    }

    fn link(&self, trail: TenantId, number: u64, record: &[u8]) -> Result<Option<LinkContent>, StoreError> {
        let Some((header, hash, body)) = Header::decode_link(trail, number, record) else { return Ok(None) };
        let version = self.version(trail, header, body, true)?;
        Ok(Some(LinkContent {
            last_updated: version.last_updated,
            id: version.id,
            body: version.body.unwrap_or_default(),
            hash: *hash,
        }))
    }
}

impl Reading<'_> {
    /// The end of a tenant's trail, as it was written down beside the records.
    fn head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        use super::truth::Look;
        if let Some(bytes) = self.meta(&meta::head(tenant))? {
            return decode(bytes).ok_or_else(|| StoreError::Broken("the end of the audit trail is damaged".into()));
        }
        // Whoever took the note away does not make the trail begin anew over what is there.
        let trail = tenant.trail();
        let Some((_, number)) = self.tenants()?.into_iter().find(|(t, _)| *t == trail) else { return Ok(Head::NONE) };
        let record = self.record(trail, number)?.unwrap_or_default();
        let (header, hash, _) =
            Header::decode_link(trail, number, record).ok_or_else(|| damaged(trail, number, "is damaged"))?;
        Ok(Head { number, hash: *hash, last_updated: header.last_updated })
    }
}

impl Writing<'_> {
    /// Appends a record; gives the new end.
    pub fn append(
        &mut self,
        tenant: TenantId,
        stored_type: u16,
        record: &PreparedRecord,
        before: &Head,
        now: Timestamp,
    ) -> Result<Head, Fault> {
        let trail = tenant.trail();
        let next = before.next(tenant, now, &record.digest);
        let id = ResourceId::new(&next.number.to_string());
        let header = Header {
            number: next.number,
            commit: next.number,
            stored_type,
            version: 1,
            last_updated: next.last_updated,
            method: Method::Create,
            previous: None,
            jump: (next.number, 1),
            dictionary: record.dictionary,
            id: id.ok_or_else(|| Fault::Failed("a number is no id".into()))?,
        };
        self.put_record(trail, &header, &next.hash, &record.body)?;
        Ok(next)
    }

    /// Notes where a trail ends.
    pub fn put_head(&mut self, tenant: TenantId, head: &Head) -> Result<(), Fault> {
        self.put_meta(&meta::head(tenant), &encode(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_back() {
        let head = Head { number: 7, hash: [3; 32], last_updated: Timestamp(-5) };
        assert_eq!(decode(&encode(&head)), Some(head));
        assert_eq!(decode(b"short"), None);
    }

    #[test]
    fn only_the_plain_number_is_an_id() {
        let number = |id| ResourceId::new(id).as_ref().and_then(number_of);
        assert_eq!(number("12"), Some(12));
        for id in ["012", "0", "a", "1.0", "99999999999999999999999"] {
            assert_eq!(number(id), None, "{id}");
        }
    }
}
