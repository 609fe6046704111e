use super::*;
use crate::rules::PlanLife;
use crate::world::{World, lane};
use crate::{ContractState, LifeView, Scheme};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Accrual, Amount, Asset, Bps, EpochNumber, Hashrate, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A contract with something in every column that the roll keeps.
fn contract(n: u8) -> Contract {
    let rules = PlanLife { notice_epochs: u64::from(n % 3), ..PlanLife::default() };
    Contract {
        id: ContractId::from_bytes([n; 16]),
        account: AccountId::from_bytes([n / 2; 16]),
        plan: format!("plan-{}", n % 2).into(),
        plan_version: 7,
        title: "A lease, ünd more".into(),
        lane: lane(),
        asset: Asset::Btc,
        epoch_us: 600_000_000,
        hashrate: Hashrate(u128::from(n) << 60),
        term: n.into(),
        extension: 3,
        catch_up_bps: 5_000,
        epoch_work: Hashes(u128::MAX - u128::from(n)),
        work: Hashes(u128::from(n)),
        price: Amount::new(Asset::Usd, i64::MAX - i64::from(n)),
        fee: Bps::new(200).unwrap(),
        maintenance: u64::MAX,
        maintenance_also: (0..u64::from(n % 3)).map(|m| (Asset::Doge, m)).collect(),
        scheme: Scheme::ALL[usize::from(n % 3)],
        terms_hash: [n ^ 0xff; 32],
        state: ContractState::Active,
        created: Timestamp(-i64::from(n)),
        paid: (!n.is_multiple_of(2)).then_some(Timestamp(i64::from(n) - 5)),
        start: Some(EpochNumber(n.into())),
        delivered: Hashes::ZERO,
        short_since: None,
        maintenance_due: Accrual::ZERO,
        recognised: 0,
        refunded: 0,
        holds: n.is_multiple_of(5),
        enrolled: true,
        life: LifeView {
            renews: n.is_multiple_of(4).then(|| ContractId::from_bytes([n ^ 1; 16])),
            compensated: Hashes::ZERO,
            undecided: Hashes::ZERO,
            paused_since: None,
            paused_epochs: 0,
            frozen_since: None,
            rules,
        },
    }
}

/// What a contract shows of itself.
fn shown(c: &Contract) -> String {
    format!("{c:?}")
}

async fn whoever_joined_and_has_not_left_stands_on_the_roll(store: Store) {
    let w = World::new(store).await;
    let mut numbers = 1_u64;
    let mut random = |n: u64| {
        numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (numbers >> 33) % n
    };
    let mut there: BTreeMap<u8, Contract> = BTreeMap::new();
    for round in 0..40 {
        // Times of many who come, of many who go, and of one or two.
        let (comes, goes) = [(60, 3), (3, 60), (4, 4), (0, 100)][round % 4];
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for n in 1..=250 {
            let is_there = there.contains_key(&n);
            if is_there && random(100) < goes {
                there.remove(&n);
                left.push(ContractId::from_bytes([n; 16]));
            } else if !is_there && random(100) < comes {
                there.insert(n, contract(n));
                joined.push(contract(n));
            }
        }
        let (joined, left) = (&joined, &left);
        let outcome = transact!(w.store, tx -> Result<Vec<Contract>> => {
            change(tx, &lane(), joined.iter().collect(), left.clone()).await?;
            read(tx, &lane()).await
        });
        let got: Vec<String> = outcome.unwrap().iter().map(shown).collect();
        assert_eq!(got, there.values().map(shown).collect::<Vec<_>>(), "round {round}");
    }
}

async fn whoever_is_not_there_cannot_leave(store: Store) {
    let w = World::new(store).await;
    let outcome = transact!(w.store, tx -> Result<()> => {
        change(tx, &lane(), vec![&contract(1), &contract(3)], vec![]).await?;
        change(tx, &lane(), vec![], vec![ContractId::from_bytes([2; 16])]).await
    });
    assert!(outcome.is_err());
}

laws! { roll: [
    whoever_joined_and_has_not_left_stands_on_the_roll,
    whoever_is_not_there_cannot_leave,
] }

proptest! {
    #[test]
    fn damaged_pages_are_an_error_and_no_panic(at in 0usize..600, byte: u8, cut in 0usize..600) {
        let page = [contract(4), contract(5), contract(7)];
        let mut body = write_page(&page);
        let mut got = Vec::new();
        Commons::of(&lane()).read_page(&body, |c| got.push(shown(&c))).unwrap();
        prop_assert_eq!(got, page.iter().map(shown).collect::<Vec<_>>());
        if let Some(b) = body.get_mut(at) {
            *b = byte;
        }
        body.truncate(cut);
        let _ = Commons::of(&lane()).read_page(&body, |_| ());
    }
}
