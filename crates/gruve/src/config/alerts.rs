//! `[alerts]`: when the operator is told of what goes wrong, and how.

use super::{Fault, Span};
use gruve_accounts::Role;
use gruve_units::Asset;
use gruve_web::{Rule, Threshold, Thresholds};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[alerts]`. What is not set is as `gruve_web::Thresholds` has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// Roles of the staff that get mail, where `[mail]` is set.
    pub mail_roles: Vec<String>,
    /// Where messages are posted.
    pub webhook: Option<String>,
    /// A file whose first line is `whsec_` and base64 of 24 to 64 bytes: what they are signed with.
    pub webhook_secret_file: Option<PathBuf>,
    /// Certificate authorities (PEM) by which the receiver is known.
    pub webhook_authorities_file: PathBuf,
    /// No share on a lane for so long.
    pub lane_silent: Span,
    /// No node of a lane ready for so long.
    pub node_behind: Span,
    /// A payout waits for a person for so long.
    pub payout_waits: Span,
    /// No fresh price of a coin for so long.
    pub price_stale: Span,
    /// Closed epochs that are not published.
    pub record_late_epochs: u32,
    /// Sold beyond what is proven, in basis points of what is sold.
    pub oversold_bps: u32,
    /// An FPPS reserve has less than its floor and this much, in basis points of it.
    pub reserve_margin_bps: u32,
    /// Per cent of the disk in use.
    pub disk_used_percent: u32,
    /// One who reads a lane's share log is behind for so long.
    pub log_unread: Span,
    /// What the hot wallet of a coin should have, in whole coins.
    pub hot_wallet_min: BTreeMap<Asset, String>,
}

impl Default for AlertsConfig {
    fn default() -> AlertsConfig {
        let secs = |s| Span(std::time::Duration::from_secs(s));
        AlertsConfig {
            mail_roles: vec!["owner".into(), "technician".into()],
            webhook: None,
            webhook_secret_file: None,
            webhook_authorities_file: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
            lane_silent: secs(600),
            node_behind: secs(300),
            payout_waits: secs(3_600),
            price_stale: secs(7_200),
            record_late_epochs: 6,
            oversold_bps: 1,
            reserve_margin_bps: 1_000,
            disk_used_percent: 90,
            log_unread: secs(3_600),
            hot_wallet_min: BTreeMap::new(),
        }
    }
}

impl AlertsConfig {
    /// Thresholds with the distance between opening and closing that each rule has.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        let secs = |s: Span| i64::try_from(s.0.as_secs()).unwrap_or(i64::MAX).max(1);
        let at = |opens, closes| Threshold { opens, closes };
        let mut all = Thresholds::default();
        let silent = secs(self.lane_silent);
        all.set(Rule::LaneSilent, at(silent, silent / 10));
        all.set(Rule::NodeBehind, at(secs(self.node_behind), 0));
        all.set(Rule::PayoutWaits, at(secs(self.payout_waits), 0));
        let stale = secs(self.price_stale);
        all.set(Rule::PriceStale, at(stale, stale / 2));
        let late = i64::from(self.record_late_epochs.max(1));
        all.set(Rule::RecordLate, at(late, late / 3));
        all.set(Rule::Oversold, at(i64::from(self.oversold_bps.max(1)), 0));
        let margin = -i64::from(self.reserve_margin_bps);
        all.set(Rule::ReserveLow, at(margin, margin - 500));
        let used = i64::from(self.disk_used_percent.min(100));
        all.set(Rule::DiskLow, at(used, used - 5));
        let unread = secs(self.log_unread);
        all.set(Rule::LogUnread, at(unread, unread / 2));
        all
    }

    /// The roles that get mail; words that are none are left out, and told by `faults`.
    #[must_use]
    pub fn roles(&self) -> Vec<Role> {
        self.mail_roles.iter().filter_map(|r| r.parse().ok()).collect()
    }

    /// Minimums of wallets in minor units; what cannot be read is told by `faults`.
    #[must_use]
    pub fn wallet_min(&self) -> BTreeMap<Asset, i64> {
        let read = |(asset, text): (&Asset, &String)| {
            let amount = gruve_units::Amount::parse_decimal(*asset, text.trim()).ok()?;
            Some((*asset, amount.minor))
        };
        self.hot_wallet_min.iter().filter_map(read).collect()
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let fault = |place: &str, what: &str| Fault { place: place.into(), what: what.into() };
        let mut all = Vec::new();
        if self.roles().len() != self.mail_roles.len() {
            all.push(fault(
                "alerts.mail_roles",
                "write owner, finance, technician, support or auditor",
            ));
        }
        if self.wallet_min().len() != self.hot_wallet_min.len() {
            all.push(fault(
                "alerts.hot_wallet_min",
                "write whole coins as text: { BTC = \"0.5\" }",
            ));
        }
        if self.disk_used_percent > 100 {
            all.push(fault("alerts.disk_used_percent", "write 100 or less"));
        }
        match (&self.webhook, &self.webhook_secret_file) {
            (Some(_), None) => all.push(fault(
                "alerts.webhook_secret_file",
                "set it: messages are signed, so that their receiver can tell them from others'",
            )),
            (Some(url), _) if !url.starts_with("https://") && !url.starts_with("http://") => {
                all.push(fault("alerts.webhook", "write https://…"));
            }
            _ => {}
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<String> {
        let config: AlertsConfig = toml::from_str(text).unwrap();
        config.faults().into_iter().map(|f| f.place).collect()
    }

    #[test]
    fn what_is_left_out_is_as_the_watch_has_it_and_what_cannot_be_is_told() {
        assert!(places("").is_empty());
        assert_eq!(AlertsConfig::default().thresholds(), Thresholds::default());
        assert_eq!(places("mail_roles = [\"boss\"]"), ["alerts.mail_roles"]);
        assert_eq!(places("hot_wallet_min = { BTC = \"much\" }"), ["alerts.hot_wallet_min"]);
        assert_eq!(places("webhook = \"https://x.example\""), ["alerts.webhook_secret_file"]);
        let set = "webhook = \"ftp://x\"\nwebhook_secret_file = \"s\"";
        assert_eq!(places(set), ["alerts.webhook"]);
    }

    #[test]
    fn every_rule_closes_below_where_it_opens_however_it_is_set() {
        let text = "lane_silent = \"1s\"\nrecord_late_epochs = 0\noversold_bps = 0\nreserve_margin_bps = 0\nlog_unread = \"1s\"";
        let config: AlertsConfig = toml::from_str(text).unwrap();
        for rule in Rule::ALL {
            let t = config.thresholds().of(rule);
            assert!(t.closes < t.opens, "{rule:?}");
        }
    }
}
