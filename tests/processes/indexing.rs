//! Indexing again on MongoDB, seen from stores that each have a vocabulary of their own, as processes have one: one that
//! hears of nothing, two that take the job from each other, and a version that cannot be read.

use super::until;
use crate::support::mongodb::TestDatabase;
use mongodb::bson::{Binary, Document as Row, doc};
use std::sync::Arc;
use std::time::Duration;
use vesta::base::{ResourceId, SystemClock, TenantId};
use vesta::definitions::{CustomParameter, CustomParameters, Definitions, SearchKind, TypeId};
use vesta::index::{Condition, Extractor, Term};
use vesta::json::{Document, Limits};
use vesta::store::mongodb::MongoStore;
use vesta::store::{Body, Content, Expect, ItemWrite, Method, Query, Store, Transaction, Write};

/// The job has to be done within this. Generous: the machine that tests may be busy.
const SOON: Duration = Duration::from_secs(60);

/// A store with a vocabulary of its own, as another process has one.
struct Own {
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
    store: MongoStore,
    runtime: tokio::runtime::Runtime,
}

const COLOUR: &str = r#"{"resourceType":"Patient","id":"x","extension":[{"url":"urn:colour","valueCode":"red"}]}"#;

impl Own {
    fn on(uri: &str) -> Own {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
        let store =
            MongoStore::open(uri, definitions.clone(), extractor.clone(), Arc::new(SystemClock)).expect("opened");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Own { definitions, extractor, store, runtime }
    }

    fn patient(&self) -> TypeId {
        self.definitions.resource("Patient").expect("a type")
    }

    fn content(&self) -> Content {
        let document = Document::parse(COLOUR.as_bytes(), &Limits::NONE).expect("JSON");
        let vesta::index::Extracted { terms, schema, .. } =
            self.extractor.extract_marked(self.patient(), document.root());
        Content { body: Body::of(document.root()), terms, schema }
    }

    fn put_content(&self, tenant: TenantId, ids: impl Iterator<Item = String>, content: &Content) {
        let write = |id: String| Write {
            kind: self.patient(),
            id: ResourceId::new(&id).expect("an id"),
            method: Method::Update,
            expect: Expect::Any,
            content: Some(content.clone()),
        };
        let transaction = Transaction { writes: ids.map(write).collect(), ..Transaction::default() };
        self.runtime.block_on(self.store.commit(tenant, transaction)).expect("committed");
    }

    fn put(&self, tenant: TenantId, id: &str) {
        self.put_content(tenant, [id.to_owned()].into_iter(), &self.content());
    }

    /// Stores a list with one parameter, and uses it.
    fn define(&self, code: &str) {
        let parameter = CustomParameter {
            number: 0,
            origin: format!("SearchParameter/{code}"),
            url: format!("http://example.org/{code}"),
            code: code.to_owned(),
            kind: SearchKind::Token,
            bases: vec!["Patient".to_owned()],
            expression: "Patient.extension('urn:colour').value.as(code)".to_owned(),
            targets: Vec::new(),
            components: Vec::new(),
        };
        let (collection, key) = CustomParameters::PLACE;
        let found = self.runtime.block_on(self.store.item(TenantId::default(), collection, key)).expect("read");
        let before = found.as_ref().and_then(|item| CustomParameters::decode(&item.value)).unwrap_or_default();
        let all = before.renewed(vec![parameter]);
        let write = match &found {
            Some(item) => ItemWrite::replace(collection, item, all.encode()),
            None => ItemWrite::create(collection, key, all.encode()),
        };
        let transaction = Transaction { items: vec![write], ..Transaction::default() };
        self.runtime.block_on(self.store.commit(TenantId::default(), transaction)).expect("committed");
        self.extractor.replace(Arc::new(self.definitions.with_custom(&all, |_| true)));
    }

    /// The term of the parameter that is used.
    fn colour(&self) -> Term {
        let custom = |term: &&Term| term.parameter() >= vesta::definitions::FIRST_CUSTOM;
        let terms = self.content().terms;
        // Besides its value it has a shape: that there is one.
        let red = terms.as_slice().iter().filter(custom).find(|t| t.0.windows(3).any(|w| w == b"red"));
        red.expect("it is found by its colour").clone()
    }

    fn found(&self, tenant: TenantId) -> usize {
        let query = Query {
            kinds: vec![self.patient()],
            condition: Condition::Term(self.colour()),
            sort: Vec::new(),
            after: None,
            skip: 0,
            limit: 10_000,
            total: false,
            budget: Default::default(),
        };
        let page = self.runtime.block_on(async { self.store.snapshot(tenant).await?.search(&query).await });
        page.expect("found").rows.len()
    }

    fn reindex(&self) {
        self.store.reindex().expect("asked");
    }

    fn faults(&self) -> Vec<String> {
        self.runtime.block_on(self.store.check(&mut |_, _| {})).expect("checked").listed
    }
}

/// A process that has not heard of the parameter, nor ever hears of it, writes nothing by the list of before once the
/// job has passed: in a tenant that it knows, and in one that is new.
#[test]
fn nothing_is_written_by_a_list_of_before() {
    let Some(database) = TestDatabase::new() else { return };
    let (knowing, deaf) = (Own::on(database.uri()), Own::on(database.uri()));
    let known = TenantId(3);
    deaf.put(known, "before");
    deaf.put(TenantId::default(), "before");
    let stale = deaf.content();
    knowing.define("x-colour");
    knowing.reindex();
    assert!(!knowing.store.indexing().is_done(), "nobody takes part yet");
    deaf.put_content(known, ["between".to_owned()].into_iter(), &stale);
    knowing.store.take_part();
    until("it is indexed again", SOON, || knowing.store.indexing().is_done());
    assert_eq!((knowing.found(known), knowing.found(TenantId::default())), (2, 1));
    for tenant in [known, TenantId::default(), TenantId(4)] {
        let before = knowing.found(tenant);
        deaf.put_content(tenant, ["after".to_owned()].into_iter(), &stale);
        assert_eq!(knowing.found(tenant), before + 1, "{tenant:?}");
    }
    // A new list, and the process is deaf to that as well.
    let stale = deaf.content();
    knowing.define("x-hue");
    knowing.reindex();
    until("it is indexed again", SOON, || knowing.store.indexing().is_done());
    deaf.put_content(TenantId(5), (0..300).map(|n| format!("many-{n}")), &stale);
    assert_eq!((knowing.found(TenantId(5)), knowing.found(known), knowing.found(TenantId(4))), (300, 3, 1));
    assert_eq!(knowing.faults(), Vec::<String>::new());
}

/// Two processes take the job from each other all the time, as if each thought the other dead: it is done all the same.
#[test]
fn a_job_that_is_taken_too_early_is_done_all_the_same() {
    let Some(database) = TestDatabase::new() else { return };
    let (one, other) = (Own::on(database.uri()), Own::on(database.uri()));
    let content = one.content();
    for some in 0..4 {
        one.put_content(TenantId::default(), (0..500).map(|n| format!("p{some}-{n}")), &content);
    }
    for own in [&one, &other] {
        own.store.set_job_lease(Duration::from_millis(1));
        own.store.take_part();
    }
    for code in ["x-a", "x-b"] {
        one.define(code);
        one.reindex();
        other.reindex();
        until("it is indexed again", SOON, || one.store.indexing().is_done());
        assert_eq!(one.found(TenantId::default()), 2000);
        assert_eq!(one.faults(), Vec::<String>::new());
    }
}

/// A version that cannot be read ends the job with a word about it; nothing is said to be indexed that is not. With the
/// next list it is tried again.
#[test]
fn a_version_that_cannot_be_read_is_told() {
    let Some(database) = TestDatabase::new() else { return };
    let own = Own::on(database.uri());
    let content = own.content();
    own.put_content(TenantId::default(), (0..3).map(|n| format!("p{n}")), &content);
    let client = own.runtime.block_on(mongodb::Client::with_uri_str(database.uri())).expect("connects");
    let versions = client.default_database().expect("named").collection::<Row>("versions");
    let key = doc! { "_id": format!("{:08x}{:016x}", 0, 2) };
    let whole = own.runtime.block_on(async { versions.find_one(key.clone()).await }).expect("asked").expect("there");
    let torn = Binary { subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes: vec![1, 2, 3] };
    let tearing = async { versions.update_one(key.clone(), doc! { "$set": { "b": torn } }).await };
    own.runtime.block_on(tearing).expect("torn");
    own.define("x-a");
    own.store.take_part();
    own.reindex();
    until("it has failed", SOON, || own.store.indexing().failed.is_some());
    let indexing = own.store.indexing();
    assert!(!indexing.is_done() && indexing.failed.is_some_and(|why| why.contains("is damaged")));
    own.runtime.block_on(async { versions.replace_one(key.clone(), whole).await }).expect("as before");
    own.define("x-b");
    own.reindex();
    until("it is indexed again", SOON, || own.store.indexing().is_done());
    assert_eq!((own.found(TenantId::default()), own.faults()), (3, Vec::new()));
}
