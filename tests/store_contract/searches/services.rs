//! The same question to two services, one over the naive store and one over the embedded: the same Bundles, byte for
//! byte, with what is included, what is contained, and the pages in both directions.

use super::asker::Place;
use super::maker::Maker;
use super::{BASE, Change, Other, Pair, Question, Words, cases, changes, differ};
use crate::store_contract::world::{TENANT, wait};
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;
use vesta::base::{IdSource, ResourceId};
use vesta::interaction::{Context, Handling, Prefer, ReplyContent, Request, Service, Settings, Verb};
use vesta::search::encode;

/// Always the same id: Bundles have one.
struct Same;

impl IdSource for Same {
    fn next(&self) -> ResourceId {
        ResourceId::new("same").expect("an id")
    }
}

fn services(words: &Words, pair: &Pair) -> [Service; 2] {
    pair.stores.clone().map(|store| {
        let (definitions, extractor) = (words.definitions.clone(), words.extractor.clone());
        Service::new(store, definitions, extractor, pair.clock.clone(), Arc::new(Same), Settings::default())
    })
}

/// Path and query of a question.
fn address(question: &Question) -> (String, String) {
    let path = match &question.place {
        Place::Type(kind) => (*kind).to_owned(),
        Place::System => String::new(),
        Place::Compartment(id, kind) => format!("Patient/{id}/{}", kind.unwrap_or("*")),
    };
    (path, encode(question.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

/// The answer as text, without the seals of its links, and the links.
async fn ask(service: &Service, path: &str, query: &str) -> (String, Vec<(String, String)>) {
    let prefer = Prefer { handling: Handling::Strict, ..Prefer::default() };
    let request = Request { query: query.to_owned(), prefer, ..Request::new(Verb::Get, path) };
    let json = match service.perform(&Context::open(TENANT, BASE), request).await {
        Ok(reply) => match reply.content {
            ReplyContent::Json(json) => json,
            other => panic!("{other:?}"),
        },
        Err(failure) => return (failure.to_string(), Vec::new()),
    };
    let mut bundle: Value = serde_json::from_slice(&json).expect("JSON");
    let mut links = Vec::new();
    for link in bundle["link"].as_array_mut().into_iter().flatten() {
        let url = link["url"].as_str().expect("a URL").to_owned();
        links.push((link["relation"].as_str().expect("a relation").to_owned(), url.clone()));
        // Each service has a seal of its own.
        let without: Vec<_> = url.split('&').map(|part| if part.contains("_page=") { "_page" } else { part }).collect();
        link["url"] = Value::from(without.join("&"));
    }
    (bundle.to_string(), links)
}

/// All pages, at most five, then one back and the last.
async fn walk(service: &Service, question: &Question) -> String {
    let (path, query) = address(question);
    let mut text = String::new();
    let to = |links: &[(String, String)], wanted: &str| {
        let url = &links.iter().find(|(relation, _)| relation == wanted)?.1;
        Some(url.split_once('?').map_or("", |(_, query)| query).to_owned())
    };
    let (mut page, mut links) = ask(service, &path, &query).await;
    let mut pages = vec![page.clone()];
    while let Some(next) = to(&links, "next").filter(|_| pages.len() < 5) {
        (page, links) = ask(service, &path, &next).await;
        pages.push(page.clone());
    }
    let entries = |page: &str| serde_json::from_str::<Value>(page).ok().map(|bundle| bundle["entry"].to_string());
    for (relation, expected) in [("previous", pages.len().checked_sub(2)), ("last", pages.len().checked_sub(1))] {
        let whole = relation == "previous" || to(&links, "next").is_none();
        if let Some(query) = to(&links, relation).filter(|_| whole) {
            let (page, _) = ask(service, &path, &query).await;
            if expected.and_then(|place| pages.get(place)).and_then(|page| entries(page)) != entries(&page) {
                let _ = writeln!(text, "{}: {relation}: {page}", super::FAULT);
            }
        }
    }
    let _ = writeln!(text, "{}", pages.join("\n"));
    text
}

async fn answers(words: &Words, changes: &[Change], other: Other, question: &Question) -> [String; 2] {
    let pair = words.build(changes, other).await;
    let [naive, embedded] = services(words, &pair);
    [walk(&naive, question).await, walk(&embedded, question).await]
}

#[test]
fn services_answer_the_same() {
    const OF_ONE_WORLD: u64 = 100;
    let (cases, began) = (cases() / 5, Instant::now());
    let words = Words::new();
    let (mut tried, mut found, mut included, mut contained) = (0, 0, 0, 0);
    for seed in 0..cases.div_ceil(OF_ONE_WORLD) {
        wait(async {
            let mut maker = Maker::new(seed + 1_000_000);
            // What terminology says is looked up by the service; nobody has it here.
            maker.codes = false;
            let changes = changes(&mut maker);
            let other = Other::of(seed);
            let pair = words.build(&changes, other).await;
            let [naive, embedded] = services(&words, &pair);
            for _ in 0..OF_ONE_WORLD.min(cases) {
                let mut question = maker.search();
                if let Place::Type(kind) = question.place
                    && maker.some()
                {
                    let include = maker.include(kind);
                    question.parameters.push(include);
                }
                if maker.dice.below(8) == 0 {
                    let summary = maker.pick(&["true", "text", "data", "false"]).to_owned();
                    question.parameters.retain(|(name, _)| name != "_summary");
                    question.parameters.push(("_summary".to_owned(), summary));
                }
                let texts = [walk(&naive, &question).await, walk(&embedded, &question).await];
                tried += 1;
                found += u64::from(texts[0].contains("\"mode\":\"match\""));
                included += u64::from(texts[0].contains("\"mode\":\"include\""));
                contained += u64::from(texts[0].contains("#x") || texts[0].contains("#y"));
                if differ(&texts) {
                    // Without changes that make no difference, as far as whole eighths go.
                    let mut left = changes.clone();
                    for part in (0..8).rev() {
                        let size = left.len().div_ceil(8).max(1);
                        let range = (part * size).min(left.len())..((part + 1) * size).min(left.len());
                        let mut fewer = left.clone();
                        fewer.drain(range);
                        if differ(&answers(&words, &fewer, other, &question).await) {
                            left = fewer;
                        }
                    }
                    panic!("seed {seed}, {other:?}: {question:?}\n{texts:#?}\n{left:#?}");
                }
            }
        });
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{tried} searches over services in {seconds:.1} s: {found} found something, {included} included, \
         {contained} showed what is contained"
    );
    assert!(found * 5 > tried && included * 30 > tried, "{found} found, {included} included of {tried}");
    assert!(contained > 0 || cases < 500, "nothing contained was shown");
}
