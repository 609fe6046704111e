//! `gruve appraise`: what an offer of hashpower would have earned, and what it may earn.

use clap::Args;
use gruve_market::appraise::{
    Along, AppraiseError, Date, Forecast, Given, History, Model, Money, Offer, Outcome, Summary,
    USD, backtest, forecast, history, offer, plot, summarise,
};
use gruve_units::{Amount, Asset};
use serde::Serialize;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `gruve appraise`
#[derive(Clone, Debug, Args)]
pub struct AppraiseArgs {
    /// The offer: JSON as in docs/appraise.md, or the terms of a sale of this house.
    #[arg(long, value_name = "FILE")]
    terms: PathBuf,
    /// The coin that is mined, for the terms of a machine whose lane is not called after it.
    #[arg(long, value_name = "COIN")]
    coin: Option<Asset>,
    /// What other money that the offer is paid in is worth: dollars for a whole one (`EUR=1.08`), or a CSV with `date` and
    /// `price_usd` (`EUR=eur.csv`). Once for each.
    #[arg(long, value_name = "MONEY=DOLLARS|FILE")]
    worth: Vec<String>,
    /// The coin's past: a CSV with a line a day, as in docs/appraise.md.
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// The first day of purchase; the history's first if not given.
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// The last day of purchase; the history's last if not given.
    #[arg(long, value_name = "DAY")]
    to: Option<Date>,
    /// How many futures to draw for a purchase on the history's last day; 0 for none.
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER")]
    scenarios: u32,
    /// Where the random numbers of the futures begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write each day's purchase to this file, as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw what came back, by day of purchase, into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    offer: &'a str,
    history_from: Date,
    history_to: Date,
    summary: &'a Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    along: Option<&'a Along>,
    forecast: Option<&'a Forecast>,
    purchases: &'a [Outcome],
}

/// Appraises and prints.
///
/// # Errors
/// A sentence that says what to mend.
pub fn run(args: &AppraiseArgs) -> Result<ExitCode, String> {
    let worth = args.worth.iter().map(|w| money(w)).collect::<Result<_, _>>()?;
    let given = Given { coin: args.coin, worth };
    let offer = Offer::parse_with(&read(&args.terms, offer::BYTES_MAX)?, &given)
        .map_err(|e| said(&args.terms, &e))?;
    let csv = read(&args.history, history::BYTES_MAX)?;
    let past = History::parse(offer.asset, &csv).map_err(|e| said(&args.history, &e))?;
    let (from, to) = days(args, &past)?;
    let test = backtest(&offer, &past).map_err(|e| e.to_string())?;
    let purchases = test.buy_each(from, to).map_err(|e| e.to_string())?;
    let summary = summarise(&purchases, offer.term_days.is_none());
    let along = offer
        .fees
        .iter()
        .any(|f| f.is_paid)
        .then(|| test.along(from, to))
        .transpose()
        .map_err(|e| e.to_string())?;
    let model = Model { scenarios: args.scenarios, seed: args.seed, ..Model::default() };
    let ahead = (args.scenarios > 0)
        .then(|| forecast(&offer, &past, model))
        .transpose()
        .map_err(|e| format!("{e} (--scenarios 0 leaves the forecast out)"))?;
    if let Some(path) = &args.csv {
        write(path, &table(offer.asset, &purchases))?;
    }
    if let Some(path) = &args.svg {
        let title = format!("{}: what came back of the price, by day of purchase", offer.name);
        write(path, &plot::svg(&title, &purchases))?;
    }
    if args.json {
        let report = Report {
            offer: &offer.name,
            history_from: past.first(),
            history_to: past.last(),
            summary: &summary,
            along: along.as_ref(),
            forecast: ahead.as_ref(),
            purchases: &purchases,
        };
        println!("{}", serde_json::to_string(&report).map_err(|e| e.to_string())?);
    } else {
        let found = (&summary, along.as_ref(), ahead.as_ref());
        print!("{}", told(&offer, &past, &purchases, found));
    }
    Ok(ExitCode::SUCCESS)
}

/// The first and the last day of purchase.
fn days(args: &AppraiseArgs, past: &History) -> Result<(Date, Date), String> {
    let (first, last) = (past.first(), past.last());
    for (name, day) in [("--from", args.from), ("--to", args.to)] {
        if let Some(day) = day.filter(|day| past.day(*day).is_none()) {
            return Err(format!("{name} {day}: the history runs from {first} to {last}"));
        }
    }
    let (from, to) = (args.from.unwrap_or(first), args.to.unwrap_or(last));
    if to < from {
        return Err(format!("--from {from} is after --to {to}"));
    }
    Ok((from, to))
}

/// `EUR=1.08`, or `EUR=eur.csv`.
fn money(text: &str) -> Result<Money, String> {
    let wrong = || format!("--worth {text}: write it as EUR=1.08 or EUR=eur.csv");
    let (asset, worth) = text.split_once('=').ok_or_else(wrong)?;
    let asset: Asset = asset.parse().map_err(|_| wrong())?;
    if worth.starts_with(|c: char| c.is_ascii_digit()) && !Path::new(worth).exists() {
        return Money::always(asset, worth).map_err(|e| e.to_string());
    }
    let path = Path::new(worth);
    Money::daily(asset, &read(path, history::BYTES_MAX)?).map_err(|e| said(path, &e))
}

fn said(path: &Path, why: &AppraiseError) -> String {
    format!("{}: {why}", path.display())
}

fn read(path: &Path, bytes_max: u64) -> Result<String, String> {
    let open = |e: std::io::Error| format!("{} cannot be read: {e}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(open)?;
    file.take(bytes_max + 1).read_to_string(&mut text).map_err(open)?;
    if text.len() as u64 > bytes_max {
        return Err(format!("{} is larger than {bytes_max} bytes", path.display()));
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{} cannot be written: {e}", path.display()))
}

fn usd(micro: i128) -> String {
    let cents = (micro.abs() + USD / 200) / (USD / 100);
    let sign = if micro < 0 && cents > 0 { "-" } else { "" };
    format!("{sign}{}.{:02} USD", cents / 100, cents % 100)
}

fn coins(asset: Asset, minor: u128) -> String {
    Amount::new(asset, i64::try_from(minor).unwrap_or(i64::MAX)).to_string()
}

fn told(
    offer: &Offer,
    past: &History,
    purchases: &[Outcome],
    (s, along, ahead): (&Summary, Option<&Along>, Option<&Forecast>),
) -> String {
    let mut out = vec![format!("{}: {} of {}", offer.name, offer.hashrate, offer.asset)];
    let unknown = past.days().iter().filter(|d| d.fees.is_none()).count();
    out.push(format!(
        "History {} to {}, {} days; fees unknown on {unknown} of them and counted as none.",
        past.first(),
        past.last(),
        past.days().len()
    ));
    out.extend(along.map(told_along));
    out.push(String::new());
    out.push(format!(
        "A buyer on each day, {} purchases that ended ({} still running, not counted):",
        s.counted, s.running
    ));
    if let (Some(r), Some((worst, best))) = (s.returned_per_mille, s.worst_and_best) {
        let percent = r.map(|v| format!("{}.{} %", v / 10, (v % 10).abs()));
        let [least, tenth, median, ninth, most] = percent;
        out.push(format!("  got their money back   {} of {}", s.money_back, s.counted));
        out.push(format!(
            "  got more coins than the money would have bought   {} of {}",
            s.better_than_coins, s.counted
        ));
        let of = if offer.has_price() { "of the price" } else { "of what was paid along the way" };
        out.push(format!("  what came back {of}   median {median}; one in ten below {tenth}, one in ten above {ninth}"));
        out.push(format!("  worst   {least}, bought {worst};  best   {most}, bought {best}"));
        if let Some(days) = s.break_even_days {
            out.push(format!("  break-even, where it came   after {days} days (median)"));
        }
        out.push(format!(
            "  ended by the offer's rule for unprofitable days   {}",
            s.ended_unprofitable
        ));
        out.push(String::new());
        out.push(format!("bought      what came back {of}; the line is 100 %"));
        out.push(plot::rows(purchases, 24));
    } else {
        out.push("  none: the term is longer than the history, or nothing is paid.".into());
    }
    if let Some(f) = ahead {
        out.extend(foretold(offer, f));
    }
    out.join("\n") + "\n"
}

/// What a TH and day earned beside what it cost.
fn told_along(a: &Along) -> String {
    let exact = |micro: i128| {
        let sign = if micro < 0 { "-" } else { "" };
        format!("{sign}{}.{:06}", micro.abs() / USD, micro.abs() % USD)
    };
    let three = |v: [i128; 3]| {
        let [low, middle, high] = v.map(exact);
        format!("{middle} USD (one day in ten below {low}, one above {high})")
    };
    format!(
        "A TH/s for a day earned {}\n  and cost {};\n  it earned what it cost on {} of {} days. On the last one it earned {} and cost {}.",
        three(a.earned_usd),
        three(a.cost_usd),
        a.days_covered,
        a.days,
        exact(a.last_earned_usd),
        exact(a.last_cost_usd)
    )
}

fn foretold(offer: &Offer, f: &Forecast) -> Vec<String> {
    let [low, _, middle, _, high] = f.returned_usd;
    let [few, _, some, _, many] = f.received;
    let sentence = if f.expects_loss() {
        "By this model a buyer should expect to lose money."
    } else {
        "By this model the mean buyer gains; the interval says how far that carries."
    };
    let (along, less) = if f.mean_along_usd > 0 {
        let paid = format!(", and {} along the way (mean)", usd(f.mean_along_usd));
        (paid, "; what is paid along is taken off")
    } else {
        (String::new(), "")
    };
    vec![
        format!(
            "Bought on {}, {} futures drawn from the past (docs/appraise.md), seed {}:",
            f.bought, f.model.scenarios, f.model.seed
        ),
        format!("  paid       {}{along}", usd(f.paid_usd)),
        format!(
            "  received   {}  (nine in ten: {} to {})",
            coins(offer.asset, some),
            coins(offer.asset, few),
            coins(offer.asset, many)
        ),
        format!(
            "  worth      {}  (nine in ten: {} to {}); mean {}{less}",
            usd(middle),
            usd(low),
            usd(high),
            usd(f.mean_returned_usd),
        ),
        format!(
            "  money back in {}.{} % of the futures{}",
            f.money_back_per_mille / 10,
            f.money_back_per_mille % 10,
            f.break_even_days
                .map_or_else(String::new, |d| format!(", then after {d} days (median)"))
        ),
        format!("  {sentence}"),
    ]
}

fn table(asset: Asset, purchases: &[Outcome]) -> String {
    let mut out = format!(
        "bought,until,ended,days_mined,days_unprofitable,paid_usd,along_usd,mined_{c},received_{c},sold_daily_usd,held_usd,instead_{c},break_even\n",
        c = asset.code().to_ascii_lowercase()
    );
    let number = |micro: i128| usd(micro).replace(" USD", "");
    let coin = |minor: u128| Amount::new(asset, i64::try_from(minor).unwrap_or(i64::MAX)).decimal();
    for o in purchases {
        let ended = match o.ended {
            gruve_market::appraise::Ended::Term => "term",
            gruve_market::appraise::Ended::Unprofitable => "unprofitable",
            gruve_market::appraise::Ended::Runs => "runs",
        };
        let fields = [
            o.bought.to_string(),
            o.until.to_string(),
            ended.to_owned(),
            o.days_mined.to_string(),
            o.days_unprofitable.to_string(),
            number(o.paid_usd),
            number(o.along_usd),
            coin(o.mined),
            coin(o.received),
            number(o.sold_daily_usd),
            number(o.held_usd),
            coin(o.instead),
            o.break_even.map_or_else(String::new, |d| d.to_string()),
        ];
        out.push_str(&fields.join(","));
        out.push('\n');
    }
    out
}
