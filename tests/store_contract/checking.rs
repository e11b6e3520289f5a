//! Verifying a database: what is whole has no fault, and whatever somebody changes in it is told.

use super::moving::fill;
use super::world::*;
use mongodb::bson::{Document, doc};
use std::sync::Arc;
use vesta::base::SystemClock;
use vesta::store::mongodb::MongoStore;

#[test]
fn whatever_is_changed_in_a_database_is_told() {
    let Some(engine) = mongodb().filter(|_| is_wanted("mongodb")) else { return };
    let uri = engine.database.as_ref().expect("a database").uri().to_owned();
    let store = MongoStore::open_with(&uri, Arc::new(World), Arc::new(SystemClock)).expect("opened");
    wait(async {
        fill(&engine).await;
        let mut told = 0;
        let report = store.check(&mut |done, all| told = done.max(told).min(all)).await.expect("checked");
        assert!(report.is_sound(), "{:?}", report.listed);
        assert!(report.versions > 200 && report.resources > 20 && told == report.versions, "{report:?}");

        let client = mongodb::Client::with_uri_str(&uri).await.expect("connects");
        let versions = client.default_database().expect("named").collection::<Document>("versions");
        let (tenant, current) = (i64::from(TENANT.0), i64::MAX);
        let any = |more: Document| {
            let mut filter = doc! { "t": tenant, "n": { "$gt": 5 }, "d": false };
            filter.extend(more);
            filter
        };
        let trail = i64::from(TENANT.trail().0);
        let changes = [
            (any(doc! {}), doc! { "$push": { "x": "\u{0}\u{14}another term" } }, "other terms"),
            (any(doc! { "s": { "$lt": current } }), doc! { "$set": { "s": current } }, "not marked as superseded"),
            (any(doc! { "s": current }), doc! { "$set": { "s": 9_i64 } }, "the newest, is marked"),
            (any(doc! {}), doc! { "$set": { "v": 77_i64 } }, "does not follow"),
            (any(doc! {}), doc! { "$set": { "u": 1_i64 } }, "out of order"),
            (any(doc! {}), doc! { "$set": { "n": 3_000_i64 } }, "another place"),
            (any(doc! {}), doc! { "$unset": { "b": 1 } }, "is damaged"),
            (doc! { "t": trail, "n": 7 }, doc! { "$set": { "u": 1_060_123_i64 } }, "audit trail of tenant 7"),
        ];
        for (filter, change, named) in changes {
            let before = versions.find_one(filter).await.expect("asked").expect(named);
            let key = doc! { "_id": before.get_str("_id").expect("a key") };
            versions.update_one(key.clone(), change).await.expect("changed");
            let report = store.check(&mut |_, _| {}).await.expect("checked");
            assert!(report.listed.iter().any(|why| why.contains(named)), "{named}: {:?}", report.listed);
            versions.replace_one(key, before).await.expect("as before");
        }
        let report = store.check(&mut |_, _| {}).await.expect("checked");
        assert!(report.is_sound(), "{:?}", report.listed);
        for (number, named) in [(20_i64, "to 20 of log 7 are missing"), (1, "versions 1 to 1 of log 7 are missing")] {
            versions.delete_one(doc! { "t": tenant, "n": number }).await.expect("deleted");
            let report = store.check(&mut |_, _| {}).await.expect("checked");
            assert!(report.listed.iter().any(|why| why.contains(named)), "{named}: {:?}", report.listed);
        }
    });
}
