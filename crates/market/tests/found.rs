//! What becomes of blocks that the share log has: in the chain, beaten by a sibling, paid to their finder; on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use async_trait::async_trait;
use gruve_ledger::Account;
use gruve_market::{
    AfterSettlement, BlockState, BlockView, ChainBlock, KEPT_BLOCKS, Result, Scheme, Settled,
};
use gruve_sharelog::{BlockRecord, Owner, Record};
use gruve_store::{Store, Tx, laws, transact};
use gruve_units::{AccountId, Asset, Bps, Hashes, LaneId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::{BITS, World, lane, someone};

laws! { found: [
    a_block_that_lost_to_a_sibling_is_orphaned_and_says_to_which,
    what_the_house_gets_of_a_block_that_paid_its_finder_is_its_fee,
    of_an_owner_who_agreed_on_less_than_the_lanes_fee_no_more_is_kept,
    blocks_without_a_record_have_their_place_among_the_newest_and_the_older_are_not_looked_for,
] }

async fn chain(w: &World, height: u64, hash: [u8; 32]) {
    let block = ChainBlock {
        height,
        hash,
        time: height,
        bits: Some(BITS),
        work: Hashes(1 << 20),
        names_uncles: false,
        subsidy: 1_000,
        fees: 0,
    };
    let market = &w.market;
    transact!(w.store, tx -> Result<()> => {
        market.chain_block(tx, &lane(), Asset::Btc, &block).await
    })
    .unwrap();
}

async fn view(w: &World, hash: [u8; 32]) -> BlockView {
    let all = w.market.blocks(&lane(), 50).await.unwrap();
    all.into_iter().find(|b| b.block_hash == hash).unwrap()
}

async fn a_block_that_lost_to_a_sibling_is_orphaned_and_says_to_which(store: Store) {
    let w = World::new(store).await;
    w.prove(10_000).await;
    let (won, lost, early) = (w.find_block(100), w.find_block(100), w.find_block(90));
    w.epoch_at(10_000).await;
    let stands = async |hash| {
        let block = view(&w, hash).await;
        (block.state, block.lost_to)
    };
    assert_eq!(stands(lost).await, (BlockState::Found, None), "the chain is not so far");
    chain(&w, 99, [99; 32]).await;
    assert_eq!(stands(lost).await, (BlockState::Found, None));
    assert_eq!(
        stands(early).await,
        (BlockState::Orphaned, None),
        "below all that is known of the chain"
    );
    w.see(won, 100, 1_000).await;
    chain(&w, 100, won).await;
    assert_eq!(stands(won).await, (BlockState::Maturing, None));
    assert_eq!(stands(lost).await, (BlockState::Orphaned, Some(won)));
    // The chain turns: the other one it was.
    w.orphan(won).await;
    w.see(lost, 100, 1_000).await;
    chain(&w, 100, lost).await;
    assert_eq!(stands(won).await, (BlockState::Orphaned, Some(lost)));
    assert_eq!(stands(lost).await, (BlockState::Maturing, None));
    // Long afterwards it is still known that it lost, and no more to which.
    chain(&w, 101 + KEPT_BLOCKS, [1; 32]).await;
    assert_eq!(stands(won).await, (BlockState::Orphaned, None));
    w.assert_all_sound().await;
}

async fn what_the_house_gets_of_a_block_that_paid_its_finder_is_its_fee(store: Store) {
    let w = World::new(store).await;
    let me = someone(1);
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => {
        market.set_own_scheme(tx, me, &lane(), Scheme::Solo).await
    })
    .unwrap();
    w.work(Owner::Account(me), 18, 4);
    w.epoch_at(0).await;
    let find = |owner: AccountId, n: u8| {
        let share = w.share(w.now(), Owner::Account(owner), 0, BITS);
        let found = BlockRecord { share, block_hash: [n; 32], height: n.into(), block: vec![] };
        w.log.append(&[Record::Block(found)]).unwrap();
    };
    w.work(Owner::Account(me), 18, 4);
    let beside = async |n: u8| {
        transact!(w.store, tx -> Result<()> => {
            market.paid_beside(tx, &lane(), Asset::Btc, &[n; 32]).await
        })
        .unwrap();
    };
    // The first pays the house whole, the second in part, the third nothing to it.
    for n in 1..=3 {
        find(me, n);
    }
    w.see([1; 32], 1, 80_000).await;
    for _ in 0..2 {
        beside(2).await;
        w.see([2; 32], 2, 4_000).await;
        beside(3).await;
    }
    w.epoch_at(0).await;
    let open = w.market.maturing(me).await.unwrap();
    assert_eq!(open.first().map(|a| a.minor), Some(80_000), "nothing twice");
    assert_eq!(view(&w, [2; 32]).await.state, BlockState::Maturing);
    assert_eq!(view(&w, [3; 32]).await.state, BlockState::PaidOwner);
    let before = w.holds(&Account::OperatorRevenue).await;
    w.height(200).await;
    for _ in 0..2 {
        w.epoch_at(0).await;
    }
    // The world's fee of own machines is a hundredth: of the first block; the second is all fee.
    let earned = before - w.holds(&Account::OperatorRevenue).await;
    assert_eq!(earned.abs(), 800 + 4_000);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await.abs(), 79_200);
    w.assert_all_sound().await;
    // Taken back, it may come again as one that pays the house whole.
    transact!(w.store, tx -> Result<()> => {
        market.beside_orphaned(tx, &lane(), Asset::Btc, &[3; 32]).await
    })
    .unwrap();
    assert_eq!(view(&w, [3; 32]).await.state, BlockState::Found);
}

/// One has agreed on less than the lane's hundredth, one on more.
struct Agreed;

#[async_trait]
impl AfterSettlement for Agreed {
    async fn agreed_fees(
        &self,
        _: &mut Tx,
        _: &LaneId,
        _: Timestamp,
    ) -> Result<BTreeMap<AccountId, Bps>> {
        let fees = [(someone(1), 25), (someone(2), 500)];
        Ok(fees.map(|(who, bps)| (who, Bps::new(bps).unwrap())).into())
    }

    async fn settled(&self, _: &mut Tx, _: &Settled<'_>) -> Result<()> {
        Ok(())
    }
}

async fn of_an_owner_who_agreed_on_less_than_the_lanes_fee_no_more_is_kept(store: Store) {
    let w = World::new(store).await;
    w.market.tell_settlements_to(Arc::new(Agreed));
    let owners = [1_u8, 2, 3];
    for n in owners {
        let market = &w.market;
        transact!(w.store, tx -> Result<_> => {
            market.set_own_scheme(tx, someone(n), &lane(), Scheme::Solo).await
        })
        .unwrap();
    }
    let work = || owners.into_iter().for_each(|n| w.work(Owner::Account(someone(n)), 18, 4));
    work();
    w.epoch_at(0).await;
    work();
    for n in owners {
        let share = w.share(w.now(), Owner::Account(someone(n)), 0, BITS);
        let found = BlockRecord { share, block_hash: [n; 32], height: n.into(), block: vec![] };
        w.log.append(&[Record::Block(found)]).unwrap();
        w.see([n; 32], n.into(), 80_000).await;
    }
    w.epoch_at(0).await;
    w.height(200).await;
    for _ in 0..2 {
        w.epoch_at(0).await;
    }
    let mut credited = Vec::new();
    for n in owners {
        credited.push(w.holds(&Account::CustomerAvailable(someone(n))).await.abs());
    }
    assert_eq!(credited, [79_800, 79_200, 79_200]);
    let lines = w.market.account_settlements(someone(1), &lane(), None, 10).await.unwrap();
    let seen: Vec<_> =
        lines.iter().map(|(_, l)| (l.gross.minor, l.fee.minor, l.net.minor)).collect();
    assert_eq!(seen, [(80_000, 200, 79_800)]);
    let (last, _) = lines[0];
    let behind = w.market.account_settlements(someone(1), &lane(), Some(last), 10).await.unwrap();
    assert!(behind.is_empty(), "{behind:?}");
    w.assert_all_sound().await;
}

async fn blocks_without_a_record_have_their_place_among_the_newest_and_the_older_are_not_looked_for(
    store: Store,
) {
    let w = World::new(store).await;
    w.prove(10_000).await;
    w.see([1; 32], 1, 1_000).await;
    let mut found = Vec::new();
    for height in 10..14 {
        let hash = w.find_block(height);
        w.epoch_at(10_000).await;
        w.see(hash, height, 1_000).await;
        found.push(hash);
    }
    w.see([2; 32], 20, 1_000).await;
    let all = w.market.blocks(&lane(), 50).await.unwrap();
    let hashes = |all: &[BlockView]| all.iter().map(|b| b.block_hash).collect::<Vec<_>>();
    assert!(hashes(&all).contains(&[1; 32]) && all.len() == 6, "{all:#?}");
    // However few are asked for: the same as the beginning of the whole list, page by page, too.
    for limit in 1..=6 {
        let some = w.market.blocks(&lane(), limit).await.unwrap();
        assert_eq!(hashes(&some), hashes(&all[..limit as usize]), "{limit}");
        let (mut paged, mut before) = (Vec::new(), None);
        loop {
            let page = w.market.blocks_before(&lane(), before, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.place());
            paged.extend(hashes(&page));
        }
        let (mut paged, mut whole) = (paged, hashes(&all));
        paged.sort_unstable();
        whole.sort_unstable();
        assert_eq!(paged, whole, "{limit}: each once");
    }
}
