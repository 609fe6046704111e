//! Closing an account: what stands in the way, and doing it when its time has come.

use crate::failure::Failure;
use crate::state::{AppState, accounts_failure};
use crate::words::{t, text};
use gruve_accounts::Device;
use gruve_hosting::HostingState;
use gruve_market::ContractState;
use gruve_market::metered::MeteredState;
use gruve_units::AccountId;
use std::time::Duration;

/// How often closings are looked for whose time has come.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Something that must end before an account can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// Stable word for programs.
    pub(crate) kind: &'static str,
    /// For people.
    pub(crate) text: &'static str,
    /// Where it is dealt with.
    pub(crate) page: &'static str,
}

const fn obstacle(kind: &'static str, text: &'static str, page: &'static str) -> Obstacle {
    Obstacle { kind, text, page }
}

const MONEY: Obstacle = obstacle("balance", "money in the account: withdraw it first", "/withdraw");
const MATURING: Obstacle =
    obstacle("maturing", "earnings that still mature: they come with time", "/account");
const CONTRACTS: Obstacle = obstacle(
    "contracts",
    "contracts that are not over: let them end or take them back",
    "/account",
);
const METERED: Obstacle = obstacle("metered", "hashrate by the meter: end it first", "/account");
const MACHINES: Obstacle = obstacle(
    "machines",
    "machines of yours in the house: hand them on or have them given out",
    "/machines",
);
const PAYOUTS: Obstacle =
    obstacle("payouts", "payouts under way: wait for them or take them back", "/payouts");
const INVOICES: Obstacle =
    obstacle("invoices", "open invoices: they expire by themselves", "/account");

impl AppState {
    /// What stands in the way of closing an account; nothing when it may be closed.
    pub(crate) async fn obstacles(&self, account: AccountId) -> Result<Vec<Obstacle>, Failure> {
        let mut found = Vec::new();
        let balances = self.balances(account).await?;
        if balances.iter().any(|b| b.available.minor != 0 || b.held.minor != 0) {
            found.push(MONEY);
        }
        if balances.iter().any(|b| b.maturing.minor != 0) {
            found.push(MATURING);
        }
        let is_on = |s: ContractState| {
            matches!(
                s,
                ContractState::AwaitingPayment | ContractState::Starting | ContractState::Active
            )
        };
        if self.market().contracts(account).await?.iter().any(|c| is_on(c.state)) {
            found.push(CONTRACTS);
        }
        let metered = self.market().metered_contracts(account).await?;
        if metered.iter().any(|m| m.state != MeteredState::Ended) {
            found.push(METERED);
        }
        let is_over = |s: HostingState| matches!(s, HostingState::Ended | HostingState::Withdrawn);
        if self.hosting().contracts(account).await?.iter().any(|c| !is_over(c.state)) {
            found.push(MACHINES);
        }
        if self.treasury().payouts(account).await?.iter().any(|p| !p.state.is_final()) {
            found.push(PAYOUTS);
        }
        if self.treasury().invoices(account).await?.iter().any(|i| i.state.is_open()) {
            found.push(INVOICES);
        }
        Ok(found)
    }

    /// Asks for an account to be closed, where nothing stands in the way.
    pub(crate) async fn ask_to_close(
        &self,
        account: AccountId,
        proof: (&str, &str),
        from: Device,
    ) -> Result<(), Failure> {
        let found = self.obstacles(account).await?;
        if let Some(first) = found.first() {
            let detail =
                text!("The account cannot be closed yet. There is: {what}.", what = t(first.text));
            return Err(Failure::conflict("account-in-use", detail));
        }
        let asked = self.accounts().ask_to_close(account, proof, from).await;
        asked.map(drop).map_err(|e| accounts_failure(&e))
    }

    /// Closes accounts whose time has come, and those that nobody confirmed and that have nothing, or leaves them open where something stands in the way; how many
    /// were closed.
    ///
    /// # Errors
    /// In words.
    pub async fn close_due_accounts(&self) -> Result<u32, String> {
        self.close_due().await.map_err(|f| f.detail)
    }

    /// Whether an account has, or ever had, anything that somebody may come back for.
    async fn has_anything(&self, account: AccountId) -> Result<bool, Failure> {
        Ok(!self.obstacles(account).await?.is_empty()
            || !self.market().contracts(account).await?.is_empty()
            || !self.market().metered_contracts(account).await?.is_empty()
            || !self.hosting().contracts(account).await?.is_empty()
            || !self.treasury().invoices(account).await?.is_empty()
            || !self.treasury().payouts(account).await?.is_empty())
    }

    async fn close_due(&self) -> Result<u32, Failure> {
        for account in self.accounts().unconfirmed_due().await? {
            if self.has_anything(account).await? {
                self.accounts().spare(account).await?;
            } else {
                self.accounts().expire(account).await?;
            }
        }
        let mut closed = 0;
        for closing in self.accounts().closings_due().await? {
            let found = self.obstacles(closing.account).await?;
            if !found.is_empty() {
                let why: Vec<&str> = found.iter().map(|o| t(o.text)).collect();
                self.accounts().keep_open(closing.account, Some(&why.join("; "))).await?;
            } else if closing.sealed.is_none() {
                self.end_webhooks(closing.account).await?;
                self.accounts().seal(closing.account).await?;
            } else {
                // Nobody is let in any more who could add one.
                self.remove_webhooks(closing.account).await?;
                closed += u32::from(self.accounts().erase(closing.account).await?);
            }
        }
        Ok(closed)
    }
}

/// Looks for closings as long as the site is served.
pub(crate) async fn keep_closing(state: AppState) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(detail) = state.close_due_accounts().await {
            tracing::warn!(%detail, "accounts that are to be closed wait");
        }
    }
}
