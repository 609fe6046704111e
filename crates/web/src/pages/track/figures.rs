//! What became of a plan's contracts, in figures.

use crate::money::{amount, percent, span_text, time, work};
use crate::words::{say, t, text};
use gruve_hosting::{CLAIM_EPOCHS, HostedTrack, TRACKED_MAX as MACHINES_TRACKED_MAX};
use gruve_market::{METERED_TRACKED_MAX, MeteredTrack, TRACKED_MAX, TrackRecord};
use gruve_units::{Amount, Duration};
use maud::{Markup, html};

/// Amounts below each other; in a word where there is none.
fn sums(all: &[Amount]) -> Markup {
    html! {
        @if all.is_empty() { (t("nothing")) }
        @for a in all { div { (amount(*a)) } }
    }
}

/// Of how much that is a part.
fn of(all: &[Amount]) -> Markup {
    html! { @if !all.is_empty() { (t("of")) @for a in all { " " (amount(*a)) } } }
}

pub(super) fn figures(r: &TrackRecord) -> Markup {
    html! {
        @if r.sold == 0 { p.empty { (t("No contract of it has been sold yet.")) } } @else {
            dl.figures {
                div { dt { (t("Contracts sold")) } dd { (r.sold) small { (text!("running: {running} · delivered all: {completed} · ended with work missing: {refunded}",
                    running = r.running, completed = r.completed, refunded = r.refunded)) } } }
                div { dt { (t("Delivered of what was due")) } dd { (percent(r.delivered.0.min(r.entitled.0), r.entitled.0))
                    small { (work(r.delivered)) " / " (work(r.entitled)) } } }
                @if r.epochs > 0 { div { dt { (t("Epochs with work")) } dd { (percent(r.epochs_worked.into(), r.epochs.into()))
                    small { (text!("{worked} of {epochs} of its lane since the first was sold, of the last week at most", worked = r.epochs_worked, epochs = r.epochs)) } } } }
                div { dt { (t("Given back for missing work")) } dd {
                    (sums(&r.given_back)) small { (of(&r.paid)) } } }
                div { dt { (t("Foretold and come true")) } dd {
                    @if r.foretold == 0 { "–" small { (t("no contract has ended yet")) } } @else {
                        (percent(u128::try_from(r.brought_minor).unwrap_or(0), u128::try_from(r.foretold_minor).unwrap_or(0)))
                        small { (text!("of the mean foretold; contracts that ended: {n}; {below} brought less than nine in ten futures' range, {above} more",
                            n = r.foretold, below = r.below, above = r.above)) }
                    } } }
            }
            @if let Some(since) = r.since { p.small.soft { (say!("Since {time}; the newest {n} contracts at most.", time = time(since), n = TRACKED_MAX)) } }
        }
    }
}

pub(super) fn metered_figures(m: &MeteredTrack) -> Markup {
    html! {
        @if m.started == 0 { p.empty { (t("No contract of it has been started yet.")) } } @else {
            dl.figures {
                div { dt { (t("Contracts started")) } dd { (m.started) small { (text!("running: {running} · stopped for want of a balance: {stopped} · ended: {ended}",
                    running = m.running, stopped = m.stopped, ended = m.ended)) } } }
                div { dt { (t("Delivered of what was sold")) } dd { (percent(m.delivered.0.min(m.sold.0), m.sold.0))
                    small { (work(m.delivered)) " / " (work(m.sold)) } } }
                div { dt { (t("Epochs with work")) } dd { (percent(m.epochs_worked.into(), m.epochs.into()))
                    small { (text!("{worked} of {epochs} that were paid for", worked = m.epochs_worked, epochs = m.epochs)) } } }
                div { dt { (t("Charged")) } dd { (sums(&m.charged)) } }
            }
            @if let Some(since) = m.since { p.small.soft { (say!("Since {time}; the newest {n} contracts at most, and their epochs of the last week.", time = time(since), n = METERED_TRACKED_MAX)) } }
        }
    }
}

pub(super) fn machine_figures(m: &HostedTrack) -> Markup {
    html! {
        @if m.taken == 0 { p.empty { (t("No machine of it has been taken yet.")) } } @else {
            dl.figures {
                div { dt { (t("Machines taken")) } dd { (m.taken) small { (text!("with their owners: {running} · at the end of their term: {by_term} · ended by their owners: {by_owner} · ended by us: {by_operator} · handed on: {handed_on}",
                    running = m.running, by_term = m.by_term, by_owner = m.by_owner, by_operator = m.by_operator, handed_on = m.handed_on)) } } }
                div { dt { (t("Up")) } dd { (percent(m.up_us.into(), m.billed_us.into()))
                    small { @if m.billed_us == 0 { (t("no bill has been written yet")) }
                        @else { (say!("of {span} that are billed", span = span_text(Duration::from_micros(m.billed_us)))) } } } }
                div { dt { (t("Proven of the nameplate")) } dd { (percent(m.proven.0, m.nameplate.0))
                    small { @if m.epochs == 0 { (t("no whole epoch has been counted yet")) }
                        @else { (work(m.proven)) " / " (work(m.nameplate)) div { (text!("of each machine's last {n} epochs", n = CLAIM_EPOCHS)) } } } } }
                div { dt { (t("Credited for time below the promise")) } dd { (sums(&m.credited)) small { (of(&m.fees)) } } }
                div { dt { (t("Given back for leases that we ended")) } dd { (sums(&m.given_back)) small { (of(&m.paid)) } } }
                @if !m.waived.is_empty() { div { dt { (t("Waived, because earnings did not cover it")) } dd { (sums(&m.waived)) } } }
            }
            @if let Some(since) = m.since { p.small.soft { (say!("Since {time}; the newest {n} machines at most. A machine that was handed on counts until then.", time = time(since), n = MACHINES_TRACKED_MAX)) } }
        }
    }
}
