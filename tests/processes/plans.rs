//! How the database answers the searches of the benchmark: every question that a server process asks is recorded on its
//! way and then explained. Each is answered by an index, and no more than three times the rows that come back are
//! examined; of keys the same holds, but for dates, which are looked at in the entries of a code or a patient. The stand-in explains as `mongod` plans; what it does itself may be another thing, so that times are not
//! judged here.

use crate::support::mongodb::TestDatabase;
use crate::support::processes::Process;
use crate::support::proxy::ReplicaSet;
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};
use vesta::store::mongodb::INDEXES;

/// The searches of the benchmark (`benches/load/workload.rs`), and others of the same kinds.
const SEARCHES: &[&str] = &[
    "Patient/p7",
    "Patient?name=Family7",
    "Observation?code=http://loinc.org%7Cc3&_summary=count",
    "Observation?code=http://loinc.org%7Cc3&_count=10&_include=Observation:patient",
    "Observation?patient=p7&code=http://loinc.org%7Cc3&_count=20",
    "Observation?patient=p7&code=c3&_count=20",
    "Observation?patient=p7,p8&code=http://loinc.org%7Cc3,http://loinc.org%7Cc4&_count=20",
    "Patient/p7/Observation?code=http://loinc.org%7Cc3",
    "Patient/p7/Observation?category=laboratory&_sort=-date",
    "Observation?code=http://loinc.org%7Cc3&date=ge2015-03-01&_count=20",
    "Observation?code=http://loinc.org%7Cc3&date=2015-03&_count=20",
    "Observation?code=http://loinc.org%7Cc3&date=ge2015-03-01&date=lt2017&_summary=count",
    "Observation?code=http://loinc.org%7Cc3&date=ge2015-03-01&_sort=-date&_count=20",
    "Observation?code=http://loinc.org%7Cc3&_sort=-date&_count=20",
    "Observation?patient=p7&code=http://loinc.org%7Cc3&date=le2016&_sort=-date",
    "Observation?patient=p7&date=ge2015&_sort=-date",
    "Observation?_sort=-date&_count=20",
];

/// Observations that have the same code.
const OF_A_CODE: i64 = 120;

/// 60 patients with 20 observations each, of ten codes, over ten years.
fn load(process: &Process) {
    let entry = |kind: &str, id: String, mut resource: Value| {
        resource["resourceType"] = json!(kind);
        resource["id"] = json!(id);
        json!({"resource": resource, "request": {"method": "PUT", "url": format!("{kind}/{id}")}})
    };
    let patients = (0..60).map(|n| {
        entry("Patient", format!("p{n}"), json!({"name": [{"family": format!("Family{n}"), "given": ["Given"]}]}))
    });
    let observations = (0..1200).map(|n| {
        let resource = json!({
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": format!("c{}", n / 60 % 10)}]},
            "category": [{"coding": [{"code": "laboratory"}]}],
            "subject": {"reference": format!("Patient/p{}", n % 60)},
            "effectiveDateTime": format!("{}-{:02}-01", 2010 + n % 10, 1 + n % 12),
        });
        entry("Observation", format!("o{n}"), resource)
    });
    let entries: Vec<_> = patients.chain(observations).collect();
    for some in entries.chunks(150) {
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": some});
        process.put("POST", "", &bundle).is(200);
    }
}

/// What the explanation says: the indexes, whether everything was looked at, documents and keys examined, and rows
/// returned.
fn explained(explanation: &Document) -> (Vec<String>, bool, [i64; 2], i64) {
    fn walk(value: &Bson, seen: &mut dyn FnMut(&str, &Bson)) {
        match value {
            Bson::Document(document) => document.iter().for_each(|(name, value)| {
                seen(name, value);
                walk(value, seen);
            }),
            Bson::Array(values) => values.iter().for_each(|value| walk(value, seen)),
            _ => {}
        }
    }
    let number = |value: &Bson| value.as_i64().or(value.as_i32().map(i64::from)).or(value.as_f64().map(|f| f as i64));
    let (mut indexes, mut scan, mut examined, mut returned) = (Vec::new(), false, [0, 0], None);
    let mut plan = |name: &str, value: &Bson| match name {
        "indexName" => indexes.extend(value.as_str().map(str::to_owned)),
        "stage" => scan |= value.as_str() == Some("COLLSCAN"),
        "totalDocsExamined" => examined[0] = examined[0].max(number(value).unwrap_or_default()),
        "totalKeysExamined" => examined[1] = examined[1].max(number(value).unwrap_or_default()),
        // The first is that of the whole plan.
        "nReturned" => returned = returned.or(number(value)),
        _ => {}
    };
    // Of the winning plan only.
    let mut winning = |name: &str, value: &Bson| {
        if name == "winningPlan" || name == "executionStats" {
            plan(name, value);
            walk(value, &mut plan);
        }
    };
    walk(&Bson::Document(explanation.clone()), &mut winning);
    (indexes, scan, examined, returned.unwrap_or_default())
}

#[test]
fn every_search_of_the_benchmark_is_answered_by_an_index() {
    let Some(database) = TestDatabase::new() else { return };
    let Some(set) = ReplicaSet::before(database.uri()) else { return };
    let process = Process::start(&set.uri(database.uri()), &["--auth", "off", "--validation", "off"]);
    load(&process);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = runtime.block_on(mongodb::Client::with_uri_str(database.uri())).expect("a client");
    let of = client.default_database().expect("a database");
    let mut faults = Vec::new();
    for search in SEARCHES {
        set.record();
        let answer = process.get(search);
        answer.is(200);
        assert!(answer.text().contains("\"total\"") || answer.text().contains("\"id\""), "{}", answer.text());
        let asked = set.recorded();
        let asked = asked
            .into_iter()
            .filter(|c| ["find", "aggregate"].iter().any(|n| c.get_str(n).is_ok_and(|of| of == "versions")));
        let mut count = 0;
        for mut command in asked {
            for envelope in
                ["$db", "lsid", "$clusterTime", "txnNumber", "readConcern", "writeConcern", "$readPreference"]
            {
                command.remove(envelope);
            }
            count += 1;
            let explain = doc! { "explain": &command, "verbosity": "executionStats" };
            let explanation = runtime.block_on(async { of.run_command(explain).await }).expect("explained");
            let (indexes, scan, [examined, keys], returned) = explained(&explanation);
            println!("{search}: {indexes:?}, {examined} examined, {keys} keys, {returned} returned");
            if scan || indexes.is_empty() {
                faults.push(format!("{search} looks at everything: {command} {explanation}"));
            }
            if examined > 3 * returned.max(1) {
                faults.push(format!("{search}: {examined} for {returned}: {command} {explanation}"));
            }
            // Beside a code or a patient a date shuts out entries of the index, which are read for that. Where a range
            // of keys begins and where it ends costs a key each.
            let likely = if search.contains("date=") { returned.max(OF_A_CODE) } else { returned.max(1) };
            if keys > 3 * likely + 2 {
                faults.push(format!("{search}: {keys} keys for {returned}: {command} {explanation}"));
            }
        }
        assert!(count > 0, "{search} was not asked of the database");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Atlas allows 64; each costs something with every write.
#[test]
fn no_collection_has_more_than_twelve_indexes() {
    let Some(database) = TestDatabase::new() else { return };
    let _store = super::store(database.uri());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(database.uri()).await.expect("a client");
        let of = client.default_database().expect("a database");
        for name in of.list_collection_names().await.expect("names") {
            let there = of.collection::<Document>(&name).list_index_names().await.expect("indexes");
            let declared = INDEXES.iter().filter(|index| index.collection == name).count();
            // The one more is that on `_id`.
            assert_eq!(there.len(), declared + 1, "{name}: {there:?}");
            assert!(there.len() <= 12, "{name}: {there:?}");
        }
    });
}
