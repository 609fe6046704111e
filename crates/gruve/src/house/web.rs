//! What the web server is given: the rooms, and what the configuration says of it.

use super::answers::Line;
use super::error::StartError;
use super::hooks;
use super::lane::RunningLane;
use super::parts::Parts;
use super::receipts::RecordShelf;
use crate::config::Config;
use crate::funds::Desk;
use gruve_web::{CallPace, ConnectionLimits, Services, WebConfig};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn services(parts: &Parts, line: Line) -> Services {
    Services {
        store: parts.store.clone(),
        accounts: parts.accounts.clone(),
        market: parts.market.clone(),
        treasury: parts.treasury.clone(),
        farm: parts.farm.clone(),
        hosting: parts.hosting.clone(),
        live: Arc::new(line),
        clock: parts.clock.clone(),
        entropy: parts.entropy.clone(),
    }
}

/// # Errors
/// When where messages go to cannot be used.
pub(super) fn config(
    config: &Config,
    lanes: &[RunningLane],
    shelf: Arc<RecordShelf>,
    desk: &Desk,
) -> Result<WebConfig, StartError> {
    Ok(WebConfig {
        house: config.house.name.as_str().into(),
        secure_cookies: config.http.secure_cookies,
        is_staff_factor_demanded: config.http.is_staff_factor_demanded(),
        origin: config.http.origin.clone(),
        trusted_proxies: config.http.trusted_proxies.clone(),
        limits: ConnectionLimits::default(),
        calls: CallPace::default(),
        pages: None,
        lanes: lanes.iter().map(RunningLane::particulars).collect(),
        are_metrics_elsewhere: config.metrics.listen.is_some(),
        invoice_ttl: Duration::ZERO,
        conversion: config.conversion.as_ref().map(|c| c.rules()),
        record: Some(shelf),
        watch: hooks::watch(config).map_err(StartError::Mail)?,
        webhooks: hooks::webhooks(config).map_err(StartError::Mail)?,
        funds: Some(Arc::new(desk.shelf())),
    })
}
