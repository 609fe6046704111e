//! Generated lives of a hosted machine: sold, handed on, ended and offered again, with cut lines, late reports,
//! idle epochs, empty balances and settlements at any moment. A failing life is shrunk by proptest, which prints
//! it and its seed. With `GRUVE_LONG=1` many more.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_farm::energy::UJ_PER_KWH;
use gruve_hosting::charge::US_PER_DAY;
use gruve_hosting::{HostingState, PayFrom};
use gruve_ledger::Account;
use gruve_store::testing::{self, TestDir};
use gruve_units::{Clock as _, ContractId, Duration, EpochNumber};
use proptest::prelude::*;
use std::collections::BTreeMap;
use world::{FULL, LENGTH_US, RATE, World, account, btc, lane, terms, world};

const MINUTE_US: u64 = 60_000_000;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// An epoch passes: watts, part of the nameplate claimed (in quarters), and of a full epoch's shares.
    Epoch { watts: u32, claimed: u64, shares: u64 },
    /// An epoch passes while the line is cut: its readings come later, together.
    Cut { watts: u32, shares: u64 },
    /// What waits behind the cut line is reported.
    Mended,
    /// A settlement that credits this much to whoever owns the machine.
    Settle { earned: i64 },
    /// Somebody's balance grows.
    Fund { who: u8, minor: i64 },
    /// The machine is offered to somebody, by the house or its owner, and taken.
    Sell { to: u8, from_balance: bool },
    /// The operator ends the contract.
    End,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0u32..4_000, 0u64..=4, 0u64..=4)
            .prop_map(|(watts, claimed, shares)| Happening::Epoch { watts, claimed, shares }),
        2 => (0u32..4_000, 0u64..=4).prop_map(|(watts, shares)| Happening::Cut { watts, shares }),
        2 => Just(Happening::Mended),
        3 => (0i64..2_000).prop_map(|earned| Happening::Settle { earned }),
        1 => (1u8..4, 1i64..3_000).prop_map(|(who, minor)| Happening::Fund { who, minor }),
        2 => (1u8..4, any::<bool>()).prop_map(|(to, from_balance)| Happening::Sell { to, from_balance }),
        1 => Just(Happening::End),
    ]
}

/// What a life has come to, reckoned beside the house.
struct Life {
    w: World,
    /// The running epoch.
    epoch: EpochNumber,
    waiting: Vec<(EpochNumber, u32)>,
    /// Microjoules reported of each epoch.
    told: BTreeMap<EpochNumber, u64>,
    contracts: Vec<ContractId>,
    funded: i64,
}

impl Life {
    async fn holder(&self) -> Option<(ContractId, u8)> {
        for id in self.contracts.iter().rev() {
            let c = self.w.hosting.contract(None, *id).await.unwrap();
            if c.state == HostingState::Active && c.until.is_none() {
                return Some((*id, c.account.to_bytes()[0]));
            }
        }
        None
    }

    /// Ends the running epoch.
    async fn pass(&mut self, shares: u64) {
        let rule = self.w.farm.rule(&lane()).unwrap();
        self.w.clock.set(rule.end(self.epoch));
        self.w.seal(self.epoch, FULL * shares / 4).await;
        self.epoch = self.epoch.next();
    }

    async fn tell(&mut self, epoch: EpochNumber, watts: u32, claimed: u64) {
        let begin = self.w.farm.rule(&lane()).unwrap().start(epoch);
        let last = self.w.farm.reading(self.w.machine).await.unwrap();
        assert_eq!(self.w.report(epoch, watts, claimed).await, 0);
        // The last reading of the epoch before stands for the first minute.
        let first = last.filter(|r| r.at == begin).map_or(watts, |r| r.watts.unwrap());
        let uj = u64::from(first) * MINUTE_US + u64::from(watts) * (LENGTH_US - MINUTE_US);
        self.told.insert(epoch, uj);
    }

    async fn live(&mut self, what: Happening) {
        match what {
            Happening::Epoch { watts, claimed, shares } => {
                self.mend().await;
                let epoch = self.epoch;
                self.pass(shares).await;
                self.tell(epoch, watts, RATE * claimed / 4).await;
            }
            Happening::Cut { watts, shares } => {
                self.waiting.push((self.epoch, watts));
                self.pass(shares).await;
            }
            Happening::Mended => self.mend().await,
            Happening::Settle { earned } => self.settle(earned).await,
            Happening::Fund { who, minor } => {
                self.w.clock.advance(Duration::from_micros(1));
                self.w.fund(account(who), minor).await;
                self.funded += minor;
            }
            Happening::Sell { to, from_balance } => self.sell(to, from_balance).await,
            Happening::End => {
                // Where a change of owner is under way already it is refused.
                if let Some((id, _)) = self.holder().await {
                    let _ = self.w.hosting.end(id).await;
                }
            }
        }
    }

    async fn mend(&mut self) {
        for (epoch, watts) in std::mem::take(&mut self.waiting) {
            self.tell(epoch, watts, RATE).await;
        }
    }

    async fn settle(&mut self, earned: i64) {
        let to = EpochNumber(self.epoch.0 - 1);
        self.w.clock.advance(Duration::from_micros(1));
        let who = self.holder().await.map(|(_, who)| (account(who), btc(earned)));
        let credited: Vec<_> = who.into_iter().filter(|(_, a)| a.minor > 0).collect();
        self.funded += credited.iter().map(|(_, a)| a.minor).sum::<i64>();
        self.w.settle(to, &credited).await;
    }

    async fn sell(&mut self, to: u8, from_balance: bool) {
        let pay_from = if from_balance { PayFrom::Balance } else { PayFrom::Earnings };
        let hosting = &self.w.hosting;
        let offered = match self.holder().await {
            None => hosting.offer(self.w.machine, account(to), terms(pay_from), btc(0)).await,
            Some((_, owner)) if owner == to => return,
            Some((id, owner)) => {
                hosting.offer_transfer(account(owner), id, account(to), btc(0)).await
            }
        };
        let id = offered.unwrap();
        match hosting.accept(account(to), id).await {
            Ok(_) => self.contracts.push(id),
            // Another change is written for the same border.
            Err(_) => hosting.withdraw(id, None).await.unwrap(),
        }
    }

    /// What must hold at every moment.
    async fn check(&self) -> Result<(), TestCaseError> {
        let mut revenue = 0;
        for id in &self.contracts {
            let c = self.w.hosting.contract(None, *id).await.unwrap();
            let bills = self.w.bills(*id).await;
            let sum = |of: fn(&gruve_hosting::Bill) -> i64| bills.iter().map(of).sum::<i64>();
            let uj: u64 = bills.iter().map(|b| b.span.energy_uj).sum();
            let us: u64 = bills.iter().map(|b| b.span.span_us).sum();
            let whole = |price: i64, n: u64, unit: u64| {
                i64::try_from(u128::try_from(price).unwrap() * u128::from(n) / u128::from(unit))
                    .unwrap()
            };
            prop_assert_eq!(sum(|b| b.energy), whole(c.terms.energy_minor_per_kwh, uj, UJ_PER_KWH));
            prop_assert_eq!(sum(|b| b.fee), whole(c.terms.fee_minor_per_day, us, US_PER_DAY));
            prop_assert_eq!(sum(|b| b.energy + b.fee - b.credit), sum(|b| b.due));
            prop_assert_eq!(sum(|b| b.due), sum(|b| b.paid) + sum(|b| b.waived) + c.arrears);
            prop_assert!(bills.iter().all(|b| b.credit <= b.fee && b.paid >= 0 && b.waived >= 0));
            if let (Some(from), Some(to)) = (c.from, c.billed_to) {
                prop_assert_eq!(us, (to.0 + 1 - from.0) * LENGTH_US, "every epoch once");
            }
            revenue += sum(|b| b.paid);
        }
        prop_assert_eq!(self.w.balance(Account::OperatorRevenue).await, revenue);
        let mut held = 0;
        for who in 1..4 {
            let one = self.w.available(account(who)).await;
            prop_assert!(one >= 0);
            held += one;
        }
        prop_assert_eq!(held + revenue, self.funded, "credits are customers' or revenue");
        let mut tx = self.w.store.read().await.unwrap();
        let audit = gruve_ledger::audit(&mut tx).await.unwrap();
        prop_assert!(audit.is_sound(), "{:?}", audit.findings);
        Ok(())
    }

    /// Everything is told, and everything that can be billed is.
    async fn end(&mut self) -> Result<(), TestCaseError> {
        self.mend().await;
        if let Some((id, _)) = self.holder().await {
            // A change that is under way must have come first.
            for _ in 0..3 {
                self.pass(4).await;
            }
            self.w.hosting.end(id).await.unwrap();
        }
        for _ in 0..3 {
            self.pass(0).await;
        }
        let end = self.w.clock.now().plus(gruve_farm::LATE_MAX);
        self.w.clock.set(end.plus(Duration::from_secs(1)));
        self.settle(0).await;
        self.check().await?;
        for id in &self.contracts {
            let c = self.w.hosting.contract(None, *id).await.unwrap();
            prop_assert_eq!(c.state, HostingState::Ended);
            let own = c.from.unwrap()..c.until.unwrap();
            let told: u64 = self.told.range(own).map(|(_, uj)| *uj).sum();
            let billed: u64 = self.w.bills(*id).await.iter().map(|b| b.span.energy_uj).sum();
            prop_assert_eq!(billed, told, "what was reported of its epochs is on its bills");
        }
        Ok(())
    }
}

async fn lived(happenings: Vec<Happening>) -> Result<(), TestCaseError> {
    let dir = TestDir::new();
    let w = world(testing::sqlite(dir.path()).await).await;
    let epoch = w.farm.rule(&lane()).unwrap().at(w.clock.now());
    let (waiting, told, contracts) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut life = Life { w, epoch, waiting, told, contracts, funded: 0 };
    for what in happenings {
        life.live(what).await;
        life.check().await?;
    }
    life.end().await?;
    life.w.store.close().await;
    Ok(())
}

fn cases() -> u32 {
    if std::env::var_os("GRUVE_LONG").is_some() { 2_000 } else { 24 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn every_microjoule_is_billed_once_and_every_minor_unit_has_an_owner(
        happenings in proptest::collection::vec(happening(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(lived(happenings))?;
    }
}
