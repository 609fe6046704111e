//! What machines ask: assets, health, metrics.

use crate::assets;
use crate::exposition::{Exposition, FamilyKind};
use crate::extract::Id;
use crate::failure::Failure;
use crate::security::same_token;
use crate::state::{AppState, LiveChain, LiveNode, MetricsFor};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;

/// `GET /assets/{name}`
pub(crate) async fn asset(Id(name): Id<String>) -> Result<Response, Failure> {
    assets::find(&name).map(assets::Asset::serve).ok_or_else(|| Failure::not_found("file"))
}

/// `GET /robots.txt`: customers' pages are of no use to search engines.
pub(crate) async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /account\nDisallow: /api/\n"
}

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the database answers, so that requests can be served.
pub(crate) async fn readyz(State(state): State<AppState>) -> Result<&'static str, Failure> {
    state.lanes().await?;
    Ok("ready\n")
}

/// `GET /healthz/lanes`: a line for each lane, and one more for each chain merge-mined with it; 503 while one of them has no chain that could be settled
/// by, or no node that is ready. Names no node: those are inner addresses.
pub(crate) async fn lane_health(State(state): State<AppState>) -> Response {
    let (chains, nodes) = (state.live().chains(), state.live().nodes());
    let mut text = String::new();
    let mut is_well = true;
    for chain in &chains {
        let of_chain = || nodes.iter().filter(|n| (&n.lane, n.asset) == (&chain.lane, chain.asset));
        let ready = of_chain().filter(|n| n.standing == "ready").count();
        let (lane, standing, all) = (&chain.lane, chain.standing, of_chain().count());
        let is_own = chains.iter().find(|c| c.lane == chain.lane).is_some_and(|c| c == chain);
        let merged = if is_own { String::new() } else { format!("+{}", chain.asset) };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{lane}{merged} chain={standing} nodes_ready={ready}/{all}");
        is_well &= chain.is_sound && (ready > 0 || all == 0);
    }
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

/// `GET /metrics` in Prometheus' text form, for whoever reaches the site: nothing of single machines.
pub(crate) async fn metrics(State(state): State<AppState>) -> Result<Response, Failure> {
    if state.config().are_metrics_elsewhere {
        return Err(Failure::not_found("page"));
    }
    write_metrics(&state, MetricsFor::Anybody).await
}

/// `GET /metrics` at the operator's own address.
pub(crate) async fn operator_metrics(
    State((state, token)): State<(AppState, Option<String>)>,
    request: Request,
) -> Result<Response, Failure> {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let given = given.and_then(|v| v.strip_prefix("Bearer ")).unwrap_or_default();
    if token.is_some_and(|token| !same_token(given, &token)) {
        return Err(Failure::unauthorised());
    }
    write_metrics(&state, MetricsFor::Operator).await
}

async fn write_metrics(state: &AppState, whom: MetricsFor) -> Result<Response, Failure> {
    let mut out = Exposition::default();
    let lanes = state.lanes().await?;
    let gauge = |out: &mut Exposition,
                 name: &str,
                 kind: FamilyKind,
                 help: &str,
                 of: &dyn Fn(&crate::view::LaneView) -> Option<String>| {
        out.family(name, kind, help);
        for l in &lanes {
            if let Some(v) = of(l) {
                out.sample(name, &[("lane", l.stats.lane.as_str())], v);
            }
        }
    };
    gauge(
        &mut out,
        "gruve_lane_hashrate",
        FamilyKind::Gauge,
        "Hashes per second proven by shares of closed epochs.",
        &|l| Some(l.stats.hashrate.0.to_string()),
    );
    gauge(
        &mut out,
        "gruve_lane_proven_capacity",
        FamilyKind::Gauge,
        "Hashes per second proven by the house's machines, before the reserve.",
        &|l| Some(l.stats.proven_capacity.0.to_string()),
    );
    gauge(
        &mut out,
        "gruve_lane_sold",
        FamilyKind::Gauge,
        "Hashes per second under contract.",
        &|l| Some(l.stats.sold.0.to_string()),
    );
    gauge(
        &mut out,
        "gruve_lane_oversold",
        FamilyKind::Gauge,
        "Hashes per second under contract that are not proven any more; sales have stopped.",
        &|l| Some(l.stats.oversold.0.to_string()),
    );
    gauge(
        &mut out,
        "gruve_lane_last_closed_epoch",
        FamilyKind::Gauge,
        "Number of the last closed epoch.",
        &|l| l.stats.last_closed.map(|e| e.to_string()),
    );
    gauge(
        &mut out,
        "gruve_lane_shares_total",
        FamilyKind::Counter,
        "Shares counted in closed epochs.",
        &|l| Some(l.stats.shares.to_string()),
    );
    gauge(
        &mut out,
        "gruve_lane_blocks_found",
        FamilyKind::Gauge,
        "Blocks found that are not orphaned or refused.",
        &|l| Some(l.stats.blocks_found.to_string()),
    );
    gauge(
        &mut out,
        "gruve_lane_chain_height",
        FamilyKind::Gauge,
        "Height of the last job.",
        &|l| l.stats.height.map(|h| h.to_string()),
    );
    gauge(&mut out, "gruve_lane_sessions", FamilyKind::Gauge, "Miners connected.", &|l| {
        Some(l.machines.to_string())
    });
    write_nodes(&mut out, &state.live().nodes());
    write_chains(&mut out, &state.live().chains());
    crate::log_readers::write(&mut out, &state.live().log_readers(), state.now());
    out.family("gruve_live_listeners", FamilyKind::Gauge, "Streams of live events open.");
    out.sample("gruve_live_listeners", &[], state.pulse().listeners());
    state.live().write_metrics(&mut out, whom);
    state.metrics().write(&mut out);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], out.finish()).into_response())
}

/// How the lanes' nodes stand. Their names are inner addresses: another reason to keep `/metrics` from
/// the world.
fn write_nodes(out: &mut Exposition, nodes: &[LiveNode]) {
    let mut family = |name: &str, help: &str, of: &dyn Fn(&LiveNode) -> Option<u64>| {
        out.family(name, FamilyKind::Gauge, help);
        for node in nodes {
            if let Some(value) = of(node) {
                let asset = node.asset.to_string();
                let labels =
                    [("lane", node.lane.as_str()), ("asset", asset.as_str()), ("node", &node.name)];
                out.sample(name, &labels, value);
            }
        }
    };
    family("gruve_node_ready", "Whether the node is fit for everything.", &|n| {
        Some(u64::from(n.standing == "ready"))
    });
    family("gruve_node_chosen", "Whether the lane's templates come from it.", &|n| {
        Some(u64::from(n.is_chosen))
    });
    family("gruve_node_height", "Height of its best block.", &|n| n.height);
    family("gruve_node_peers", "Its connected peers.", &|n| n.peers);
    family("gruve_node_failures", "Looks at it that failed since the last good one.", &|n| {
        Some(u64::from(n.failures))
    });
    family("gruve_node_template_age_seconds", "Since its last template.", &|n| {
        n.template_age.map(|age| age.as_secs())
    });
}

/// How the lanes' chains are followed.
fn write_chains(out: &mut Exposition, chains: &[LiveChain]) {
    let mut family = |name: &str, help: &str, of: &dyn Fn(&LiveChain) -> Option<u64>| {
        out.family(name, FamilyKind::Gauge, help);
        for chain in chains {
            if let Some(value) = of(chain) {
                let asset = chain.asset.to_string();
                let labels = [("lane", chain.lane.as_str()), ("asset", asset.as_str())];
                out.sample(name, &labels, value);
            }
        }
    };
    family(
        "gruve_chain_settles",
        "Whether the chain is sound, so that the lane is settled.",
        &|c| Some(u64::from(c.is_sound)),
    );
    family("gruve_chain_halted", "Whether the chain cannot be followed.", &|c| {
        Some(u64::from(c.standing == "halted"))
    });
    family("gruve_chain_followed_height", "The newest block in the books.", &|c| c.height);
}
