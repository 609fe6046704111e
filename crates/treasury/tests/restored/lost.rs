//! Commits that are lost while the house runs, as when a standby takes the place of the database's server.

use super::*;
use gruve_store::testing::run_raw;
use gruve_store::{Row, params, transact};

/// What the books say.
struct Books {
    seq: i64,
    balances: Vec<(String, String, String, i64)>,
}

async fn books(house: &House) -> Books {
    let mut tx = house.store.read().await.unwrap();
    let seq = gruve_ledger::newest_entry(&mut tx).await.unwrap().unwrap().0;
    let rows = tx.fetch_all("SELECT account, asset, kind, minor FROM ledger_balances", &[]).await;
    let read = |row: &Row| {
        let text = |column| row.get::<String>(column).unwrap();
        (text("account"), text("asset"), text("kind"), row.get("minor").unwrap())
    };
    Books { seq, balances: rows.unwrap().iter().map(read).collect() }
}

/// Takes back whatever was committed since: that payouts were planned, signed and sent.
async fn lose(house: &House, on_postgres: bool, kept: &Books) {
    let triggers = if on_postgres {
        "DROP TRIGGER ledger_entries_not_removed ON ledger_entries;
        DROP TRIGGER ledger_postings_not_removed ON ledger_postings;"
    } else {
        "DROP TRIGGER ledger_entries_not_removed; DROP TRIGGER ledger_postings_not_removed;"
    };
    run_raw(&house.store, triggers).await.unwrap();
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        for gone in [
            "DELETE FROM ledger_postings WHERE seq > $1",
            "DELETE FROM ledger_entries WHERE seq > $1",
            "UPDATE ledger_head SET seq = $1, hash = (SELECT hash FROM ledger_entries WHERE seq = $1)",
        ] {
            tx.execute(gone, &params![kept.seq]).await?;
        }
        for gone in [
            "DELETE FROM ledger_balances",
            "DELETE FROM treasury_reservations",
            "DELETE FROM treasury_forms",
            "UPDATE treasury_payouts SET state = 'approved', batch = NULL, fee = NULL",
            "DELETE FROM treasury_batches",
        ] {
            tx.execute(gone, &[]).await?;
        }
        for (account, asset, kind, minor) in &kept.balances {
            const PUT: &str = "INSERT INTO ledger_balances (account, asset, kind, minor)
                VALUES ($1, $2, $3, $4)";
            let row = params![account.as_str(), asset.as_str(), kind.as_str(), *minor];
            tx.execute(PUT, &row).await?;
        }
        Ok(())
    })
    .unwrap();
}

async fn commits_that_are_lost_under_a_running_house_pay_nothing_twice(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let id = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let kept = books(&lives.house).await;
    lives.house.payer.step().await.unwrap();
    let script = stranger(1).1;
    assert_eq!(lives.house.chain.ids_paying(&script).len(), 1);
    lose(&lives.house, on_postgres, &kept).await;
    assert_eq!(lives.state(id).await, PayoutState::Approved);
    // A larger coin comes, which would be chosen first: both could confirm.
    let capital = lives.house.treasury.capital_address(ASSET).unwrap();
    lives.house.pay(&capital, 30 * COIN);
    for _ in 0..CONFIRMATIONS {
        lives.house.chain.mine(&[0x51], |t| t.outputs.iter().all(|o| o.script != script));
    }
    lives.house.follow().await;
    for _ in 0..3 {
        lives.house.clock.advance(Duration::from_secs(601));
        lives.house.payer.step().await.unwrap();
    }
    assert_eq!(lives.house.chain.ids_paying(&script).len(), 1, "paid beside it");
    assert_eq!(lives.state(id).await, PayoutState::Approved);
    let locks = lives.house.treasury.payout_locks(ASSET).await.unwrap();
    let is_held = |l: &Lock| matches!(l, Lock::Held { behind: None, .. });
    assert!(locks.iter().any(is_held), "{locks:?}");
    assert!(locks.iter().any(|l| matches!(l, Lock::Doubted { .. })), "{locks:?}");
    // Its block comes, and a person looks.
    lives.live_on(1).await;
    let locks = lives.house.treasury.payout_locks(ASSET).await.unwrap();
    let found = locks.iter().find_map(|l| match l {
        Lock::Unexplained { txid, .. } => Some(txid.clone()),
        _ => None,
    });
    let explained = lives.house.treasury.explain(ASSET, &found.unwrap(), "somebody").await;
    assert_eq!(explained.unwrap().payouts, [id]);
    assert!(lives.house.treasury.resume_payouts(ASSET, "somebody").await.unwrap());
    let next = lives.house.request(1, COIN, &stranger(2).0).await.unwrap();
    lives.live_on(2).await;
    assert_eq!(lives.state(next).await, PayoutState::Confirmed);
    assert_eq!((lives.times_paid(1), lives.times_paid(2)), (1, 1));
    lives.house.check().await;
}

on_both! {
    commits_that_are_lost_under_a_running_house_pay_nothing_twice / lost,
}
