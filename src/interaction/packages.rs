//! Packages of implementation guides: kept as records of the store, loaded at the start, and joined to what the
//! validation knows. The registry is replaced whole; a request that began before goes on with the old one.

use super::{ItemExpect, ItemWrite, Records, Service};
use crate::base::{Failure, FailureKind, IssueCode, TenantId};
use crate::definitions::{Package, PackageInfo, Registry};
use crate::validation::Validator;
use std::sync::Arc;

/// The collection of the records.
pub(super) const COLLECTION: &str = "package";
/// Packages at most.
const MOST: usize = 200;

impl Service {
    /// What validates now.
    pub(crate) fn validator(&self) -> Arc<Validator> {
        self.validator.read().clone()
    }

    /// The packages that are loaded.
    pub fn packages(&self) -> Vec<PackageInfo> {
        self.validator().registry().packages.clone()
    }

    /// Loads the packages that the store keeps. What cannot be read is logged and left out.
    pub async fn load_packages(&self) -> Result<(), Failure> {
        let items = self.package_records().list(COLLECTION, None, MOST).await?;
        let mut registry = Registry::core();
        for item in items {
            match Package::decode(&item.value) {
                Some(package) => registry = Arc::new(registry.with(package.info, package.resources)),
                None => tracing::error!(package = item.key, "a package is damaged and was left out; add it again"),
            }
        }
        self.swap(registry);
        Ok(())
    }

    /// Keeps a package, in the place of one of the same name and version.
    pub async fn add_package(&self, package: Package) -> Result<PackageInfo, Failure> {
        let info = package.info.clone();
        let key = key(&info.name, &info.version);
        let records = self.package_records();
        if self.packages().len() >= MOST {
            let why = format!("there are {MOST} packages; remove one first");
            return Err(Failure::new(FailureKind::TooLarge, IssueCode::TooLong, why));
        }
        let write = ItemWrite {
            collection: COLLECTION,
            key,
            expect: ItemExpect::Any,
            value: Some(package.encode()),
            expires: None,
        };
        records.commit(vec![write]).await?;
        self.load_packages().await?;
        self.search_parameters_changed().await;
        Ok(info)
    }

    /// Takes a package away; whether it was there.
    pub async fn remove_package(&self, name: &str, version: &str) -> Result<bool, Failure> {
        let records = self.package_records();
        let Some(item) = records.get(COLLECTION, &key(name, version)).await? else { return Ok(false) };
        records.commit(vec![ItemWrite::delete(COLLECTION, &item)]).await?;
        self.load_packages().await?;
        self.search_parameters_changed().await;
        Ok(true)
    }

    /// Packages are the server's, not a tenant's.
    fn package_records(&self) -> Records {
        self.records(TenantId::default())
    }

    fn swap(&self, registry: Arc<Registry>) {
        let mut validator = self.validator.write();
        *validator = Arc::new(validator.over(registry));
        drop(validator);
        self.statements.forget();
    }
}

fn key(name: &str, version: &str) -> String {
    format!("{name}#{version}")
}
