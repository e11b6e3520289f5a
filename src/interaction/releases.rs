//! Code systems from release files, which are too large for resources: kept as records of the store (a header and parts
//! of its concepts), made at the start, and there for every question about terminology.

use super::{ItemExpect, ItemWrite, Records, Service};
use crate::base::{Failure, FailureKind, IssueCode, TenantId};
use crate::json::Tree;
use crate::terminology::CodeSystem;
use crate::terminology::release::{self, Release};
use std::sync::Arc;

/// The collection of the headers; their keys are the canonicals with the versions.
pub(super) const HEADERS: &str = "code-system";
/// The collection of the parts.
const PARTS: &str = "code-system-part";
/// Code systems at most.
const MOST: usize = 200;
/// Bytes of parts that are committed at once, roughly.
const AT_ONCE: usize = 4 << 20;

/// What is known of a code system that was imported.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReleaseInfo {
    /// Canonical of the code system.
    pub url: String,
    /// Its version.
    pub version: String,
    /// How many concepts it has.
    pub concepts: usize,
    parts: usize,
    /// What the keys of its parts begin with: another for every import, so that a broken one harms nothing.
    generation: String,
    /// The CodeSystem resource without its concepts.
    header: String,
}

impl ReleaseInfo {
    fn key(&self) -> String {
        key(&self.url, &self.version)
    }

    fn part(&self, number: usize) -> String {
        format!("{}-{number:06}", self.generation)
    }
}

fn key(url: &str, version: &str) -> String {
    format!("{url}|{version}")
}

impl Service {
    /// Makes the code systems that the store keeps. What cannot be read is logged and left out.
    pub async fn load_releases(&self) -> Result<(), Failure> {
        let mut made = Vec::new();
        for info in self.releases().await? {
            match self.make_release(&info).await? {
                Ok(system) => made.push(Arc::new(system)),
                Err(why) => {
                    let system = info.key();
                    tracing::error!(system, why, "a code system cannot be read and was left out; import it again");
                }
            }
        }
        self.terminology.set_releases(made);
        Ok(())
    }

    /// The code systems that were imported.
    pub async fn releases(&self) -> Result<Vec<ReleaseInfo>, Failure> {
        let items = self.release_records().list(HEADERS, None, MOST).await?;
        Ok(items.iter().filter_map(|item| serde_json::from_slice(&item.value).ok()).collect())
    }

    /// A code system, or what is wrong with what is kept of it.
    async fn make_release(&self, info: &ReleaseInfo) -> Result<Result<CodeSystem, String>, Failure> {
        let records = self.release_records();
        let header = match Tree::parse(info.header.as_bytes()) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let mut parts = Vec::with_capacity(info.parts);
        for number in 0..info.parts {
            match records.get(PARTS, &info.part(number)).await? {
                Some(item) => parts.push(item.value),
                None => return Ok(Err("a part is missing".to_owned())),
            }
        }
        Ok(CodeSystem::of_parts(&header, parts.iter().map(|part| release::concepts(part))))
    }

    /// Keeps a code system, in the place of one of the same canonical and version. `progress` is told how many parts of
    /// how many are stored.
    pub async fn add_release(
        &self,
        release: Release,
        mut progress: impl FnMut(usize, usize) + Send,
    ) -> Result<ReleaseInfo, Failure> {
        let known = self.releases().await?;
        let info = ReleaseInfo {
            concepts: release.concepts,
            parts: release.parts.len(),
            generation: self.ids.next().to_string(),
            header: String::from_utf8_lossy(&release.header).into_owned(),
            url: release.url,
            version: release.version,
        };
        let replaced: Vec<ReleaseInfo> = known.iter().filter(|one| one.key() == info.key()).cloned().collect();
        if known.len() >= MOST && replaced.is_empty() {
            let why = format!("there are {MOST} imported code systems; remove one first");
            return Err(Failure::new(FailureKind::TooLarge, IssueCode::TooLong, why));
        }
        let records = self.release_records();
        let (mut waiting, mut bytes, mut stored) = (Vec::new(), 0, 0);
        for (number, part) in release.parts.into_iter().enumerate() {
            bytes += part.len();
            waiting.push(ItemWrite::create(PARTS, info.part(number), part));
            if bytes >= AT_ONCE {
                stored += waiting.len();
                records.commit(std::mem::take(&mut waiting)).await?;
                bytes = 0;
                progress(stored, info.parts);
            }
        }
        // The header comes with the last parts: from then on the code system is there, whole.
        let value = serde_json::to_vec(&info).map_err(Failure::internal)?;
        waiting.push(ItemWrite {
            collection: HEADERS,
            key: info.key(),
            expect: ItemExpect::Any,
            value: Some(value),
            expires: None,
        });
        records.commit(waiting).await?;
        progress(info.parts, info.parts);
        for old in &replaced {
            self.remove_parts(old).await?;
        }
        self.load_releases().await?;
        Ok(info)
    }

    /// Takes a code system away; whether it was there.
    pub async fn remove_release(&self, url: &str, version: &str) -> Result<bool, Failure> {
        let records = self.release_records();
        let Some(item) = records.get(HEADERS, &key(url, version)).await? else { return Ok(false) };
        let info: Option<ReleaseInfo> = serde_json::from_slice(&item.value).ok();
        records.commit(vec![ItemWrite::delete(HEADERS, &item)]).await?;
        if let Some(info) = info {
            self.remove_parts(&info).await?;
        }
        self.load_releases().await?;
        Ok(true)
    }

    async fn remove_parts(&self, info: &ReleaseInfo) -> Result<(), Failure> {
        let records = self.release_records();
        for number in 0..info.parts {
            if let Some(item) = records.get(PARTS, &info.part(number)).await? {
                records.commit(vec![ItemWrite::delete(PARTS, &item)]).await?;
            }
        }
        Ok(())
    }

    /// They are the server's, not a tenant's.
    fn release_records(&self) -> Records {
        self.records(TenantId::default())
    }
}
