//! The audit trail: records that are only ever appended, numbered without gaps, and chained by hashes in commit order,
//! so that a record that was changed, removed or put elsewhere breaks the chain. They are written in the commits of what
//! they tell about, and read as ordinary resources of [`TenantId::trail`]. What stands in a record is not known here.

use super::Body;
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::definitions::TypeId;
use aws_lc_rs::digest::{Context, SHA256};

/// A hash of the chain: SHA-256.
pub type Hash = [u8; 32];

/// A record to be appended. Its id is its number in the trail, its version is 1.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// Resource type: AuditEvent.
    pub kind: TypeId,
    /// The body.
    pub body: Body,
}

impl AuditRecord {
    /// The hash of the content, which can be had before number and time are known.
    pub fn digest(&self) -> Hash {
        sha256(&[&self.body.0])
    }
}

/// The last record of a trail: what a checkpoint vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 where there is none yet.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
    /// When it was committed.
    pub last_updated: Timestamp,
}

impl Head {
    /// Before the first record.
    pub const NONE: Head = Head { number: 0, hash: [0; 32], last_updated: Timestamp(i64::MIN) };

    /// The next record of the chain.
    pub fn next(&self, tenant: TenantId, now: Timestamp, digest: &Hash) -> Head {
        let last_updated = Timestamp(now.0.max(self.last_updated.0.saturating_add(1)));
        let number = self.number + 1;
        Head { number, hash: chained(&self.hash, tenant, number, last_updated, digest), last_updated }
    }
}

/// A record as it is stored, with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number, as the place where it is stored says.
    pub number: u64,
    /// What is there; else why it cannot be read.
    pub content: Result<LinkContent, String>,
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkContent {
    /// When it was committed.
    pub last_updated: Timestamp,
    /// Its id.
    pub id: ResourceId,
    /// The body.
    pub body: Vec<u8>,
    /// The hash that is stored with it.
    pub hash: Hash,
}

/// Follows a chain from record to record and tells where it is broken.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    tenant: TenantId,
    head: Head,
}

impl Chain {
    /// From the beginning of a tenant's trail.
    pub fn of(tenant: TenantId) -> Chain {
        Chain { tenant, head: Head::NONE }
    }

    /// The last record that was followed.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Takes the next record; gives what is wrong with it. Goes on with the hash that is stored, so that one wrong
    /// record is told once, or twice where it was removed or put elsewhere.
    pub fn follow(&mut self, link: &Link) -> Option<String> {
        let (before, number) = (self.head, link.number);
        self.head.number = number;
        let content = match &link.content {
            Ok(content) => content,
            Err(why) => return Some(format!("record {number} cannot be read: {why}")),
        };
        self.head = Head { number, hash: content.hash, last_updated: content.last_updated };
        if number != before.number + 1 {
            let gone = match (before.number + 1, number - 1) {
                (first, last) if first == last => format!("record {first} is missing"),
                (first, last) => format!("the records {first} to {last} are missing"),
            };
            return Some(gone);
        }
        if content.id.as_str() != number.to_string() {
            return Some(format!("record {number} says that it is record {}", content.id));
        }
        if content.last_updated <= before.last_updated {
            return Some(format!("record {number} is not later than the one before it"));
        }
        let expected = chained(&before.hash, self.tenant, number, content.last_updated, &sha256(&[&content.body]));
        (expected != content.hash)
            .then(|| format!("record {number} is not what was written, or the one before it is not"))
    }

    /// What is wrong with the end, given the last record that was noted beside the trail or in a checkpoint.
    pub fn ends(&self, noted: &Head) -> Option<String> {
        match self.head.number.cmp(&noted.number) {
            std::cmp::Ordering::Less if self.head.number == 0 => {
                Some(format!("all of {} records are missing", noted.number))
            }
            std::cmp::Ordering::Less => {
                Some(format!("the records after {} are missing; the last was {}", self.head.number, noted.number))
            }
            std::cmp::Ordering::Equal if self.head.hash != noted.hash => {
                Some(format!("record {} has another hash than was noted", noted.number))
            }
            _ => None,
        }
    }
}

/// The hash of a record, of what it holds and of all before it. The number of the tenant is part of it, so that the
/// trail of one tenant cannot stand for that of another.
pub fn chained(previous: &Hash, tenant: TenantId, number: u64, last_updated: Timestamp, digest: &Hash) -> Hash {
    sha256(&[
        b"vesta audit 1",
        previous,
        &tenant.0.to_be_bytes(),
        &number.to_be_bytes(),
        &last_updated.0.to_be_bytes(),
        digest,
    ])
}

/// SHA-256 of some bytes, one after the other.
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
