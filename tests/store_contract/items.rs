//! Items: compare-and-set, the end by time, order, and that they are in the same commit as resources.

use super::world::*;
use vesta::base::{TenantId, Timestamp};
use vesta::store::{ItemExpect, ItemWrite, Store, StoreError, Transaction};

async fn put(store: &dyn Store, items: Vec<ItemWrite>) -> Result<(), StoreError> {
    store.commit(TENANT, Transaction { items, ..Transaction::default() }).await.map(|_| ())
}

fn text(key: &str, value: &str) -> ItemWrite {
    ItemWrite::create("codes", key, value.into())
}

#[test]
fn an_item_is_created_once_replaced_by_revision_and_deleted() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        put(store, vec![text("a", "one")]).await.expect("created");
        assert_eq!(
            put(store, vec![text("a", "two")]).await,
            Err(StoreError::ItemConflict { item: 0, current: Some(1) })
        );
        let read = store.item(TENANT, "codes", "a").await.expect("read").expect("there");
        assert_eq!((read.revision, read.value.as_slice()), (1, b"one".as_slice()));
        put(store, vec![ItemWrite::replace("codes", &read, b"two".to_vec())]).await.expect("replaced");
        let stale = put(store, vec![ItemWrite::replace("codes", &read, b"three".to_vec())]).await;
        assert_eq!(stale, Err(StoreError::ItemConflict { item: 0, current: Some(2) }));
        assert_eq!(store.item(TENANT, "keys", "a").await, Ok(None), "collections are apart");
        assert_eq!(store.item(TenantId(8), "codes", "a").await, Ok(None), "tenants are apart");
        let read = store.item(TENANT, "codes", "a").await.expect("read").expect("there");
        assert_eq!(read.value, b"two");
        put(store, vec![ItemWrite::delete("codes", &read)]).await.expect("deleted");
        assert_eq!(store.item(TENANT, "codes", "a").await, Ok(None));
        let gone = put(store, vec![ItemWrite::delete("codes", &read)]).await;
        assert_eq!(gone, Err(StoreError::ItemConflict { item: 0, current: None }));
    });
}

#[test]
fn of_many_simultaneous_creates_exactly_one_succeeds() {
    on_every_engine(|engine| async move {
        let tries: Vec<_> = (0..64)
            .map(|i| {
                let store = engine.store.clone();
                tokio::spawn(async move { put(&*store, vec![text("jti", &i.to_string())]).await.is_ok() })
            })
            .collect();
        let mut won = 0;
        for one in tries {
            won += usize::from(one.await.expect("ran"));
        }
        assert_eq!(won, 1);
    });
}

#[test]
fn items_end_by_themselves_and_are_swept() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        engine.clock.set(1_000);
        put(store, vec![text("short", "x").until(Timestamp(2_000)), text("long", "y")]).await.expect("created");
        engine.clock.set(1_999);
        assert!(store.item(TENANT, "codes", "short").await.expect("read").is_some());
        assert_eq!(store.sweep_items(TENANT, 10).await, Ok(0));
        engine.clock.set(2_000);
        assert_eq!(store.item(TENANT, "codes", "short").await, Ok(None));
        let left = store.items(TENANT, "codes", None, 10).await.expect("listed");
        assert_eq!(left.iter().map(|i| i.key.as_str()).collect::<Vec<_>>(), ["long"]);
        put(store, vec![text("short", "z").until(Timestamp(3_000))]).await.expect("what is over can be made again");
        engine.clock.set(3_000);
        assert_eq!(store.sweep_items(TENANT, 10).await, Ok(1));
        assert_eq!(store.sweep_items(TENANT, 10).await, Ok(0));
    });
}

#[test]
fn a_collection_is_listed_in_order_and_in_pieces() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        let many = (0..25).map(|i| text(&format!("k{i:02}"), "v")).collect();
        put(store, many).await.expect("created");
        put(store, vec![ItemWrite::create("code", "k", vec![]), ItemWrite::create("codes-x", "k", vec![])])
            .await
            .expect("neighbours");
        let mut seen = Vec::new();
        loop {
            let after = seen.last().cloned();
            let piece = store.items(TENANT, "codes", after.as_deref(), 10).await.expect("listed");
            if piece.is_empty() {
                break;
            }
            seen.extend(piece.into_iter().map(|i| i.key));
        }
        assert_eq!(seen, (0..25).map(|i| format!("k{i:02}")).collect::<Vec<_>>());
    });
}

#[test]
fn items_and_resources_hold_or_fail_together() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        put(store, vec![text("taken", "x")]).await.expect("created");
        let both = |key: &str| Transaction {
            writes: vec![super::world::put(PATIENT, "p", &[])],
            items: vec![text(key, "y")],
            ..Transaction::default()
        };
        let refused = store.commit(TENANT, both("taken")).await;
        assert!(matches!(refused, Err(StoreError::ItemConflict { item: 0, current: Some(1) })));
        assert!(now(store).await.read(PATIENT, &id("p")).await.expect("read").is_none(), "nothing was written");
        let mut conflicting = both("free");
        conflicting.writes[0].expect = vesta::store::Expect::Version(3);
        assert!(matches!(store.commit(TENANT, conflicting).await, Err(StoreError::VersionConflict { .. })));
        assert_eq!(store.item(TENANT, "codes", "free").await, Ok(None));
        store.commit(TENANT, both("free")).await.expect("committed");
        assert!(store.item(TENANT, "codes", "free").await.expect("read").is_some());
        assert!(now(store).await.read(PATIENT, &id("p")).await.expect("read").is_some());
    });
}

#[test]
fn what_no_engine_could_store_is_refused() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        let any = |collection, key: String| ItemWrite {
            collection,
            key,
            expect: ItemExpect::Any,
            value: Some(vec![]),
            expires: None,
        };
        for write in [any("codes", String::new()), any("codes", "k".repeat(257)), any("Codes", "k".into())] {
            assert!(matches!(put(store, vec![write]).await, Err(StoreError::Broken(_))));
        }
        assert!(matches!(put(store, vec![text("a", "1"), text("a", "2")]).await, Err(StoreError::Broken(_))));
    });
}

#[test]
fn items_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = std::sync::Arc::new(Hands::default());
    let store = open(directory.path(), clock.clone()).expect("opened");
    wait(put(&store, vec![text("a", "one")])).expect("created");
    drop(store);
    let store = open(directory.path(), clock).expect("opened again");
    let read = wait(store.item(TENANT, "codes", "a")).expect("read").expect("there");
    assert_eq!((read.revision, read.value.as_slice()), (1, b"one".as_slice()));
}
