//! Hosting and the naive model live through the same generated bills, on both engines; every wrong rule is found out.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../hosting/tests/world/mod.rs"]
mod world;

use gruve_hosting::{Bill, OfferTerms, PayFrom};
use gruve_model::BigInt;
use gruve_model::hosting::{HostingBill, HostingModel, HostingTerms, HostingWrong, Proven, Used};
use gruve_store::{Store, laws};
use gruve_units::EpochNumber;
use std::collections::BTreeMap;
use world::{CLASS, FULL, LENGTH_US, RATE, World, account, btc, lane, world};

/// A small generator, so that a history is told by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn agreed(pay_from: PayFrom) -> OfferTerms {
    OfferTerms { energy_minor_per_kwh: 1_237, fee_minor_per_day: 14_411, ..world::terms(pay_from) }
}

fn model(of: &OfferTerms, wrong: Option<HostingWrong>) -> HostingModel {
    let terms = HostingTerms {
        energy_minor_per_kwh: of.energy_minor_per_kwh.unsigned_abs(),
        fee_minor_per_day: of.fee_minor_per_day.unsigned_abs(),
        level_bps: of.level.get(),
        from_earnings: of.pay_from == PayFrom::Earnings,
        nameplate: RATE,
    };
    HostingModel::new(terms, wrong)
}

/// What a bill was made of, and what it came to.
struct Seen {
    epochs: Vec<Proven>,
    used: Used,
    held: i64,
    earned: i64,
    bill: HostingBill,
}

fn as_model(b: &Bill) -> HostingBill {
    let n = BigInt::from;
    HostingBill {
        energy: n(b.energy),
        fee: n(b.fee),
        credit: n(b.credit),
        due: n(b.due),
        paid: n(b.paid),
        waived: n(b.waived),
        arrears: n(b.arrears),
    }
}

async fn live(w: &World, of: OfferTerms, seed: u64) -> Vec<Seen> {
    let kari = account(1);
    let id = w.hosting.offer(w.machine, kari, of, btc(0)).await.unwrap();
    let from = w.hosting.accept(kari, id).await.unwrap();
    w.clock.set(w.farm.rule(&lane()).unwrap().start(from));
    let (mut random, mut seen) = (Random(seed), Vec::new());
    let mut found = BTreeMap::new();
    for n in 0..24 {
        let epoch = EpochNumber(from.0 + n);
        let watts = u32::try_from(random.below(4_000)).unwrap();
        let some = [0, 1, FULL / 5, FULL / 3, FULL * 2 / 5, FULL, FULL];
        let shares = some[usize::try_from(random.below(7)).unwrap()];
        found.insert(epoch, shares);
        let claimed = RATE * random.below(5) / 4;
        w.epoch(epoch, watts, claimed, shares).await;
        if random.below(3) == 0 {
            continue;
        }
        let earned = i64::try_from(random.below(900)).unwrap();
        if random.below(5) == 0 {
            w.fund(kari, i64::try_from(random.below(700)).unwrap() + 1).await;
        }
        let credited = if earned > 0 { vec![(kari, btc(earned))] } else { Vec::new() };
        let (before, held) = (w.bills(id).await.len(), w.available(kari).await + earned);
        w.settle(epoch, &credited).await;
        if let Some(b) = w.bills(id).await.get(before) {
            let used =
                Used { energy_uj: b.span.energy_uj, span_us: b.span.span_us, up_us: b.span.up_us };
            assert_eq!(w.available(kari).await, held - b.paid, "what was taken is gone");
            let mut tx = w.store.read().await.unwrap();
            let said = w.farm.energy(&mut tx, w.machine, b.from, b.until).await.unwrap();
            tx.rollback().await.unwrap();
            let down = |e| said.iter().find(|s| s.slice.epoch == e).map_or(0, |s| s.slice.down_us);
            let epochs = found.range(b.from..b.until).map(|(epoch, shares)| Proven {
                length_us: LENGTH_US,
                shares: *shares,
                each: 1 << CLASS,
                down_us: down(*epoch),
            });
            seen.push(Seen { epochs: epochs.collect(), used, held, earned, bill: as_model(b) });
        }
    }
    assert!(seen.len() > 8, "{}", seen.len());
    seen
}

fn agrees(of: &OfferTerms, seen: &[Seen], wrong: Option<HostingWrong>) -> Result<(), String> {
    let mut model = model(of, wrong);
    for (n, s) in seen.iter().enumerate() {
        let up: BigInt = s.epochs.iter().map(|e| model.up_us(*e)).sum();
        if up != s.used.up_us.into() {
            return Err(format!("bill {n}: up for {} and {up}", s.used.up_us));
        }
        let bill = model.bill(s.used, s.held, s.earned);
        if bill != s.bill {
            return Err(format!("bill {n}: {:?} and {bill:?}", s.bill));
        }
    }
    Ok(())
}

async fn bills_and_model_agree_and_every_wrong_rule_is_found_out(store: Store) {
    let w = world(store).await;
    let mut missed = HostingWrong::ALL.to_vec();
    let of = agreed(PayFrom::Balance);
    let seen = live(&w, of, 20_261_122).await;
    agrees(&of, &seen, None).unwrap_or_else(|e| panic!("{e}"));
    missed.retain(|wrong| agrees(&of, &seen, Some(*wrong)).is_ok());
    assert_eq!(missed, [HostingWrong::BeyondEarnings], "of that this contract cannot tell");
}

async fn bills_from_earnings_and_model_agree(store: Store) {
    let w = world(store).await;
    let of = agreed(PayFrom::Earnings);
    let seen = live(&w, of, 7).await;
    agrees(&of, &seen, None).unwrap_or_else(|e| panic!("{e}"));
    assert!(agrees(&of, &seen, Some(HostingWrong::BeyondEarnings)).is_err());
}

laws! { hosting: [
    bills_and_model_agree_and_every_wrong_rule_is_found_out,
    bills_from_earnings_and_model_agree,
] }
