//! The watch: looks at the house every minute, tells the operator once when something goes wrong and once when
//! it is over, and keeps what everybody may see of it.
//!
//! # Promises
//! - Each rule tells once of each subject while it lasts, also over restarts and with several processes: what is
//!   open is a row with a key of its own.
//! - Told in the transaction that opens or closes: a message exists exactly when the alert does.
//! - A minute in which nobody looked is no good minute: the status page counts it as bad.
//! - Probes are kept for 90 days in hours, alerts and the operator's words for [`ALERTS_KEPT`].
//!
//! # What it must not know
//! Tables of other rooms; how messages are carried ([`HookSender`]).

mod deliver;
mod readings;
mod rules;
mod sql;
mod store;
pub(crate) mod uptime;

pub(crate) use deliver::keep_sending;
pub use deliver::{Hook, HookSender};
pub use readings::Looker;
pub use rules::{Rule, Threshold, Thresholds};
pub(crate) use store::{Alert, Bulletin};

use crate::state::AppState;
use gruve_accounts::Role;
use gruve_store::Migration;
use gruve_units::{Asset, Duration};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The watch's tables.
pub const WATCH_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "watch",
    sqlite: include_str!("../../migrations/0001_watch.sqlite.sql"),
    postgres: include_str!("../../migrations/0001_watch.postgres.sql"),
}];

/// How often the house is looked at; a probe each.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long probes are kept, and shown.
pub(crate) const PROBES_KEPT_DAYS: i64 = 90;

/// How long alerts that are over are kept: a yearly audit finds all of its year.
pub(crate) const ALERTS_KEPT: Duration = Duration::from_secs(400 * 86_400);

/// What the operator sets for the watch.
#[derive(Clone, Default)]
pub struct WatchConfig {
    /// When it tells.
    pub thresholds: Thresholds,
    /// What the hot wallet should always have, in minor units.
    pub wallet_min: BTreeMap<Asset, i64>,
    /// Which of the staff get mail.
    pub mail_roles: Vec<Role>,
    /// The operator's webhook.
    pub hook: Option<Hook>,
    /// Free and all bytes of the disk under the data folder.
    pub disk: Option<DiskSpace>,
}

/// Asks for the free and all bytes of a disk.
pub type DiskSpace = Arc<dyn Fn() -> Option<(u64, u64)> + Send + Sync>;

impl std::fmt::Debug for WatchConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchConfig").field("thresholds", &self.thresholds).finish_non_exhaustive()
    }
}

/// Looks as long as the site is served.
pub(crate) async fn keep_watch(state: AppState) {
    let mut looker = Looker::new(state.now());
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(detail) = state.look(&mut looker).await {
            tracing::warn!(%detail, "the house could not be looked at");
        }
    }
}
