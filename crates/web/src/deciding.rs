//! What staff decides about money and people, and what it says to everybody: each deed once, for the console's forms
//! and for programs alike. Who may is the route's business; each deed is written into the security log first, by
//! [`AppState::act`] or by the room that does it.

use crate::extract::Staff;
use crate::failure::{Failure, sentence};
use crate::reviews::Ground;
use crate::state::{AppState, accounts_failure};
use crate::trade::{market_failure, treasury_failure};
use gruve_accounts::{CustomerRow, Permission, Role};
use gruve_market::{ActKind, MarketError, ReserveFrom};
use gruve_store::transact;
use gruve_treasury::{Approval, Payout};
use gruve_units::{AccountId, Amount, Asset, ContractId, Hashrate, LaneId, PayoutId};

/// Characters of what is said to everybody at most.
const TITLE_CHARS_MAX: usize = 100;
const BODY_CHARS_MAX: usize = 2_000;

/// The operator's coins to be moved into the FPPS reserve or out of it.
pub(crate) struct MoveReserve<'a> {
    /// Above zero.
    pub(crate) amount: Amount,
    pub(crate) is_taken_out: bool,
    pub(crate) from: ReserveFrom,
    /// A name for it, used once for ever.
    pub(crate) reason: &'a str,
}

/// Machines of the house that are away.
pub(crate) struct Away<'a> {
    pub(crate) lane: LaneId,
    pub(crate) what: ActKind,
    pub(crate) rate: Hashrate,
    pub(crate) note: &'a str,
}

/// Whether one of the staff may end an account's sessions and keys: those of staff only who gives roles, so that
/// nobody locks out those who watch over him.
pub(crate) fn may_sign_out(staff: Staff, who: &CustomerRow) -> bool {
    let needed = if who.role.is_some() { Permission::GiveRoles } else { Permission::EndSessions };
    staff.role.may(needed)
}

/// Refuses what would give something of the house's to the account of whoever does it: a second person does that.
pub(crate) fn not_to_oneself(staff: Staff, account: AccountId) -> Result<(), Failure> {
    match account == staff.account {
        true => {
            Err(Failure::refused("This would go to your own account: have another person do it."))
        }
        false => Ok(()),
    }
}

impl AppState {
    /// A payout, whosever it is.
    pub(crate) async fn any_payout(&self, id: PayoutId) -> Result<Payout, Failure> {
        self.treasury().payout(id).await?.ok_or_else(|| Failure::not_found("payout"))
    }

    /// An account as staff sees it.
    pub(crate) async fn customer_row(&self, id: AccountId) -> Result<CustomerRow, Failure> {
        self.accounts().customer(id).await?.ok_or_else(|| Failure::not_found("customer"))
    }

    /// One person's approval of a payout that waits; large ones take two.
    pub(crate) async fn approve_payout(
        &self,
        staff: Staff,
        id: PayoutId,
    ) -> Result<Approval, Failure> {
        let payout = self.any_payout(id).await?;
        if payout.account == staff.account {
            return Err(Failure::refused("Nobody approves a payout of their own."));
        }
        let done = async {
            let approver = staff.account.to_string();
            let approved = self.treasury().approve_payout(id, &approver).await;
            approved.map_err(|e| treasury_failure(&e))
        };
        self.act(staff, Some(payout.account), "payout.approve", &id.to_string(), done).await
    }

    /// Refuses a payout that is not signed; the customer reads why.
    pub(crate) async fn refuse_payout(
        &self,
        staff: Staff,
        id: PayoutId,
        reason: &str,
    ) -> Result<(), Failure> {
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(Failure::refused("Write why, for the customer to read."));
        }
        let payout = self.any_payout(id).await?;
        let done = async {
            self.treasury().refuse_payout(id, reason).await.map_err(|e| treasury_failure(&e))
        };
        self.act(staff, Some(payout.account), "payout.refuse", &id.to_string(), done).await
    }

    /// Tells a price of now in the name of a source.
    pub(crate) async fn tell_price(
        &self,
        staff: Staff,
        (asset, source): (Asset, &str),
        dollars: Amount,
    ) -> Result<(), Failure> {
        let now = self.now();
        let told = async {
            let told = self.market().report_price(source, asset, now, dollars.minor).await;
            told.map_err(|e| market_failure(&e))
        };
        let detail = format!("{asset} {} {source}", dollars.decimal());
        self.act(staff, None, "price.tell", &detail, told).await
    }

    /// Moves the operator's coins into the FPPS reserve or out of it. The same name again does nothing.
    pub(crate) async fn move_reserve(
        &self,
        staff: Staff,
        it: MoveReserve<'_>,
    ) -> Result<(), Failure> {
        if it.amount.minor <= 0 {
            return Err(Failure::refused("Write an amount above zero."));
        }
        let (way, moved) = if it.is_taken_out {
            let out = it.amount.checked_neg();
            ("take", out.map_err(|e| Failure::refused(sentence(&e.to_string())))?)
        } else {
            ("put", it.amount)
        };
        let reason = it.reason.trim();
        let done = async {
            let posted = transact!(self.store(), tx -> Result<_, MarketError> => {
                self.market().fpps_capital(tx, reason, moved, it.from).await
            });
            posted.map(drop).map_err(|e| market_failure(&e))
        };
        self.act(staff, None, "reserve.move", &format!("{way} {moved} {reason}"), done).await
    }

    /// Ends an account's sessions and keys; how many sessions.
    pub(crate) async fn sign_customer_out(
        &self,
        staff: Staff,
        id: AccountId,
    ) -> Result<u64, Failure> {
        let who = self.customer_row(id).await?;
        if !may_sign_out(staff, &who) {
            return Err(Failure::forbidden(staff.role));
        }
        let done = self.accounts().end_sessions(Some(staff.account), id).await;
        done.map_err(|e| accounts_failure(&e))
    }

    /// A second factor that is said to be lost is not taken off.
    pub(crate) async fn keep_customers_factor(
        &self,
        staff: Staff,
        id: AccountId,
    ) -> Result<(), Failure> {
        let kept = self.accounts().keep_factor(Some(staff.account), id).await;
        match kept.map_err(|e| accounts_failure(&e))? {
            true => Ok(()),
            false => Err(Failure::not_found("customer")),
        }
    }

    /// Gives the account of that name a role, or takes it away.
    pub(crate) async fn give_role(
        &self,
        staff: Staff,
        name: &str,
        role: Option<Role>,
    ) -> Result<AccountId, Failure> {
        let given = self.accounts().set_role(Some(staff.account), name.trim(), role).await;
        given.map_err(|e| accounts_failure(&e))
    }

    /// Records that machines of the house are away from the running epoch on; the record's number on its lane.
    pub(crate) async fn record_away(&self, staff: Staff, away: Away<'_>) -> Result<u64, Failure> {
        let Away { lane, what, rate, note } = away;
        let market = self.market();
        // The running epoch is not over: what is taken away now is missing in it already.
        let rule = market.lane(&lane).map_err(|e| market_failure(&e))?.epoch_rule;
        let from = rule.at(self.now());
        let done = async {
            let recorded = market.record_act(&lane, what, rate, (from, None), note).await;
            recorded.map_err(|e| market_failure(&e))
        };
        let detail = format!("{lane} {} {rate}", what.name());
        self.act(staff, None, "act.record", &detail, done).await
    }

    /// They work again from the next epoch on.
    pub(crate) async fn record_back(
        &self,
        staff: Staff,
        lane: &LaneId,
        number: u64,
    ) -> Result<(), Failure> {
        let market = self.market();
        let rule = market.lane(lane).map_err(|e| market_failure(&e))?.epoch_rule;
        let until = rule.at(self.now()).next();
        let ended =
            async { market.end_act(lane, number, until).await.map_err(|e| market_failure(&e)) };
        self.act(staff, None, "act.end", &format!("{lane} {number}"), ended).await
    }

    /// Says something to everybody, on the page of the house's state.
    pub(crate) async fn say_bulletin(
        &self,
        staff: Staff,
        title: &str,
        body: &str,
    ) -> Result<(), Failure> {
        let (title, body) = (title.trim(), body.trim());
        let fits = |s: &str, most| (1..=most).contains(&s.chars().count());
        if !fits(title, TITLE_CHARS_MAX) || !fits(body, BODY_CHARS_MAX) {
            return Err(Failure::refused("A title has 1 to 100 characters, the text 1 to 2,000."));
        }
        self.act(staff, None, "bulletin.say", title, self.say_to_all(title, body)).await
    }

    /// What was said is over; whether it was not before.
    pub(crate) async fn end_said(&self, staff: Staff, id: [u8; 16]) -> Result<bool, Failure> {
        self.act(staff, None, "bulletin.end", &hex::encode(id), self.end_bulletin(id)).await
    }

    /// The operator's answer to a review, once.
    pub(crate) async fn reply_to_review(
        &self,
        staff: Staff,
        id: ContractId,
        text: &str,
    ) -> Result<(), Failure> {
        let done = self.answer_review(id, text);
        self.act(staff, None, "review.answer", &id.to_string(), done).await
    }

    /// Hides a review's text, for a stated ground.
    pub(crate) async fn hide_said(
        &self,
        staff: Staff,
        id: ContractId,
        ground: &str,
    ) -> Result<(), Failure> {
        let ground = Ground::of(ground).ok_or_else(|| Failure::refused("Choose a ground."))?;
        let detail = format!("{id} {}", ground.word());
        self.act(staff, None, "review.hide", &detail, self.hide_review(id, ground)).await
    }
}
