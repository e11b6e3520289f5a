//! Follows the chain of a trail from its first record to its last, and tells every place where it is broken.

use super::Checkpoint;
use crate::base::TenantId;
use crate::store::{Chain, Head, Store, StoreError};

/// Records that are looked at in one go.
const CHUNK: usize = 4096;
/// Faults that are told by word; the rest is only counted.
const TOLD: usize = 1000;

/// What verifying found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The last record that is there.
    pub head: Head,
    /// How many records were looked at.
    pub records: u64,
    /// How many faults there are.
    pub faults: u64,
    /// What the first of them are.
    pub told: Vec<String>,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults == 0
    }

    /// Adds a fault that was found elsewhere.
    pub fn fault(&mut self, why: String) {
        self.faults += 1;
        if self.told.len() < TOLD {
            self.told.push(why);
        }
    }
}

/// Verifies the trail of a tenant, and that it still holds what the checkpoints vouch for. The signatures of the
/// checkpoints are not looked at here. `progress` is told how many records of how many are done.
pub async fn verify(
    store: &dyn Store,
    tenant: TenantId,
    checkpoints: &[Checkpoint],
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Verified, StoreError> {
    // Noted before the records are read: what is appended meanwhile is beyond it.
    let noted = store.audit_head(tenant).await?;
    let mut chain = Chain::of(tenant);
    let mut found = Verified { head: Head::NONE, records: 0, faults: 0, told: Vec::new() };
    loop {
        let links = store.audit_links(tenant, chain.head().number, CHUNK).await?;
        if links.is_empty() {
            break;
        }
        for link in &links {
            if let Some(why) = chain.follow(link) {
                found.fault(why);
            }
            for checkpoint in checkpoints.iter().filter(|c| c.head.number == link.number) {
                if chain.head().hash != checkpoint.head.hash {
                    found.fault(format!("record {} is not the one that the checkpoint vouches for", link.number));
                }
            }
        }
        found.records += links.len() as u64;
        progress(found.records, noted.number.max(found.records));
    }
    found.head = chain.head();
    for end in checkpoints.iter().map(|c| &c.head).chain([&noted]) {
        if end.number > found.head.number
            && let Some(why) = chain.ends(end)
        {
            found.fault(why);
        }
    }
    if noted.number == found.head.number
        && let Some(why) = chain.ends(&noted)
    {
        found.fault(why);
    }
    Ok(found)
}
