//! A signer that never answers holds up its own coin's payouts and no other's.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use async_trait::async_trait;
use fake::chain::FakeChain;
use fake::node::FakeNode;
use fake::{House, MATURITY, account, stranger};
use gruve_chain::{ChainParams, NetworkName, address_for_script, params_for, script_for_address};
use gruve_ledger::{Account, Entry, post};
use gruve_store::{Store, transact};
use gruve_treasury::{
    ChainWallet, ExternalSigner, NewPayout, Payer, PayoutState, ScriptForm, Seed, SignerDoor,
    SignerWord, Treasury, TreasuryError, WalletKeys,
};
use gruve_units::{Amount, Asset, Clock as _, PayoutId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

gruve_store::laws! { slow_signer: [a_signer_that_never_answers_holds_up_no_other_coin] }

/// Longer than any machine takes for what should happen, and far shorter than for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// Tells that it was asked, and says nothing.
#[derive(Default)]
struct Mute(Notify);

#[async_trait]
impl SignerDoor for Mute {
    async fn ask(&self, _: &str, _: &[u8]) -> Result<SignerWord, String> {
        self.0.notify_one();
        std::future::pending().await
    }

    async fn over(&self, _: &str) {}
}

fn litecoin() -> ChainParams {
    let regtest = params_for(Asset::Ltc, NetworkName::Regtest).unwrap();
    ChainParams { coinbase_maturity: MATURITY, ..regtest }
}

/// The house with litecoins beside, whose keys this signer has; that chain comes first.
fn with_litecoins(house: &House, chain: &Arc<FakeChain>, door: Arc<Mute>) -> Treasury {
    let node = Arc::new(FakeNode::new(chain.clone(), litecoin()));
    let mut config = fake::treasury_config(&house.node);
    let mut wallet = ChainWallet::new(litecoin(), node);
    wallet.confirmations = fake::CONFIRMATIONS;
    wallet.payouts.auto_approve_max = 10_000_000;
    let keys = WalletKeys::new(&Seed::from_bytes([7; 32]), Asset::Ltc, ScriptForm::Wpkh, false);
    let account_key = keys.unwrap().account_key();
    wallet.signer = Some(ExternalSigner { account_key, door });
    config.chains.insert(0, wallet);
    let (clock, entropy) = (house.clock.clone(), house.entropy.clone());
    Treasury::new(house.store.clone(), clock, entropy, config).unwrap()
}

async fn follow(house: &House, chain: &FakeChain, treasury: &Treasury) {
    loop {
        let mut tx = house.store.read().await.unwrap();
        let known = treasury.known_blocks(&mut tx, Asset::Ltc, 1).await.unwrap();
        tx.rollback().await.unwrap();
        let height = known.first().map_or(0, |top| top.height + 1);
        let Some(block) = chain.block(height) else { return };
        transact!(house.store, tx -> Result<(), TreasuryError> => {
            treasury.connect_block(tx, Asset::Ltc, height, &block).await.map(drop)
        })
        .unwrap();
    }
}

async fn ask(treasury: &Treasury, asset: Asset, to: String) -> PayoutId {
    let amount = Amount::new(asset, 1_000_000);
    let new = NewPayout { account: account(1), amount, address: to, request_key: None };
    treasury.request_payout(new).await.unwrap()
}

async fn a_signer_that_never_answers_holds_up_no_other_coin(store: Store) {
    let mut house = House::new(store, 1).await;
    house.fill(&[50_000_000]).await;
    house.top_up(1, 9_000_000).await;
    let (chain, door) = (Arc::new(FakeChain::new(MATURITY)), Arc::new(Mute::default()));
    let treasury = with_litecoins(&house, &chain, door.clone());
    follow(&house, &chain, &treasury).await;
    let own = treasury.capital_address(Asset::Ltc).unwrap();
    chain.pay(&script_for_address(&litecoin(), &own).unwrap(), 50_000_000);
    for _ in 0..fake::CONFIRMATIONS {
        chain.mine(&[0x51], |_| true);
    }
    follow(&house, &chain, &treasury).await;
    let given = Entry::transfer(
        "test:given".to_owned(),
        "test",
        house.clock.now(),
        Account::Capital,
        Account::CustomerAvailable(account(1)),
        Amount::new(Asset::Ltc, 9_000_000),
    );
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        post(tx, &given).await?;
        Ok(())
    })
    .unwrap();
    let script = stranger(1).1;
    let held_up =
        ask(&treasury, Asset::Ltc, address_for_script(&litecoin(), &script).unwrap()).await;
    let other = ask(&treasury, Asset::Btc, stranger(2).0).await;

    house.treasury = treasury.clone();
    house.payer = Payer::new(treasury.clone());
    let (stop, stopped) = watch::channel(false);
    let state = async |id| treasury.payout(id).await.unwrap().unwrap().state;
    let paid = async {
        // Only now: the one is asked for, and the other is paid all the same.
        door.0.notified().await;
        while state(other).await != PayoutState::Broadcast {
            tokio::task::yield_now().await;
        }
    };
    let run = house.payer.run(stopped);
    tokio::select! {
        done = tokio::time::timeout(PATIENCE, paid) => done.expect("the other coin is paid"),
        () = run => unreachable!("nobody stopped it"),
    }
    assert_eq!(state(held_up).await, PayoutState::Signed, "the signer may sign it at any time");
    assert_eq!(house.chain.waiting(), 1);
    assert_eq!(chain.waiting(), 0);
    drop(stop);
}
