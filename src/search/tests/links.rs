//! Links of pages, followed as a client does.

use super::super::{Links, Plan, Reached, Scope, pairs, plan};
use super::{kind, options};
use crate::base::Timestamp;
use crate::definitions::Definitions;
use crate::search::Handling;
use crate::store::Budget;

fn search(query: &str) -> Plan {
    let definitions = Definitions::core();
    let scope = Scope::Type(kind(&definitions, "Patient"));
    plan(&definitions, &scope, &pairs(query).expect("legal"), &options(Handling::Strict)).expect("legal")
}

/// Answers as a store with so many matches does, whose versions are numbered 100, 101, …
fn page(plan: &Plan, matches: u64) -> (Vec<u64>, Links) {
    let query = plan.query(Budget::default());
    let begin = query.after.map_or(0, |after| after - 99) + query.skip;
    let end = matches.min(begin + query.limit as u64);
    let rows: Vec<u64> = (begin..end).map(|row| row + 100).collect();
    let total = if query.total { Some(matches) } else { plan.cursor.and_then(|c| c.total) };
    let position = plan.cursor.map_or(777, |c| c.position);
    assert_eq!(position, 777, "all pages show one moment");
    let reached = Reached { position, rows: rows.len(), last: rows.last().copied(), more: end < matches, total };
    (rows, plan.links(&reached))
}

#[test]
fn next_links_visit_every_match_once_and_previous_links_go_back() {
    for query in ["_count=3", "_count=3&_sort=name", "name=x&_count=3&_total=none"] {
        let mut plan = search(query);
        let (mut seen, mut pages): (Vec<u64>, Vec<_>) = (Vec::new(), Vec::new());
        let last = loop {
            let (rows, links) = page(&plan, 10);
            seen.extend(&rows);
            pages.push(rows);
            assert!(links.this.starts_with(query) && links.first == query, "{links:?}");
            assert_eq!(links.last.is_none(), query.contains("none"), "{links:?}");
            match &links.next {
                Some(next) => plan = search(next),
                None => break links,
            }
        };
        assert_eq!(seen, (100..110).collect::<Vec<_>>(), "{query}");
        assert_eq!(pages.len(), 4);
        let mut links = last.clone();
        for expected in pages.iter().rev().skip(1) {
            let (rows, before) = page(&search(links.previous.as_deref().expect("a previous page")), 10);
            assert_eq!(&rows, expected, "{query}");
            links = before;
        }
        assert_eq!(links.previous, None);
        if let Some(last) = last.last {
            assert_eq!(&page(&search(&last), 10).0, &pages[3], "{query}");
        }
    }
}

#[test]
fn one_page_has_no_neighbours() {
    let (rows, links) = page(&search("name=x"), 10);
    assert_eq!(rows.len(), 10);
    assert_eq!((links.next, links.previous), (None, None));
    assert_eq!(links.this, "name=x");
    let (rows, links) = page(&search("name=x&_summary=count"), 10);
    assert_eq!(rows.len(), 0);
    assert_eq!((links.next, links.previous, links.last), (None, None, None));
    let (_, links) = page(&search(""), 0);
    assert_eq!((&*links.this, links.next, links.last), ("", None, None));
}

#[test]
fn a_page_belongs_to_its_search_and_keeps_its_moment() {
    let (_, links) = page(&search("birthdate=ap2000&_count=2"), 9);
    let next = links.next.expect("there are more");
    let second = search(&next);
    assert_eq!(second.began, Timestamp(1_795_000_000_000_000));
    assert!(!second.query(Budget::default()).total, "the total is known");
    let (_, token) = next.split_once("_page=").expect("a page");
    let definitions = Definitions::core();
    for (name, query, fits) in [
        ("Patient", format!("birthdate=ap2000&_page={token}"), true),
        ("Patient", format!("birthdate=ap2000&_count=5&_summary=true&_page={token}"), true),
        ("Patient", format!("birthdate=ap2001&_page={token}"), false),
        ("Patient", format!("birthdate=ap2000&_sort=name&_page={token}"), false),
        ("Person", format!("birthdate=ap2000&_page={token}"), false),
        ("Patient", format!("birthdate=ap2000&_page={token}&_page={token}"), false),
        ("Patient", format!("birthdate=ap2000&_page=x{token}"), false),
    ] {
        let scope = Scope::Type(kind(&definitions, name));
        let later = crate::search::Options { now: Timestamp(1_796_000_000_000_000), ..options(Handling::Strict) };
        let result = plan(&definitions, &scope, &pairs(&query).expect("legal"), &later);
        assert_eq!(result.is_ok(), fits, "{name}?{query}");
        if let Ok(plan) = result {
            assert_eq!(plan.began, Timestamp(1_795_000_000_000_000));
        }
    }
}
