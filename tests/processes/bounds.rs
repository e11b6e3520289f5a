//! What is too large for the database is refused with the bound and what to do; large transactions do not keep small
//! ones waiting.

use crate::support::mongodb::TestDatabase;
use crate::support::processes::Process;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vesta::base::{ResourceId, TenantId};
use vesta::definitions::Definitions;
use vesta::index::{Extractor, Terms};
use vesta::json::{Document, Limits};
use vesta::store::mongodb::MongoStore;
use vesta::store::{Body, Content, Expect, FhirVocabulary, Method, Store, StoreError, Transaction, Vocabulary, Write};

/// Entries of indexes of one transaction at most, as declared.
const MOST_ENTRIES: usize = 400_000;

fn write(n: usize, text: &str) -> Write {
    let json = format!(r#"{{"resourceType":"Basic","id":"b{n}","code":{{"text":"{text}"}}}}"#);
    let document = Document::parse(json.as_bytes(), &Limits::default()).expect("JSON");
    let content = Content { body: Body::of(document.root()), terms: Terms::default(), schema: 0 };
    Write {
        kind: Definitions::core().resource("Basic").expect("a type"),
        id: ResourceId::new(&format!("b{n}")).expect("an id"),
        method: Method::Update,
        expect: Expect::Any,
        content: Some(content),
    }
}

/// A transaction that writes the resources with these numbers.
pub fn of(writes: std::ops::Range<usize>) -> Transaction {
    Transaction { writes: writes.map(|n| write(n, "x")).collect(), ..Transaction::default() }
}

/// Observations that make entries of indexes as declared, and no more than that: each has twenty codings.
fn heavy(entries: usize) -> Transaction {
    let coding: Vec<_> =
        (0..20).map(|n| json!({"system": "http://loinc.org", "code": format!("{n}-1"), "display": "Heart"})).collect();
    let body = json!({
        "resourceType": "Observation", "status": "final", "code": {"coding": coding}, "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-11-26", "valueQuantity": {"value": 70, "unit": "/min"},
    });
    let definitions = Definitions::core();
    let kind = definitions.resource("Observation").expect("a type");
    let vocabulary = FhirVocabulary::new(definitions.clone(), Arc::new(Extractor::new(definitions, Vec::new())));
    let text = body.to_string();
    let document = Document::parse(text.as_bytes(), &Limits::default()).expect("JSON");
    let (terms, schema) = vocabulary.extract_marked(kind, document.root());
    let digests = vocabulary.leads(kind).expect("led").digests(&terms).len();
    let each = terms.as_slice().len() + 2 * digests;
    println!("{} Observations with {} terms and {digests} digests", entries / each, terms.as_slice().len());
    let content = Content { body: Body::of(document.root()), terms, schema };
    let writes = (0..entries / each).map(|n| Write {
        kind,
        id: ResourceId::new(&format!("o{n}")).expect("an id"),
        method: Method::Update,
        expect: Expect::Any,
        content: Some(content.clone()),
    });
    Transaction { writes: writes.collect(), ..Transaction::default() }
}

#[test]
fn what_is_too_large_is_refused_with_the_bound() {
    let Some(database) = TestDatabase::new() else { return };
    let store = super::store(database.uri());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let tenant = TenantId::default();
    let refused = |transaction: Transaction| match runtime.block_on(store.commit(tenant, transaction)) {
        Err(StoreError::TooLarge(why)) => why,
        other => panic!("not refused: {other:?}"),
    };
    let many = refused(of(0..20_001));
    assert!(many.contains("20000") && many.contains("batch") && many.contains("vesta import"), "{many}");
    // What does not compress.
    let noise = |seed: u64, bytes: usize| -> String {
        (0..bytes as u64 / 16).map(|n| format!("{:016x}", super::at_once::scatter(seed + n))).collect()
    };
    let mut one = of(0..0);
    one.writes.push(write(1, &noise(1, 40 << 20)));
    let why = refused(one);
    assert!(why.contains("b1") && why.contains("15 MB"), "{why}");
    let mut bytes = of(0..0);
    bytes.writes.extend((0..8).map(|n| write(n, &noise(n as u64 * 10_000_000, 20 << 20))));
    let why = refused(bytes);
    assert!(why.contains("64 MB") && why.contains("batch"), "{why}");
    let why = refused(heavy(MOST_ENTRIES + 1000));
    assert!(why.contains("at most 400000 entries") && why.contains("batch") && why.contains("vesta import"), "{why}");
    assert_eq!(runtime.block_on(store.snapshot(tenant)).expect("a snapshot").position(), 0, "nothing was written");

    // Over HTTP, as an OperationOutcome; as a batch it goes.
    let process = Process::start(database.uri(), &["--auth", "off", "--validation", "off", "--max-entries", "30000"]);
    let bundle = |kind: &str, count: usize| {
        let entry = json!({
            "resource": {"resourceType": "Basic", "code": {"text": "x"}}, "request": {"method": "POST", "url": "Basic"}
        });
        json!({"resourceType": "Bundle", "type": kind, "entry": vec![entry; count]})
    };
    let answer = process.put("POST", "", &bundle("transaction", 20_001));
    answer.refuses(413, "too-long");
    assert!(answer.text().contains("at most 20000 writes"), "{}", answer.text());
    process.put("POST", "", &bundle("batch", 3)).is(200);
}

/// What is declared is also done: just below the bound of writes, and just below that of entries of indexes. What comes
/// meanwhile, to the same process and to another, is done afterwards and not refused.
#[test]
fn as_much_as_is_declared_is_committed_at_once() {
    let Some(database) = TestDatabase::new() else { return };
    let (store, other) = (super::store(database.uri()), super::store(database.uri()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut position = 0;
    for (round, transaction) in [of(0..20_000), heavy(MOST_ENTRIES)].into_iter().enumerate() {
        let count = transaction.writes.len();
        let timed = async |store: &MongoStore, transaction: Transaction| {
            let began = Instant::now();
            let done = store.commit(TenantId::default(), transaction).await;
            (done.map(|done| done.len()), began.elapsed())
        };
        let small = async |store: &MongoStore, n: usize| {
            tokio::time::sleep(Duration::from_millis(500)).await;
            timed(store, of(n..n + 1)).await
        };
        let n = 900_000 + 2 * round;
        let all = async { tokio::join!(timed(&store, transaction), small(&store, n), small(&other, n + 1)) };
        let (large, same, another) = runtime.block_on(all);
        println!("{count} writes took {:?}, a small one {:?}, one of another process {:?}", large.1, same.1, another.1);
        // Whoever waits behind it may be told to try again where the machine is so busy that the time is the bound.
        for (small, _) in [same, another] {
            match small {
                Err(StoreError::Unavailable(why)) if large.1 > Duration::from_secs(15) => println!("refused: {why}"),
                done => {
                    assert_eq!(done, Ok(1));
                    position += 1;
                }
            }
        }
        match large.0 {
            // There is a bound in time, too, and the machine that tests may be busy.
            Err(StoreError::TooLarge(why)) if large.1 > Duration::from_secs(15) => println!("refused: {why}"),
            done => {
                assert_eq!(done, Ok(count));
                position += count;
            }
        }
    }
    let log = runtime.block_on(store.changes(TenantId::default(), 0, usize::MAX)).expect("a log");
    assert_eq!(log.versions.len(), position);
}

/// While large transactions wait in a row, a small one is done after one of them at most.
#[test]
fn a_small_transaction_waits_for_one_large_one_at_most() {
    let Some(database) = TestDatabase::new() else { return };
    let store = Arc::new(super::store(database.uri()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    const LARGE: usize = 16;
    const SMALL: usize = 6;
    const WRITES: usize = 400;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..LARGE)
            .map(|n| {
                let (store, first) = (store.clone(), n * 1000);
                tokio::spawn(async move {
                    store.commit(TenantId::default(), of(first..first + WRITES)).await.expect("committed");
                })
            })
            .collect();
        while store.snapshot(TenantId::default()).await.expect("a snapshot").position() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Each is sent when the one before it was answered, while the next large one is under way.
        let mut numbers = Vec::new();
        for n in 900_000..900_000 + SMALL {
            let done = store.commit(TenantId::default(), of(n..n + 1)).await.expect("committed");
            numbers.push(done[0].number as usize);
        }
        let between = (numbers[SMALL - 1] - numbers[0]) / WRITES;
        println!("between {SMALL} small ones in a row {between} large ones were committed, of {LARGE}");
        // One may have been done while the answer was on its way.
        assert!(between <= SMALL, "{numbers:?}");
        for task in tasks {
            task.await.expect("ran");
        }
    });
}
