//! A plan as a form: every field that a plan of the file has.

use crate::console::{figure, typed};
use crate::failure::{Failure, sentence};
use crate::words::{t, text};
use gruve_market::{
    FppsAsset, FppsConfig, HostedConfig, MaintenanceIn, MarketConfig, Ownership, PaysFrom,
    PlanConfig, PlanKind, PlanLife, Scheme, Unprofitable,
};
use gruve_units::{Amount, Asset, Bps, Hashrate, LaneId};
use maud::{Markup, html};
use serde::Deserialize;

/// What is typed.
#[derive(Deserialize)]
pub(crate) struct PlanForm {
    id: String,
    title: String,
    lane: String,
    kind: String,
    hashrate_min: String,
    hashrate_max: String,
    hashrate_step: String,
    terms: String,
    pay_asset: String,
    price: String,
    price_hashrate: String,
    scheme: String,
    fpps: String,
    ruin: String,
    fee: String,
    maintenance: String,
    maintenance_also: String,
    catch_up: String,
    extension: String,
    low_balance: String,
    unprofitable: String,
    hysteresis: String,
    notice: String,
    maintenance_usd: String,
    energy_usd: String,
    choice: String,
    #[serde(default)]
    minimum: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    ownership: String,
    #[serde(default)]
    bill_asset: String,
    #[serde(default)]
    energy: String,
    #[serde(default)]
    hosting: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    pays_from: String,
    #[serde(default)]
    hosted_term: String,
}

/// One short field: name in the form, label, hint.
type Labelled = (&'static str, &'static str, &'static str);

const DOLLARS: &str = "In dollars, as 0.05; 0 for none.";

fn words<'a>(text: &'a str, between: &'a [char]) -> impl Iterator<Item = &'a str> {
    text.split(between).map(str::trim).filter(|w| !w.is_empty())
}

fn bad(e: impl std::fmt::Display) -> Failure {
    Failure::refused(sentence(&e.to_string()))
}

fn minor(asset: Asset, text: &str) -> Result<u64, Failure> {
    let read = Amount::parse_decimal(asset, &figure(text)?).map_err(bad)?;
    u64::try_from(read.minor).map_err(|_| Failure::refused("Write an amount that is not negative."))
}

fn decimal(asset: Asset, minor: u64) -> String {
    Amount::new(asset, i64::try_from(minor).unwrap_or(i64::MAX)).decimal()
}

fn maybe<T: std::str::FromStr>(text: &str, wanted: &str) -> Result<Option<T>, Failure> {
    if text.trim().is_empty() { Ok(None) } else { typed(text, wanted).map(Some) }
}

fn bps(text: &str, what: &str) -> Result<Bps, Failure> {
    let wanted = text!("write {what} as 0 to 10000", what = t(what));
    Bps::new(typed(text, &wanted)?).ok_or_else(|| bad(wanted))
}

impl PlanForm {
    /// Nothing filled in but what is usual.
    pub(crate) fn blank() -> PlanForm {
        let life = PlanLife::default();
        let text = str::to_owned;
        PlanForm {
            id: text(""),
            title: text(""),
            lane: text(""),
            kind: text("lease"),
            hashrate_min: text(""),
            hashrate_max: text(""),
            hashrate_step: text(""),
            terms: text(""),
            pay_asset: text(""),
            price: text(""),
            price_hashrate: text("1 TH/s"),
            scheme: text("pplns"),
            fpps: text(""),
            ruin: text(""),
            fee: text("0"),
            maintenance: text("0"),
            maintenance_also: text(""),
            catch_up: text("10000"),
            extension: text(""),
            low_balance: text(""),
            unprofitable: text(life.unprofitable.name()),
            hysteresis: life.hysteresis_bps.get().to_string(),
            notice: life.notice_epochs.to_string(),
            maintenance_usd: text("0"),
            energy_usd: text("0"),
            choice: life.choice_epochs.to_string(),
            minimum: text("0"),
            model: text(""),
            ownership: text("sold"),
            bill_asset: text(""),
            energy: text(""),
            hosting: text(""),
            level: text(""),
            pays_from: text("earnings"),
            hosted_term: text(""),
        }
    }

    /// Filled with a plan whose lane earns `own`.
    pub(crate) fn of(p: &PlanConfig, own: Option<Asset>) -> PlanForm {
        let own = own.unwrap_or(Asset::Btc);
        let rate = |r: Hashrate| format!("{} H/s", r.0);
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let rate = |r: Hashrate| if r == Hashrate::ZERO { String::new() } else { rate(r) };
        let hosted = p.hosted.as_ref();
        let bills_in = hosted.and_then(|h| h.bill_asset).unwrap_or(own);
        let billed = |minor: Option<u64>| minor.map(|m| decimal(bills_in, m)).unwrap_or_default();
        let also = p.maintenance_also.iter();
        let fpps = p.fpps.iter().flat_map(|f| &f.assets).map(|f| {
            let cap = decimal(f.asset, f.fee_cap_minor);
            format!("{} {} {cap} {}", f.asset, f.fee_window_blocks, f.depth_blocks)
        });
        PlanForm {
            id: p.id.clone(),
            title: p.title.clone(),
            lane: p.lane.to_string(),
            kind: p.kind.name().to_owned(),
            hashrate_min: rate(p.hashrate_min),
            hashrate_max: rate(p.hashrate_max),
            hashrate_step: rate(p.hashrate_step),
            terms: p.terms_epochs.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
            pay_asset: p.pay_asset.map(|a| a.to_string()).unwrap_or_default(),
            price: decimal(p.pay_asset.unwrap_or(own), p.price_minor),
            price_hashrate: rate(p.price_hashrate),
            scheme: p.scheme.name().to_owned(),
            fpps: fpps.collect::<Vec<_>>().join("; "),
            ruin: number(p.fpps.as_ref().map(|f| f.ruin_ppm.into())),
            fee: p.fee_bps.get().to_string(),
            maintenance: decimal(own, p.maintenance_minor_per_th_day),
            maintenance_also: also
                .map(|m| format!("{} {}", m.asset, decimal(m.asset, m.minor_per_th_day)))
                .collect::<Vec<_>>()
                .join("; "),
            catch_up: p.catch_up_bps.to_string(),
            extension: number(p.extension_epochs),
            low_balance: number(p.low_balance_epochs),
            unprofitable: p.life.unprofitable.name().to_owned(),
            hysteresis: p.life.hysteresis_bps.get().to_string(),
            notice: p.life.notice_epochs.to_string(),
            maintenance_usd: decimal(Asset::Usd, p.life.maintenance_usd_micro_per_th_day),
            energy_usd: decimal(Asset::Usd, p.life.energy_usd_micro_per_th_day),
            choice: p.life.choice_epochs.to_string(),
            minimum: decimal(own, p.life.minimum_payout_minor),
            model: hosted.map(|h| h.model.clone()).unwrap_or_default(),
            ownership: match hosted.map(|h| h.ownership) {
                Some(Ownership::Leased) => "leased".to_owned(),
                _ => "sold".to_owned(),
            },
            bill_asset: hosted
                .and_then(|h| h.bill_asset)
                .map(|a| a.to_string())
                .unwrap_or_default(),
            energy: billed(hosted.map(|h| h.energy_minor_per_kwh)),
            hosting: billed(hosted.map(|h| h.fee_minor_per_day)),
            level: number(hosted.map(|h| h.level_bps.get().into())),
            pays_from: match hosted.map(|h| h.pays_from) {
                Some(PaysFrom::Balance) => "balance".to_owned(),
                _ => "earnings".to_owned(),
            },
            hosted_term: number(hosted.map(|h| h.term_epochs)),
        }
    }

    /// The plan that was typed; whether it can be offered the market says.
    pub(crate) fn read(&self, config: &MarketConfig) -> Result<PlanConfig, Failure> {
        let lane: LaneId = typed(&self.lane, "choose a lane")?;
        let own = config.lane(&lane).ok_or_else(|| Failure::not_found("lane"))?.asset;
        let pay_asset = maybe(&self.pay_asset, "write what is paid in as BTC, or nothing")?;
        let kind = match self.kind.as_str() {
            "metered" => PlanKind::Metered,
            "hosted" => PlanKind::Hosted,
            _ => PlanKind::Lease,
        };
        let is_hosted = kind == PlanKind::Hosted;
        let rate = |text: &str| {
            // A plan of machines has none.
            if is_hosted {
                return Ok(Hashrate::ZERO);
            }
            typed::<Hashrate>(&figure(text)?, "write hashrates as 110 TH/s")
        };
        let terms = words(&self.terms, &[',', ' ']);
        let terms = terms.map(|t| typed(t, "write terms in epochs, as 144, 1008"));
        Ok(PlanConfig {
            id: self.id.trim().to_owned(),
            title: self.title.trim().to_owned(),
            kind,
            hosted: if is_hosted { Some(self.hosted(own)?) } else { None },
            hashrate_min: rate(&self.hashrate_min)?,
            hashrate_max: rate(&self.hashrate_max)?,
            hashrate_step: rate(&self.hashrate_step)?,
            terms_epochs: terms.collect::<Result<_, _>>()?,
            pay_asset,
            price_minor: minor(pay_asset.unwrap_or(own), &self.price)?,
            price_hashrate: rate(&self.price_hashrate)?,
            scheme: self.scheme()?,
            fpps: self.fpps()?,
            fee_bps: bps(&self.fee, "the fee")?,
            maintenance_minor_per_th_day: minor(own, &self.maintenance)?,
            maintenance_also: self.maintenance_also()?,
            catch_up_bps: typed(&self.catch_up, "write the rate of making good as a whole number")?,
            extension_epochs: maybe(&self.extension, "write the extension in epochs, or nothing")?,
            low_balance_epochs: maybe(&self.low_balance, "write epochs, or nothing")?,
            life: self.life(own)?,
            lane,
        })
    }

    fn hosted(&self, own: Asset) -> Result<HostedConfig, Failure> {
        let bill_asset = maybe(&self.bill_asset, "write what bills are in as BTC, or nothing")?;
        let bills_in = bill_asset.unwrap_or(own);
        let term = maybe(&self.hosted_term, "write the term in epochs, or nothing")?;
        Ok(HostedConfig {
            model: self.model.trim().to_owned(),
            ownership: match self.ownership.as_str() {
                "leased" => Ownership::Leased,
                _ => Ownership::Sold,
            },
            bill_asset,
            energy_minor_per_kwh: minor(bills_in, &self.energy)?,
            fee_minor_per_day: minor(bills_in, &self.hosting)?,
            level_bps: bps(&self.level, "the service level")?,
            pays_from: match self.pays_from.as_str() {
                "balance" => PaysFrom::Balance,
                _ => PaysFrom::Earnings,
            },
            term_epochs: term.unwrap_or(0),
        })
    }

    fn scheme(&self) -> Result<Scheme, Failure> {
        let found = Scheme::ALL.into_iter().find(|s| s.name() == self.scheme);
        found.ok_or_else(|| Failure::refused("Choose one of the schemes."))
    }

    fn fpps(&self) -> Result<Option<FppsConfig>, Failure> {
        let wanted = "write for each coin its name, blocks of the fee window, cap and depth, as BTC 144 0.5 6";
        let mut assets = Vec::new();
        for one in words(&self.fpps, &[';']) {
            let parts: Vec<&str> = one.split_whitespace().collect();
            let [asset, window, cap, depth] = parts[..] else { return Err(bad(wanted)) };
            let asset = typed(asset, wanted)?;
            assets.push(FppsAsset {
                asset,
                fee_window_blocks: typed(window, wanted)?,
                fee_cap_minor: minor(asset, cap)?,
                depth_blocks: typed(depth, wanted)?,
            });
        }
        if assets.is_empty() {
            return Ok(None);
        }
        let ruin_ppm = typed(&self.ruin, "write the chance of ruin in millionths, as 1000")?;
        Ok(Some(FppsConfig { ruin_ppm, assets }))
    }

    fn maintenance_also(&self) -> Result<Vec<MaintenanceIn>, Failure> {
        let one = |text: &str| {
            let wanted = "write further coins of maintenance as DOGE 0.1; in the order in which they are taken";
            let (asset, fee) = text.split_once(' ').ok_or_else(|| bad(wanted))?;
            let asset = typed(asset, wanted)?;
            Ok(MaintenanceIn { asset, minor_per_th_day: minor(asset, fee)? })
        };
        words(&self.maintenance_also, &[';']).map(one).collect()
    }

    fn life(&self, own: Asset) -> Result<PlanLife, Failure> {
        let whole = "write a whole number of epochs";
        Ok(PlanLife {
            unprofitable: match self.unprofitable.as_str() {
                "pause" => Unprofitable::Pause,
                _ => Unprofitable::Run,
            },
            hysteresis_bps: bps(&self.hysteresis, "the hysteresis")?,
            notice_epochs: typed(&self.notice, whole)?,
            maintenance_usd_micro_per_th_day: minor(Asset::Usd, &self.maintenance_usd)?,
            energy_usd_micro_per_th_day: minor(Asset::Usd, &self.energy_usd)?,
            choice_epochs: typed(&self.choice, whole)?,
            minimum_payout_minor: match self.minimum.trim() {
                "" => 0,
                minimum => minor(own, minimum)?,
            },
        })
    }

    /// The fields, filled in; a plan's name does not change.
    pub(crate) fn fields(&self, lanes: &[&str], is_named: bool) -> Markup {
        let schemes = [("pplns", "PPLNS"), ("fpps", "FPPS"), ("solo", "SOLO")];
        html! {
            (text(("id", "Name", "1 to 32 of a-z, 0-9 and -; it stays."), &self.id, is_named))
            (text(("title", "Title", "What customers read."), &self.title, false))
            (choose("lane", "Lane", &self.lane, lanes.iter().map(|l| (*l, *l))))
            (choose("kind", "Kind", &self.kind, [("lease", "Lease"), ("metered", "Metered"), ("hosted", "Hosted")].into_iter()))
            (text(("hashrate_min", "Least hashrate", "As 1 TH/s."), &self.hashrate_min, false))
            (text(("hashrate_max", "Most", "As 500 TH/s."), &self.hashrate_max, false))
            (text(("hashrate_step", "Step", "Hashrates are multiples of it."), &self.hashrate_step, false))
            (text(("terms", "Terms in epochs", "As 1008, 4320; none for a metered plan."), &self.terms, false))
            (text(("price", "Price of a day", "In whole coins, paid upfront; a metered plan is charged by it for work delivered."), &self.price, false))
            (text(("price_hashrate", "That is the price of", "As 1 TH/s."), &self.price_hashrate, false))
            (text(("pay_asset", "Paid in", "As BTC; the lane's own coin when empty."), &self.pay_asset, false))
            (choose("scheme", "Scheme", &self.scheme, schemes.into_iter()))
            (text(("fpps", "FPPS is reckoned by", "For each coin: blocks of the fee window, cap of fees, depth; as BTC 144 0.5 6; LTC …"), &self.fpps, false))
            (text(("ruin", "Chance of ruin", "In millionths, for FPPS; as 1000."), &self.ruin, false))
            (text(("fee", "Fee on earnings", "In basis points, as 200."), &self.fee, false))
            (text(("maintenance", "Maintenance for a TH·day delivered", "In whole coins of the lane, taken from earnings."), &self.maintenance, false))
            (text(("maintenance_also", "From merge-mined coins after it", "As DOGE 0.1; in this order."), &self.maintenance_also, false))
            (text(("maintenance_usd", "Maintenance for a TH·day delivered, besides", DOLLARS), &self.maintenance_usd, false))
            (text(("catch_up", "Making good above the rate", "In basis points of it; 10000 is up to twice the rate."), &self.catch_up, false))
            (text(("extension", "Epochs after the term until the hard end", "As long as the shortest term when empty."), &self.extension, false))
            (text(("low_balance", "Low balance", "Metered: epochs that the balance must last; 144 when empty."), &self.low_balance, false))
            (choose("unprofitable", "While it does not pay", &self.unprofitable, [("run", "It runs"), ("pause", "It pauses")].into_iter()))
            (text(("hysteresis", "Hysteresis", "In basis points."), &self.hysteresis, false))
            (text(("notice", "Epochs of notice before a pause", "A whole number."), &self.notice, false))
            (text(("energy_usd", "Energy of a TH·day", DOLLARS), &self.energy_usd, false))
            (text(("choice", "Epochs to choose what happens to missed work", "1 to 52560."), &self.choice, false))
            (text(("minimum", "Minimum payout", "In whole coins of the lane, at most 0.01: less than this waits until the contract's end; 0 for none."), &self.minimum, false))
            (text(("model", "Machine's model", "For a hosted plan, as in the inventory; machines of it in stock are sold."), &self.model, false))
            (choose("ownership", "The machine is", &self.ownership, [("sold", "Sold"), ("leased", "Leased")].into_iter()))
            (text(("energy", "A kilowatt-hour", "For a hosted plan, in whole coins of the bills."), &self.energy, false))
            (text(("hosting", "A day of hosting", "For a hosted plan, in whole coins of the bills."), &self.hosting, false))
            (text(("level", "Promised to be up", "For a hosted plan, in basis points, as 9800."), &self.level, false))
            (choose("pays_from", "Bills are taken from", &self.pays_from, [("earnings", "Earnings"), ("balance", "Balance")].into_iter()))
            (text(("bill_asset", "Bills are in", "As BTC; the lane's own coin when empty."), &self.bill_asset, false))
            (text(("hosted_term", "A hosted machine's term", "In epochs; it ends by itself then. Empty for none."), &self.hosted_term, false))
        }
    }
}

fn text((name, label, hint): Labelled, value: &str, is_fixed: bool) -> Markup {
    let (id, described) = (format!("plan-{name}"), format!("plan-{name}-hint"));
    html! {
        div.field {
            label for=(id) { (t(label)) }
            input id=(id) name=(name) value=(value) type="text" maxlength="256" autocomplete="off"
                autocapitalize="none" spellcheck="false" readonly[is_fixed] aria-describedby=(described);
            p.hint id=(described) { (t(hint)) }
        }
    }
}

fn choose<'a>(
    name: &str,
    label: &str,
    value: &str,
    options: impl Iterator<Item = (&'a str, &'a str)>,
) -> Markup {
    let id = format!("plan-{name}");
    html! {
        div.field {
            label for=(id) { (t(label)) }
            select id=(id) name=(name) {
                @for (word, shown) in options { option value=(word) selected[word == value] { (t(shown)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> MarketConfig {
        let text = r#"{"lanes": [{"lane": "ltc", "asset": "LTC", "algorithm": "scrypt",
            "aux": [{"asset": "DOGE", "coinbase_maturity": 240}],
            "epoch_rule": {"length_us": 600000000, "grace_us": 30000000}, "coinbase_maturity": 100}],
            "plans": [{"id": "year", "lane": "ltc", "title": "A year", "hashrate_min": "10 MH/s",
            "hashrate_max": "2 GH/s", "hashrate_step": "2500 kH/s", "terms_epochs": [144, 52560],
            "pay_asset": "USD", "price_minor": 123456, "price_hashrate": "1 MH/s", "scheme": "fpps",
            "fpps": {"ruin_ppm": 500, "assets": [
              {"asset": "LTC", "fee_window_blocks": 576, "fee_cap_minor": 5000000, "depth_blocks": 6},
              {"asset": "DOGE", "fee_window_blocks": 1440, "fee_cap_minor": 700000000, "depth_blocks": 40}]},
            "fee_bps": 250, "maintenance_minor_per_th_day": 77,
            "maintenance_also": [{"asset": "DOGE", "minor_per_th_day": 88}],
            "catch_up_bps": 5000, "extension_epochs": 1000,
            "life": {"unprofitable": "pause", "hysteresis_bps": 321, "notice_epochs": 12,
              "maintenance_usd_micro_per_th_day": 55, "energy_usd_micro_per_th_day": 44, "choice_epochs": 99,
              "minimum_payout_minor": 4321}},
            {"id": "meter", "lane": "ltc", "title": "Meter", "kind": "metered", "hashrate_min": "10 MH/s",
            "hashrate_max": "2 GH/s", "hashrate_step": "1 MH/s", "price_minor": 9,
            "price_hashrate": "1 MH/s", "low_balance_epochs": 7, "scheme": "solo"},
            {"id": "own", "lane": "ltc", "title": "L9", "kind": "hosted", "pay_asset": "USD", "price_minor": 5,
            "life": {"minimum_payout_minor": 12}, "hosted": {"model": "L9", "ownership": "leased",
            "bill_asset": "DOGE", "energy_minor_per_kwh": 11, "fee_minor_per_day": 22, "level_bps": 9900,
            "pays_from": "balance", "term_epochs": 33}}]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_plan_that_fills_the_form_is_read_from_it_unchanged() {
        let config = config();
        for plan in &config.plans {
            let form = PlanForm::of(plan, Some(Asset::Ltc));
            assert_eq!(form.read(&config).unwrap(), *plan);
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_to_write() {
        let config = config();
        let refused = |edit: fn(&mut PlanForm)| {
            let mut form = PlanForm::of(&config.plans[0], Some(Asset::Ltc));
            edit(&mut form);
            form.read(&config).unwrap_err().detail
        };
        assert!(refused(|f| f.hashrate_min = "much".into()).contains("110 TH/s"));
        assert!(refused(|f| f.price = "-1".into()).contains("not negative"));
        assert!(refused(|f| f.fpps = "LTC 576".into()).contains("fee window"));
        assert!(refused(|f| f.fee = "10001".into()).contains("0 to 10000"));
        assert!(refused(|f| f.terms = "144 and more".into()).contains("epochs"));
    }
}
