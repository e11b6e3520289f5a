//! Generated data, generated questions: every engine must answer as the naive one does, at every position.

use super::world::*;
use std::sync::Arc;
use vesta::base::Timestamp;
use vesta::definitions::TypeId;
use vesta::index::{Condition, Range, Term, Test};
use vesta::store::{Budget, HistoryQuery, HistoryScope, Place, Query, Sort, Store, Write};

/// How large a generated world is.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) commits: u64,
    /// Writes of a commit at most.
    pub(super) writes: u64,
    /// Logical ids of each type.
    pub(super) ids: u64,
    /// Different values of a parameter.
    pub(super) values: u64,
    /// Whether `_has` is asked: the naive engine takes long for it.
    pub(super) reverse: bool,
    pub(super) questions: u64,
}

pub(super) const SMALL: Size = Size { commits: 120, writes: 6, ids: 25, values: 6, reverse: true, questions: 60 };
pub(super) const WIDE: Size = Size { commits: 60, writes: 5, ids: 60, values: 90, reverse: true, questions: 60 };
pub(super) const LARGE: Size =
    Size { commits: 40, writes: 400, ids: 3_000, values: 2_500, reverse: false, questions: 60 };

const PARAMETERS: [u16; 3] = [20, 21, 22];

fn kind(dice: &mut Dice) -> TypeId {
    // Skewed: half of everything is of one type.
    if dice.below(2) == 0 { OBSERVATION } else { dice.pick(&KINDS).0 }
}

fn value(dice: &mut Dice, size: Size) -> String {
    // Skewed towards the low ones.
    let n = dice.below(size.values).min(dice.below(size.values));
    format!("{n:04}{}", ["", "a", "ab"][dice.below(3) as usize])
}

fn resource_id(dice: &mut Dice, size: Size) -> String {
    format!("r{}", dice.below(size.ids))
}

fn terms(dice: &mut Dice, size: Size) -> Vec<Term> {
    let mut terms = Vec::new();
    for parameter in PARAMETERS {
        for _ in 0..dice.below(4) {
            terms.push(term(parameter, value(dice, size).as_bytes()));
        }
    }
    for _ in 0..dice.below(3) {
        let target = kind(dice);
        terms.push(refers_to(target, &resource_id(dice, size)));
    }
    terms.push(code(dice));
    for _ in 0..*dice.pick(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2]) {
        let (start, length) = (dice.below(size.values * 3), 1 + dice.below(5));
        let class = u8::from(dice.below(9) == 0);
        terms.push(term(DATE, &[&[4, class][..], &start.to_be_bytes(), &(start + length).to_be_bytes()].concat()));
    }
    terms
}

/// A date: intervals of time, in two classes, of at most so much.
const DATE: u16 = 23;
const LONGEST: u64 = 5;

/// One of few codes, as tokens are written.
fn code(dice: &mut Dice) -> Term {
    let code = dice.pick(&["final", "final", "final", "draft"]);
    term(24, format!("\x01{code}\0s").as_bytes())
}

/// A code and a date: from a moment on, up to one, or between two.
fn dated(dice: &mut Dice, size: Size) -> Condition {
    let (a, b) = (dice.below(size.values * 3), dice.below(size.values * 3));
    let bytes = |class: u8, moment: u64| term(DATE, &[&[4, class][..], &moment.to_be_bytes()].concat()).0;
    let all = |class: u8| term(DATE, &[4, class]).0;
    // What begins before the moment and ends after it is found by a test on its end.
    let reaches = Test::Within { skip: 12, from: (a + 1).to_be_bytes().into(), below: [0xFF; 9].into() };
    let roll = dice.below(4);
    let of_class = |class: u8| match roll {
        0 => vec![Range { from: bytes(class, a.min(b)), to: bytes(class, a.max(b)), test: None }],
        1 => vec![Range { from: all(class), to: bytes(class, a), test: None }],
        _ => vec![
            Range { from: bytes(class, a), to: all(class + 1), test: None },
            Range { from: bytes(class, a.saturating_sub(LONGEST)), to: bytes(class, a), test: Some(reaches.clone()) },
        ],
    };
    let dates = (0..2).flat_map(of_class).map(Condition::Range).collect();
    Condition::And(vec![Condition::Term(code(dice)), Condition::Or(dates)])
}

/// Questions for the latest, or the first, of a code, or of a code and a time.
fn question_of_dates(dice: &mut Dice, size: Size, position: u64) -> Query {
    let by_date = Sort {
        from: term(DATE, &[4]).0,
        to: term(DATE, &[5]).0,
        skip: *dice.pick(&[4, 4, 4, 3]),
        descending: dice.below(2) == 0,
    };
    let mut sort: Vec<Sort> = (dice.below(3) > 0).then_some(by_date).into_iter().collect();
    if dice.below(4) == 0 {
        sort.push(self::sort(dice));
    }
    let condition = match dice.below(4) {
        0 => Condition::Term(code(dice)),
        1 => Condition::And(vec![dated(dice, size), Condition::Range(range(dice, size))]),
        _ => dated(dice, size),
    };
    let kinds = if dice.below(4) == 0 { vec![PATIENT, OBSERVATION] } else { vec![OBSERVATION] };
    Query { kinds, condition, sort, total: dice.below(4) > 0, ..question(dice, size, position) }
}

pub(super) fn commits(seed: u64, size: Size) -> Vec<Vec<Write>> {
    let mut dice = Dice(seed);
    let commit = |dice: &mut Dice| {
        let mut writes: Vec<Write> = Vec::new();
        for _ in 0..=dice.below(size.writes) {
            let (kind, name) = (kind(dice), resource_id(dice, size));
            if writes.iter().any(|w| w.kind == kind && w.id.as_str() == name) {
                continue;
            }
            let gone = dice.below(6) == 0;
            let write = if gone { delete(kind, &name) } else { put(kind, &name, &terms(dice, size)) };
            writes.push(write);
        }
        writes
    };
    (0..size.commits).map(|_| commit(&mut dice)).collect()
}

fn range(dice: &mut Dice, size: Size) -> Range {
    let parameter = *dice.pick(&PARAMETERS);
    let (a, b) = (value(dice, size), value(dice, size));
    // Now and then a range that ends before it begins, or one over all values.
    let (from, to) = match dice.below(8) {
        0 => (String::new(), "\u{7f}".to_owned()),
        1 => (a.clone().max(b.clone()), a.min(b)),
        2 => (a, "\u{7f}".to_owned()),
        3 => (a.clone(), format!("{a}\u{7f}")),
        _ => (a.clone().min(b.clone()), a.max(b)),
    };
    let needle = dice.pick(&["a", "b", "1", "00"]).as_bytes().into();
    let test = (dice.below(4) == 0).then_some(Test::Contains { skip: 2, until_nul: dice.below(2) == 0, needle });
    Range { from: term(parameter, from.as_bytes()).0, to: term(parameter, to.as_bytes()).0, test }
}

fn condition(dice: &mut Dice, size: Size, depth: u32) -> Condition {
    let roll = dice.below(if depth == 0 { 7 } else { 14 });
    let some = |dice: &mut Dice, most: u64| {
        (0..1 + dice.below(most)).map(|_| condition(dice, size, depth - 1)).collect::<Vec<_>>()
    };
    match roll {
        0 if dice.below(4) == 0 => Condition::Everything,
        0 if dice.below(4) == 0 => Condition::Nothing,
        0 => Condition::Kind(kind(dice)),
        1 => {
            let target = kind(dice);
            Condition::Term(refers_to(target, &resource_id(dice, size)))
        }
        2 | 3 => Condition::Range(range(dice, size)),
        4..=6 => Condition::Term(term(*dice.pick(&PARAMETERS), value(dice, size).as_bytes())),
        7 => Condition::Not(Box::new(condition(dice, size, depth - 1))),
        8 | 9 => Condition::And(some(dice, 3)),
        10 => Condition::Or(some(dice, 3)),
        11 => Condition::Or((0..12).map(|_| condition(dice, size, 0)).collect()),
        12 => {
            let targets = if dice.below(2) == 0 { vec![kind(dice)] } else { vec![PATIENT, OBSERVATION, ENCOUNTER] };
            let condition = Box::new(condition(dice, size, depth - 1));
            Condition::Chain { parameter: SUBJECT, targets, condition }
        }
        _ if size.reverse => {
            let condition = Box::new(condition(dice, size, depth - 1));
            Condition::Reverse { source: kind(dice), parameter: SUBJECT, condition }
        }
        _ => Condition::And(vec![Condition::Range(range(dice, size)), Condition::Range(range(dice, size))]),
    }
}

fn sort(dice: &mut Dice) -> Sort {
    let parameter = dice.pick(&PARAMETERS).to_be_bytes();
    let (from, to) = match dice.below(3) {
        0 => (parameter.to_vec(), vec![parameter[0], parameter[1] + 1]),
        1 => ([&parameter[..], b"00"].concat(), [&parameter[..], b"01"].concat()),
        _ => ([&parameter[..], b"0002"].concat(), [&parameter[..], b"0009"].concat()),
    };
    let skip = *dice.pick(&[2, 2, 2, 3, 4, 6, 50]);
    Sort { from: from.into(), to: to.into(), skip, descending: dice.below(2) == 0 }
}

pub(super) fn question(dice: &mut Dice, size: Size, position: u64) -> Query {
    let kinds = match dice.below(4) {
        0 => vec![PATIENT, OBSERVATION, ENCOUNTER],
        1 => vec![ENCOUNTER, OBSERVATION, OBSERVATION],
        _ => vec![kind(dice)],
    };
    Query {
        kinds,
        condition: condition(dice, size, 3),
        sort: (0..dice.below(3)).map(|_| sort(dice)).collect(),
        after: (dice.below(3) == 0).then(|| dice.below(position + 2)),
        skip: *dice.pick(&[0, 0, 0, 1, 7, 300]),
        limit: *dice.pick(&[0, 1, 5, 20, 100_000]),
        total: dice.below(2) == 0,
        budget: Budget::default(),
    }
}

/// The answers of both engines, as text, at a position.
pub(super) async fn answers(engines: &[Engine; 2], position: u64, query: &Query) -> [String; 2] {
    let mut texts = [String::new(), String::new()];
    for (engine, text) in engines.iter().zip(&mut texts) {
        let snapshot = engine.store.snapshot_at(TENANT, position).await.expect("a snapshot");
        let page = snapshot.search(query).await.expect("an answer");
        let rows: Vec<_> = page.rows.iter().map(|v| (v.number, v.id.as_str(), v.version, v.newest)).collect();
        *text = format!("total {:?}, more {}, rows {rows:?}", page.total, page.more);
    }
    texts
}

/// The naive engine and the embedded one; every other world with so few versions in memory that nearly all of them are
/// in segments, and merges go on all the time.
async fn build(commits: &[Vec<Write>], seed: u64) -> [Engine; 2] {
    let rival = match seed % 2 {
        _ if only_mongodb() => mongodb().expect("VESTA_TEST_MONGODB_URI names a replica set"),
        0 => embedded(),
        _ => sealing(1 + seed as usize % 37),
    };
    let engines = [memory(), rival];
    for engine in &engines {
        for (i, writes) in commits.iter().enumerate() {
            engine.clock.set(i as i64 * 10);
            commit(&*engine.store, writes.clone()).await.expect("committed");
        }
    }
    engines
}

/// Finds the shortest history that still shows a difference, and tells it.
async fn shrink(commits: &[Vec<Write>], position: u64, query: &Query, seed: u64) {
    for n in 1..=commits.len() {
        let engines = build(&commits[..n], seed).await;
        let last = now(&*engines[0].store).await.position();
        let [naive, other] = answers(&engines, position.min(last), query).await;
        if naive != other {
            panic!(
                "seed {seed}, after {n} commits, at {}:\n{query:?}\nnaive: {naive}\nother: {other}",
                position.min(last)
            );
        }
    }
}

/// Makes a question about a world of a size at a position.
type Questions = fn(&mut Dice, Size, u64) -> Query;

fn engines_agree(seeds: std::ops::Range<u64>, size: Size) {
    engines_agree_on(seeds, size, question);
}

fn engines_agree_on(seeds: std::ops::Range<u64>, size: Size, question: Questions) {
    // Every commit and question crosses the network there: a tenth of the worlds.
    let tenth = seeds.start..seeds.start + (seeds.end - seeds.start).div_ceil(10);
    let seeds = if only_mongodb() { tenth } else { seeds };
    for seed in seeds {
        wait(async {
            let commits = commits(seed, size);
            let engines = build(&commits, seed).await;
            let last = now(&*engines[0].store).await.position();
            assert_eq!(now(&*engines[1].store).await.position(), last);
            let mut dice = Dice(seed ^ 0xABCD);
            for _ in 0..size.questions {
                let position = if dice.below(2) == 0 { last } else { dice.below(last + 1) };
                let query = question(&mut dice, size, position);
                let [naive, other] = answers(&engines, position, &query).await;
                if naive != other {
                    shrink(&commits, position, &query, seed).await;
                    panic!("seed {seed} at {position}:\n{query:?}\nnaive: {naive}\nother: {other}");
                }
            }
        });
    }
}

#[test]
fn on_small_worlds() {
    engines_agree(0..60, SMALL);
}

#[test]
fn on_wide_worlds() {
    engines_agree(100..140, WIDE);
}

#[test]
fn on_large_worlds() {
    engines_agree(200..206, LARGE);
}

#[test]
fn on_dates_in_large_worlds() {
    engines_agree_on(300..308, LARGE, question_of_dates);
}

#[test]
fn on_dates_in_small_worlds() {
    engines_agree_on(400..420, SMALL, question_of_dates);
}

#[test]
fn histories_and_change_logs_agree() {
    for seed in 0..10 {
        wait(async {
            let engines = build(&commits(seed, SMALL), seed).await;
            let last = now(&*engines[0].store).await.position();
            let mut dice = Dice(seed);
            for _ in 0..200 {
                let scope = match dice.below(4) {
                    0 => HistoryScope::System,
                    1 => HistoryScope::Type(kind(&mut dice)),
                    _ => HistoryScope::Instance(kind(&mut dice), id(&resource_id(&mut dice, SMALL))),
                };
                let moment = |dice: &mut Dice| Timestamp(dice.below(1_300) as i64 - 20);
                let query = HistoryQuery {
                    scope,
                    since: (dice.below(3) == 0).then(|| moment(&mut dice)),
                    current_during: (dice.below(3) == 0).then(|| (moment(&mut dice), moment(&mut dice))),
                    place: match dice.below(6) {
                        0 | 1 => Place::Below(dice.below(last + 3)),
                        2 | 3 => Place::Above(dice.below(last + 3)),
                        _ => Place::Newest,
                    },
                    limit: dice.below(12) as usize,
                    total: dice.below(2) == 0,
                    budget: Default::default(),
                };
                let position = dice.below(last + 1);
                let (after, limit) = (dice.below(last + 1), dice.below(20) as usize);
                let mut texts = Vec::new();
                for engine in &engines {
                    let snapshot = engine.store.snapshot_at(TENANT, position).await.expect("a snapshot");
                    let page = snapshot.history(&query).await.expect("a history");
                    let log = engine.store.changes(TENANT, after, limit).await.expect("a log");
                    let mut after_deletes = Vec::new();
                    for version in &page.rows {
                        after_deletes.push(snapshot.follows_delete(version).await.expect("an answer"));
                    }
                    texts.push(format!("{page:?}\n{after_deletes:?}\n{log:?}"));
                }
                assert_eq!(texts[0], texts[1], "seed {seed} at {position}: {query:?}; changes after {after}");
            }
        });
    }
}

#[test]
fn reads_agree_with_the_naive_engine() {
    wait(async {
        let size = Size { ids: 4, commits: 400, ..SMALL };
        let engines = build(&commits(77, size), 77).await;
        let last = now(&*engines[0].store).await.position();
        let mut dice = Dice(7);
        for _ in 0..400 {
            let position = dice.below(last + 1);
            let (kind, name, version) = (kind(&mut dice), id(&resource_id(&mut dice, size)), dice.below(150));
            let mut texts = Vec::new();
            for engine in &engines {
                let store: Arc<dyn Store> = engine.store.clone();
                let snapshot = store.snapshot_at(TENANT, position).await.expect("a snapshot");
                let newest = snapshot.read(kind, &name).await.expect("read");
                let one = snapshot.version(kind, &name, version).await.expect("read");
                texts.push(format!("{newest:?}\n{one:?}"));
            }
            assert_eq!(texts[0], texts[1], "{kind:?} {name} version {version} at {position}");
        }
    });
}
