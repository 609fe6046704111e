//! The terms of this house's own sales, as offers.
//!
//! | terms | paid at the beginning | paid along the way |
//! |---|---|---|
//! | lease | its price | upkeep out of the earnings, waived beyond them |
//! | metered | nothing | the price of each day's work at the plan's rate, from the balance; upkeep as with a lease |
//! | hosted machine | its price | hosting and electricity at the nameplate's watts, from the balance or out of the earnings; what these do not cover is owed |
//!
//! All earn their lane's own coin here; what is merge-mined with it is left out, and so is what a machine is worth at the end.

use super::AppraiseError;
use super::offer::{Fee, Given, Offer, Per, Price, Unprofitable, of_money, too_large, wrong};
use gruve_statement::hosting::HostingTerms;
use gruve_statement::metered::METERED_FORMAT;
use gruve_statement::terms::{
    FeeRule, MaintenanceRule, PriceRule, SchemeRule, SettlementRule, UnprofitableRule,
    UsdMaintenanceRule,
};
use gruve_statement::{SignedTerms, Terms};
use gruve_units::Asset;

/// A downloaded file of terms, whose hash and signature are checked.
pub(super) fn of_file(json: &str, given: &Given) -> Result<Offer, AppraiseError> {
    let said = |e: gruve_statement::TermsError| wrong(e.to_string());
    let file = SignedTerms::parse(json).map_err(said)?;
    if HostingTerms::are_in(&file.terms) {
        file.verified(None).map_err(said)?;
        let terms = HostingTerms::parse(file.terms.as_bytes()).map_err(said)?;
        return of_machine(&terms, given);
    }
    of_terms(file.open(None).map_err(said)?, given)
}

/// A lease's or a metered contract's.
pub(super) fn of_terms(terms: Terms, given: &Given) -> Result<Offer, AppraiseError> {
    const DAY_US: u128 = 86_400_000_000;
    let earns = *terms.earns.first().ok_or_else(|| wrong("they earn nothing".into()))?;
    let minor = u64::try_from(terms.price.minor).map_err(|_| too_large())?;
    let by_meter = terms.format == METERED_FORMAT;
    let FeeRule::PartOfEarnings { bps } = terms.rules.fee;
    let MaintenanceRule::PerDelivered { order } = terms.rules.maintenance;
    let mut fees: Vec<Fee> = order
        .iter()
        .filter(|u| u.asset == earns && u.minor_per_th_day > 0)
        .map(|u| Fee::of_work(Price::Coin(u.minor_per_th_day)))
        .collect();
    let life = terms.rules.life.as_ref();
    if let Some(UsdMaintenanceRule::PerDelivered { micro_per_th_day }) =
        life.and_then(|life| life.maintenance_usd.as_ref())
    {
        fees.push(Fee::of_work(Price::Usd(*micro_per_th_day)));
    }
    let (term_days, price) = match terms.rules.price {
        PriceRule::PerHashrateDay { minor, hashrate } if by_meter => {
            let price = of_money(terms.price.asset, minor, earns, given)?;
            fees.push(Fee { price, per: Per::Day(hashrate), is_paid: true });
            (None, Price::Usd(0))
        }
        _ => {
            let term_us = u128::from(terms.epoch_us) * u128::from(terms.term_epochs);
            let days = u32::try_from(term_us.div_ceil(DAY_US)).map_err(|_| too_large())?;
            (Some(days), of_money(terms.price.asset, minor, earns, given)?)
        }
    };
    Offer {
        name: terms.title,
        asset: earns,
        hashrate: terms.hashrate,
        price,
        fees,
        service_bps: service_bps(&terms.rules.scheme, bps),
        uptime_bps: 10_000,
        term_days,
        starts_after_days: 0,
        unprofitable: match terms.rules.unprofitable {
            UnprofitableRule::Run => Unprofitable::Run,
            UnprofitableRule::Pause { .. } => Unprofitable::Pause,
        },
        operator_share_after_break_even_bps: 0,
        minimum_payout: 0,
        waits_for: match terms.rules.settlement {
            SettlementRule::EveryEpochs { minimum_minor, .. } => minimum_minor,
            SettlementRule::NotStated => 0,
        },
    }
    .checked()
}

/// A hosted machine's.
pub(super) fn of_machine(terms: &HostingTerms, given: &Given) -> Result<Offer, AppraiseError> {
    const DAY_US: u128 = 86_400_000_000;
    let negative = |_| wrong("a price is negative".into());
    // Terms of machines name a lane; one that is called after its coin says enough.
    let of_lane = || terms.lane.as_str().to_ascii_uppercase().parse::<Asset>().ok();
    let earns = given.coin.or_else(of_lane).ok_or_else(|| {
        wrong(format!("they do not say which coin the lane {} earns (--coin)", terms.lane))
    })?;
    let money =
        |asset, minor: i64| of_money(asset, u64::try_from(minor).map_err(negative)?, earns, given);
    let is_paid = terms.pay_from == "balance";
    // Of a day at the nameplate's watts, rounded up.
    let energy = u128::from(terms.energy_minor_per_kwh.unsigned_abs())
        * u128::from(terms.nameplate_watts)
        * 24;
    let energy = i64::try_from(energy.div_ceil(1_000)).map_err(|_| too_large())?;
    let fees = [terms.fee_minor_per_day, energy]
        .into_iter()
        .filter(|minor| *minor != 0)
        .map(|minor| Ok(Fee { price: money(terms.asset, minor)?, per: Per::AnyDay, is_paid }))
        .collect::<Result<_, AppraiseError>>()?;
    let term_us = terms.epoch_us.zip(terms.term_epochs);
    let term_days = term_us
        .map(|(epoch, term)| (u128::from(epoch) * u128::from(term)).div_ceil(DAY_US))
        .map(|days| u32::try_from(days).map_err(|_| too_large()))
        .transpose()?;
    let minimum = terms.minimum_payout_minor.unwrap_or(0);
    Offer {
        name: format!("{} {}", terms.model, terms.serial),
        asset: earns,
        hashrate: terms.nameplate,
        price: money(terms.price_asset, terms.price_minor)?,
        fees,
        service_bps: u32::from(terms.earnings_fee_bps.unwrap_or(0)),
        uptime_bps: 10_000,
        term_days,
        starts_after_days: 0,
        unprofitable: Unprofitable::Debt,
        operator_share_after_break_even_bps: 0,
        minimum_payout: 0,
        waits_for: u64::try_from(minimum).map_err(negative)?,
    }
    .checked()
}

/// The operator's part of what the work is worth: of the earnings, and with FPPS within their price before; rounded
/// up. Pure.
fn service_bps(scheme: &SchemeRule, of_earnings: u16) -> u32 {
    const ALL: u32 = 10_000;
    let within = match scheme {
        SchemeRule::Fpps { fee_bps, .. } => u32::from(*fee_bps),
        _ => 0,
    };
    let left = ALL.saturating_sub(within) * ALL.saturating_sub(of_earnings.into());
    ALL - left / ALL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appraise::offer::TERA;
    use crate::appraise::{Date, Day, Ended, History, backtest};
    use crate::world::{World, someone};
    use gruve_statement::hosting::{
        EARNINGS_RULE, END_RULE, ENERGY_RULE, FEE_RULE as HOSTING_FEE_RULE, HOSTING_TERMS,
        LEVEL_RULE,
    };
    use gruve_statement::metered::{MeterRule, MeteredRules, MeteredTerms, StopRule};
    use gruve_store::{Store, laws};
    use gruve_units::{ContractId, Hashrate};

    fn worth(asset: Asset, usd: &str) -> Given {
        let worth = vec![super::super::Money::always(asset, usd).unwrap()];
        Given { coin: None, worth }
    }

    /// Three days on which a TH·day of Bitcoin earns 0.01 coins, of a hundred dollars each.
    fn three_days() -> History {
        // 86,400 · 10^12 · 65,535 / 2^48, in millionths, rounded down.
        let difficulty = 20_116_260_650_000;
        let day = Day { price: 100_000_000, difficulty, subsidy: 1_000_000, fees: None };
        History::from_days(Asset::Btc, Date::new(2024, 1, 1).unwrap(), vec![day; 3])
    }

    fn lease_as_metered(terms: &Terms, pay: Asset, minor: u64) -> MeteredTerms {
        MeteredTerms {
            format: METERED_FORMAT.into(),
            contract: ContractId::from_bytes([4; 16]),
            started_at_us: 7,
            plan: terms.plan.clone(),
            plan_version: 1,
            title: "By the meter".into(),
            lane: terms.lane.clone(),
            earns: terms.earns.clone(),
            hashrate: Hashrate(2 * TERA.0),
            epoch_us: terms.epoch_us,
            epoch_work: terms.epoch_work,
            pay_asset: pay,
            low_balance_epochs: 10,
            rules: MeteredRules {
                meter: MeterRule::HeldBefore { minor, hashrate: TERA },
                stop: StopRule::AtAnyBorder,
                scheme: terms.rules.scheme.clone(),
                allocation: terms.rules.allocation.clone(),
                fee: terms.rules.fee.clone(),
                maintenance: terms.rules.maintenance.clone(),
                settlement: SettlementRule::EveryEpochs { epochs: 144, minimum_minor: 3_000_000 },
                orphan: terms.rules.orphan.clone(),
            },
        }
    }

    async fn terms_of_the_house_cost_what_they_say_by_every_scheme_and_in_dollars(store: Store) {
        let w = World::new(store).await;
        w.prove(1_000).await;
        let c = w.lease(someone(1), 1_000, 3).await;
        let file = w.market.signed_terms(someone(1), c).await.unwrap();
        let terms = file.open(None).unwrap();
        let none = Given::default();
        let own = of_terms(terms.clone(), &none).unwrap();
        assert_eq!((&own.price, own.service_bps, own.waits_for), (&Price::Coin(300), 200, 0));
        let json = serde_json::to_string(&file).unwrap();
        assert_eq!(Offer::parse(&json).unwrap(), own, "the file is the same");
        let priced = |asset, minor, given: &Given| {
            let mut terms = terms.clone();
            (terms.price.asset, terms.price.minor) = (asset, minor);
            of_terms(terms, given)
        };
        let dollars = priced(Asset::Usd, 2_500_000, &none).unwrap();
        assert_eq!(dollars.price, Price::Usd(2_500_000));
        let unknown = priced(Asset::Eur, 1, &none).unwrap_err().to_string();
        assert!(unknown.contains("EUR") && unknown.contains("--worth"), "{unknown}");
        assert!(priced(Asset::Eur, 1, &worth(Asset::Ltc, "80")).is_err());
        let euro = priced(Asset::Eur, 2_000_000, &worth(Asset::Eur, "1.25")).unwrap();
        let o = backtest(&euro, &three_days()).unwrap().buy(three_days().first()).unwrap();
        assert_eq!(o.paid_usd, 2_500_000);
        let other = priced(Asset::Ltc, 50_000_000, &worth(Asset::Ltc, "80")).unwrap();
        let o = backtest(&other, &three_days()).unwrap().buy(three_days().first()).unwrap();
        assert_eq!(o.paid_usd, 40_000_000);
        let mut fpps = terms.clone();
        fpps.rules.scheme = SchemeRule::Fpps { fee_bps: 350, assets: Vec::new() };
        fpps.rules.fee = FeeRule::PartOfEarnings { bps: 0 };
        assert_eq!(of_terms(fpps, &none).unwrap().service_bps, 350);
        let mut waits = terms.clone();
        waits.rules.settlement = SettlementRule::EveryEpochs { epochs: 9, minimum_minor: 700 };
        assert_eq!(of_terms(waits, &none).unwrap().waits_for, 700);
    }

    async fn work_by_the_meter_is_held_against_its_price_for_as_long_as_the_history_goes(
        store: Store,
    ) {
        let w = World::new(store).await;
        w.prove(1_000).await;
        let c = w.lease(someone(1), 1_000, 3).await;
        let lease = w.market.signed_terms(someone(1), c).await.unwrap().open(None).unwrap();
        let of = |pay, minor, given: &Given| {
            let bytes = lease_as_metered(&lease, pay, minor).canonical().unwrap();
            Offer::parse_with(&String::from_utf8(bytes).unwrap(), given).unwrap()
        };
        let past = three_days();
        let buy = |offer: &Offer| backtest(offer, &past).unwrap().buy(past.first()).unwrap();
        // Two TH/s earn 0.02 coins a day less two in a hundred: 1.96 dollars; a TH·day costs 0.90.
        let offer = of(Asset::Usd, 900_000, &Given::default());
        assert_eq!((offer.term_days, offer.waits_for), (None, 3_000_000));
        let o = buy(&offer);
        assert_eq!((o.ended, o.days_mined, o.days_unprofitable), (Ended::Runs, 3, 0));
        assert_eq!((o.paid_usd, o.along_usd), (0, 5_400_000));
        // The first day's 0.02 coins wait, for a second day's; the third day's wait still.
        assert_eq!((o.mined, o.received), (6_000_000, 3_920_000));
        assert!(o.returned_per_mille().is_some_and(|r| (724..727).contains(&r)), "{o:?}");
        let test = backtest(&offer, &past).unwrap();
        let along = test.along(past.first(), past.last()).unwrap();
        assert_eq!((along.days_covered, along.cost_usd[1]), (3, 900_000));
        assert!((979_000..980_001).contains(&along.earned_usd[1]), "{along:?}");
        // The same price in coins, and in euro.
        assert_eq!(buy(&of(Asset::Btc, 900_000, &Given::default())).along_usd, 5_400_000);
        let euro = worth(Asset::Eur, "1.125");
        assert_eq!(buy(&of(Asset::Eur, 800_000, &euro)).along_usd, 5_400_000);
        let dear = buy(&of(Asset::Usd, 1_000_000, &Given::default()));
        assert_eq!(dear.days_unprofitable, 3);
    }

    laws! { offers: [
        terms_of_the_house_cost_what_they_say_by_every_scheme_and_in_dollars,
        work_by_the_meter_is_held_against_its_price_for_as_long_as_the_history_goes,
    ] }

    fn machine(pay_from: &str, asset: Asset) -> HostingTerms {
        HostingTerms {
            format: HOSTING_TERMS.into(),
            serial: "SN0001".into(),
            model: "S19".into(),
            lane: "btc".parse().unwrap(),
            nameplate: Hashrate(100 * TERA.0),
            nameplate_watts: 3_001,
            kind: "sold".into(),
            scheme: "pplns".into(),
            pay_from: pay_from.into(),
            asset,
            energy_minor_per_kwh: 50_000,
            energy_rule: ENERGY_RULE.into(),
            fee_minor_per_day: 1_000_000,
            fee_rule: HOSTING_FEE_RULE.into(),
            service_level_bps: 9_800,
            service_level_rule: LEVEL_RULE.into(),
            price_asset: Asset::Usd,
            price_minor: 150_000_000,
            epoch_us: Some(86_400_000_000),
            term_epochs: Some(2),
            minimum_payout_minor: Some(900),
            earnings_fee_bps: None,
            earnings_rule: None,
            plan: None,
            plan_version: None,
            until_epoch: None,
            end_rule: Some(END_RULE.into()),
            back: None,
        }
    }

    fn read(terms: &HostingTerms, given: &Given) -> Result<Offer, AppraiseError> {
        let bytes = terms.canonical().unwrap();
        Offer::parse_with(&String::from_utf8(bytes).unwrap(), given)
    }

    #[test]
    fn a_machine_costs_its_price_its_hosting_and_the_energy_of_its_nameplate() {
        let past = three_days();
        let buy = |offer: &Offer| backtest(offer, &past).unwrap().buy(past.first()).unwrap();
        let offer = read(&machine("balance", Asset::Usd), &Given::default()).unwrap();
        assert_eq!((offer.term_days, offer.service_bps, offer.waits_for), (Some(2), 0, 900));
        let o = buy(&offer);
        // 3.001 kW for a day at 0.05 dollars: 3.6012; and one for hosting.
        assert_eq!((o.ended, o.paid_usd, o.along_usd), (Ended::Term, 150_000_000, 9_202_400));
        // A coin a day, at a hundred dollars.
        assert_eq!(o.received, 200_000_000);
        assert!((190_797_590..=190_797_600).contains(&o.sold_daily_usd), "{o:?}");
        assert_eq!(o.break_even, Some(past.first().plus(1)));
        // Out of the earnings it comes to the same, in fewer coins.
        let taken = buy(&read(&machine("earnings", Asset::Usd), &Given::default()).unwrap());
        assert_eq!(taken.along_usd, 0);
        assert!((taken.sold_daily_usd - o.sold_daily_usd).abs() < 10, "{taken:?} {o:?}");
        assert!(taken.received < o.received);
        // What the operator keeps of the earnings is agreed in the terms, too.
        let kept = HostingTerms {
            earnings_fee_bps: Some(250),
            earnings_rule: Some(EARNINGS_RULE.into()),
            ..machine("balance", Asset::Usd)
        };
        let kept = buy(&read(&kept, &Given::default()).unwrap());
        assert_eq!(kept.received, 195_000_000);
    }

    #[test]
    fn terms_of_a_machine_that_leave_coin_or_money_open_want_them_given() {
        let lane =
            HostingTerms { lane: "asics".parse().unwrap(), ..machine("balance", Asset::Usd) };
        let open = read(&lane, &Given::default()).unwrap_err().to_string();
        assert!(open.contains("asics") && open.contains("--coin"), "{open}");
        let coin = Given { coin: Some(Asset::Ltc), worth: Vec::new() };
        assert_eq!(read(&lane, &coin).unwrap().asset, Asset::Ltc);
        let euro = machine("balance", Asset::Eur);
        assert!(read(&euro, &Given::default()).unwrap_err().to_string().contains("EUR"));
        assert_eq!(read(&euro, &worth(Asset::Eur, "1.1")).unwrap().fees.len(), 2);
        let mut open_ended = machine("balance", Asset::Usd);
        (open_ended.term_epochs, open_ended.price_minor) = (None, -1);
        assert!(read(&open_ended, &Given::default()).is_err());
        open_ended.price_minor = 0;
        assert_eq!(read(&open_ended, &Given::default()).unwrap().term_days, None);
    }
}
