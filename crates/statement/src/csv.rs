//! A page of a statement as a table: one row a line, and under each epoch one row an asset for its units.

use crate::document::{Line, Statement, UsageLine};

/// The columns. What a row has no number for is empty; work, units and accruals are whole numbers as in the JSON,
/// money is in minor units.
pub const COLUMNS: [&str; 60] = [
    "line",
    "is",
    "epoch",
    "began_us",
    "at_us",
    "asset",
    "house_work",
    "entitled_all",
    "surplus",
    "entitled",
    "made_good",
    "delivered",
    "delivered_sum",
    "shortfall",
    "upkeep",
    "upkeep_due",
    "units_all",
    "units_house",
    "units_own",
    "block",
    "life",
    "height",
    "reward_minor",
    "before_epoch",
    "first_epoch",
    "first_units",
    "after_units",
    "own_first",
    "own_after",
    "accrual",
    "number",
    "from_epoch",
    "gross_minor",
    "fee_minor",
    "maintenance_minor",
    "waived_minor",
    "net_minor",
    "fee_carry",
    "carried",
    "of_epoch",
    "hashes",
    "missing",
    "caused",
    "why",
    "due",
    "total",
    "price_micro",
    "earns_micro",
    "costs_micro",
    "effective_epoch",
    "epochs",
    "place",
    "before",
    "own",
    "price_minor",
    "price_hashrate",
    "held_minor",
    "cap",
    "cost",
    "charged_minor",
];

/// The page as CSV. Nothing in it needs quoting: numbers, codes of assets, hashes.
#[must_use]
pub fn csv(page: &Statement) -> String {
    let mut out = COLUMNS.join(",");
    out.push('\n');
    for (n, chained) in (1usize..).zip(&page.lines) {
        for mut row in rows(&chained.line) {
            row.push(("line", n.to_string()));
            let cell = |column: &&str| {
                row.iter()
                    .find(|(name, _)| name == column)
                    .map_or("", |(_, value)| value)
                    .to_owned()
            };
            let cells: Vec<String> = COLUMNS.iter().map(cell).collect();
            out.push_str(&cells.join(","));
            out.push('\n');
        }
    }
    out
}

type Cells = Vec<(&'static str, String)>;

macro_rules! cells {
    ($is:literal, $line:expr, $($field:ident),*) => {
        vec![("is", $is.to_string()), $((stringify!($field), $line.$field.to_string())),*]
    };
}

fn rows(line: &Line) -> Vec<Cells> {
    match line {
        Line::Epoch(l) => {
            let mut first = cells!(
                "epoch",
                l,
                epoch,
                began_us,
                house_work,
                entitled_all,
                surplus,
                entitled,
                made_good,
                delivered,
                delivered_sum,
                shortfall
            );
            first.push(("upkeep", l.upkeep.0.to_string()));
            first.push(("upkeep_due", l.upkeep_due.0.to_string()));
            let units = l.units.iter().map(|u| {
                vec![
                    ("is", "units".to_string()),
                    ("epoch", l.epoch.to_string()),
                    ("asset", u.asset.to_string()),
                    ("units_all", u.all.0.to_string()),
                    ("units_house", u.house.0.to_string()),
                    ("units_own", u.own.0.to_string()),
                ]
            });
            std::iter::once(first).chain(units).collect()
        }
        Line::End(l) => {
            let is = match (l.complete, l.charged_back) {
                (true, _) => "completed",
                (false, None) => "refunded",
                (false, Some(_)) => "charged-back",
            };
            let mut row = vec![
                ("is", is.to_string()),
                ("epoch", l.epoch.to_string()),
                ("asset", l.refund.asset.to_string()),
                ("net_minor", l.refund.minor.to_string()),
            ];
            if let Some(back) = l.charged_back {
                row.push(("gross_minor", back.lost_minor.to_string()));
                row.push(("fee_minor", back.kept_minor.to_string()));
            }
            vec![row]
        }
        Line::Meter(l) => vec![vec![
            ("is", l.what.name().to_string()),
            ("epoch", l.epoch.to_string()),
            ("delivered_sum", l.delivered_sum.0.to_string()),
            ("charged_minor", l.charged_minor.to_string()),
            ("cost_carry", l.cost_carry.0.to_string()),
        ]],
        Line::Accrual(l) => {
            let mut row =
                cells!("accrual", l, epoch, asset, block, life, height, reward_minor, before_epoch);
            row.push(("first_epoch", l.first_epoch.map_or_else(String::new, |e| e.to_string())));
            row.push(("first_units", l.first_units.0.to_string()));
            row.push(("after_units", l.after_units.0.to_string()));
            row.push(("own_first", l.own_first.0.to_string()));
            row.push(("own_after", l.own_after.0.to_string()));
            row.push(("accrual", l.accrual.0.to_string()));
            vec![row]
        }
        Line::Credit(l) => {
            let mut row = cells!("credit", l, epoch, asset, block, life);
            row.push(("accrual", l.accrual.0.to_string()));
            vec![row]
        }
        Line::Settlement(l) => {
            let mut row = cells!(
                "settlement",
                l,
                epoch,
                at_us,
                asset,
                number,
                from_epoch,
                gross_minor,
                fee_minor,
                maintenance_minor,
                waived_minor,
                net_minor,
                fee_carry
            );
            row.push(("carried", l.carried.0.to_string()));
            vec![row]
        }
        Line::Reversal(l) => {
            let mut row = cells!("reversal", l, epoch, at_us, asset, block, life);
            row.push(("accrual", format!("-{}", l.accrual.0)));
            vec![row]
        }
        Line::Priced(l) => {
            let mut row = cells!("priced", l, epoch, of_epoch, asset, delivered, house_work);
            row.push(("accrual", l.earned.0.to_string()));
            vec![row]
        }
        Line::Found(l) => {
            let mut row = cells!(
                "found",
                l,
                epoch,
                asset,
                block,
                life,
                height,
                reward_minor,
                house_work,
                before,
                own,
                place
            );
            row.push(("of_epoch", l.stamp_epoch.to_string()));
            row.push(("accrual", l.accrual.0.to_string()));
            vec![row]
        }
        Line::Usage(l) => usage(l),
        Line::Aside(_)
        | Line::Judgement(_)
        | Line::Choice(_)
        | Line::Owed(_)
        | Line::Decision(_)
        | Line::Pause(_)
        | Line::Freeze(_)
        | Line::Dollars(_) => vec![life(line)],
        Line::TakeBack(l) => {
            let mut row = cells!("take-back", l, epoch, asset, number, block, life);
            row.push(("gross_minor", format!("-{}", l.gross_minor)));
            row.push(("fee_minor", format!("-{}", l.fee_minor)));
            row.push(("net_minor", format!("-{}", l.net_minor)));
            vec![row]
        }
    }
}

fn usage(l: &UsageLine) -> Vec<Cells> {
    let mut row = cells!(
        "usage",
        l,
        epoch,
        began_us,
        price_minor,
        price_hashrate,
        held_minor,
        cap,
        entitled_all,
        entitled,
        delivered,
        delivered_sum,
        charged_minor
    );
    row.push(("house_work", l.house_work.map_or_else(String::new, |w| w.to_string())));
    row.push(("cost", l.cost.0.to_string()));
    row.push(("carried", l.cost_carry.0.to_string()));
    row.push(("upkeep", l.upkeep.0.to_string()));
    row.push(("upkeep_due", l.upkeep_due.0.to_string()));
    vec![row]
}

/// What happened beside delivery.
fn life(line: &Line) -> Cells {
    match line {
        Line::Aside(l) => cells!("aside", l, epoch, hashes),
        Line::Judgement(l) => {
            let mut row = cells!("judgement", l, epoch, of_epoch, missing, caused);
            row.push(("hashes", l.part.to_string()));
            row
        }
        Line::Choice(l) => {
            let mut row = cells!("choice", l, epoch, at_us, of_epoch, hashes);
            row.push(("why", l.choice.name().to_owned()));
            row
        }
        Line::Owed(l) => {
            let mut row = cells!("owed", l, epoch, of_epoch, asset, hashes);
            row.push(("why", l.why.name().to_owned()));
            row.push(("due", l.due.0.to_string()));
            row.push(("net_minor", l.paid_minor.to_string()));
            row.push(("price_micro", l.price_micro.map_or_else(String::new, |p| p.to_string())));
            row
        }
        Line::Decision(l) => {
            let mut row = cells!(
                "decision",
                l,
                epoch,
                price_micro,
                earns_micro,
                costs_micro,
                effective_epoch
            );
            row.push(("at_us", l.instant_us.to_string()));
            row.push(("why", l.decision.name().to_owned()));
            row
        }
        Line::Pause(l) => cells!("pause", l, epoch, from_epoch, epochs),
        Line::Freeze(l) => {
            let mut row = cells!("freeze", l, epoch, from_epoch);
            row.push(("epochs", (l.epoch - l.from_epoch.min(l.epoch) + 1).to_string()));
            row
        }
        Line::Dollars(l) => {
            let mut row = cells!("dollars", l, epoch);
            row.push(("at_us", l.instant_us.to_string()));
            row.push(("total", l.total.0.to_string()));
            row.push(("due", l.due.0.to_string()));
            row.push(("price_micro", l.price_micro.map_or_else(String::new, |p| p.to_string())));
            row.push(("upkeep", l.coins.0.to_string()));
            row.push(("upkeep_due", l.upkeep_due.0.to_string()));
            row
        }
        _ => Vec::new(),
    }
}
