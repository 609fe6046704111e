//! What a customer earned lately, and what was told: two parts of the overview.

use crate::failure::Failure;
use crate::money::{amount, time};
use crate::state::AppState;
use crate::words::{counted, t};
use gruve_ledger::{AccountKind, customer_balances, moved_since};
use gruve_market::Notice;
use gruve_units::{AccountId, Amount, Asset, Duration};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Notices on the overview; the contract's page has the rest.
const NOTICES_SHOWN: u32 = 5;
/// Lines of the books that are read of one coin: of 200 contracts settled daily, those of 40 days.
const LINES_MAX: u32 = 8_000;
/// Spans that earnings are summed over, in days.
const SPANS: [u64; 3] = [1, 7, 30];

/// What was credited within the last day, week and month, by asset.
pub(crate) struct Lately {
    pub(crate) sums: BTreeMap<Asset, [Amount; 3]>,
    /// Older lines of the month were not read.
    pub(crate) is_cut: bool,
}

/// Entries that are earnings: what was settled, what is owed beside delivery, and what was taken back of it.
fn is_earning(kind: &str) -> bool {
    matches!(kind, "market-settlement" | "market-owed" | "market-take-back")
}

/// What an account earned lately, from the books.
pub(crate) async fn lately(state: &AppState, account: AccountId) -> Result<Lately, Failure> {
    let now = state.now();
    let since = SPANS.map(|days| now.minus(Duration::from_secs(days * 86_400)));
    let mut found = Lately { sums: BTreeMap::new(), is_cut: false };
    let mut tx = state.store().read().await?;
    for (which, balance) in customer_balances(&mut tx, account).await? {
        if which.kind() != AccountKind::CustomerAvailable {
            continue;
        }
        let asset = balance.asset;
        let moved = moved_since(&mut tx, &which, asset, since, LINES_MAX).await?;
        found.is_cut |= !moved.is_whole;
        for (_, sums) in moved.sums.iter().filter(|(kind, _)| is_earning(kind)) {
            let all = found.sums.entry(asset).or_insert([Amount::new(asset, 0); 3]);
            for (whole, part) in all.iter_mut().zip(sums) {
                *whole = whole.checked_add(*part).unwrap_or(*whole);
            }
        }
    }
    tx.rollback().await?;
    // A coin in which nothing was earned for a month has no line.
    found.sums.retain(|_, sums| sums.iter().any(|sum| sum.minor != 0));
    Ok(found)
}

/// The newest notices of an account.
pub(crate) async fn notices(state: &AppState, account: AccountId) -> Result<Vec<Notice>, Failure> {
    Ok(state.market().notices(account, None, NOTICES_SHOWN).await?)
}

/// Both as parts of a page; nothing where there is nothing.
pub(crate) fn sheets(lately: &Lately, notices: &[Notice]) -> Markup {
    html! {
        @if !lately.sums.is_empty() {
            section.sheet #lately data-live="money" aria-labelledby="lately-h" {
                header { h2 #lately-h { (t("Earned lately")) } span.soft.small { (t("credited to your balance")) } }
                table.cards {
                    thead { tr { th scope="col" { (t("Asset")) }
                        @for days in SPANS { th.r scope="col" { (span_name(days)) } } } }
                    tbody { @for (asset, sums) in &lately.sums { tr {
                        td data-label=(t("Asset")) { span { (asset) } }
                        @for (days, sum) in SPANS.iter().zip(sums) {
                            td.r data-label=(span_name(*days)) { span { (amount(*sum)) } }
                        }
                    } } }
                }
                @if lately.is_cut { p.small.soft { (t("There are more lines in the month than are read here: the statement has them all.")) } }
            }
        }
        @if !notices.is_empty() {
            section.sheet #notices data-live="lanes money" aria-labelledby="notices-h" {
                header { h2 #notices-h { (t("Notices")) } }
                @for n in notices {
                    p { strong { (time(n.at)) } " " a href={ "/contracts/" (n.contract) } { (t(n.kind.sentence())) }
                        @if !n.detail.is_empty() { " (" (n.detail) ")" } }
                }
            }
        }
    }
}

fn span_name(days: u64) -> String {
    if days == 1 { t("24 hours").to_owned() } else { counted!("{n} day", "{n} days", days) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refunds_and_payments_are_no_earnings() {
        assert!(is_earning("market-settlement") && !is_earning("market-refund"));
    }
}
