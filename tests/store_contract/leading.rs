//! What leads to versions on MongoDB (`store/mongodb/lead.rs`): nobody relies on it where a program that does not know of
//! it has written, it is filled in, a resource that has too much of it is found all the same, and what it leads to is what
//! the naive engine finds.

use super::world::*;
use crate::support::mongodb::TestDatabase;
use mongodb::bson::{Document as Bson, doc};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vesta::base::{SystemClock, Timestamp};
use vesta::definitions::{Definitions, TypeId};
use vesta::index::criteria::{self, Comparator, ReferenceMatch, SystemMatch};
use vesta::index::{Condition, Extractor, sort_key};
use vesta::json::{Document, Limits};
use vesta::primitive::DateTime;
use vesta::store::memory::MemoryStore;
use vesta::store::mongodb::MongoStore;
use vesta::store::{Body, Content, Expect, FhirVocabulary, Method, Query, Sort, Store, Write};

struct Words {
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
    observation: TypeId,
}

impl Words {
    fn new() -> Words {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
        let observation = definitions.resource("Observation").expect("a type");
        Words { definitions, extractor, observation }
    }

    fn vocabulary(&self) -> Arc<FhirVocabulary> {
        Arc::new(FhirVocabulary::new(self.definitions.clone(), self.extractor.clone()))
    }

    fn observation(&self, n: usize, codes: &[String]) -> Write {
        let codings: Vec<_> = codes.iter().map(|c| format!(r#"{{"system":"http://s","code":"{c}"}}"#)).collect();
        // Every seventh has no date, and every fifth one that is long.
        let date = match n {
            _ if n % 7 == 3 => String::new(),
            _ if n % 5 == 2 => format!(r#","effectivePeriod":{{"start":"{}","end":"2015"}}"#, 2001 + n % 9),
            _ => format!(r#","effectiveDateTime":"{}-{:02}-{:02}""#, 2005 + n % 9, 1 + n % 12, 1 + n % 3),
        };
        let json = format!(
            r#"{{"resourceType":"Observation","id":"x","status":"final","code":{{"coding":[{}]}},
            "subject":{{"reference":"Patient/p{}"}}{date}}}"#,
            codings.join(","),
            n % 4
        );
        let document = Document::parse(json.as_bytes(), &Limits::default()).expect("JSON");
        let terms = self.extractor.extract(self.observation, document.root());
        let content = Content { body: Body::of(document.root()), terms, schema: self.extractor.fingerprint() };
        let (kind, method) = (self.observation, Method::Update);
        Write { kind, id: id(&format!("o{n}")), method, expect: Expect::Any, content: Some(content) }
    }

    fn asked(&self) -> Vec<Query> {
        let parameter = |code: &str| self.definitions.search_parameter(self.observation, code).expect("a parameter");
        let patient = |id: &str| {
            let value = ReferenceMatch::Id { kind: Some("Patient"), id };
            criteria::reference(parameter("patient"), &value)
        };
        let code = |code: &str| criteria::token(parameter("code"), SystemMatch::Is("http://s"), Some(code));
        let any = |code: &str| criteria::token(parameter("code"), SystemMatch::Any, Some(code));
        let since = |comparator, date: &str| {
            criteria::date(parameter("date"), comparator, &DateTime::parse(date).expect("a date"), Timestamp(0))
        };
        let conditions = [
            Condition::Everything,
            patient("p1"),
            Condition::And(vec![patient("p1"), code("c1")]),
            Condition::And(vec![patient("p1"), any("c1")]),
            Condition::And(vec![Condition::Or(vec![patient("p1"), patient("p2")]), any("c1")]),
            Condition::And(vec![code("c1"), since(Comparator::Ge, "2010-05")]),
            Condition::And(vec![Condition::Or(vec![code("c1"), code("c2")]), since(Comparator::Eq, "2010")]),
            Condition::And(vec![patient("p1"), since(Comparator::Lt, "2010"), since(Comparator::Gt, "2006")]),
            Condition::And(vec![code("many7"), since(Comparator::Ap, "2010")]),
            Condition::And(vec![patient("p0"), Condition::Or(vec![code("many7"), code("c1")])]),
            since(Comparator::Sa, "2008"),
        ];
        let newest = sort_key(parameter("date"), true).expect("an order");
        let newest = Sort { from: newest.from, to: newest.to, skip: newest.skip, descending: true };
        let mut all = Vec::new();
        for condition in conditions {
            for (sort, skip, limit) in [
                (vec![], 0, 1000),
                (vec![], 2, 3),
                (vec![newest.clone()], 0, 1000),
                (vec![newest.clone()], 0, 4),
                (vec![newest.clone()], 5, 7),
            ] {
                all.push(Query { sort, skip, limit, ..query(self.observation, condition.clone()) });
            }
        }
        all
    }
}

/// What a store answers to everything that is asked.
async fn answers(store: &dyn Store, words: &Words) -> Vec<(Vec<String>, Option<u64>, bool)> {
    let mut all = Vec::new();
    let snapshot = now(store).await;
    for query in words.asked() {
        let page = snapshot.search(&query).await.expect("found");
        all.push((ids(&page.rows).into_iter().map(str::to_owned).collect(), page.total, page.more));
    }
    all
}

#[test]
fn what_leads_to_versions_is_relied_on_only_where_all_have_it() {
    let Some(database) = TestDatabase::new().filter(|_| is_wanted("mongodb")) else { return };
    let words = Words::new();
    let clock = Arc::new(SystemClock);
    let open = || MongoStore::open_with(database.uri(), words.vocabulary(), clock.clone()).expect("opened");
    // One that fills nothing in.
    let reading = || MongoStore::open_existing(database.uri(), words.vocabulary(), clock.clone()).expect("opened");
    wait(async {
        let naive = MemoryStore::with(words.vocabulary(), clock.clone());
        let store = open();
        for n in 0..90 {
            let codes: Vec<String> = match n {
                // One that has too many codes.
                40 => (0..2_500).map(|code| format!("many{code}")).chain(["c1".into()]).collect(),
                _ => vec![format!("c{}", n % 3), format!("d{}", n % 5)],
            };
            for store in [&naive as &dyn Store, &store] {
                // Every tenth is written twice.
                for _ in 0..1 + usize::from(n % 10 == 0) {
                    write(store, words.observation(n, &codes)).await;
                }
            }
        }
        for store in [&naive as &dyn Store, &store] {
            write(store, Write { content: None, method: Method::Delete, ..words.observation(11, &[]) }).await;
        }
        let expected = answers(&naive, &words).await;
        assert!(expected.iter().filter(|(ids, ..)| ids.len() > 2).count() > 35, "{expected:?}");
        assert_eq!(answers(&store, &words).await, expected, "written with it");
        assert!(store.check(&mut |_, _| {}).await.expect("checked").is_sound());
        drop(store);

        let client = mongodb::Client::with_uri_str(database.uri()).await.expect("connects");
        let of = client.default_database().expect("named");
        let (versions, tenants) = (of.collection::<Bson>("versions"), of.collection::<Bson>("tenants"));
        let counter = doc! { "_id": i64::from(TENANT.0) };
        let gone = doc! { "$unset": { "y": 1, "a": 1, "l": 1, "z": 1 } };

        // All was written by a program of before.
        versions.update_many(doc! {}, gone.clone()).await.expect("changed");
        tenants.update_many(doc! {}, doc! { "$unset": { "y": 1 } }).await.expect("changed");
        assert_eq!(answers(&reading(), &words).await, expected, "written by a program of before");
        assert!(reading().check(&mut |_, _| {}).await.expect("checked").is_sound());

        // One that is written after it does not make up for that; once it is filled in, it is relied on.
        let store = open();
        let again = words.observation(50, &["c2".into(), "d0".into()]);
        for store in [&naive as &dyn Store, &store] {
            write(store, again.clone()).await;
        }
        let expected = answers(&naive, &words).await;
        assert_eq!(answers(&store, &words).await, expected, "while it is filled in");
        let lacking = doc! { "t": i64::from(TENANT.0), "d": false, "y": { "$exists": false } };
        let begun = Instant::now();
        while versions.count_documents(lacking.clone()).await.expect("counted") > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "it is not filled in");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(answers(&store, &words).await, expected, "filled in");
        assert!(store.check(&mut |_, _| {}).await.expect("checked").is_sound());
        drop(store);
        assert_eq!(answers(&reading(), &words).await, expected);

        // A program of before writes once more: the position has moved, the mark has not.
        let mark = tenants.find_one(counter.clone()).await.expect("read").expect("a counter");
        let number = mark.get_i64("n").expect("a number");
        let back = doc! { "$set": { "y.e": number - 1 }, "$min": { "y.f": number - 1 } };
        tenants.update_one(counter.clone(), back).await.expect("changed");
        versions.update_one(doc! { "t": i64::from(TENANT.0), "n": number }, gone).await.expect("changed");
        assert_eq!(answers(&reading(), &words).await, expected, "a program of before has written once more");
        tenants.replace_one(counter, mark).await.expect("as before");
        // So it would be if that were relied on.
        assert_ne!(answers(&reading(), &words).await, expected, "it is relied on where the mark says so");
        let report = reading().check(&mut |_, _| {}).await.expect("checked");
        assert!(report.listed.iter().any(|why| why.contains("what leads to it")), "{:?}", report.listed);
    });
}
