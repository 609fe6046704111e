//! What a contract was sold under, in words: read from the very bytes that were signed, whatever its plan says by now.

use crate::money::{amount, asset_name, span_text};
use crate::pages::plans::scheme_text;
use crate::view::{basis_points, rule_of};
use crate::words::{say, t};
use gruve_market::{Scheme, SignedTerms};
use gruve_statement::Terms;
use gruve_statement::terms::{
    FeeRule, MaintenanceRule, SchemeRule, SettlementRule, ShortfallRule, UnprofitableRule, Upkeep,
    UsdMaintenanceRule,
};
use gruve_units::{Amount, Asset, Bps};
use maud::{Markup, html};

/// The signed rules as pairs of a list; nothing of terms that cannot be read any more.
pub(crate) fn rules(signed: &SignedTerms) -> Markup {
    let Ok(terms) = Terms::parse(signed.terms.as_bytes()) else { return html! {} };
    // What is paid along the way is no quantity that anything could be missing of.
    let is_lease = terms.term_epochs > 0;
    let rules = &terms.rules;
    let (scheme, in_price) = match rules.scheme {
        SchemeRule::PplnsUnits { .. } => (Scheme::Pplns, None),
        SchemeRule::Fpps { fee_bps, .. } => (Scheme::Fpps, Some(fee_bps)),
        SchemeRule::Solo { .. } => (Scheme::Solo, None),
    };
    let FeeRule::PartOfEarnings { bps } = rules.fee;
    html! {
        dt { (t("Paid by")) } dd { (t(scheme_text(scheme))) }
        @if let Some(fee) = Bps::new(in_price.unwrap_or(bps)) { dt { (t("Fee on earnings")) } dd { (basis_points(fee)) } }
        dt { (t("Maintenance")) } dd { (maintenance(&terms)) }
        dt { (t("If work is missing")) } dd { @if is_lease { (missing(&terms)) } @else { (t("it is not charged")) } }
        @if is_lease { dt { (t("If it does not pay")) } dd { (unprofitable(&terms)) } }
        @if let SettlementRule::EveryEpochs { minimum_minor, .. } = rules.settlement
            && let Some(own) = terms.earns.first().filter(|_| minimum_minor > 0) {
            dt { (t("Minimum payout")) } dd { (say!("earnings are credited once {minimum} wait, and all of them at the end", minimum = minor(*own, minimum_minor))) }
        }
    }
}

fn minor(asset: Asset, minor: u64) -> Markup {
    amount(Amount::new(asset, i64::try_from(minor).unwrap_or(i64::MAX)))
}

/// So many epochs of the contract as a time.
fn span(terms: &Terms, epochs: u64) -> String {
    let epochs = u32::try_from(epochs).unwrap_or(u32::MAX);
    span_text(rule_of(terms.epoch_us).length().saturating_mul(epochs))
}

fn maintenance(terms: &Terms) -> Markup {
    let MaintenanceRule::PerDelivered { order } = &terms.rules.maintenance;
    let charged: Vec<&Upkeep> = order.iter().filter(|u| u.minor_per_th_day > 0).collect();
    let dollars = terms.rules.life.as_ref().and_then(|life| life.maintenance_usd.as_ref());
    html! {
        @if charged.is_empty() && dollars.is_none() { (t("none")) }
        @for (n, u) in charged.iter().enumerate() {
            @if n > 0 { br; }
            @if n == 0 { (say!("{maintenance} for each TH/s·day delivered, deducted from earnings", maintenance = minor(u.asset, u.minor_per_th_day))) }
            @else { (say!("What they do not cover comes from {asset}, the whole fee being {max}", asset = asset_name(u.asset), max = minor(u.asset, u.minor_per_th_day))) }
        }
        @if let Some(UsdMaintenanceRule::PerDelivered { micro_per_th_day }) = dollars {
            @if !charged.is_empty() { br; }
            (say!("{maintenance} for each TH/s·day delivered, deducted from earnings at the price recorded for each settlement", maintenance = minor(Asset::Usd, *micro_per_th_day)))
        }
    }
}

fn missing(terms: &Terms) -> Markup {
    let ShortfallRule::MadeGood { extension_epochs, .. } = terms.rules.shortfall;
    say!(
        "delivered later, within {extension_epochs} after the term; what is missing then is refunded pro rata",
        extension_epochs = span(terms, extension_epochs)
    )
}

fn unprofitable(terms: &Terms) -> Markup {
    html! { @match terms.rules.unprofitable {
        UnprofitableRule::Run => (t("it goes on; what is deducted never exceeds what it earns")),
        UnprofitableRule::Pause { notice_epochs, .. } => (say!("after {notice} of notice it pauses, and its clock with it, until it pays again; you may have it run on", notice = span(terms, notice_epochs))),
    } }
}
