//! A database for one run: made with the first write of the server, dropped at the end.

/// A database of its own.
pub struct Database {
    /// Its connection string.
    pub uri: String,
    #[cfg_attr(not(feature = "mongodb"), allow(dead_code))]
    name: String,
}

impl Database {
    /// For a connection string; none for the embedded store.
    pub fn new(store: &str) -> Option<Database> {
        if store == "embedded" {
            return None;
        }
        let name = format!("vesta-bench-{}", std::process::id());
        let (place, options) = store.split_once('?').unwrap_or((store, ""));
        let (scheme, hosts) = place.split_once("://").unwrap_or(("mongodb", place));
        let hosts = hosts.split('/').next().unwrap_or_default();
        Some(Database { uri: format!("{scheme}://{hosts}/{name}?{options}"), name })
    }
}

#[cfg(feature = "mongodb")]
impl Database {
    async fn open(&self) -> mongodb::error::Result<mongodb::Database> {
        Ok(mongodb::Client::with_uri_str(&self.uri).await?.database(&self.name))
    }

    /// Bytes of data and indexes on the disk, as the database says.
    pub async fn bytes(&self) -> Option<f64> {
        let stats = self.open().await.ok()?.run_command(mongodb::bson::doc! { "dbStats": 1 }).await.ok()?;
        let number = |name: &str| stats.get_f64(name).ok().or_else(|| stats.get_i64(name).ok().map(|n| n as f64));
        Some(number("storageSize")? + number("indexSize")?)
    }

    /// Drops it.
    pub async fn remove(self) -> Result<(), String> {
        let dropped = async { self.open().await?.drop().await };
        dropped.await.map_err(|e| format!("the database {} was not dropped: {e}", self.name))
    }
}

#[cfg(not(feature = "mongodb"))]
impl Database {
    pub async fn bytes(&self) -> Option<f64> {
        None
    }

    pub async fn remove(self) -> Result<(), String> {
        Ok(())
    }
}
