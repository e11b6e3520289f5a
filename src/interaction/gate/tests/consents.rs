//! Many Consents: what is looked at for them is bounded by those that mean who asks, not by how many there are.

use super::World;
use crate::access::{Access, Action, Caller, Role, Statement};
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::interaction::Context;
use crate::store::{HistoryQuery, Page, Query, Snapshot, StoreError, Version};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

fn consent(id: &str, patient: &str, provision: &str) -> String {
    format!(
        r#"{{"resourceType":"Consent","id":"{id}","status":"active","scope":{{"coding":[{{"code":"patient-privacy"}}]}},"patient":{{"reference":"Patient/{patient}"}},"provision":{provision}}}"#
    )
}

fn against(actor: &str) -> String {
    format!(r#"{{"provision":[{{"type":"deny","actor":[{{"reference":{{"reference":"{actor}"}}}}]}}]}}"#)
}

/// A snapshot that counts the rows that it gives.
struct Counting {
    inner: Box<dyn Snapshot>,
    rows: AtomicUsize,
}

impl Counting {
    fn of(world: &World) -> Counting {
        let inner = world.runtime.block_on(world.service.gate.store.snapshot(TenantId(0))).expect("a snapshot");
        Counting { inner, rows: AtomicUsize::new(0) }
    }

    fn counted(&self, page: Page) -> Page {
        self.rows.fetch_add(page.rows.len(), Ordering::Relaxed);
        page
    }
}

#[async_trait]
impl Snapshot for Counting {
    fn position(&self) -> u64 {
        self.inner.position()
    }

    async fn read(&self, kind: TypeId, id: &ResourceId) -> Result<Option<Version>, StoreError> {
        self.inner.read(kind, id).await
    }

    async fn version(&self, kind: TypeId, id: &ResourceId, version: u64) -> Result<Option<Version>, StoreError> {
        self.inner.version(kind, id, version).await
    }

    async fn search(&self, query: &Query) -> Result<Page, StoreError> {
        self.inner.search(query).await.map(|page| self.counted(page))
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page, StoreError> {
        self.inner.history(query).await.map(|page| self.counted(page))
    }
}

/// The Consents that can deny something to one of these, and how many rows were read to know.
fn looked_at(world: &World, actors: &[&str]) -> (Vec<Arc<Statement>>, usize) {
    let kind = world.definitions.resource("Consent").expect("a type");
    let snapshot = Counting::of(world);
    let book = world.runtime.block_on(world.service.consents(TenantId(0), &snapshot, kind)).expect("a book");
    let named = |actor: &&str| {
        let (kind, id) = actor.split_once('/').expect("a reference");
        (world.definitions.resource(kind).expect("a type"), ResourceId::new(id).expect("an id"))
    };
    let actors: Vec<_> = actors.iter().map(named).collect();
    (book.concerning(actors.iter()), snapshot.rows.load(Ordering::Relaxed))
}

#[test]
fn only_those_that_can_mean_who_asks_are_looked_at() {
    let world = World::empty();
    let number = 1_500;
    for n in 0..number {
        world.put(&consent(&format!("o{n}"), &format!("p{n}"), &against(&format!("Practitioner/other{}", n % 7))));
    }
    world.put(&consent("mine", "p1", &against("Practitioner/me")));
    world.put(&consent("team", "p2", &against("CareTeam/ours")));
    world.put(&consent("all", "p3", r#"{"type":"deny"}"#));
    world.put(&consent("elsewhere", "p4", &against("http://elsewhere.test/fhir/Practitioner/me")));
    let (found, rows) = looked_at(&world, &["Practitioner/me", "CareTeam/ours"]);
    assert_eq!((found.len(), rows), (3, number + 4), "whole once");
    // Whatever else is written afterwards, few are read for it.
    world.put(r#"{"resourceType":"Organization","id":"x"}"#);
    let (found, rows) = looked_at(&world, &["Practitioner/me"]);
    assert!(found.len() == 2 && rows <= 4, "{} and {rows} rows", found.len());
    // What a Consent said before counts no more.
    world.put(&consent("mine", "p1", &against("Practitioner/other1")));
    world.put(&consent("all", "p3", r#"{"type":"permit"}"#));
    world.put(&consent("o1", "p1", &against("Practitioner/me")));
    let (found, rows) = looked_at(&world, &["Practitioner/me"]);
    assert!(found.len() == 1 && rows <= 4, "{} and {rows} rows", found.len());
    world.ask(&Caller::Open, "DELETE Consent/o1", "");
    assert_eq!(looked_at(&world, &["Practitioner/me"]).0.len(), 0);
    assert_eq!(looked_at(&world, &["Practitioner/other2"]).0.len(), number / 7);
}

#[test]
fn a_thousand_consents_that_say_the_same_ask_no_more_than_one() {
    let restriction = |copies: usize| {
        let world = World::new();
        let coded = r#"{"type":"deny","actor":[{"reference":{"reference":"Practitioner/shared"}}],"code":[{"coding":[{"system":"s","code":"hiv"}]}]}"#;
        for n in 0..copies {
            world.put(&consent(&format!("c{n}"), "a", coded));
        }
        let doctor = world.user(Role::Doctor, "Practitioner/shared", "user/*.rs");
        let context = Context { caller: doctor, ..Context::open(TenantId(0), "http://vesta.test/fhir") };
        let grant = world.runtime.block_on(world.service.grant(&context)).expect("answers").expect("a grant");
        let kind = world.definitions.resource("Observation").expect("a type");
        match grant.access(kind, Action::Search) {
            Access::Within(restriction) => restriction.condition().clone(),
            _ => panic!("something is denied"),
        }
    };
    assert_eq!(restriction(1_000), restriction(1));
}

/// `cargo test --release --lib gate::tests::consents -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn reads_beside_many_consents() {
    super::DOUBT.store(false, Ordering::Relaxed);
    for (of_patient, of_others) in [(0, 0), (1_000, 0), (1_000, 20_000)] {
        let world = World::new();
        for n in 0..of_patient {
            let label = format!(
                r#"{{"type":"deny","actor":[{{"reference":{{"reference":"Practitioner/shared"}}}}],"data":[{{"meaning":"instance","reference":{{"reference":"Observation/none{n}"}}}}]}}"#
            );
            world.put(&consent(&format!("c{n}"), "a", &label));
        }
        for n in 0..of_others {
            world.put(&consent(&format!("o{n}"), &format!("p{n}"), &against(&format!("Practitioner/other{n}"))));
        }
        let doctor = world.user(Role::Doctor, "Practitioner/shared", "user/*.rs");
        let time = |times: u32, what: &dyn Fn()| {
            let start = Instant::now();
            (0..times).for_each(|_| what());
            start.elapsed().as_secs_f64() / f64::from(times) * 1e6
        };
        let read = || assert_eq!(world.ask(&doctor, "GET Observation/lab-a", "").status, 200);
        let first = time(1, &read);
        let following = time(2_000, &read);
        let search = time(200, &|| drop(world.ask(&doctor, "GET Observation?_id=lab-a", "")));
        let after_a_change = time(20, &|| {
            world.put(&consent("changed", "b", &against("Practitioner/other")));
            read();
        });
        println!(
            "{of_patient} of the patient, {of_others} of others: first read {:.1} ms, then {following:.0} µs, search {search:.0} µs, a Consent written and a read {after_a_change:.0} µs",
            first / 1e3
        );
    }
}
