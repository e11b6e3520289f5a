//! Writes the Bundles that answer: searchset, history, batch-response and transaction-response (R4 bundle.html), by
//! laying resources side by side as bytes. Decides nothing about what is in them.

use super::Service;
use crate::base::{Issue, Timestamp};
use crate::json::escape_into;
use crate::store::{Body, Version};

/// A Bundle that is being written.
pub(crate) struct Page {
    out: Vec<u8>,
    entries: usize,
}

/// The links of a Bundle: relation and absolute address.
pub(crate) type Links = Vec<(&'static str, String)>;

impl Page {
    /// Begins a Bundle.
    pub(crate) fn new(service: &Service, kind: &str, total: Option<u64>, links: &Links, room: usize) -> Page {
        let mut head = String::with_capacity(512);
        head.push_str("{\"resourceType\":\"Bundle\",\"id\":\"");
        head.push_str(service.ids.next().as_str());
        head.push_str("\",\"meta\":{\"lastUpdated\":\"");
        service.clock.now().write_instant(&mut head);
        head.push_str("\"},\"type\":\"");
        head.push_str(kind);
        head.push('"');
        if let Some(total) = total {
            head.push_str(&format!(",\"total\":{total}"));
        }
        for (i, (relation, url)) in links.iter().enumerate() {
            head.push_str(if i == 0 { ",\"link\":[" } else { "," });
            head.push_str(&format!("{{\"relation\":\"{relation}\",\"url\":"));
            escape_into(url, &mut head);
            head.push('}');
        }
        if !links.is_empty() {
            head.push(']');
        }
        let mut out = head.into_bytes();
        out.reserve(room);
        Page { out, entries: 0 }
    }

    /// Begins an entry; gives where its members are written. An empty `entry` array is never written.
    pub(crate) fn entry(&mut self) -> Entry<'_> {
        self.out.extend_from_slice(if self.entries == 0 { b",\"entry\":[" } else { b"," });
        self.out.push(b'{');
        self.entries += 1;
        Entry { out: &mut self.out, first: true }
    }

    /// An entry of a searchset.
    pub(crate) fn result(&mut self, base: &str, kind: &str, version: &Version, mode: &str, part: Option<&[u8]>) {
        let mut entry = self.entry();
        entry.full_url(base, kind, version.id.as_str());
        match part {
            Some(part) => entry.resource(part),
            None => entry.version(kind, version),
        }
        entry.member("search", &format!("{{\"mode\":\"{mode}\"}}"));
        entry.end();
    }

    /// An entry of a searchset: a resource that a match contains.
    pub(crate) fn contained(&mut self, base: &str, kind: &str, version: &Version, id: &str, json: &[u8]) {
        let mut entry = self.entry();
        let mut url = String::new();
        escape_into(&format!("{base}/{kind}/{}#{id}", version.id), &mut url);
        entry.member("fullUrl", &url);
        entry.resource(json);
        entry.member("search", "{\"mode\":\"match\"}");
        entry.end();
    }

    /// An entry with warnings about a search.
    pub(crate) fn outcome(&mut self, issues: &[Issue]) {
        let mut entry = self.entry();
        entry.resource(super::outcome::write(issues).as_bytes());
        entry.member("search", "{\"mode\":\"outcome\"}");
        entry.end();
    }

    /// The text of the Bundle.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(if self.entries > 0 { b"]}" } else { b"}" });
        self.out
    }
}

/// An entry that is being written.
pub(crate) struct Entry<'p> {
    out: &'p mut Vec<u8>,
    first: bool,
}

/// `Bundle.entry.response`
#[derive(Default)]
pub(crate) struct Response<'a> {
    /// Number and words of the status.
    pub status: (u16, &'static str),
    /// Where the resource is.
    pub location: Option<&'a str>,
    /// Its version id.
    pub version: Option<u64>,
    /// When the version was made.
    pub last_updated: Option<Timestamp>,
    /// An OperationOutcome as JSON.
    pub outcome: Option<&'a str>,
}

impl Entry<'_> {
    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A member whose value is JSON text.
    pub(crate) fn member(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.extend_from_slice(json.as_bytes());
    }

    /// The absolute address of the resource.
    pub(crate) fn full_url(&mut self, base: &str, kind: &str, id: &str) {
        let mut url = String::with_capacity(base.len() + kind.len() + id.len() + 4);
        escape_into(base, &mut url);
        url.pop();
        url.push('/');
        url.push_str(kind);
        url.push('/');
        url.push_str(id);
        url.push('"');
        self.member("fullUrl", &url);
    }

    /// The resource, as JSON text.
    pub(crate) fn resource(&mut self, json: &[u8]) {
        self.key("resource");
        self.out.extend_from_slice(json);
    }

    /// The resource of a version, if it is not a delete.
    pub(crate) fn version(&mut self, kind: &str, version: &Version) {
        if let Some(body) = &version.body {
            self.key("resource");
            Body::write_resource(body, kind, version.id.as_str(), version.version, version.last_updated, self.out);
        }
    }

    /// What an entry of a history came from.
    pub(crate) fn request(&mut self, method: &str, url: &str) {
        let mut json = format!("{{\"method\":\"{method}\",\"url\":");
        escape_into(url, &mut json);
        json.push('}');
        self.member("request", &json);
    }

    /// What became of an entry.
    pub(crate) fn response(&mut self, response: &Response<'_>) {
        let (number, words) = response.status;
        let mut json = format!("{{\"status\":\"{number} {words}\"");
        if let Some(location) = response.location {
            json.push_str(",\"location\":");
            escape_into(location, &mut json);
        }
        if let Some(version) = response.version {
            json.push_str(&format!(",\"etag\":\"W/\\\"{version}\\\"\""));
        }
        if let Some(time) = response.last_updated {
            json.push_str(",\"lastModified\":\"");
            time.write_instant(&mut json);
            json.push('"');
        }
        if let Some(outcome) = response.outcome {
            json.push_str(",\"outcome\":");
            json.push_str(outcome);
        }
        json.push('}');
        self.member("response", &json);
    }

    /// Ends the entry.
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}
