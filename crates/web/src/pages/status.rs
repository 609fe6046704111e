//! The house's state for everybody: each part now and over 90 days, what the operator says, what went wrong.

use crate::api::{Time, time as api_time};
use crate::failure::Failure;
use crate::layout::page;
use crate::money::time;
use crate::openapi::{Answer, Fine, answers};
use crate::routes::{Access, Routes};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::watch::uptime::{Day, days, share};
use crate::watch::{Alert, Bulletin};
use crate::words::{counted, say, t, text};
use axum::extract::State;
use gruve_units::Timestamp;
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _};

/// Incidents shown at most.
const INCIDENTS_SHOWN: u32 = 200;

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get("/status", Access::Public, status).api_get(
        "/api/v1/status",
        Access::Public,
        "How the house does, and did for ninety days.",
        status_json,
    )
}

/// A part of the house as everybody sees it.
struct Part {
    /// Stable word: `lane btc`, `record`.
    code: String,
    /// What ails it now, if anything.
    ill: Option<Alert>,
    days: Vec<Day>,
}

/// The names of the kinds of parts.
const KINDS: [(&str, &str); 6] = [
    ("site", "Site and database"),
    ("lane", "Lane {name}"),
    ("node", "Nodes of {name}"),
    ("record", "Public record"),
    ("payouts", "Payouts"),
    ("prices", "Prices"),
];

impl Part {
    fn title(&self) -> String {
        let (kind, name) = self.code.split_once(' ').unwrap_or((&self.code, ""));
        let found = KINDS.iter().find(|(k, _)| *k == kind).map_or(self.code.as_str(), |(_, t)| t);
        crate::words::with_text(found, &[("name", name.to_owned())])
    }
}

/// Everything that the page shows.
struct Standing {
    parts: Vec<Part>,
    bulletins: Vec<Bulletin>,
    incidents: Vec<Alert>,
    now: Timestamp,
}

async fn standing(state: &AppState) -> Result<Standing, Failure> {
    let now = state.now();
    let is_public = |a: &Alert| a.rule.part(&a.subject).is_some();
    let open: Vec<Alert> = state.open_alerts().await?.into_iter().filter(is_public).collect();
    let mut probes = state.probes().await?;
    // Nothing was probed yet: the parts are there all the same.
    probes.entry("site".to_owned()).or_default();
    for lane in &state.market().config().lanes {
        probes.entry(format!("lane {}", lane.lane)).or_default();
    }
    let place = |code: &str| {
        let kind = code.split(' ').next().unwrap_or_default();
        KINDS.iter().position(|(k, _)| *k == kind).unwrap_or(KINDS.len())
    };
    let mut parts: Vec<Part> = probes
        .into_iter()
        .map(|(code, probes)| {
            let ill =
                open.iter().find(|a| a.rule.part(&a.subject).as_ref() == Some(&code)).cloned();
            Part { days: days(&probes, now), ill, code }
        })
        .collect();
    parts.sort_by(|a, b| (place(&a.code), &a.code).cmp(&(place(&b.code), &b.code)));
    let incidents = state.alerts_before(None, INCIDENTS_SHOWN).await?;
    let since = now.secs() - crate::watch::PROBES_KEPT_DAYS * 86_400;
    let incidents =
        incidents.into_iter().filter(|a| is_public(a) && a.opened.secs() >= since).collect();
    Ok(Standing { parts, bulletins: state.bulletins().await?, incidents, now })
}

impl AppState {
    /// Adds to a hash what the page shows of the house's parts: what ails them, and how well they did day by day.
    pub(crate) async fn hash_parts(&self, hash: &mut DefaultHasher) -> Result<(), Failure> {
        for p in standing(self).await?.parts {
            let ill = p.ill.as_ref().map(|a| (a.id, a.opened.secs()));
            (&p.code, ill, share(&p.days)).hash(hash);
            for d in &p.days {
                (d.day, share(std::slice::from_ref(d))).hash(hash);
            }
        }
        Ok(())
    }
}

/// `99.98 %`
fn percent_of(share: Option<i64>) -> String {
    share.map_or_else(
        || "–".to_owned(),
        |s| crate::money::local(&format!("{}.{:02}", s / 100, s % 100)) + " %",
    )
}

/// `GET /status`
async fn status(State(state): State<AppState>, visitor: Visitor) -> Result<Markup, Failure> {
    let s = standing(&state).await?;
    let ill = s.parts.iter().filter(|p| p.ill.is_some()).count();
    let content = html! {
        div.lead {
            h1 { (t("Status")) }
            p { @if ill == 0 { span.tag.good { (t("All parts work")) } } @else { span.tag.bad { (text!("{n} of {all} parts do not work", n = ill, all = s.parts.len())) } }
                " " (say!("Looked at every minute. A minute in which nobody looked counts as a bad one.")) }
        }
        div.sheets #bulletins data-live="health" {
            @for b in s.bulletins.iter().filter(|b| b.ended.is_none()) {
                section.sheet aria-label=(b.title) { header { h2 { (b.title) } } p { (b.body) } p.small.soft { (time(b.made)) } }
            }
        }
        section.sheet #parts data-live="health" aria-labelledby="parts-h" {
            header { h2 #parts-h { (t("Parts")) } }
            @for p in &s.parts { (part(p)) }
        }
        section.sheet #incidents data-live="health" aria-labelledby="incidents-h" {
            header { h2 #incidents-h { (t("Incidents of 90 days")) } }
            (incidents(&s))
        }
    };
    Ok(page(&visitor, t("Status"), true, &content))
}

/// One part: its state in words, its uptime, and a bar for each day, told in words to who does not see it.
fn part(p: &Part) -> Markup {
    let share = percent_of(share(&p.days));
    let days = counted!("{n} day", "{n} days", p.days.len());
    let said = text!("Uptime {share} over {days}", share = share, days = days);
    let label =
        text!("{part}: uptime {share} over {days}", part = p.title(), share = share, days = days);
    html! {
        div.part {
            h3 { (p.title()) " "
                @match &p.ill {
                    None => span.tag.good { (t("Works")) },
                    Some(a) => span.tag.bad { (t(a.rule.text())) },
                }
            }
            @if let Some(a) = &p.ill { p.small { (say!("Since {time}.", time = time(a.opened))) } }
            @if !p.days.is_empty() {
                svg.days role="img" aria-label=(label) viewBox="0 0 360 24" preserveAspectRatio="none" {
                    @for (n, d) in p.days.iter().rev().take(90).enumerate() {
                        (bar(n, d))
                    }
                }
            }
            p.small.soft { (said) }
        }
    }
}

/// A day's bar: its height is the share that was good, so that colour is not needed.
fn bar(n: usize, d: &Day) -> Markup {
    let good = share(std::slice::from_ref(d)).unwrap_or(0);
    let (x, height) = (356 - 4 * n, (2 + good * 22 / 10_000).max(2));
    let class = if good >= 9_990 {
        "good"
    } else if good >= 9_500 {
        "warn"
    } else {
        "bad"
    };
    let date = crate::money::date_text(Timestamp::from_secs(d.day * 86_400));
    html! { rect class=(class) x=(x) y=(24 - height) width="3" height=(height) { title { (date) " " (percent_of(Some(good))) } } }
}

fn incidents(s: &Standing) -> Markup {
    let past: Vec<&Bulletin> = s.bulletins.iter().filter(|b| b.ended.is_some()).collect();
    html! {
        @if s.incidents.is_empty() && past.is_empty() { p.empty { (t("None.")) } }
        @if !s.incidents.is_empty() {
            table.cards {
                thead { tr { th scope="col" { (t("What")) } th scope="col" { (t("Where")) } th scope="col" { (t("From")) } th scope="col" { (t("Until")) } } }
                tbody { @for a in &s.incidents { tr {
                    td data-label=(t("What")) { span { (t(a.rule.text())) } }
                    td data-label=(t("Where")) { span { (t(&a.subject)) } }
                    td data-label=(t("From")) { span { (time(a.opened)) } }
                    td data-label=(t("Until")) { span { @match a.closed { Some(at) => (time(at)), None => (t("now")) } } }
                } } }
            }
        }
        @for b in past { h3 { (b.title) } p { (b.body) }
            p.small.soft { (time(b.made)) @if let Some(end) = b.ended { " – " (time(end)) } } }
    }
}

answers! {
    /// A part of the house and how it does.
    struct StatusPart {
        /// It.
        part: String,
        /// Whether it works now.
        works: bool,
        /// What ails it.
        ails: Option<&'static str>,
        /// Since when.
        since: Option<Time>,
        /// How much of the time it worked, in hundredths of a per cent; null before the first probe.
        uptime_bps: Option<i64>,
        /// Probes that found it well, day by day.
        days: BTreeMap<String, StatusDay>,
    }

    /// Probes of a day.
    struct StatusDay {
        /// Those that found it well.
        good: i64,
        /// Those that there should have been.
        expected: i64,
    }

    /// What the operator says to everybody.
    struct BulletinBody {
        /// In a line.
        title: String,
        /// At length.
        body: String,
        /// When it was said.
        made_at: Time,
        /// When it was over.
        ended_at: Option<Time>,
    }

    /// Something that ailed.
    struct Incident {
        /// What.
        rule: &'static str,
        /// Of what.
        subject: String,
        /// When it began.
        opened_at: Time,
        /// When it was over.
        closed_at: Option<Time>,
    }

    /// How the house does, and did.
    struct StatusBody {
        /// When that was.
        at: Time,
        /// Part by part.
        parts: Vec<StatusPart>,
        /// What the operator says.
        bulletins: Vec<BulletinBody>,
        /// What ailed, newest first.
        incidents: Vec<Incident>,
    }
}

/// `GET /api/v1/status`
async fn status_json(State(state): State<AppState>) -> Result<Fine<StatusBody>, Failure> {
    let s = standing(&state).await?;
    let day = |d: &Day| {
        let date = crate::money::rfc3339(Timestamp::from_secs(d.day * 86_400));
        let date = date.get(..10).unwrap_or_default().to_owned();
        (date, StatusDay { good: d.good, expected: d.expected })
    };
    let part = |p: &Part| StatusPart {
        part: p.code.to_string(),
        works: p.ill.is_none(),
        ails: p.ill.as_ref().map(|a| a.rule.name()),
        since: p.ill.as_ref().map(|a| api_time(a.opened)),
        uptime_bps: share(&p.days),
        days: p.days.iter().map(day).collect(),
    };
    let incident = |a: &Alert| Incident {
        rule: a.rule.name(),
        subject: a.subject.clone(),
        opened_at: api_time(a.opened),
        closed_at: a.closed.map(api_time),
    };
    let bulletin = |b: &Bulletin| BulletinBody {
        title: b.title.clone(),
        body: b.body.clone(),
        made_at: api_time(b.made),
        ended_at: b.ended.map(api_time),
    };
    Ok(Answer(StatusBody {
        at: api_time(s.now),
        parts: s.parts.iter().map(part).collect(),
        bulletins: s.bulletins.iter().map(bulletin).collect(),
        incidents: s.incidents.iter().map(incident).collect(),
    }))
}
