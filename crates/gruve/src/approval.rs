//! `gruve admin payouts`: what waits for a person, and that person's word.
//!
//! Promises: a payout that takes two people takes two that have proven who they are; whoever has the machine
//! is nobody in particular and counts for those that take one only.

use crate::house::Parts;
use crate::house::files::Holding;
use crate::serve::read_config;
use crate::typed;
use gruve_accounts::{Accounts, Permission};
use gruve_treasury::{Approval, Lock, Payout, PayoutState, Recipients, Treasury, TreasuryError};
use gruve_units::{AccountId, Asset, PayoutId, SystemClock, SystemEntropy};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The machine itself, as an approver.
const MACHINE: &str = "the machine";

/// What a person decides.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Order {
    /// Approve this payout.
    #[arg(long, value_name = "ID", conflicts_with_all = ["refuse", "explain", "accept_loss", "no_doubt"])]
    approve: Option<PayoutId>,
    /// Who approves: a staff account that may decide payouts. Its password and, where it has one, its code are
    /// read from standard input, a line each. Payouts that take two people need it.
    #[arg(long = "as", value_name = "NAME", requires = "approve")]
    by: Option<String>,
    /// Refuse this payout: the amount goes back to the customer's balance.
    #[arg(long, value_name = "ID", requires = "reason", conflicts_with_all = ["explain", "accept_loss", "no_doubt"])]
    refuse: Option<PayoutId>,
    /// Why it is refused, for the customer to read.
    #[arg(long)]
    reason: Option<String>,
    /// The coin whose payouts are locked.
    #[arg(long)]
    asset: Option<Asset>,
    /// This transaction is the house's own: book the waiting payouts that it pays as paid.
    #[arg(long, value_name = "TXID", requires = "asset", conflicts_with_all = ["accept_loss", "no_doubt"])]
    explain: Option<String>,
    /// Whose an address is that the explained transaction pays and no waiting payout names: the payout was asked for after
    /// the backup. What it got goes out of that account's balance. May be given again.
    #[arg(long, value_name = "ADDRESS=NAME", requires = "explain", value_parser = whose)]
    paid: Vec<(String, String)>,
    /// This transaction paid no payout: what it took is lost, if anything, and payouts go on.
    #[arg(long, value_name = "TXID", requires = "asset", conflicts_with = "no_doubt")]
    accept_loss: Option<String>,
    /// The coins in doubt are not being spent: payouts go on.
    #[arg(long, requires = "asset")]
    no_doubt: bool,
    /// Have payouts of the coin wait for `--resume`: before the first start with an older backup.
    #[arg(long, requires = "asset", conflicts_with = "resume")]
    hold: bool,
    /// Nothing that was sent before this database knew of it can still confirm unseen: payouts go on.
    #[arg(long, requires = "asset")]
    resume: bool,
    /// Let this account withdraw again, whose lost card disputes were more than it had.
    #[arg(long, value_name = "NAME")]
    release_disputes: Option<String>,
}

/// Carries out the word, if there is one, and lists what waits.
///
/// # Errors
/// When the payout is not one that waits, or the database cannot be used.
pub async fn payouts(config: PathBuf, order: Order) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    let parts = parts.map_err(|e| e.to_string())?;
    let treasury = &parts.treasury;
    carry_out(&parts, order).await?;
    for asset in treasury.assets() {
        for lock in treasury.payout_locks(asset).await.map_err(|e| e.to_string())? {
            println!("{}", told(asset, &lock));
        }
    }
    let waiting = treasury.payouts_in_state(PayoutState::Requested).await;
    let waiting = waiting.map_err(|e| e.to_string())?;
    if waiting.is_empty() {
        println!("no payout waits for approval");
    }
    for payout in waiting {
        let people =
            if treasury.approvals_needed(&payout) == 2 { "  takes two people" } else { "" };
        println!(
            "{}  {}  to {}  account {}{people}",
            payout.id, payout.amount, payout.address, payout.account
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn carry_out(parts: &Parts, order: Order) -> Result<(), String> {
    let treasury = &parts.treasury;
    if let Some(id) = order.approve {
        let payout = treasury.payout(id).await.map_err(|e| e.to_string())?;
        let payout = payout.ok_or("there is no such payout")?;
        let approver = approver(&parts.accounts, treasury, &payout, order.by).await?;
        let approval = treasury.approve_payout(id, &approver).await;
        match approval.map_err(|e| e.to_string())? {
            Approval::Given => println!("{id} is approved"),
            Approval::OneMore => println!("{id} is approved; another person must do so too"),
        }
    }
    if let Some((id, reason)) = order.refuse.zip(order.reason) {
        treasury.refuse_payout(id, &reason).await.map_err(|e| e.to_string())?;
        println!("{id} is refused; the amount is back in the customer's balance");
    }
    if let Some(name) = order.release_disputes {
        let account = parts.accounts.account_by_name(&name).await.map_err(|e| e.to_string())?;
        let account = account.ok_or_else(|| format!("there is no account {name}"))?;
        let released = treasury.release_disputes(account).await.map_err(|e| e.to_string())?;
        println!("{}", if released { "it may withdraw again" } else { "no lost dispute locks it" });
    }
    let Some(asset) = order.asset else { return Ok(()) };
    if let Some(txid) = order.explain {
        explain(parts, asset, &txid, &order.paid).await?;
    }
    if let Some(txid) = order.accept_loss {
        treasury.accept_loss(asset, &txid, MACHINE).await.map_err(|e| e.to_string())?;
        println!("it stays booked as a loss");
    }
    if order.hold {
        treasury.hold_for_a_person(asset).await.map_err(|e| e.to_string())?;
        println!("payouts of {asset} wait for `--asset {asset} --resume`");
    }
    if order.resume {
        let held = treasury.resume_payouts(asset, MACHINE).await.map_err(|e| e.to_string())?;
        println!("{}", if held { "payouts go on" } else { "they were not held" });
    }
    if order.no_doubt {
        let cleared = treasury.clear_doubts(asset).await.map_err(|e| e.to_string())?;
        println!("{cleared} coins are in doubt no more");
    }
    Ok(())
}

/// An address and the name of the account that was paid there.
fn whose(text: &str) -> Result<(String, String), String> {
    let parts = text.rsplit_once('=').map(|(address, name)| (address.trim(), name.trim()));
    let parts = parts.filter(|(address, name)| !address.is_empty() && !name.is_empty());
    let (address, name) = parts.ok_or("write ADDRESS=NAME")?;
    Ok((address.to_owned(), name.to_owned()))
}

/// Books what a transaction of the house's own paid; where that does not explain it, says whom it pays.
async fn explain(
    parts: &Parts,
    asset: Asset,
    txid: &str,
    paid: &[(String, String)],
) -> Result<(), String> {
    let (treasury, accounts) = (&parts.treasury, &parts.accounts);
    let mut whose = Recipients::new();
    for (address, name) in paid {
        let account = accounts.account_by_name(name).await.map_err(|e| e.to_string())?;
        let account = account.ok_or_else(|| format!("there is no account {name}"))?;
        whose.insert(address.clone(), account);
    }
    let explained = treasury.explain_as(asset, txid, &whose, MACHINE).await;
    if let Err(TreasuryError::Unexplained) = explained {
        for to in treasury.unexplained_payments(asset, txid).await.map_err(|e| e.to_string())? {
            let known =
                to.known.map_or(String::new(), |a| format!(", as payouts of account {a} before"));
            println!(
                "it pays {} to {}{known}: whose is that? `--paid {}=NAME`",
                to.amount, to.address, to.address
            );
        }
    }
    let explained = explained.map_err(|e| e.to_string())?;
    for id in &explained.payouts {
        println!("{id} was paid by it");
    }
    if explained.swept > 0 {
        println!("{} minor units went to the cold address", explained.swept);
    }
    Ok(())
}

/// As whom an approval counts.
async fn approver(
    accounts: &Accounts,
    treasury: &Treasury,
    payout: &Payout,
    by: Option<String>,
) -> Result<String, String> {
    let takes_two = treasury.approvals_needed(payout) > 1;
    let Some(name) = by else { return machine(takes_two) };
    let account = proven(accounts, &name, takes_two).await?;
    if account == payout.account {
        return Err("nobody approves a payout of their own".to_owned());
    }
    Ok(account.to_string())
}

/// The machine, where it counts.
fn machine(takes_two: bool) -> Result<String, String> {
    if takes_two {
        let why = "this payout takes two people, and the machine is nobody: say who you are with --as NAME";
        return Err(why.to_owned());
    }
    Ok(MACHINE.to_owned())
}

/// The staff account of this name, after its password and code.
async fn proven(accounts: &Accounts, name: &str, needs_factor: bool) -> Result<AccountId, String> {
    let said = |e: gruve_accounts::AccountsError| e.to_string();
    let account = accounts.account_by_name(name).await.map_err(said)?;
    let account = account.ok_or_else(|| format!("there is no account {name}"))?;
    let staff = accounts.staff().await.map_err(said)?;
    let role = staff.iter().find(|s| s.name == name).map(|s| s.role);
    if !role.is_some_and(|r| r.may(Permission::DecidePayouts)) {
        return Err(format!("{name} may not decide payouts"));
    }
    let has_factor = accounts.factors(account).await.map_err(said)?.is_needed();
    if needs_factor && !has_factor {
        return Err(format!("{name} has no second factor: set one up in the console first"));
    }
    let password = typed::password()?;
    let code = if has_factor { Some(typed::line("code:")?) } else { None };
    let from = None::<std::net::IpAddr>;
    accounts.prove(account, &password, code.as_deref(), from).await.map_err(said)?;
    Ok(account)
}

/// A lock in words, with what to do.
fn told(asset: Asset, lock: &Lock) -> String {
    match lock {
        Lock::Unexplained { txid, height, spent, .. } => {
            let place = height.map_or("in no block now".to_owned(), |h| format!("in block {h}"));
            let why = if spent.minor > 0 {
                format!(
                    "spends {spent} of the house's coins, and nothing in this database explains it: the database is \
                     older than the chain, or somebody has its keys"
                )
            } else {
                "stood in the chain when the house caught up with it, and pays what a waiting payout would: the house \
                 may have made it, from coins that this database does not know"
                    .to_owned()
            };
            format!(
                "PAYOUTS OF {asset} ARE LOCKED: transaction {txid}, {place}, {why}. Look at what it pays; then \
                 `--asset {asset} --explain {txid}` if the house made it, or `--asset {asset} --accept-loss {txid}`"
            )
        }
        Lock::Paid { txid, height, payouts, .. } => {
            let place = height.map_or("in no block now".to_owned(), |h| format!("in block {h}"));
            format!(
                "PAYOUTS OF {asset}: {payouts} wait alone. Transaction {txid}, {place}, stood in the chain when the house \
                 caught up with it, and pays what they would: the house may have made it, from coins that this database does \
                 not know, or somebody paid the address. Look at what it spends; then `--asset {asset} --explain {txid}` if the \
                 house made it (the database is older than the chain then: say `--asset {asset} --hold` before, and look for \
                 others), or `--asset {asset} --accept-loss {txid}`"
            )
        }
        Lock::Held { behind, .. } => {
            let unsaid =
                "somebody has them wait, or the database has lost commits while the house ran";
            let why = behind.map_or(unsaid.to_owned(), |blocks| {
                format!(
                    "the house began {blocks} blocks behind the chain, with payouts approved before"
                )
            });
            format!(
                "PAYOUTS OF {asset} ARE LOCKED: {why}. If the database is older than the house, a payout that waits \
                 may have been sent already, and may stand in no block yet: look up its address. Then \
                 `--asset {asset} --resume`"
            )
        }
        Lock::Doubted { coin, .. } => format!(
            "PAYOUTS OF {asset} ARE LOCKED: coin {coin} is being spent by a transaction that no block has yet and \
             this database does not know. Wait for its block; if it never comes, `--asset {asset} --no-doubt`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_an_address_is_is_said_with_both() {
        let said = whose("bc1q0 = kari").unwrap();
        assert_eq!((said.0.as_str(), said.1.as_str()), ("bc1q0", "kari"));
        for bad in ["", "bc1q0", "=kari", "bc1q0=", " = "] {
            assert!(whose(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_machine_is_nobody_where_two_people_are_needed() {
        assert_eq!(machine(false).unwrap(), MACHINE);
        assert!(machine(true).unwrap_err().contains("--as"));
    }
}
