//! Leases: one holds a job, another takes it over when that one has not renewed it.

use super::world::*;
use std::time::Duration;
use vesta::store::Lease;

#[test]
fn one_holds_a_job_until_it_stops_renewing() {
    on_every_engine(|engine| async move {
        let lease = |holder: &str| {
            let (store, clock) = (engine.store.clone(), engine.clock.clone());
            Lease::new(store, clock, TENANT, "job", holder, Duration::from_micros(100))
        };
        let (a, b) = (lease("a"), lease("b"));
        if !engine.store.is_shared() {
            // Only one process can have it open: whoever asks has the job, and nothing is written.
            assert_eq!((a.hold().await, b.hold().await), (Ok(true), Ok(true)));
            assert_eq!(Lease::holder(&*engine.store, TENANT, "job").await, Ok(None));
            return;
        }
        let holder = async || Lease::holder(&*engine.store, TENANT, "job").await.expect("read");
        assert_eq!((a.hold().await, b.hold().await), (Ok(true), Ok(false)));
        engine.clock.set(90);
        assert_eq!((b.hold().await, a.hold().await), (Ok(false), Ok(true)), "renewed");
        engine.clock.set(189);
        assert_eq!(b.hold().await, Ok(false));
        engine.clock.set(190);
        assert_eq!((b.hold().await, a.hold().await), (Ok(true), Ok(false)), "over");
        assert_eq!(holder().await.as_deref(), Some("b"));
        a.release().await.expect("nothing to give back");
        assert_eq!(holder().await.as_deref(), Some("b"));
        b.release().await.expect("given back");
        assert_eq!((holder().await, a.hold().await), (None, Ok(true)));
        // Of many at once one gets it.
        engine.clock.set(1_000);
        let tries: Vec<_> = (0..16).map(|n| lease(&n.to_string())).collect();
        let tries: Vec<_> = tries.into_iter().map(|lease| tokio::spawn(async move { lease.hold().await })).collect();
        let mut held = 0;
        for one in tries {
            held += usize::from(one.await.expect("ran").expect("asked"));
        }
        assert_eq!(held, 1);
    });
}
