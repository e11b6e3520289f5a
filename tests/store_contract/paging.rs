//! Paging by many searches over many resources while others write: all pages together are what one page without a limit
//! holds at the same position, in the same order.

use super::world::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vesta::definitions::TypeId;
use vesta::index::{Condition, Term};
use vesta::store::{Query, Sort, Store};

/// A key that is nobody else's at first, a key of few values that a tenth do not have, and one of 37 parts.
fn terms(dice: &mut Dice, number: u64) -> Vec<Term> {
    let mut terms = vec![
        term(20, format!("{:05}", dice.below(paged())).as_bytes()),
        term(22, format!("{:02}", number % 37).as_bytes()),
    ];
    if dice.below(10) > 0 {
        terms.push(term(21, format!("{:02}", dice.below(12)).as_bytes()));
    }
    terms
}

fn kind(number: u64) -> TypeId {
    if number.is_multiple_of(5) { ENCOUNTER } else { PATIENT }
}

async fn fill(store: &dyn Store) {
    let mut dice = Dice(11);
    for chunk in 0..paged() / 200 {
        let numbers = chunk * 200..(chunk + 1) * 200;
        let writes = numbers.map(|n| put(kind(n), &format!("p{n}"), &terms(&mut dice, n)));
        commit(store, writes.collect()).await.expect("committed");
    }
}

/// Changes, deletes and adds, until it is told to stop.
async fn disturb(store: Arc<dyn Store>, seed: u64, stop: Arc<AtomicBool>) -> u64 {
    let mut dice = Dice(seed);
    let mut commits = 0;
    while !stop.load(Ordering::Relaxed) {
        let number = dice.below(paged() + paged() / 10);
        let name = format!("p{number}");
        let change = match dice.below(4) {
            0 => delete(kind(number), &name),
            _ => put(kind(number), &name, &terms(&mut dice, number)),
        };
        write(&*store, change).await;
        commits += 1;
        tokio::task::yield_now().await;
    }
    commits
}

/// A search, and rows of a page.
fn search(dice: &mut Dice) -> Query {
    let part = |dice: &mut Dice| Condition::Term(term(22, format!("{:02}", dice.below(37)).as_bytes()));
    let condition = match dice.below(20) {
        0 => Condition::Everything,
        1 => Condition::Not(Box::new(part(dice))),
        2..=5 => Condition::And(vec![part(dice), Condition::Not(Box::new(has(21, "03")))]),
        6..=9 => Condition::Or(vec![part(dice), part(dice), has(20, "00007")]),
        _ => part(dice),
    };
    let sorts = (0..dice.below(3)).map(|_| {
        let parameter = 20 + dice.below(2) as u8;
        Sort { from: [0, parameter].into(), to: [0, parameter + 1].into(), skip: 2, descending: dice.below(2) == 0 }
    });
    let sort: Vec<_> = sorts.collect();
    let kinds = [vec![PATIENT], vec![ENCOUNTER], vec![PATIENT, ENCOUNTER]];
    let kinds = dice.pick(&kinds).clone();
    Query { kinds, sort, limit: 1_000_000, ..query(PATIENT, condition) }
}

#[test]
fn paging_through_ten_thousand_by_two_hundred_searches() {
    on_every_engine(|e| async move {
        fill(&*e.store).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2).map(|seed| tokio::spawn(disturb(e.store.clone(), seed, stop.clone()))).collect();
        // The naive engine looks at everything for every page, and an encrypted one differs only in its files.
        let seeds = match e.name {
            "memory" => 5,
            "encrypted" => 30,
            _ => 200,
        };
        let (mut pages, mut moved) = (0, 0);
        for seed in 0..seeds {
            let mut dice = Dice(seed);
            let asked = search(&mut dice);
            let position = now(&*e.store).await.position();
            let row = |v: &vesta::store::Version| (v.kind, v.id.clone(), v.version, v.number);
            let whole = e.store.snapshot_at(TENANT, position).await.expect("a snapshot").search(&asked).await;
            let whole = whole.expect("found");
            let expected: Vec<_> = whole.rows.iter().map(row).collect();
            assert_eq!((whole.total, whole.more), (Some(expected.len() as u64), false), "{} seed {seed}", e.name);
            let limit = 1 + expected.len() / (1 + dice.below(7) as usize);
            let mut page = Query { limit, ..asked.clone() };
            let mut seen = Vec::new();
            loop {
                // As a page link does it: a new snapshot of the old position.
                let snapshot = e.store.snapshot_at(TENANT, position).await.expect("a snapshot");
                let found = snapshot.search(&page).await.expect("found");
                pages += 1;
                seen.extend(found.rows.iter().map(row));
                assert_eq!(found.total, whole.total, "{} seed {seed}", e.name);
                assert_eq!(found.more, seen.len() < expected.len(), "{} seed {seed}", e.name);
                if !found.more {
                    break;
                }
                match page.sort.is_empty() {
                    true => page.after = found.rows.last().map(|v| v.number),
                    false => page.skip += found.rows.len() as u64,
                }
            }
            assert!(seen == expected, "{} seed {seed}: {asked:?}", e.name);
            moved += u64::from(now(&*e.store).await.position() > position);
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            assert!(writer.await.expect("no panic") > 0);
        }
        println!("{}: {seeds} searches in {pages} pages; in {moved} somebody wrote meanwhile", e.name);
        assert!(moved > 0, "nobody wrote beside {}", e.name);
    });
}
