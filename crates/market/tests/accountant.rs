//! What the accountant promises, on both engines: every share in one epoch, whatever is killed when.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_market::{Accountant, ContractState};
use gruve_sharelog::{EthWorkRecord, Extranonce, Options, Owner, Record, ShareRecord};
use gruve_store::{Store, laws};
use gruve_units::{
    Blame, Blamed, Class, Clock as _, Duration, EpochNumber, Hashes, Hashrate, JobId,
};
use world::{BITS, World, btc, lane, someone};

/// An epoch's work at a rate of one hash per second.
const EPOCH: u128 = world::EPOCH_SECS as u128;

async fn reading_again_from_anywhere_gives_the_same_books(store: Store) {
    let w = World::new(store).await;
    let mut checkpoints = Vec::new();
    for n in 0..12u32 {
        // Some of the next epoch's work is in the log before the seal.
        let next = w.now().next();
        w.work(Owner::House, 12, 5);
        w.job(next, 0x1d00_ffff);
        w.work_in(next, Owner::Account(someone(5)), 14, n % 3, 0x1d00_ffff);
        w.work(Owner::House, 11, 1);
        w.seal();
        // Every other time the accountant is late.
        if n % 2 == 0 {
            w.account().await;
            w.account().await;
        }
    }
    w.account().await;
    for e in w.market.epochs(&lane(), 100).await.unwrap() {
        checkpoints.push((e.epoch, e.checkpoint, e.shares));
    }
    assert_eq!(checkpoints.len(), 12);
    w.assert_all_sound().await;
    let audit = w.market.audit_log(&lane(), &w.log).await.unwrap();
    assert_eq!((audit.epochs, audit.open_shares), (12, 11 % 3));
    // The same log into an empty database, in one go.
    let dir = gruve_store::testing::TestDir::new();
    let fresh = gruve_store::testing::sqlite(dir.path()).await;
    let other = World::new(fresh).await;
    other.clock.set(world::start_of(w.now().0));
    Accountant::new(other.market.clone()).catch_up(&lane(), &w.log).await.unwrap();
    let again: Vec<_> = other
        .market
        .epochs(&lane(), 100)
        .await
        .unwrap()
        .into_iter()
        .map(|e| (e.epoch, e.checkpoint, e.shares))
        .collect();
    assert_eq!(again, checkpoints);
    let last = checkpoints[0];
    let source = other.market.stamp_source();
    assert_eq!(source.latest_checkpoint(&lane(), EpochNumber(u64::MAX)), (last.0, last.1));
    assert_eq!(w.market.stamp_source().latest_checkpoint(&lane(), last.0), (last.0, last.1));
}

/// As after a commit whose answer was lost: the epochs are closed in the database, and this process was
/// not told.
async fn checkpoints_of_epochs_closed_unheard_of_are_stamped_too(store: Store) {
    let w = World::new(store).await;
    w.epoch_at(1_000).await;
    let unheard = World::with(w.store.clone(), world::config()).await;
    let first = w.now().back(1);
    let source = unheard.market.stamp_source();
    assert_eq!(source.latest_checkpoint(&lane(), EpochNumber(u64::MAX)).0, first);
    let closed = [w.epoch_at(1_000).await, w.epoch_at(1_000).await];
    assert_eq!(source.latest_checkpoint(&lane(), EpochNumber(u64::MAX)).0, first);
    for _ in 0..2 {
        Accountant::new(unheard.market.clone()).catch_up(&lane(), &w.log).await.unwrap();
        for epoch in [first, closed[0], closed[1]] {
            let stamp = source.latest_checkpoint(&lane(), epoch);
            assert_eq!(stamp.0, epoch);
            assert_eq!(stamp, w.market.stamp_source().latest_checkpoint(&lane(), epoch));
        }
    }
}

async fn two_accountants_on_one_lane_close_each_epoch_once(store: Store) {
    let w = World::new(store).await;
    for _ in 0..6 {
        w.house_rate(1_000);
        w.seal();
    }
    let (a, b) = (Accountant::new(w.market.clone()), Accountant::new(w.market.clone()));
    let log = &w.log;
    let lane = lane();
    let (x, y) = tokio::join!(a.catch_up(&lane, log), b.catch_up(&lane, log));
    for outcome in [x, y] {
        match outcome {
            Ok(()) => {}
            Err(other) => assert_eq!(other.blame(), Blame::Transient, "{other}"),
        }
    }
    w.account().await;
    assert_eq!(w.market.epochs(&lane, 100).await.unwrap().len(), 6);
    w.assert_all_sound().await;
}

async fn the_audit_of_the_log_sees_what_was_changed(store: Store) {
    let w = World::new(store.clone()).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let sql = "UPDATE market_epochs SET shares = shares + 1 WHERE epoch = 1001";
    gruve_store::testing::run_raw(&store, sql).await.unwrap();
    let audit = w.market.audit_log(&lane(), &w.log).await.unwrap();
    assert_eq!(audit.findings.len(), 1, "{:?}", audit.findings);
    gruve_store::testing::run_raw(&store, "DELETE FROM market_epochs WHERE epoch = 1000")
        .await
        .unwrap();
    let audit = w.market.audit_log(&lane(), &w.log).await.unwrap();
    assert_eq!(audit.findings.len(), 2, "{:?}", audit.findings);
}

async fn a_running_accountant_closes_epochs_as_they_are_sealed(store: Store) {
    let w = World::new(store).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (accountant, log) = (w.accountant.clone(), w.log.clone());
    let running =
        tokio::spawn(
            async move { accountant.run(lane(), log, async { drop(stopped.await) }).await },
        );
    let source = w.market.stamp_source();
    for _ in 0..3 {
        w.house_rate(1_000);
        let sealed = w.seal();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        while source.latest_checkpoint(&lane(), sealed).0 != sealed {
            assert!(tokio::time::Instant::now() < deadline, "epoch {sealed} was not closed");
            ticks.tick().await;
        }
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    w.assert_all_sound().await;
}

async fn downtime_is_owed_and_costs_one_row(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 100, 20).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let rows = w.market.epochs(&lane(), 1_000).await.unwrap().len();
    w.house_rate(1_000);
    w.seal_after(15);
    w.account().await;
    let epochs = w.market.epochs(&lane(), 1_000).await.unwrap();
    assert_eq!((epochs.len(), epochs[0].skipped), (rows + 2, 13));
    let view = w.view(me, c).await;
    assert_eq!(view.delivered, Hashes(200 * EPOCH));
    assert_eq!(view.shortfall, Hashes(1_400 * EPOCH));
    // The hard end passes while nobody is there: the epoch that had a job is a row, a million others are
    // one, and the rest is refunded.
    w.seal_after(1_000_000);
    w.account().await;
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.refunded), (ContractState::Refunded, btc(180)));
    assert_eq!(w.market.epochs(&lane(), 1_000).await.unwrap().len(), rows + 4);
    assert_eq!(w.market.lane_stats().await.unwrap()[0].available, Hashrate::ZERO);
    w.assert_all_sound().await;
}

async fn an_audit_of_a_trimmed_log_compares_what_is_whole_and_finds_nothing_wrong(store: Store) {
    let options = Options { segment_bytes: 700, ..Options::default() };
    let w = World::with_log(store, world::config(), options).await;
    let turn = async |n: u32| {
        let next = w.now().next();
        w.work(Owner::House, 12, 5);
        w.job(next, 0x1d00_ffff);
        w.work_in(next, Owner::Account(someone(5)), 14, n % 3, 0x1d00_ffff);
        w.work(Owner::House, 11, 1);
        w.seal();
    };
    for n in 0..8 {
        turn(n).await;
    }
    let accountant = Accountant::new(w.market.clone());
    accountant.catch_up(&lane(), &w.log).await.unwrap();
    // Some more that the accountant has not read yet.
    for n in 8..14 {
        turn(n).await;
    }
    let cursor = accountant.cursor(&lane()).await.unwrap();
    let start = w.log.trim_older(w.clock.now(), cursor).unwrap();
    assert!(start.segment > 1 && start <= cursor, "{start}, {cursor}");
    let audit = w.market.audit_log(&lane(), &w.log).await.unwrap();
    assert_eq!(audit.findings, Vec::<String>::new());
    assert_eq!(audit.epochs + audit.trimmed_epochs, 8);
    // What was not read is still there.
    accountant.catch_up(&lane(), &w.log).await.unwrap();
    let audit = w.market.audit_log(&lane(), &w.log).await.unwrap();
    assert_eq!(audit.findings, Vec::<String>::new());
    assert_eq!(audit.epochs + audit.trimmed_epochs, 14);
    assert!(audit.epochs > 0 && audit.trimmed_epochs > 0, "{audit:?}");
}

async fn late_work_counts_once_in_the_epoch_sealed_next(store: Store) {
    let w = World::new(store).await;
    let (first, owner) = (w.now(), Owner::Account(someone(5)));
    w.work(Owner::House, 12, 3);
    let twice = w.share(first, Owner::House, 10, BITS);
    let early = w.share(first, Owner::House, 9, BITS);
    w.log.append_shares(&[twice, early], &mut Vec::new()).unwrap();
    w.seal();
    // Whoever was cut off comes back: with work of the closed epoch, some of which had got through.
    w.work(Owner::House, 12, 1);
    w.work_in(first, Owner::House, 11, 2, BITS);
    w.work_in(first, owner, 14, 1, BITS);
    w.log.append_shares(&[twice], &mut Vec::new()).unwrap();
    w.account().await;
    let second = w.seal();
    // Once more, an epoch later, and by a house that has been started again since.
    w.account().await;
    let again = w.share(first, owner, 13, BITS);
    w.log.append_shares(&[again, again, twice, early], &mut Vec::new()).unwrap();
    w.work_in(second, Owner::House, 10, 1, BITS);
    w.seal();
    w.account().await;
    let late = w.share(first, owner, 13, BITS);
    let mut accepted = Vec::new();
    w.log.append_shares(&[late], &mut accepted).unwrap();
    assert_eq!(accepted, [false], "too late for any epoch");
    let epochs = w.market.epochs(&lane(), 10).await.unwrap();
    let closed = |back: usize| {
        let e = &epochs[back];
        (e.epoch.0 - first.0, e.shares, e.house_work.0, e.other_work.0)
    };
    assert_eq!(closed(2), (0, 5, (3 << 12) + (1 << 10) + (1 << 9), 0));
    assert_eq!(closed(1), (1, 4, (1 << 12) + (2 << 11), 1 << 14));
    assert_eq!(closed(0), (2, 2, 1 << 10, 1 << 13));
    w.assert_all_sound().await;
    let audit = w.market.audit_log(&lane(), &w.log).await.unwrap();
    assert_eq!((audit.findings, audit.epochs, audit.shares), (Vec::new(), 3, 11));
}

async fn shares_of_ethash_work_count_by_their_class_like_any_others(store: Store) {
    let w = World::new(store).await;
    let epoch = w.now();
    let job = JobId(u64::MAX >> 1);
    let work = EthWorkRecord {
        job,
        epoch,
        issued_at: w.clock.now(),
        is_etchash: true,
        algorithm_epoch: 367,
        height: None,
        header_hash: [3; 32],
        network_target: Class::new(40).unwrap().target(),
    };
    w.log.append(&[Record::EthWork(work)]).unwrap();
    let share = |nonce: u64| ShareRecord {
        job,
        extranonce: Extranonce::new(&nonce.to_be_bytes()).unwrap(),
        ntime: 0,
        nonce: 0,
        version: 0,
        ..w.share(epoch, Owner::House, 12, 0)
    };
    // The third is the first again, which no gateway lets in and no epoch counts twice.
    w.log.append_shares(&[share(1), share(2), share(1)], &mut Vec::new()).unwrap();
    w.seal();
    w.account().await;
    assert_eq!(w.market.epochs(&lane(), 1).await.unwrap()[0].shares, 2);
    w.assert_all_sound().await;
}

laws! {
    accountant: [
        reading_again_from_anywhere_gives_the_same_books,
        checkpoints_of_epochs_closed_unheard_of_are_stamped_too,
        two_accountants_on_one_lane_close_each_epoch_once,
        the_audit_of_the_log_sees_what_was_changed,
        a_running_accountant_closes_epochs_as_they_are_sealed,
        downtime_is_owed_and_costs_one_row,
        late_work_counts_once_in_the_epoch_sealed_next,
        shares_of_ethash_work_count_by_their_class_like_any_others,
        an_audit_of_a_trimmed_log_compares_what_is_whole_and_finds_nothing_wrong,
    ]
}
