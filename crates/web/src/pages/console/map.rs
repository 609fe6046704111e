//! The farm at a glance: sites, racks, machines, each machine one sign. Made for 10,000 machines: the page is
//! text in which a sign is a character, told apart by its shape and not by colour alone, with a table of the
//! same figures for who cannot see it, and lists of single machines behind filters.

use super::{frame, live_sheet, sheet, table};
use crate::extract::{Params, Staff};
use crate::failure::Failure;
use crate::gate::percent_encoded;
use crate::money::rate;
use crate::openapi::{Fine, List, answers, requests};
use crate::routes::{Access, Routes};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{t, text};
use axum::extract::State;
use gruve_accounts::Permission;
use gruve_farm::{MachineState, MapPlace};
use gruve_units::{Hashrate, MachineId, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// A machine without a share for so long is silent.
pub(super) const SILENT_SECS: u64 = 600;
/// A machine below this part of its nameplate is slow, in per cent.
const SLOW_BELOW: u128 = 70;
/// Single machines listed at most.
const LISTED_MAX: usize = 500;

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get("/console/map", Access::Staff(Permission::SeeFarm), map).api_get(
        "/api/v1/console/map",
        Access::StaffBearer(Permission::SeeFarm),
        "How the machines do, rack by rack.",
        map_json,
    )
}

/// How a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sign {
    /// Shares arrive, at about what its maker promises.
    Works,
    /// Shares arrive, and they are few.
    Slow,
    /// It should work, and nothing arrives.
    Silent,
    /// Somebody is at it.
    Tended,
    /// It is not meant to work.
    Away,
}

impl Sign {
    const ALL: [Sign; 5] = [Sign::Works, Sign::Slow, Sign::Silent, Sign::Tended, Sign::Away];

    /// The stable word, and the class of its runs.
    const fn word(self) -> &'static str {
        match self {
            Sign::Works => "works",
            Sign::Slow => "slow",
            Sign::Silent => "silent",
            Sign::Tended => "maintenance",
            Sign::Away => "away",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Sign::Works => "Works",
            Sign::Slow => "Slow",
            Sign::Silent => "Silent",
            Sign::Tended => "In maintenance",
            Sign::Away => "In stock or given back",
        }
    }

    /// Its shape on the map.
    const fn mark(self) -> char {
        match self {
            Sign::Works => '■',
            Sign::Slow => '▄',
            Sign::Silent => '✕',
            Sign::Tended => '○',
            Sign::Away => '·',
        }
    }
}

/// How a machine is, by what the inventory says of it and what it did.
fn sign(state: Option<MachineState>, seen: Option<(Hashrate, bool)>, nameplate: Hashrate) -> Sign {
    match state {
        Some(MachineState::Stock | MachineState::Returned) => return Sign::Away,
        Some(MachineState::Maintenance) => return Sign::Tended,
        Some(MachineState::Running) | None => {}
    }
    match seen {
        None | Some((_, false)) => Sign::Silent,
        Some((rate, true)) => {
            let is_slow = rate.0.saturating_mul(100) < nameplate.0.saturating_mul(SLOW_BELOW);
            if is_slow { Sign::Slow } else { Sign::Works }
        }
    }
}

/// What is looked for.
#[derive(Default, Deserialize)]
pub(crate) struct Filter {
    site: Option<String>,
    rack: Option<String>,
    lane: Option<String>,
    state: Option<String>,
}

impl Filter {
    fn takes(&self, p: &MapPlace, sign: Sign) -> bool {
        let fits = |wanted: &Option<String>, is: &str| {
            wanted.as_deref().is_none_or(|w| w.is_empty() || w == is)
        };
        fits(&self.site, &p.site)
            && self.rack.as_deref().is_none_or(|w| w == p.rack)
            && fits(&self.lane, p.lane.as_str())
            && fits(&self.state, sign.word())
    }

    fn is_set(&self) -> bool {
        let set = |f: &Option<String>| f.as_deref().is_some_and(|f| !f.is_empty());
        set(&self.site) || self.rack.is_some() || set(&self.lane) || set(&self.state)
    }
}

/// The machines that a filter takes, with what each is.
struct Farm {
    places: Vec<(MapPlace, Sign)>,
    seen: HashMap<MachineId, (Hashrate, bool)>,
}

async fn farm(state: &AppState, filter: &Filter) -> Result<Farm, Failure> {
    let places = state.farm().map().await?;
    let now = state.now();
    let fresh = |at: Timestamp| now.since(at).as_secs() < SILENT_SECS;
    let mut seen: HashMap<MachineId, (Hashrate, bool)> = HashMap::new();
    for s in state.live().sessions() {
        let is_fresh = s.last_share_at.is_some_and(fresh);
        let (rate, any) = seen.entry(s.machine).or_insert((Hashrate::ZERO, false));
        *rate = Hashrate(rate.0.saturating_add(s.hashrate.0));
        *any |= is_fresh;
    }
    let signed = |p: MapPlace| {
        let sign = sign(p.state, seen.get(&p.machine).copied(), p.nameplate);
        (p, sign)
    };
    let places = places.into_iter().map(signed).filter(|(p, s)| filter.takes(p, *s)).collect();
    Ok(Farm { places, seen })
}

type Counts = BTreeMap<Sign, u32>;

/// How many machines of each sign.
fn counts<'a>(places: impl Iterator<Item = &'a (MapPlace, Sign)>) -> Counts {
    let mut all = Counts::new();
    for (_, sign) in places {
        *all.entry(*sign).or_default() += 1;
    }
    all
}

/// `GET /console/map`
async fn map(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Params(filter): Params<Filter>,
) -> Result<Markup, Failure> {
    let farm = farm(&state, &filter).await?;
    let content = html! {
        (sheet("filter", "Show", &form(&state, &filter)))
        (live_sheet("summary", "In figures", "farm work", &summary(&farm)))
        @if filter.is_set() { (live_sheet("list", "Machines", "farm work", &list(&farm))) }
        section.sheet #map data-live="farm work" aria-labelledby="map-h" {
            header { h2 #map-h { (t("Map")) } }
            p.small.legend { @for s in Sign::ALL { span { span.signs aria-hidden="true" { i class=(s.word()) { (s.mark()) } } " " (t(s.text())) } } }
            (drawn(&farm))
        }
    };
    let lead = "Every machine of every site, one sign each, as its shares say at this moment.";
    Ok(frame(&visitor, staff, "Farm map", lead, &content))
}

fn form(state: &AppState, filter: &Filter) -> Markup {
    let lanes: Vec<&str> = state.market().config().lanes.iter().map(|l| l.lane.as_str()).collect();
    let is = |f: &Option<String>, v: &str| f.as_deref() == Some(v);
    html! {
        form.actions method="get" action="/console/map" {
            @if let Some(site) = filter.site.as_deref().filter(|s| !s.is_empty()) { input type="hidden" name="site" value=(site); }
            div.field { label for="map-lane" { (t("Lane")) }
                select #map-lane name="lane" { option value="" { (t("All")) }
                    @for l in lanes { option value=(l) selected[is(&filter.lane, l)] { (l) } } } }
            div.field { label for="map-state" { (t("State")) }
                select #map-state name="state" { option value="" { (t("All")) }
                    @for s in Sign::ALL { option value=(s.word()) selected[is(&filter.state, s.word())] { (t(s.text())) } } } }
            button.quiet type="submit" { (t("Show")) }
            @if filter.is_set() { a href="/console/map" { (t("All machines")) } }
        }
    }
}

/// Site by site what stands on the map, for who reads it.
fn summary(farm: &Farm) -> Markup {
    let mut sites: BTreeMap<&str, Vec<&(MapPlace, Sign)>> = BTreeMap::new();
    for p in &farm.places {
        sites.entry(&p.0.site).or_default().push(p);
    }
    let row = |(site, all): (&&str, &Vec<&(MapPlace, Sign)>)| {
        let counts = counts(all.iter().copied());
        let sum = all.iter().filter_map(|(p, _)| farm.seen.get(&p.machine));
        let sum = sum.fold(0_u128, |sum, (r, _)| sum.saturating_add(r.0));
        let mut cells = vec![
            html! { a href={ "?site=" (percent_encoded(site)) } { (site) } },
            html! { (all.len()) },
        ];
        cells.extend(Sign::ALL.map(|s| html! { (counts.get(&s).copied().unwrap_or(0)) }));
        cells.push(rate(Hashrate(sum)));
        cells
    };
    let rows: Vec<Vec<Markup>> = sites.iter().map(row).collect();
    let columns = [
        "Site",
        ">Machines",
        ">Works",
        ">Slow",
        ">Silent",
        ">Maintenance",
        ">Away",
        ">Rate, all algorithms",
    ];
    table("Machines by site and state", &columns, &rows)
}

/// The racks of each site; machines of one kind that stand side by side share an element.
fn drawn(farm: &Farm) -> Markup {
    let mut out = String::with_capacity(farm.places.len() * 4);
    let (mut site, mut rack) = (None, None);
    let mut marks: Vec<Sign> = Vec::new();
    let close = |out: &mut String, marks: &mut Vec<Sign>| {
        if marks.is_empty() {
            return;
        }
        out.push_str("<span class=\"signs\" aria-hidden=\"true\">");
        for run in marks.chunk_by(|a, b| a == b) {
            let text: String = run.iter().map(|s| s.mark()).collect();
            match run[0] {
                Sign::Works => out.push_str(&text),
                s => drop(write!(out, "<i class=\"{}\">{text}</i>", s.word())),
            }
        }
        out.push_str("</span></p>");
        marks.clear();
    };
    for (p, sign) in &farm.places {
        if site != Some(&p.site) {
            close(&mut out, &mut marks);
            rack = None;
            out.push_str(&html! { h3 { (p.site) } }.into_string());
            site = Some(&p.site);
        }
        if rack != Some(&p.rack) {
            close(&mut out, &mut marks);
            let to =
                format!("?site={}&rack={}", percent_encoded(&p.site), percent_encoded(&p.rack));
            let name = if p.rack.is_empty() { t("no rack") } else { &p.rack };
            let head = html! { a href=(to) { (name) } " " };
            let _ = write!(out, "<p class=\"rack\">{}", head.into_string());
            rack = Some(&p.rack);
        }
        marks.push(*sign);
    }
    close(&mut out, &mut marks);
    html! { @if farm.places.is_empty() { p.empty { (t("No machine.")) } } (maud::PreEscaped(out)) }
}

/// Single machines, the ones that need somebody first.
fn list(farm: &Farm) -> Markup {
    let mut all: Vec<&(MapPlace, Sign)> = farm.places.iter().collect();
    let need = |s: Sign| match s {
        Sign::Silent => 0,
        Sign::Slow => 1,
        Sign::Tended => 2,
        Sign::Works => 3,
        Sign::Away => 4,
    };
    all.sort_by_key(|(_, s)| need(*s));
    let row = |(p, sign): &&(MapPlace, Sign)| {
        let now = farm.seen.get(&p.machine).map_or(Hashrate::ZERO, |(r, _)| *r);
        vec![
            html! { a href={ "/console/machines/" (percent_encoded(&p.name)) } { (p.name) } },
            html! { (p.site) " " (p.rack) },
            html! { (p.lane) },
            html! { (sign.mark()) " " (t(sign.text())) },
            rate(now),
            rate(p.nameplate),
        ]
    };
    let rows: Vec<_> = all.iter().take(LISTED_MAX).map(row).collect();
    let columns = ["Machine", "Where", "Lane", "State", ">Now", ">Nameplate"];
    html! {
        (table("Machines", &columns, &rows))
        @if all.len() > LISTED_MAX { p.small.soft { (text!("The first {n} of {all}.", n = LISTED_MAX, all = all.len())) } }
    }
}

requests! {
    /// What is looked for.
    struct MapAsked {
        /// Machines of a site.
        site: Option<String>,
        /// Of a rack.
        rack: Option<String>,
        /// Of a lane.
        lane: Option<String>,
        /// That do so: `works`, `slow`, `silent`, `maintenance`, `away`.
        state: Option<String>,
    }
}

answers! {
    /// How many machines of a rack do how.
    struct RackBody {
        /// Of which site.
        site: String,
        /// Its name.
        rack: String,
        /// Machines that work as they should.
        works: u64,
        /// That do less than they should.
        slow: u64,
        /// Of which nothing is heard.
        silent: u64,
        /// That are being seen to.
        maintenance: u64,
        /// That are taken away.
        away: u64,
    }
}

/// `GET /api/v1/console/map`: racks with how many machines of each state.
async fn map_json(
    State(state): State<AppState>,
    _: Staff,
    Params(asked): Params<MapAsked>,
) -> Result<Fine<List<RackBody>>, Failure> {
    let MapAsked { site, rack, lane, state: sign } = asked;
    let filter = Filter { site, rack, lane, state: sign };
    let farm = farm(&state, &filter).await?;
    let mut racks: BTreeMap<(&str, &str), Counts> = BTreeMap::new();
    for (p, sign) in &farm.places {
        *racks.entry((&p.site, &p.rack)).or_default().entry(*sign).or_default() += 1;
    }
    let rack = |((site, rack), counts): (&(&str, &str), &Counts)| {
        let of = |s: Sign| u64::from(counts.get(&s).copied().unwrap_or(0));
        RackBody {
            site: (*site).to_owned(),
            rack: (*rack).to_owned(),
            works: of(Sign::Works),
            slow: of(Sign::Slow),
            silent: of(Sign::Silent),
            maintenance: of(Sign::Tended),
            away: of(Sign::Away),
        }
    };
    Ok(List::whole(racks.iter().map(rack)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_what_its_shares_say_unless_the_inventory_says_it_is_not_there_to_work() {
        let plate = Hashrate(100);
        let at = |rate, fresh| Some((Hashrate(rate), fresh));
        assert_eq!(sign(Some(MachineState::Running), at(100, true), plate), Sign::Works);
        assert_eq!(sign(Some(MachineState::Running), at(70, true), plate), Sign::Works);
        assert_eq!(sign(Some(MachineState::Running), at(69, true), plate), Sign::Slow);
        assert_eq!(sign(None, at(100, false), plate), Sign::Silent);
        assert_eq!(sign(None, None, plate), Sign::Silent);
        assert_eq!(sign(Some(MachineState::Maintenance), None, plate), Sign::Tended);
        assert_eq!(sign(Some(MachineState::Stock), at(100, true), plate), Sign::Away);
        assert_eq!(sign(None, at(1, true), Hashrate::ZERO), Sign::Works, "nothing is promised");
    }
}
