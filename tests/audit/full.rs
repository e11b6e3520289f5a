//! If the trail cannot be written, the request fails, and nothing of the answer leaves.

use super::*;
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use vesta::access::Role;
use vesta::audit::Level;
use vesta::authorization::client::{Client, ClientKind, ClientState};
use vesta::authorization::people::NewUser;
use vesta::authorization::{self, Authorization};
use vesta::base::{RandomIds, SystemClock, TenantId};
use vesta::definitions::Definitions;
use vesta::http::Options;
use vesta::index::Extractor;
use vesta::interaction::Service;
use vesta::store::memory::MemoryStore;
use vesta::store::{ChangeLog, Committed, Head, Item, Link, Snapshot, Store, StoreError, Transaction};

/// A server over a store that takes nothing for the trail while the switch is on; with access control or without.
pub fn server_over(switch: &Arc<Switch>, guarded: bool) -> TestServer {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let inner = switch.clone();
    let options = Options { bind: SocketAddr::from(([127, 0, 0, 1], 0)), workers: 1, ..Options::default() };
    TestServer::over(options, tempfile::tempdir().expect("a directory"), move || {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
        let clock = Arc::new(SystemClock);
        let store = Full(MemoryStore::new(definitions.clone(), extractor.clone(), clock.clone()), inner);
        let settings = vesta::interaction::Settings { audit: Level::All, ..vesta::interaction::Settings::default() };
        let ids = Arc::new(RandomIds);
        let service =
            Arc::new(Service::new(Arc::new(store), definitions.clone(), extractor, clock.clone(), ids, settings));
        let authorization =
            guarded.then(|| Arc::new(Authorization::new(service.clone(), clock, authorization::Settings::default())));
        (service, authorization, definitions)
    })
}

/// Whether the trail takes nothing; and which sorts of items were written since the switch was turned last.
#[derive(Default)]
pub struct Switch(AtomicBool, Mutex<BTreeSet<&'static str>>);

impl Switch {
    pub fn set(&self, on: bool) {
        self.1.lock().expect("no panic").clear();
        self.0.store(on, Ordering::Relaxed);
    }

    pub fn written(&self) -> Vec<&'static str> {
        self.1.lock().expect("no panic").iter().copied().collect()
    }
}

/// A store that takes nothing for the trail while the switch is on.
struct Full(MemoryStore, Arc<Switch>);

#[async_trait]
impl Store for Full {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        self.0.snapshot(tenant).await
    }

    async fn snapshot_at(&self, tenant: TenantId, position: u64) -> Result<Box<dyn Snapshot>, StoreError> {
        self.0.snapshot_at(tenant, position).await
    }

    async fn commit(&self, tenant: TenantId, transaction: Transaction) -> Result<Vec<Committed>, StoreError> {
        if self.1.0.load(Ordering::Relaxed) && !transaction.audit.is_empty() {
            return Err(StoreError::Full);
        }
        let items: Vec<_> = transaction.items.iter().map(|item| item.collection).collect();
        let done = self.0.commit(tenant, transaction).await?;
        self.1.1.lock().expect("no panic").extend(items);
        Ok(done)
    }

    async fn item(&self, tenant: TenantId, collection: &'static str, key: &str) -> Result<Option<Item>, StoreError> {
        self.0.item(tenant, collection, key).await
    }

    async fn items(
        &self,
        tenant: TenantId,
        collection: &'static str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        self.0.items(tenant, collection, after, limit).await
    }

    async fn sweep_items(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.0.sweep_items(tenant, limit).await
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        self.0.audit_head(tenant).await
    }

    async fn audit_links(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        self.0.audit_links(tenant, after, limit).await
    }

    async fn changes(&self, tenant: TenantId, after: u64, limit: usize) -> Result<ChangeLog, StoreError> {
        self.0.changes(tenant, after, limit).await
    }
}

#[test]
fn without_a_trail_nothing_is_done_and_nothing_is_told() {
    let switch = Arc::new(Switch::default());
    let server = server_over(&switch, false);
    let id = server.create(&patient("Secret"));
    let path = format!("Patient/{id}");
    switch.set(true);
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": patient("New"), "request": {"method": "POST", "url": "Patient"}}]});
    let refused = [
        server.get(&path),
        server.get(&format!("{path}/_history/1")),
        server.get(&format!("{path}/_history")),
        server.get("Patient?name=secret"),
        server.get("Patient/unknown"),
        server.put("POST", "Patient", &patient("New")),
        server.put("PATCH", &path, &json!({"language": "en"})),
        server.send("DELETE", &path, &[], None),
        server.put("POST", "", &bundle),
    ];
    for answer in refused {
        answer.refuses(507, "no-store");
        assert!(!answer.text().contains("Secret"), "{}", answer.text());
    }
    let batch =
        json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": path}}]});
    let answer = server.put("POST", "", &batch);
    assert_eq!(answer.is(200).json()["entry"][0]["response"]["status"], "507 Insufficient Storage");
    assert!(!answer.text().contains("Secret"), "{}", answer.text());
    switch.set(false);
    assert_eq!(server.get("Patient?_summary=count").is(200).json()["total"], 1);
    let still = server.get(&path).is(200).json();
    assert_eq!(still["meta"]["versionId"], "1", "nothing was written meanwhile");
}

#[test]
fn without_a_trail_nobody_is_let_in_and_nothing_is_administered() {
    let switch = Arc::new(Switch::default());
    let server = server_over(&switch, true);
    let authorization = server.authorization.clone().expect("access control is on");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut app = Client::new("app", "App", ClientKind::Symmetric);
    let secret = app.make_secret();
    app.redirect_uris = vec!["https://app.example/cb".to_owned()];
    app.state = ClientState::Waiting;
    let word = "four words one password";
    runtime.block_on(async {
        authorization.add_client(&app).await.expect("added");
        let new = NewUser { password: Some((word.into(), false)), ..NewUser::new("operator", Role::Administrator) };
        authorization.people.add(new).await.expect("added");
    });
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let with = |cookies: &str, path: &str, body: &str| {
        server.send("POST", path, &[form[0], ("cookie", cookies)], Some(body.as_bytes()))
    };
    // A browser with the page to sign in before it.
    let page = server.get("/auth/sign-in");
    let cookie = |answer: &Answer, name: &str| {
        let found = answer.set_cookies.iter().find(|cookie| cookie.starts_with(name));
        found.map(|cookie| cookie.split(';').next().expect("a pair").to_owned())
    };
    let seal = |page: &Answer| {
        let text = page.text();
        text.split("name=\"seal\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a seal").to_owned()
    };
    let visit = cookie(&page, "vesta-visit").expect("a cookie");
    let sign_in = format!("seal={}&user=operator&pass={}", seal(&page), word.replace(' ', "+"));
    switch.set(true);
    let refused = with(&visit, "/auth/sign-in", &sign_in);
    assert_eq!((refused.status, cookie(&refused, "vesta-session")), (503, None), "{}", refused.text());
    switch.set(false);
    let answer = with(&visit, "/auth/sign-in", &sign_in);
    let cookies = format!("{visit}; {}", cookie(&answer, "vesta-session").expect("signed in"));
    let admin = server.get_with("/auth/admin", &[("cookie", &cookies)]);
    let approve = format!("seal={}&action=approve-client&which=app", seal(admin.is(200)));

    switch.set(true);
    let refused = with(&cookies, "/auth/admin", &approve);
    assert!([500, 503].contains(&refused.status), "{}", refused.text());
    let state = || runtime.block_on(authorization.client("app")).expect("answers").expect("there").state;
    assert_eq!(state(), ClientState::Waiting, "what cannot be told is not done");
    let register = r#"{"redirect_uris":["https://other.example/cb"]}"#;
    let media = [("content-type", "application/json")];
    let refused = server.send("POST", "/auth/register", &media, Some(register.as_bytes()));
    assert!([500, 503].contains(&refused.status) && !refused.text().contains("client_secret"), "{}", refused.text());
    assert_eq!(runtime.block_on(authorization.all_clients()).expect("answers").len(), 1);

    switch.set(false);
    with(&cookies, "/auth/admin", &approve).is(303);
    assert_eq!(state(), ClientState::Active);
    let asking = format!("grant_type=refresh_token&refresh_token=x.y&client_id=app&client_secret={secret}");
    server.send("POST", "/auth/token", &form, Some(asking.as_bytes())).is(400);
    switch.set(true);
    let refused = server.send("POST", "/auth/token", &form, Some(asking.as_bytes()));
    assert_eq!((refused.status, refused.text().as_str()), (503, ""));
}
