//! What an owner's machines on a lane earned, settlement by settlement: a part of a machine's page.

use crate::failure::Failure;
use crate::layout::cell;
use crate::money::{amount, epoch, time};
use crate::state::AppState;
use crate::trade::market_failure;
use crate::words::t;
use gruve_hosting::Contract;
use gruve_market::SettlementLine;
use gruve_units::EpochRule;
use maud::{Markup, html};

/// Settlements on the page; the API gives all.
const SHOWN: u32 = 30;

/// The newest settlements of the owner's machines on the lane.
pub(super) async fn lately(state: &AppState, c: &Contract) -> Result<Vec<SettlementLine>, Failure> {
    let all = state.market().account_settlements(c.account, &c.lane, None, SHOWN).await;
    Ok(all.map_err(|e| market_failure(&e))?.into_iter().map(|(_, line)| line).collect())
}

/// The part of the page.
pub(super) fn section(rule: EpochRule, lines: &[SettlementLine]) -> Markup {
    html! {
        section.sheet #earned data-live="lanes money" aria-labelledby="earned-h" {
            header { h2 #earned-h { (t("What your machines on this lane earned")) } span.soft.small { (t("newest first")) } }
            @if lines.is_empty() {
                p.empty { (t("Nothing settled yet. Earnings are settled when the blocks behind them are mature.")) }
            } @else {
                table.cards {
                    caption.visually-hidden { (t("Settlements, newest first")) }
                    thead { tr {
                        th scope="col" { (t("Settled")) } th scope="col" { (t("Epochs")) } th.r scope="col" { (t("Earned")) }
                        th.r scope="col" { (t("Fee")) } th.r scope="col" { (t("Credited")) }
                    } }
                    tbody { @for l in lines { tr {
                        (cell!("Settled", time(l.at)))
                        (cell!("Epochs", html! { (epoch(l.from_epoch, rule)) @if l.to_epoch != l.from_epoch { "–" (epoch(l.to_epoch, rule)) } }))
                        (cell!(r "Earned", amount(l.gross)))
                        (cell!(r "Fee", amount(l.fee)))
                        (cell!(r "Credited", amount(l.net)))
                    } } }
                }
            }
        }
    }
}
