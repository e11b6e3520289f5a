//! What a query may cost: every engine stops when the budget is used up, and says which limit it was.

use super::world::*;
use std::time::Duration;
use vesta::index::{Condition, Range};
use vesta::store::{Budget, Limit, Query, StoreError};

#[test]
fn a_search_stops_when_its_budget_is_used_up() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        for round in 0..10 {
            let resource = |i: u32| {
                let n = round * 400 + i;
                put(OBSERVATION, &format!("o{n}"), &[term(20, format!("v{n:05}").as_bytes()), refers_to(PATIENT, "p")])
            };
            commit(store, (0..400).map(resource).collect()).await.expect("committed");
        }
        write(store, put(PATIENT, "p", &[term(20, b"x")])).await;
        let range = Range { from: term(20, b"v").0, to: term(20, b"w").0, test: None };
        let both = Condition::And(vec![
            Condition::Range(range.clone()),
            Condition::Not(Box::new(Condition::Term(term(20, b"v00001")))),
        ]);
        let chain = Condition::Chain {
            parameter: SUBJECT,
            targets: vec![PATIENT],
            condition: Box::new(Condition::Term(term(20, b"x"))),
        };
        for condition in [both, chain, Condition::Not(Box::new(Condition::Range(range)))] {
            let asked = |budget: &Budget| Query { budget: budget.clone(), ..query(OBSERVATION, condition.clone()) };
            let snapshot = now(store).await;
            let free = Budget::default();
            snapshot.search(&asked(&free)).await.expect("found");
            if free.spent() > 2_000 {
                let rows = Budget::new(None, Some(1_000));
                let refused = snapshot.search(&asked(&rows)).await.map(|p| p.rows.len());
                assert_eq!(refused, Err(StoreError::Exceeded(Limit::Rows)), "{condition:?}");
                assert!(rows.spent() < free.spent(), "it stops early");
            }
            for (budget, limit) in
                [(Budget::new(Some(Duration::ZERO), None), Limit::Time), (Budget::default(), Limit::Cancelled)]
            {
                if limit == Limit::Cancelled {
                    budget.cancel();
                }
                let refused = snapshot.search(&asked(&budget)).await.map(|p| p.rows.len());
                assert_eq!(refused, Err(StoreError::Exceeded(limit)), "{condition:?}");
            }
        }
        // An engine may count in steps, and need not count what it does not look at.
        let everything = Budget::default();
        let all = Query { budget: everything.clone(), ..query(OBSERVATION, Condition::Everything) };
        now(store).await.search(&all).await.expect("found");
        assert!(everything.spent() >= 900, "rows are counted: {}", everything.spent());
    });
}
