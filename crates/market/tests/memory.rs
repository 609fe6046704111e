//! What closing an epoch holds does not grow with the contracts: a program of its own, because its allocator counts.
#![allow(clippy::unwrap_used, missing_docs)]
// An allocator is unsafe by its trait; this one hands everything on.
#![allow(unsafe_code)]

mod world;

use gruve_ledger::{Account, Entry, Posting, post_all};
use gruve_market::solo;
use gruve_store::{Batch, Kind, Many, params, testing};
use gruve_units::{AccountId, Accrual, ContractId, Hashes, Hashrate, Timestamp};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use world::{EPOCH_SECS, FIRST, World, btc, config};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

impl Counting {
    fn add(bytes: usize) {
        let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        PEAK.fetch_max(live, Ordering::Relaxed);
    }

    fn take(bytes: usize) {
        LIVE.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// SAFETY: all is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        Counting::take(layout.size());
        unsafe { System.dealloc(memory, layout) };
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, to: usize) -> *mut u8 {
        // Both may be there while it moves.
        Counting::add(to);
        Counting::take(layout.size());
        unsafe { System.realloc(memory, layout, to) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Contracts as a sale leaves them, paid; so many sales would take minutes.
const CONTRACTS: Many = Many {
    columns: &[
        ("id", Kind::Bytes),
        ("account", Kind::Bytes),
        ("work16", Kind::Bytes),
        ("all16", Kind::Bytes),
        ("rate16", Kind::Bytes),
        ("zero16", Kind::Bytes),
        ("hash", Kind::Bytes),
        ("start", Kind::Int),
        ("scheme", Kind::Text),
        ("fpps", Kind::Text),
    ],
    sql: "INSERT INTO market_contracts (id, account, quote, plan, plan_version, title, lane, asset,
        epoch_us, hashrate, term_epochs, extension_epochs, catch_up_bps, epoch_work, work, price_asset,
        price_minor, fee_bps, maintenance, terms, terms_hash, state, created_at, paid_at, start_epoch,
        delivered, maintenance_due, recognised_minor, refunded_minor, scheme, fpps)
        SELECT id, account, id, 'lease', 1, 'A lease', 'btc', 'BTC', 10000000, rate16, 144, 144, 5000,
        work16, all16, 'BTC', 144000, 200, 90, hash, hash, 'starting', 0, 0, start, zero16, zero16,
        0, 0, scheme, fpps FROM given",
};

/// Hashes a second of a contract.
const RATE: u64 = 1_000_000;
const PRICE: i64 = 144_000;
const TERM: u128 = 144;

fn id(n: u64) -> ContractId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    ContractId::from_bytes(bytes)
}

/// Puts leases in, a third of them by each scheme.
async fn sell(w: &World, contracts: u64) {
    let mut tx = w.store.begin().await.unwrap();
    let (mut rows, mut prepaid) = (Batch::new(&CONTRACTS), Vec::new());
    let work = u128::from(RATE * EPOCH_SECS);
    for n in 0..contracts {
        let (scheme, fpps) = match n % 3 {
            0 => ("pplns", ""),
            1 => ("solo", ""),
            _ => ("fpps", "BTC:144:1000:10"),
        };
        let row = params![
            id(n),
            AccountId::from_bytes(id(n / 3).to_bytes()),
            Hashes(work),
            Hashes(work * TERM),
            Hashrate(RATE.into()),
            Accrual::ZERO,
            [7_u8; 32],
            FIRST,
            scheme,
            fpps
        ];
        rows.push(&mut tx, row).await.unwrap();
        prepaid.push(Posting::debit(Account::ChainHot, btc(PRICE)));
        prepaid.push(Posting::credit(Account::PrepaidWork(id(n)), btc(PRICE)));
    }
    rows.finish(&mut tx).await.unwrap();
    let entry = |(n, postings): (usize, &[Posting])| Entry {
        reason: format!("sold/{n}"),
        kind: "sale",
        at: Timestamp(0),
        postings: postings.to_vec(),
    };
    let entries: Vec<Entry> = prepaid.chunks(1_000).enumerate().map(entry).collect();
    post_all(&mut tx, &entries).await.unwrap();
    tx.commit().await.unwrap();
}

/// Closes the running epoch with so much work; how many bytes more were in use meanwhile than before it.
async fn close(w: &World, rate: u64) -> usize {
    w.house_rate(rate);
    w.seal();
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    w.account().await;
    PEAK.load(Ordering::Relaxed) - before
}

/// What closes of a lane with so many contracts hold at most: one with too little work for all, and one in which a block has
/// matured and everybody is settled.
async fn held(contracts: u64) -> (usize, usize) {
    let dir = testing::TestDir::new();
    let store = testing::sqlite(dir.path()).await;
    let mut config = config();
    // The third close from here settles.
    config.lanes[0].settle_every_epochs = FIRST + 3;
    let w = World::with(store, config).await;
    sell(&w, contracts).await;
    let short = RATE * contracts / 10 * 9 + 1;
    close(&w, short).await;
    // One that belongs to none of those under SOLO.
    let done = Hashes(u128::from(short * EPOCH_SECS));
    let mut block = w.find_block(100);
    while solo::place(&block, done).0 < done.0 / 2 {
        block = w.find_block(100);
    }
    w.see(block, 100, 5_000_000_000).await;
    let ordinary = close(&w, short).await;
    w.height(200).await;
    let settling = close(&w, short).await;
    let mut tx = w.store.read().await.unwrap();
    let sql = "SELECT COUNT(*) AS n FROM market_settlements";
    let settled: i64 = tx.fetch_one(sql, &[]).await.unwrap().get("n").unwrap();
    assert!(settled >= i64::try_from(contracts / 3).unwrap(), "{settled} were settled");
    (ordinary, settling)
}

/// Contracts of which every list that is held a part of is full: pages of rows, of pages, and rows on their way.
const SMALL: u64 = 30_000;
const LARGE: u64 = 60_000;

/// What a contract more may take: a list of their ids alone would be of sixteen bytes each.
const BYTES_EACH: u64 = 16;

#[tokio::test]
async fn what_a_close_holds_does_not_grow_with_the_contracts() {
    let (few, many) = (held(SMALL).await, held(LARGE).await);
    println!("{SMALL} contracts: {few:?} bytes, {LARGE}: {many:?}");
    let more = usize::try_from((LARGE - SMALL) * BYTES_EACH).unwrap();
    assert!(many.0 <= few.0 + more, "too little work: {} bytes, then {}", few.0, many.0);
    assert!(many.1 <= few.1 + more, "a settlement: {} bytes, then {}", few.1, many.1);
}
