//! The embedded store alone, without HTTP: fills a directory with generated resources, then opens it in a process of
//! its own and says how long the start took, how much memory and disk it takes, and how long searches take.
//! `cargo bench --bench index -- --resources 1000000`; with `--bundles DIR` the resources of JSON bundles instead.

#[path = "../load/generator.rs"]
mod generator;

use generator::Random;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vesta::base::{ResourceId, SystemClock, TenantId};
use vesta::definitions::{Definitions, SearchParameter, TypeId};
use vesta::index::criteria::{self, ReferenceMatch, StringMatch, SystemMatch};
use vesta::index::{Comparator, Condition, Extracted, Extractor, sort_key};
use vesta::json::{Document, Limits};
use vesta::primitive::DateTime;
use vesta::store::embedded::{EmbeddedStore, Options};
use vesta::store::{Body, Budget, Content, Expect, Method, Query, Sort, Store, Transaction, Write};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TENANT: TenantId = TenantId(0);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let after = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let resources = after("--resources").and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Some(directory) = after("--open") {
        return runtime.block_on(measure(Path::new(directory), resources, after("--bundles").is_none()));
    }
    let temporary = tempfile::tempdir().expect("a directory");
    let directory = after("--directory").map_or(temporary.path().to_owned(), PathBuf::from);
    match after("--bundles") {
        Some(bundles) => runtime.block_on(fill(&directory, of_bundles(Path::new(bundles)))),
        None => runtime.block_on(fill(&directory, generated(resources))),
    }
    let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
    again.args(["--open", &directory.to_string_lossy(), "--resources", &resources.to_string()]);
    after("--bundles").map(|b| again.args(["--bundles", b]));
    assert!(again.status().expect("started").success());
}

/// Type, id and text of the generated resources.
fn generated(resources: usize) -> impl Iterator<Item = (String, String, String)> {
    let patients = generator::patients(resources);
    let people = (0..patients).map(|n| ("Patient".to_owned(), format!("p{n}"), generator::patient(n, None)));
    let observation = move |n| generator::observation(n, patients, None);
    let rest = (patients..resources as u64).map(move |n| ("Observation".to_owned(), format!("o{n}"), observation(n)));
    people.chain(rest)
}

/// The resources of all bundles in a directory, with references to each other as a transaction stores them.
fn of_bundles(directory: &Path) -> impl Iterator<Item = (String, String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(directory).expect("readable").flatten().map(|e| e.path()).collect();
    files.sort();
    let bundle =
        |path: &PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).expect("read")).expect("JSON") };
    // Conditional references are to what the hospitals' and practitioners' bundles have.
    let is_shared = |path: &&PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().contains("Information"));
    let shared = files.iter().filter(is_shared).flat_map(|path| addresses(&bundle(path))).collect::<Addresses>();
    files.into_iter().enumerate().flat_map(move |(file, path)| {
        let mut bundle = bundle(&path);
        let own = addresses(&bundle);
        let entries = bundle["entry"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let resource = |(n, mut entry): (usize, Value)| {
            let (kind, id) = identity(&entry).unwrap_or_else(|| {
                (entry["resource"]["resourceType"].as_str().expect("a type").to_owned(), format!("f{file}-{n}"))
            });
            resolve(&mut entry["resource"], &[&own, &shared]);
            (kind, id, entry["resource"].to_string())
        };
        entries.into_iter().enumerate().map(resource).collect::<Vec<_>>()
    })
}

/// From what a reference in a bundle says to what it says once it is stored.
type Addresses = HashMap<String, String>;

/// Type and id of an entry that is to be created.
fn identity(entry: &Value) -> Option<(String, String)> {
    let kind = entry["resource"]["resourceType"].as_str()?;
    Some((kind.to_owned(), entry["fullUrl"].as_str()?.strip_prefix("urn:uuid:")?.to_owned()))
}

fn addresses(bundle: &Value) -> Addresses {
    let mut addresses = Addresses::new();
    for entry in bundle["entry"].as_array().into_iter().flatten() {
        let Some((kind, id)) = identity(entry) else { continue };
        for identifier in entry["resource"]["identifier"].as_array().into_iter().flatten() {
            if let (Some(system), Some(value)) = (identifier["system"].as_str(), identifier["value"].as_str()) {
                addresses.insert(format!("{kind}?identifier={system}|{value}"), format!("{kind}/{id}"));
            }
        }
        addresses.insert(format!("urn:uuid:{id}"), format!("{kind}/{id}"));
    }
    addresses
}

fn resolve(value: &mut Value, addresses: &[&Addresses]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, addresses)),
        Value::Object(members) => members.iter_mut().for_each(|(_, member)| resolve(member, addresses)),
        Value::String(text) if text.starts_with("urn:uuid:") || text.contains("?identifier=") => {
            if let Some(address) = addresses.iter().find_map(|known| known.get(text)) {
                text.clone_from(address);
            }
        }
        _ => {}
    }
}

struct Vesta {
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
}

impl Vesta {
    fn new() -> Vesta {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
        Vesta { definitions, extractor }
    }

    fn open(&self, directory: &Path) -> EmbeddedStore {
        let options = Options::default();
        let (definitions, extractor) = (self.definitions.clone(), self.extractor.clone());
        EmbeddedStore::open(directory, definitions, extractor, Arc::new(SystemClock), &options, &mut |_, _| {})
            .expect("opened")
    }

    fn kind(&self, name: &str) -> TypeId {
        self.definitions.resource(name).expect("a resource type")
    }

    fn parameter(&self, kind: &str, code: &str) -> &SearchParameter {
        self.definitions.search_parameter(self.kind(kind), code).expect("a search parameter")
    }
}

async fn fill(directory: &Path, resources: impl Iterator<Item = (String, String, String)>) {
    let vesta = Vesta::new();
    let store = vesta.open(directory);
    let begun = Instant::now();
    let (mut count, mut json, mut writes) = (0_usize, 0_usize, Vec::new());
    let mut resources = resources.peekable();
    while let Some((kind, id, text)) = resources.next() {
        let kind = vesta.kind(&kind);
        let document = Document::parse(text.as_bytes(), &Limits::NONE).expect("JSON");
        let Extracted { terms, schema, .. } = vesta.extractor.extract_marked(kind, document.root());
        let content = Some(Content { body: Body::of(document.root()), terms, schema });
        let id = ResourceId::new(&id).expect("an id");
        writes.push(Write { kind, id, method: Method::Create, expect: Expect::Any, content });
        (count, json) = (count + 1, json + text.len());
        if writes.len() == 500 || resources.peek().is_none() {
            let transaction = Transaction { writes: std::mem::take(&mut writes), ..Transaction::default() };
            store.commit(TENANT, transaction).await.expect("committed");
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let memory = memory();
    // Merges that are due are part of it. A group of many terms is put together in memory for a while.
    let (before, mut sizes) = (Instant::now(), index_files(directory));
    loop {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let now = index_files(directory);
        if now == sizes {
            break;
        }
        sizes = now;
    }
    println!("merged for {:.1} s after the load", before.elapsed().as_secs_f64());
    drop(store);
    println!(
        "{count} resources of {} bytes in transactions of 500: {:.0} a second; memory while loading {memory}",
        json / count,
        count as f64 / seconds
    );
    let bytes = |part: &str| size(&directory.join(part)) as f64 / count as f64;
    println!(
        "bytes a resource on disk: {:.0}, of which truth {:.0}, index {:.0} in {} segments",
        bytes("truth") + bytes("index"),
        bytes("truth"),
        bytes("index"),
        index_files(directory).len()
    );
}

fn index_files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let entries = std::fs::read_dir(directory.join("index")).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|e| (e.path(), e.metadata().map_or(0, |m| m.len()))).collect();
    files.sort();
    files
}

/// Bytes that the files of a directory take.
fn size(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|e| e.metadata().ok()).map(|m| m.blocks() * 512).sum()
}

/// Memory of this process: what it holds itself, and what it has mapped and touched.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    format!("{} MB ({} own, {} of mapped files)", of("VmRSS"), of("RssAnon"), of("RssFile"))
}

/// A row of the table: its name, and how its searches are made.
type Row<'r> = (&'r str, &'r dyn Fn(&mut Random) -> Query);

async fn measure(directory: &Path, resources: usize, searches: bool) {
    let vesta = Vesta::new();
    let begun = Instant::now();
    let store = vesta.open(directory);
    println!("start: {:.0} ms, {}", begun.elapsed().as_secs_f64() * 1e3, memory());
    if !searches {
        return;
    }
    println!("{:<46} {:>9} {:>9} {:>10}", "search", "p50 µs", "p99 µs", "rows");
    let rows: [Row<'_>; 9] = [
        ("Patient?name=", &|r| names(&vesta, r, resources)),
        ("Observation?patient=&code=", &|r| of_patient(&vesta, r, resources)),
        ("Observation?code=&date=ge, total", &|r| dated(&vesta, r, true)),
        ("Observation?code=&date=ge", &|r| dated(&vesta, r, false)),
        ("Observation?code=&_summary=count", &|r| Query { limit: 0, ..coded(&vesta, r, true) }),
        ("Observation?code=", &|r| coded(&vesta, r, false)),
        ("Observation?code=&_sort=-date, total", &|r| sorted(&vesta, r)),
        ("Observation?patient=&_sort=-date", &|r| sorted_of_patient(&vesta, r, resources)),
        ("Observation?patient.name=", &|r| chained(&vesta, r, resources)),
    ];
    for (name, make) in rows {
        let mut random = Random::new(4_711);
        let mut times = Vec::new();
        let mut found = 0;
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until || times.len() < 50 {
            let query = make(&mut random);
            let begun = Instant::now();
            let page = store.snapshot(TENANT).await.expect("a snapshot").search(&query).await.expect("found");
            times.push(begun.elapsed());
            found += page.total.unwrap_or(page.rows.len() as u64);
        }
        times.sort();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
        println!("{name:<46} {:>9.1} {:>9.1} {:>10.0}", at(50), at(99), found as f64 / times.len() as f64);
    }
    println!("after the searches: {}", memory());
}

fn query(kind: TypeId, condition: Condition, total: bool) -> Query {
    let budget = Budget::default();
    Query { kinds: vec![kind], condition, sort: Vec::new(), after: None, skip: 0, limit: 20, total, budget }
}

fn names(vesta: &Vesta, random: &mut Random, resources: usize) -> Query {
    let number = random.below(generator::patients(resources));
    let text = generator::patient(number, None);
    let family = text.split("\"family\":\"").nth(1).and_then(|t| t.split('"').next()).expect("a name").to_owned();
    let condition = criteria::string(vesta.parameter("Patient", "name"), &family, StringMatch::Starts);
    query(vesta.kind("Patient"), condition, true)
}

fn subject(vesta: &Vesta, random: &mut Random, resources: usize) -> Condition {
    let id = format!("p{}", generator::subject(random, generator::patients(resources)));
    let target = ReferenceMatch::Id { kind: Some("Patient"), id: &id };
    criteria::reference(vesta.parameter("Observation", "patient"), &target)
}

fn code(vesta: &Vesta, random: &mut Random) -> Condition {
    let code = generator::code(random.zipf(generator::CODES));
    criteria::token(vesta.parameter("Observation", "code"), SystemMatch::Is("http://loinc.org"), Some(&code))
}

fn of_patient(vesta: &Vesta, random: &mut Random, resources: usize) -> Query {
    let all = [subject(vesta, random, resources), code(vesta, random)];
    query(vesta.kind("Observation"), Condition::all(all), true)
}

fn coded(vesta: &Vesta, random: &mut Random, total: bool) -> Query {
    query(vesta.kind("Observation"), code(vesta, random), total)
}

fn dated(vesta: &Vesta, random: &mut Random, total: bool) -> Query {
    let day = DateTime::parse(&format!("{}-0{}-15", 2011 + random.below(14), 1 + random.below(9))).expect("a date");
    let now = vesta::base::Timestamp(1_792_828_800_000_000);
    let since = criteria::date(vesta.parameter("Observation", "date"), Comparator::Ge, &day, now);
    query(vesta.kind("Observation"), Condition::all([code(vesta, random), since]), total)
}

fn by_date(vesta: &Vesta) -> Vec<Sort> {
    let range = sort_key(vesta.parameter("Observation", "date"), true).expect("an order");
    vec![Sort { from: range.from, to: range.to, skip: range.skip, descending: true }]
}

fn sorted(vesta: &Vesta, random: &mut Random) -> Query {
    Query { sort: by_date(vesta), ..coded(vesta, random, true) }
}

fn sorted_of_patient(vesta: &Vesta, random: &mut Random, resources: usize) -> Query {
    let condition = subject(vesta, random, resources);
    Query { sort: by_date(vesta), ..query(vesta.kind("Observation"), condition, true) }
}

fn chained(vesta: &Vesta, random: &mut Random, resources: usize) -> Query {
    let name = names(vesta, random, resources).condition;
    let parameter = vesta.parameter("Observation", "patient").number;
    let chain = Condition::Chain { parameter, targets: vec![vesta.kind("Patient")], condition: Box::new(name) };
    query(vesta.kind("Observation"), chain, true)
}
