//! Found blocks, and what was found against what the work should have found.

use super::{frame, live_sheet, table};
use crate::extract::Staff;
use crate::failure::Failure;
use crate::figures::LuckView;
use crate::money::local;
use crate::pages::home::block_table;
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::t;
use axum::extract::State;
use maud::{Markup, html};

/// Blocks shown of each lane: a house that finds more a day looks at the newest.
const BLOCKS_SHOWN: u32 = 200;

/// `GET /console/blocks`
pub(crate) async fn blocks(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let (mut luck, mut found) = (Vec::new(), Vec::new());
    for lane in &state.market().config().lanes {
        luck.push((lane.lane.clone(), lane.asset, state.luck(&lane.lane).await?));
        found.extend(state.market().blocks(&lane.lane, BLOCKS_SHOWN).await?);
    }
    found.sort_by_key(|b| std::cmp::Reverse(b.at));
    let row = |(lane, asset, luck): &(gruve_units::LaneId, gruve_units::Asset, LuckView)| {
        vec![
            html! { a href={ "/lanes/" (lane) } { (lane) } },
            html! { (asset) },
            html! { (luck.found) },
            html! { (luck.expected()) },
            html! { (luck.percent()) },
            html! { (chance(luck)) },
        ]
    };
    let rows: Vec<_> = luck.iter().map(row).collect();
    let columns = ["Lane", "Coin", ">Found", ">Expected", ">Luck", ">Chance of so few"];
    let content = html! {
        (live_sheet("luck", "Luck", "lanes", &html! {
            (table("Blocks found against those expected, by lane", &columns, &rows))
            p.note { (t("Expected is what all work in the lane's shares should have found, of the lane's own chain; blocks that were orphaned later count as found. One house or another is always unlucky: look at Withheld blocks before you blame anybody.")) }
        }))
        (live_sheet("blocks", "Blocks found", "lanes", &block_table(&found, true)))
    };
    Ok(frame(
        &visitor,
        staff,
        "Blocks and luck",
        "What was found, and what chance had due.",
        &content,
    ))
}

/// How likely so few are; nothing before there was work.
fn chance(luck: &LuckView) -> String {
    match luck.permille {
        None => "–".to_owned(),
        Some(_) => local(&format!("{:.3}", luck.chance_of_so_few)),
    }
}
