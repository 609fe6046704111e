//! What staff does in the console: each act is written into the security log before it is tried, so
//! that none goes unlogged, and once more when it was refused.

use crate::extract::Staff;
use crate::failure::{Failure, sentence};
use crate::money::typed_figure;
use crate::state::{AppState, accounts_failure};
use crate::trade::market_failure;
use crate::words::t;
use gruve_market::{Plan, PlanConfig};
use gruve_units::AccountId;
use std::collections::{BTreeMap, BTreeSet};

impl AppState {
    /// Does something in the name of one of the staff. `action` is a stable word as `payout.approve`,
    /// `detail` an id or a figure; neither holds a name or an address.
    pub(crate) async fn act<T>(
        &self,
        staff: Staff,
        about: Option<AccountId>,
        action: &'static str,
        detail: &str,
        deed: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let written = self.accounts().note(staff.account, about, action, detail).await;
        written.map_err(|e| accounts_failure(&e))?;
        match deed.await {
            Ok(done) => {
                self.pulse().beat();
                Ok(done)
            }
            Err(refused) => {
                let detail = format!("{action} {detail}: {}", refused.kind);
                self.accounts().note(staff.account, about, "console.refused", &detail).await?;
                Err(refused)
            }
        }
    }

    /// Makes a plan or changes it. The log names the plan, the market keeps every version of it.
    pub(crate) async fn put_plan(&self, staff: Staff, plan: PlanConfig) -> Result<Plan, Failure> {
        let id = logged(&plan.id);
        let put = async { self.market().put_plan(plan).await.map_err(|e| market_failure(&e)) };
        self.act(staff, None, "plan.put", &id, put).await
    }

    /// Takes a plan off sale.
    pub(crate) async fn withdraw_plan(&self, staff: Staff, id: &str) -> Result<(), Failure> {
        let done = async { self.market().withdraw_plan(id).await.map_err(|e| market_failure(&e)) };
        self.act(staff, None, "plan.withdraw", &logged(id), done).await
    }

    /// Lets the file's words of a plan count again.
    pub(crate) async fn plan_as_filed(&self, staff: Staff, id: &str) -> Result<(), Failure> {
        let done = async { self.market().plan_as_filed(id).await.map_err(|e| market_failure(&e)) };
        self.act(staff, None, "plan.as_filed", &logged(id), done).await
    }

    /// The names of accounts, all looked up at once.
    pub(crate) async fn names(
        &self,
        accounts: impl Iterator<Item = AccountId>,
    ) -> Result<BTreeMap<AccountId, String>, Failure> {
        let accounts: BTreeSet<AccountId> = accounts.collect();
        let mut names = self.accounts().names_of(&accounts).await?;
        for account in accounts {
            names.entry(account).or_insert_with(|| account.to_string());
        }
        Ok(names)
    }
}

/// A name that somebody typed, as the log takes it: no longer than a plan's can be.
fn logged(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(32).collect()
}

/// What was typed, read as something; or a sentence that says what to write.
pub(crate) fn typed<T: std::str::FromStr>(text: &str, wanted: &str) -> Result<T, Failure> {
    text.trim().parse().map_err(|_| Failure::refused(sentence(t(wanted))))
}

/// A figure that was typed into a form, with a point.
pub(crate) fn figure(text: &str) -> Result<String, Failure> {
    typed_figure(text).map_err(Failure::refused)
}

/// An id in a query; what is none asks for the first page.
pub(crate) fn cursor<T: std::str::FromStr>(text: Option<&str>) -> Option<T> {
    text.and_then(|t| t.parse().ok())
}
