use super::{Fixed, RECORD_MIGRATIONS, RecordSink, Stored, sql};
use crate::opened::Sampling;
use crate::world::{BITS, World, job_record, lane, someone};
use gruve_proof::log::Entry;
use gruve_proof::places::Places;
use gruve_proof::record::RecordReader;
use gruve_proof::sold;
use gruve_proof::stamp::output_script;
use gruve_proof::summary::{EpochSummary, FileRef, GENESIS, Rules};
use gruve_sharelog::{JobRecord, Owner, Record, ShareRecord};
use gruve_store::testing::prepare_all;
use gruve_store::{Store, laws};
use gruve_units::{Algorithm, Blame, Blamed, Class, EpochNumber, Hashes, JobId, LaneId};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

async fn every_statement_prepares(store: Store) {
    store.migrate("market", crate::MIGRATIONS).await.unwrap();
    store.migrate("market_record", RECORD_MIGRATIONS).await.unwrap();
    prepare_all(&store, sql::STATEMENTS).await;
}

/// Public files in memory, on a disk that fails as often as it is told.
#[derive(Default)]
struct Memory {
    files: Mutex<BTreeMap<[u8; 32], Vec<u8>>>,
    kept: Mutex<BTreeMap<[u8; 32], Vec<u8>>>,
    failures: AtomicU32,
    sampling: Sampling,
    places: Mutex<Option<Places>>,
    may_be_lost: AtomicBool,
}

impl Memory {
    fn may_fail(&self) -> Result<(), String> {
        let left = self.failures.load(Ordering::SeqCst);
        self.failures.store(left.saturating_sub(1), Ordering::SeqCst);
        if left == 0 { Ok(()) } else { Err("the disk is full".into()) }
    }
}

impl RecordSink for Memory {
    fn put(&self, bytes: &[u8]) -> Result<FileRef, String> {
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        self.files.lock().unwrap().insert(hash, bytes.to_vec());
        Ok(FileRef { hash, bytes: bytes.len() as u64 })
    }

    fn keep(&self, sold: &FileRef, bytes: &[u8]) -> Result<(), String> {
        self.may_fail()?;
        self.kept.lock().unwrap().insert(sold.hash, bytes.to_vec());
        Ok(())
    }

    fn read(&self, file: &FileRef) -> Result<Vec<u8>, String> {
        self.files.lock().unwrap().get(&file.hash).cloned().ok_or_else(|| "not there".into())
    }

    fn is_lost(&self, file: &FileRef) -> bool {
        let is_there = self.files.lock().unwrap().contains_key(&file.hash);
        self.may_be_lost.load(Ordering::SeqCst) && !is_there
    }

    fn places(&self, _: &LaneId) -> Option<Places> {
        self.places.lock().unwrap().clone()
    }

    fn secret(&self) -> [u8; 32] {
        [3; 32]
    }

    fn sampling(&self, _: &LaneId) -> Sampling {
        self.sampling
    }

    fn grown(&self) {}
}

async fn publishing(store: Store) -> (World, Arc<Memory>) {
    publishing_to(store, Memory::default()).await
}

async fn publishing_to(store: Store, sink: Memory) -> (World, Arc<Memory>) {
    let w = World::new(store).await;
    let sink = Arc::new(sink);
    w.market.begin_log(b"the head").await.unwrap();
    w.market.publish_to(sink.clone());
    (w, sink)
}

async fn entries(w: &World) -> Vec<EpochSummary> {
    let all = w.market.log_entries(0).await.unwrap();
    assert_eq!(all[0], b"the head");
    let parsed = all[1..].iter().map(|e| match Entry::parse(e).unwrap() {
        Entry::Epoch(s) => *s,
        other => panic!("{other:?}"),
    });
    parsed.collect()
}

async fn all_work_of_every_epoch_stands_in_its_one_entry_with_whom_it_went_to(store: Store) {
    let (w, sink) = publishing(store).await;
    w.prove(1_000).await;
    let contract = w.lease(someone(1), 400, 6).await;
    for _ in 0..5 {
        w.work(Owner::Account(someone(5)), 10, 3);
        w.epoch_at(1_000).await;
    }
    // Whoever gives places does so beside others.
    let (a, b) = tokio::join!(w.market.place_entries(), w.market.place_entries());
    assert!(a.is_ok() || b.is_ok());
    w.market.place_entries().await.unwrap();
    let all = entries(&w).await;
    let closed = w.market.epochs(&lane(), 100).await.unwrap();
    assert_eq!(all.len(), closed.len());
    let view = w.view(someone(1), contract).await;
    let (mut before, mut got) = ((EpochNumber(0), GENESIS), Hashes::ZERO);
    for (s, row) in all.iter().zip(closed.iter().rev()) {
        assert_eq!((s.epoch, s.checkpoint()), (row.epoch, row.checkpoint));
        assert_eq!((s.prev_epoch, s.prev_checkpoint), before);
        before = (s.epoch, s.checkpoint());
        let sums = s.sold_root.sums;
        assert_eq!(sums.allocated + s.surplus.0, s.house_work.0);
        assert_eq!(s.allocation_root.sum, s.house_work.0 + s.other_work.0);
        let sold_file = sink.files.lock().unwrap()[&s.sold.hash].clone();
        let kept = sink.kept.lock().unwrap()[&s.sold.hash].clone();
        let read = sold::read(sold_file.as_slice(), &lane(), s.epoch, |_| ()).unwrap();
        assert_eq!((read.contracts, read.root), (s.contracts, s.sold_root));
        let found = sold::find(&mut Cursor::new(sold_file), &mut Cursor::new(kept), contract);
        if let Some(found) = found.unwrap() {
            got = got.checked_add(Hashes(found.leaf.sums.allocated)).unwrap();
            let top = sold::climb(s.contracts, found.index, &found.leaf.node(), &found.proof);
            assert_eq!(top, Some(s.sold_root));
            assert_eq!(found.leaf.sums.owed, view.bought.0 - got.0);
        }
        // Stamps of the first jobs hold checkpoints of epochs that nobody mined in.
        let is_dated = all.iter().any(|e| e.epoch == s.epoch.back(2));
        assert_eq!(s.is_proven, is_dated || s.shares == 0, "epoch {}", s.epoch);
        if s.is_proven {
            let record = sink.files.lock().unwrap()[&s.record.hash].clone();
            let mut reader = RecordReader::open(record.as_slice()).unwrap();
            assert_eq!(reader.next_section().unwrap().unwrap().shares, s.shares);
        }
    }
    assert!(got > Hashes::ZERO && got == view.delivered, "receipts add up to what was delivered");
    w.assert_all_sound().await;
}

async fn a_close_whose_files_could_not_be_stored_is_done_again_once(store: Store) {
    let (w, sink) = publishing(store).await;
    w.prove(1_000).await;
    // The first files are stored, the last is not: as when killed between.
    sink.failures.store(3, Ordering::SeqCst);
    w.epoch_at(1_000).await;
    assert_eq!(sink.failures.load(Ordering::SeqCst), 0);
    w.market.place_entries().await.unwrap();
    let all = entries(&w).await;
    assert_eq!(all.len(), w.market.epochs(&lane(), 100).await.unwrap().len());
    assert!(all.windows(2).all(|p| p[1].prev_checkpoint == p[0].checkpoint()));
}

async fn a_change_of_keys_comes_behind_all_that_was_closed_before(store: Store) {
    let (w, _) = publishing(store).await;
    w.prove(1_000).await;
    w.market.change_keys(|at| format!("keys at {at}").into_bytes()).await.unwrap();
    let all = w.market.log_entries(0).await.unwrap();
    assert_eq!(all.last().unwrap(), format!("keys at {}", all.len() - 1).as_bytes());
    assert_eq!(w.market.log_keys().await.unwrap(), [&b"the head"[..], all.last().unwrap()]);
    w.epoch_at(1_000).await;
    w.market.place_entries().await.unwrap();
    assert_eq!(w.market.log_entries(0).await.unwrap().len(), all.len() + 1);
    assert!(w.market.begin_log(b"another").await.is_err(), "a log begins once");
}

async fn a_nonce_is_the_customers_and_stands_in_the_leaf(store: Store) {
    let (w, sink) = publishing(store).await;
    w.prove(1_000).await;
    let contract = w.buy(someone(1), 400, 6).await.unwrap();
    let other = w.market.set_nonce(someone(2), contract, [9; 32]).await.unwrap_err();
    assert_eq!(other.blame(), Blame::Rejected);
    w.market.set_nonce(someone(1), contract, [7; 32]).await.unwrap();
    w.market.set_nonce(someone(1), contract, [7; 32]).await.unwrap();
    assert!(w.market.set_nonce(someone(1), contract, [8; 32]).await.is_err(), "once for good");
    let view = w.view(someone(1), contract).await;
    w.fund(someone(1), view.price.minor).await;
    w.pay(contract).await;
    let late = w.lease(someone(3), 100, 6).await;
    assert!(w.market.set_nonce(someone(3), late, [7; 32]).await.is_err(), "it runs already");
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    w.market.place_entries().await.unwrap();
    let s = entries(&w).await.pop().unwrap();
    let (sold_file, kept) = {
        let (files, kept) = (sink.files.lock().unwrap(), sink.kept.lock().unwrap());
        (files[&s.sold.hash].clone(), kept[&s.sold.hash].clone())
    };
    for (id, nonce) in [(contract, [7; 32]), (late, [0; 32])] {
        let found = sold::find(&mut Cursor::new(&sold_file), &mut Cursor::new(&kept), id);
        let found = found.unwrap().unwrap();
        let private = sold::Private {
            salt: sold::salt(&sink.secret(), &lane(), s.epoch, id),
            nonce: w.market.nonce(id).await.unwrap(),
            terms: w.view(someone(if id == contract { 1 } else { 3 }), id).await.terms_hash,
            units: found.units,
            refund_minor: found.refund_minor,
            refund_asset: "BTC".into(),
        };
        assert_eq!((private.nonce, private.hash()), (nonce, found.leaf.private));
    }
}

/// A job whose coinbase is one, in the running epoch; extranonces have three bytes.
fn real_job(w: &World) -> JobRecord {
    job_paying(w, &[])
}

/// The same, whose block would pay to these scripts.
fn job_paying(w: &World, scripts: &[&[u8]]) -> JobRecord {
    let epoch = w.now();
    let (checkpoint_epoch, _) = w.market.stamp_source().latest_checkpoint(&lane(), epoch.back(2));
    let mut prefix = vec![2, 0, 0, 0, 1];
    prefix.extend([0; 32]);
    prefix.extend([0xff; 4]);
    prefix.extend([8, 4, 1, 2, 3, 4]);
    let stamp = output_script(&[7; 32], Class::ZERO);
    let mut suffix = vec![0xff, 0xff, 0xff, 0xff, u8::try_from(scripts.len() + 1).unwrap()];
    for script in scripts {
        suffix.extend(5u64.to_le_bytes());
        suffix.push(u8::try_from(script.len()).unwrap());
        suffix.extend(*script);
    }
    suffix.extend([0; 8]);
    suffix.push(u8::try_from(stamp.len()).unwrap());
    suffix.extend(stamp);
    suffix.extend([0; 4]);
    let job = JobId(epoch.0 * 1_000_000 + 1);
    JobRecord {
        job,
        checkpoint_epoch,
        coinbase_prefix: prefix,
        coinbase_suffix: suffix,
        ..job_record(epoch, BITS)
    }
}

async fn what_is_opened_is_what_an_earlier_entry_fixed_and_what_is_counted(store: Store) {
    let sampling = Sampling { shares_max: 40, ..Sampling::default() };
    let (w, _) = publishing_to(store, Memory { sampling, ..Memory::default() }).await;
    for _ in 0..6 {
        let job = real_job(&w);
        let share = |_| ShareRecord { job: job.job, ..w.share(job.epoch, Owner::House, 0, BITS) };
        let shares: Vec<_> = (0..200).map(share).collect();
        w.log.append(&[Record::Job(job)]).unwrap();
        w.log.append_shares(&shares, &mut Vec::new()).unwrap();
        w.seal();
        w.account().await;
    }
    w.market.place_entries().await.unwrap();
    let all = entries(&w).await;
    assert_eq!(all.len(), 6);
    for (n, s) in all.iter().enumerate() {
        // Of 200 one in eight is 25; one in four would be 50.
        assert_eq!(s.rules.opened, 3, "entry {n}");
        assert!(s.is_proven, "entry {n}");
        let each = if n < 2 { 1 } else { 8 };
        assert_eq!(s.house_work.0, u128::from(s.shares) * each, "entry {n}");
        assert!(if n < 2 { s.shares == 200 } else { (5..60).contains(&s.shares) }, "{}", s.shares);
    }
    let audit = w.market.audit_log(&lane(), &w.log).await.unwrap();
    assert_eq!((audit.findings, audit.epochs), (Vec::new(), 6));
    w.assert_all_sound().await;
}

async fn work_for_places_that_nobody_was_told_of_is_published_as_unproven(store: Store) {
    let (w, sink) = publishing(store).await;
    let (house, own, other) = (&[0x51][..], &[0x52][..], &[0x53][..]);
    let five = Owner::Account(someone(5));
    let list = Places::new(&lane(), [(None, house), (Some(someone(5)), own)]).unwrap();
    // Jobs of the first two epochs hold no checkpoint: nothing binds them.
    let turns: [(Owner, &[u8], bool); 8] = [
        (Owner::House, other, true),
        (Owner::House, other, true),
        (Owner::House, house, true),
        (five, own, true),
        (five, house, true),
        (Owner::House, own, false),
        (Owner::House, other, false),
        (Owner::Account(someone(6)), own, false),
    ];
    for (n, (whose, script, _)) in turns.into_iter().enumerate() {
        // Later nothing is known of places, and the list goes on as it was.
        *sink.places.lock().unwrap() = (n < 4).then(|| list.clone());
        let job = job_paying(&w, &[script]);
        let share = ShareRecord { job: job.job, ..w.share(job.epoch, whose, 0, BITS) };
        w.log.append(&[Record::Job(job)]).unwrap();
        w.log.append_shares(&[share], &mut Vec::new()).unwrap();
        w.seal();
        w.account().await;
    }
    w.market.place_entries().await.unwrap();
    let all = entries(&w).await;
    let proven: Vec<bool> = all.iter().map(|s| s.is_proven).collect();
    assert_eq!(proven, turns.map(|(_, _, is_proven)| is_proven));
    let file =
        FileRef { hash: Sha256::digest(list.encode()).into(), bytes: list.encode().len() as u64 };
    assert!(all.iter().all(|s| s.places == file && s.shares == 1));
    assert!(sink.files.lock().unwrap().contains_key(&file.hash));
    w.assert_all_sound().await;
}

async fn epochs_whose_list_of_places_is_lost_are_unproven_and_later_ones_are_not(store: Store) {
    let (w, sink) = publishing(store).await;
    let house = &[0x51][..];
    let list = Places::new(&lane(), [(None, house)]).unwrap();
    let next = Places::new(&lane(), [(None, house), (Some(someone(5)), &[0x52][..])]).unwrap();
    *sink.places.lock().unwrap() = Some(list.clone());
    for n in 0..9 {
        if n == 4 {
            let hash: [u8; 32] = Sha256::digest(list.encode()).into();
            assert!(sink.files.lock().unwrap().remove(&hash).is_some());
            sink.may_be_lost.store(true, Ordering::SeqCst);
            *sink.places.lock().unwrap() = Some(next.clone());
        }
        let job = job_paying(&w, &[house]);
        let share = ShareRecord { job: job.job, ..w.share(job.epoch, Owner::House, 0, BITS) };
        w.log.append(&[Record::Job(job)]).unwrap();
        w.log.append_shares(&[share], &mut Vec::new()).unwrap();
        w.seal();
        w.account().await;
    }
    w.market.place_entries().await.unwrap();
    let proven: Vec<bool> = entries(&w).await.iter().map(|s| s.is_proven).collect();
    assert_eq!(proven.len(), 9, "every epoch was closed");
    assert!(proven[..4].iter().all(|p| *p) && !proven[4] && proven[8], "{proven:?}");
    w.assert_all_sound().await;
}

#[test]
fn a_record_of_headers_is_proven_only_where_one_class_was_fixed_for_all_its_jobs() {
    let (ten, eleven) = (EpochNumber(10), EpochNumber(11));
    let stored = |of: &[EpochNumber]| Stored {
        file: FileRef::default(),
        checkpoints: of.iter().map(|of| (EpochNumber(12), *of)).collect(),
        paid: BTreeSet::new(),
    };
    let one = Rules { class_min: 0, class_max: 9, opened: 9 };
    let only = |rules| Fixed { rules, ..Fixed::default() };
    let fixed = [(ten, only(one)), (eleven, only(Rules { class_max: 10, ..one }))].into();
    let is = |of: &[EpochNumber]| stored(of).is_provable(Algorithm::Etchash, &fixed);
    assert!(is(&[ten]) && is(&[]));
    assert!(!is(&[ten, eleven]), "machines may have had a harder class");
    assert!(!is(&[EpochNumber(0)]), "nothing was fixed yet");
    assert!(stored(&[eleven]).is_provable(Algorithm::Scrypt, &fixed), "a coinbase says its class");
}

laws! { record: [
    a_nonce_is_the_customers_and_stands_in_the_leaf,
    every_statement_prepares,
    what_is_opened_is_what_an_earlier_entry_fixed_and_what_is_counted,
    work_for_places_that_nobody_was_told_of_is_published_as_unproven,
    epochs_whose_list_of_places_is_lost_are_unproven_and_later_ones_are_not,
    all_work_of_every_epoch_stands_in_its_one_entry_with_whom_it_went_to,
    a_close_whose_files_could_not_be_stored_is_done_again_once,
    a_change_of_keys_comes_behind_all_that_was_closed_before,
] }
