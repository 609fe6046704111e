//! The public record in words: what an epoch proves, and the page that checks a receipt in the browser.

use crate::assets::RECEIPT_JS;
use crate::failure::Failure;
use crate::layout::{cell, page};
use crate::money::{asset_name, epoch as epoch_time, grouped, percent, rate, time, work};
use crate::pages::receipt_words;
use crate::record::PublicRecord;
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{counted, say, t};
use axum::extract::{Path, State};
use gruve_proof::publish::data_path;
use gruve_proof::summary::{EpochSummary, FileRef};
use gruve_units::{EpochNumber, EpochRule, Hashes, Hashrate, LaneId};
use maud::{Markup, html};
use std::sync::Arc;

/// Epochs listed of each lane.
const EPOCHS_SHOWN: usize = 30;
/// Of them so many stand open; the rest is folded away.
const RECENT: usize = 8;

fn record(state: &AppState) -> Result<Arc<dyn PublicRecord>, Failure> {
    state.config().record.clone().ok_or_else(|| Failure::not_found("record"))
}

/// Reads from the record where waiting is allowed.
async fn read<T: Send + 'static>(
    state: &AppState,
    from: impl FnOnce(&dyn PublicRecord) -> Result<T, String> + Send + 'static,
) -> Result<T, Failure> {
    let record = record(state)?;
    let busy = |why: String| {
        tracing::error!(%why, "the public record cannot be read");
        Failure::busy("The public record cannot be read now. Try again in a moment.")
    };
    let done = tokio::task::spawn_blocking(move || from(record.as_ref())).await;
    done.map_err(|e| busy(e.to_string()))?.map_err(busy)
}

/// An epoch and its place in the log.
type Listed = (EpochNumber, u64, EpochSummary);

fn list(record: &dyn PublicRecord, lane: &LaneId) -> Result<Vec<Listed>, String> {
    let mut all = Vec::new();
    for epoch in record.last(lane, EPOCHS_SHOWN) {
        all.extend(record.epoch(lane, epoch)?.map(|(at, s)| (epoch, at, s)));
    }
    Ok(all)
}

/// `GET /proof`
pub(crate) async fn overview(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Markup, Failure> {
    let lanes = state.lanes().await?;
    let mut sheets = Vec::new();
    for l in &lanes {
        let lane = l.stats.lane.clone();
        let of = lane.clone();
        let listed = read(&state, move |r| list(r, &of)).await?;
        sheets.push((lane, asset_name(l.stats.asset), l.rule(), listed));
    }
    let origin = address(&state);
    let content = html! {
        div.lead {
            h1 { (t("Proof")) }
            p { (t("Every share of work that machines hand in here is published when its epoch closes: enough to do the whole computation again. Whoever does so knows, without trusting us, how much was hashed, that it was hashed for this house and in its epoch, that no hash was counted twice, and to whom all of it was given.")) }
        }
        section.sheet aria-labelledby="how-h" {
            header { h2 #how-h { (t("Check it yourself")) } }
            p { (t("All of it, with the program that this house runs on, which needs nothing from us but the files below:")) }
            p { code { "gruve verify " (origin) "/record" } }
            p { (say!("It ends with yes and the numbers, or with no and the name of the first thing that is not true. It remembers what it saw: a history that we changed since your last visit is found. Ask somebody else which checkpoint they were shown, and pass it with {code}.", code = html! { code { "--seen" } })) }
            p.actions {
                a.button href="/proof/receipt" { (t("Check a receipt in this browser")) }
                a.button.quiet href="/record/checkpoint" { (t("The signed checkpoint")) }
                a.button.quiet href="/record/key" { (t("Our key")) }
                a.button.quiet href="/docs/proofs" { (t("Proofs, and checking them")) }
            }
        }
        @for (lane, name, rule, listed) in &sheets {
            @let heading = format!("lane-{lane}");
            section.sheet aria-labelledby=(heading) {
                header { h2 id=(heading) { (say!("{name}, lane {lane}", name = name, lane = lane)) } span.soft.small { (t("newest first")) } }
                @let (newest, older) = listed.split_at(listed.len().min(RECENT));
                @if newest.is_empty() { p.empty { (t("No epoch is published yet.")) } } @else { (table(lane, *rule, newest)) }
                @if !older.is_empty() { details {
                    summary { (counted!("{n} older epoch", "{n} older epochs", older.len())) }
                    (table(lane, *rule, older))
                } }
            }
        }
    };
    Ok(page(&visitor, t("Proof"), false, &content))
}

fn table(lane: &LaneId, rule: EpochRule, listed: &[Listed]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { (t("Epoch")) } th scope="col" { (t("Proof")) } th.r scope="col" { (t("Shares")) }
                th.r scope="col" { (t("Work")) } th.r scope="col" { (t("To contracts")) } } }
            tbody { @for (e, _, s) in listed { tr {
                (cell!("Epoch", html! { a href={ "/proof/" (lane) "/" (e) } { (epoch_time(*e, rule)) } }))
                (cell!("Proof", standing(s)))
                (cell!(r "Shares", grouped(s.shares.into())))
                (cell!(r "Work", work(all_work(s))))
                (cell!(r "To contracts", work(Hashes(s.sold_root.sums.allocated))))
            } } }
        }
    }
}

fn all_work(s: &EpochSummary) -> Hashes {
    s.house_work.checked_add(s.other_work).unwrap_or(Hashes(u128::MAX))
}

fn standing(s: &EpochSummary) -> Markup {
    if s.is_proven {
        html! { span.tag.good { (t("Proven")) } }
    } else {
        html! { span.tag { (t("Unproven")) } }
    }
}

/// Where this house is, as the one who reads the page would write it.
fn address(state: &AppState) -> String {
    state.config().origin.clone().unwrap_or_else(|| "http://this.house".to_owned())
}

/// `GET /proof/{lane}/{epoch}`
pub(crate) async fn epoch(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((lane, epoch)): Path<(String, String)>,
) -> Result<Markup, Failure> {
    let missing = || Failure::not_found("epoch");
    let lane: LaneId = lane.parse().map_err(|_| missing())?;
    let epoch = EpochNumber(epoch.parse().map_err(|_| missing())?);
    let lanes = state.lanes().await?;
    let view = lanes.iter().find(|l| l.stats.lane == lane).ok_or_else(missing)?;
    let of = lane.clone();
    let (at, s) = read(&state, move |r| r.epoch(&of, epoch)).await?.ok_or_else(missing)?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/proof" { (t("Proof")) } }
            h1 { (say!("Epoch {epoch}", epoch = epoch)) }
            p { (say!("Lane {strong}, from {epoch} to {epoch2}; entry {at} of the public log.", strong = html! { strong { (lane) } }, epoch = time(view.rule().start(epoch)), epoch2 = time(view.rule().end(epoch)), at = at)) }
        }
        section.sheet aria-labelledby="words-h" {
            header { h2 #words-h { (t("In plain words")) } (standing(&s)) }
            (words(&s))
        }
        (numbers(&s))
        (files(&s))
    };
    Ok(page(&visitor, t("An epoch's proof"), false, &content))
}

/// What the epoch shows, for somebody who has never heard of shares.
fn words(s: &EpochSummary) -> Markup {
    let length = std::time::Duration::from_micros(s.length_us);
    let mean = Hashrate::of(all_work(s), length);
    // Both together are the whole, as they are said to be: the one is rounded, the other is the rest.
    let to_contracts = s.sold_root.sums.allocated.saturating_mul(1_000).checked_div(s.house_work.0);
    let of = |permille: u128| percent(permille.min(1_000), 1_000);
    let (got, left) = to_contracts.map_or(("–".to_owned(), "–".to_owned()), |p| {
        (of(p), of(1_000_u128.saturating_sub(p)))
    });
    html! {
        @if s.is_proven {
            p { (say!("In this epoch machines handed in {strong} proofs of work, called shares. A share is a number that is hard to find and easy to check: to find all of these, about {strong2} had to be tried, {mean} on average. All of them are in the record below. A computer checks them in minutes; nobody can make them up in less than the work that they stand for.", strong = html! { strong { (grouped(s.shares.into())) } }, strong2 = html! { strong { (work(all_work(s))) } }, mean = rate(mean))) }
            p { (t("Each share carries a stamp that was fixed before the work was done. It names this house, this lane, this epoch and a checkpoint of our public log, so the work cannot have been done earlier or for somebody else, and cannot be counted in two places.")) }
        } @else {
            p { (say!("The work of this epoch is {strong}: {shares} shares were counted here, but they carry no stamp that an outsider could check. Take the numbers below as our word. Lanes whose chain makes the blocks itself are so while it takes no stamp from us; others when our books could not follow for a while.", strong = html! { strong { (t("not proven")) } }, shares = grouped(s.shares.into()))) }
        }
        p { (say!("Of the work that our own machines did, contracts got {house_work}, and {house_work2} was left to us. Both together are all of it, to the last hash. Work of machines that belong to customers stands apart ({other_work}) and cannot be sold to others.", house_work = got, house_work2 = left, other_work = work(s.other_work))) }
        p { (say!("The sold tree has {contracts}, together {hashrate}. If you have one, your receipt shows that it is among them with the right rate and work, and that nobody else was given the same place.", contracts = counted!("{n} contract", "{n} contracts", s.contracts), hashrate = rate(Hashrate(s.sold_root.sums.hashrate)))) }
        p.soft { (t("What this cannot show: whose machines did the work, that a found block was not withheld (bad luck over long times would show it), and that we told everybody the same history, unless people compare checkpoints.")) }
    }
}

fn numbers(s: &EpochSummary) -> Markup {
    let sums = &s.sold_root.sums;
    html! {
        section.sheet aria-labelledby="numbers-h" {
            header { h2 #numbers-h { (t("In numbers")) } }
            dl.pairs {
                dt { (t("Shares")) } dd { (grouped(s.shares.into())) }
                dt { (t("Our machines' work")) } dd { (say!("{house_work} hashes", house_work = grouped(s.house_work.0))) }
                dt { (t("Other owners' work")) } dd { (say!("{other_work} hashes", other_work = grouped(s.other_work.0))) }
                dt { (t("Given to contracts")) } dd { (say!("{allocated} hashes", allocated = grouped(sums.allocated))) }
                dt { (t("Left to us")) } dd { (say!("{surplus} hashes", surplus = grouped(s.surplus.0))) }
                dt { (t("Still owed to contracts")) } dd { (say!("{owed} hashes", owed = grouped(sums.owed))) }
                dt { (t("Under contract")) } dd { (say!("{hashrate} hashes a second", hashrate = grouped(sums.hashrate))) }
                dt { (t("Root over the shares")) } dd { code { (hex::encode(s.share_root)) } }
                dt { (t("Root over who got the work")) } dd { code { (hex::encode(s.allocation_root.hash)) } }
                dt { (t("Root over the contracts")) } dd { code { (hex::encode(s.sold_root.hash)) } }
                dt { (t("Checkpoint")) } dd { (say!("{code} (in the stamps of work two epochs later)", code = html! { code { (hex::encode(s.checkpoint())) } })) }
            }
        }
    }
}

fn files(s: &EpochSummary) -> Markup {
    let link = |file: &FileRef, name: &str| {
        html! {
            @if file.bytes > 0 {
                dt { (t(name)) } dd { (say!("{link}, {bytes} bytes", link = html! { a href={ "/record/" (data_path(&file.hash)) } { code { (hex::encode(file.hash)) } } }, bytes = grouped(file.bytes.into()))) }
            }
        }
    };
    html! {
        section.sheet aria-labelledby="files-h" {
            header { h2 #files-h { (t("The files")) } span.soft.small { (t("named by their SHA-256")) } }
            dl.pairs { (link(&s.record, "Every share")) (link(&s.sold, "Every contract")) (link(&s.places, "Where later rewards may go")) }
        }
    }
}

/// `GET /proof/receipt`
pub(crate) async fn receipt(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Markup, Failure> {
    let keys = record(&state)?.keys().join(" ");
    let content = html! {
        div.lead {
            p.crumbs { a href="/proof" { (t("Proof")) } }
            h1 { (t("Check a receipt")) }
            p { (t("Your browser does the whole computation: nothing of the receipt leaves it. The page needs no connection once it is open; with one it also compares the receipt with the public record as it is now.")) }
        }
        section.sheet aria-labelledby="check-h" {
            header { h2 #check-h { (t("The receipt")) } }
            noscript { p.note { (say!("This check needs JavaScript. Without it, use {code}.", code = html! { code { "gruve verify RECORD --receipt FILE" } })) } }
            form.stack.wide #receipt-form data-words=(receipt_words::words()) {
                div.field {
                    label for="receipt-file" { (t("A file of receipts")) }
                    input #receipt-file type="file" accept=".bin,.json,.jsonl,application/json,application/octet-stream";
                }
                div.field {
                    label for="receipt-text" { (t("or its text")) }
                    textarea #receipt-text rows="6" spellcheck="false" autocomplete="off" {}
                }
                div.field {
                    label for="receipt-key" { (t("The operator's keys")) }
                    textarea #receipt-key rows="2" spellcheck="false" autocomplete="off" { (keys) }
                    p.hint { (t("As this site tells them. If you know the key from elsewhere, put that here instead.")) }
                }
                p.actions { button #receipt-check type="submit" { (t("Check")) } }
            }
            div #receipt-said role="status" aria-live="polite" {}
        }
        script src=(RECEIPT_JS.path()) defer {}
    };
    Ok(page(&visitor, t("Check a receipt"), false, &content))
}
