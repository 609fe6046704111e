//! What pays: `approved → funded → signed → broadcast`; blocks do the rest. Each chain has a loop of its own, so that a node or a
//! signer that does not answer, or answers late, delays its own coin's payouts and no other's.
//!
//! While a chain is held ([`Treasury::hold_payouts`]) nothing of it is planned or signed.
//!
//! One step looks at what is stored and does what comes next; it keeps nothing in memory but when
//! it last sent what, and how far the journal went ([`crate::behind`]), so a payer that is killed and started
//! again simply goes on. Everything is sent again after a restart, and then every so often until it stands in a block: a node may have
//! lost it, or never got it.
//!
//! | a node's answer to a sending | what follows |
//! |---|---|
//! | accepted, already known | broadcast |
//! | refused, whatever the reason | noted, sent again later: only blocks prove that it cannot confirm |
//! | none | unknown: sent again, the same bytes |

use crate::account::AccountWallet;
use crate::blocks::newest;
use crate::spends::batch_row;
use crate::sql;
use crate::treasury::Wallet;
use crate::{PayoutState, Rate, Result, Treasury, TreasuryError};
use futures_util::future::join_all;
use gruve_chain::SendOutcome;
use gruve_store::{params, transact};
use gruve_units::{Asset, Blame, Blamed, Timestamp};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// How often the payer looks by itself. Payouts wait for blocks anyway.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The longest pause after errors; pauses double from [`LOOK_EVERY`].
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Transactions of one chain under way at most; further payouts wait. With fifty payouts each that
/// is more than a chain confirms in hours, and keeps what is sent again after a restart small.
pub(crate) const OPEN_MAX: u32 = 200;

/// Coins that the node is asked about after a start, the largest first: some seconds' worth of questions to
/// a node on the same machine.
const COMPARED_MAX: u32 = 20_000;

/// Characters of a node's answer kept for the operator.
const ANSWER_CHARS_MAX: usize = 200;

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayerProgress {
    /// Transactions planned and signed.
    pub signed: u32,
    /// Transactions that a node took, or had.
    pub sent: u32,
    /// Transactions that a node refused.
    pub refused: u32,
    /// Invoices that expired.
    pub expired: u32,
}

/// What has payouts or invoices of its own.
enum Chain<'a> {
    /// One whose blocks hold coins.
    Coins(&'a Wallet),
    /// One whose blocks hold accounts.
    Accounts(&'a AccountWallet),
    /// No chain that is followed: invoices in it expire.
    Unfollowed(Asset),
}

impl Chain<'_> {
    fn asset(&self) -> Asset {
        match self {
            Chain::Coins(wallet) => wallet.asset(),
            Chain::Accounts(wallet) => wallet.asset,
            Chain::Unfollowed(asset) => *asset,
        }
    }
}

/// Pays approved payouts. One at a time is enough; two would not pay twice, but do work twice.
pub struct Payer {
    pub(crate) treasury: Treasury,
    /// When each open transaction was last sent.
    pub(crate) sent: Mutex<HashMap<[u8; 16], Timestamp>>,
    /// When a signer elsewhere was last asked for each order, by its name.
    pub(crate) asked: Mutex<HashMap<String, Timestamp>>,
    /// The journal's newest entry when it was last looked at.
    pub(crate) journal: Mutex<Option<(i64, [u8; 32])>>,
}

impl Payer {
    /// A payer that has sent nothing yet.
    #[must_use]
    pub fn new(treasury: Treasury) -> Payer {
        let (sent, asked, journal) = (Mutex::default(), Mutex::default(), Mutex::default());
        Payer { treasury, sent, asked, journal }
    }

    /// Steps, each chain for itself, until `shutdown` turns true or its sender is gone. Errors are logged; what is not the
    /// node's or the database's passing trouble is logged as an error, and tried again all the
    /// same: the next step begins from what is stored.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let loops = self.chains().into_iter().map(|chain| self.run_chain(chain, shutdown.clone()));
        join_all(loops).await;
        // Where there is nothing to pay from, too.
        drop(shutdown.wait_for(|is_over| *is_over).await);
    }

    async fn run_chain(&self, chain: Chain<'_>, mut shutdown: watch::Receiver<bool>) {
        let (mut pause, asset) = (LOOK_EVERY, chain.asset());
        while !*shutdown.borrow() {
            self.forget_old().await;
            self.forget_asked().await;
            match self.step_of(&chain, &mut PayerProgress::default()).await {
                Ok(()) => pause = LOOK_EVERY,
                Err(error) => {
                    if error.blame() == Blame::Transient {
                        tracing::warn!(%asset, %error, "paying is held up");
                    } else {
                        tracing::error!(%asset, %error, "paying is held up; this needs a look");
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
            tokio::select! {
                changed = shutdown.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn chains(&self) -> Vec<Chain<'_>> {
        let coins = self.treasury.0.wallets.iter().map(Chain::Coins);
        let accounts = self.treasury.0.accounts.iter().map(Chain::Accounts);
        let mut all: Vec<_> = coins.chain(accounts).collect();
        // Also what the configuration no longer takes: what is open in it must end.
        for asset in Asset::ALL {
            if all.iter().all(|chain| chain.asset() != asset) {
                all.push(Chain::Unfollowed(asset));
            }
        }
        all
    }

    /// Does what can be done now for every chain, one after the other. A chain that fails holds up no other; the first
    /// failure is the result.
    ///
    /// # Errors
    /// The database's, the node's, or damage.
    pub async fn step(&self) -> Result<PayerProgress> {
        let mut progress = PayerProgress::default();
        let mut outcome = Ok(());
        self.forget_old().await;
        self.forget_asked().await;
        for chain in self.chains() {
            match self.step_of(&chain, &mut progress).await {
                Ok(()) => {}
                Err(e @ TreasuryError::BrokenOff(_)) => return Err(e),
                Err(e) if outcome.is_ok() => outcome = Err(e),
                Err(error) => tracing::warn!(asset = %chain.asset(), %error, "paying is held up"),
            }
        }
        outcome.map(|()| progress)
    }

    async fn step_of(&self, chain: &Chain<'_>, progress: &mut PayerProgress) -> Result<()> {
        match chain {
            Chain::Coins(wallet) => {
                self.notice_lost_commits().await?;
                self.step_chain(wallet, progress).await?;
                self.notice_lost_commits().await
            }
            Chain::Accounts(wallet) => {
                self.notice_lost_commits().await?;
                self.step_account(wallet, progress).await?;
                self.notice_lost_commits().await
            }
            Chain::Unfollowed(asset) => {
                progress.expired += self.treasury.expire_invoices(*asset).await?;
                Ok(())
            }
        }
    }

    /// Drops times so old that they decide nothing: whatever is still open is due anyway.
    async fn forget_old(&self) {
        let (now, every) = (self.treasury.now(), self.treasury.0.resend_every);
        self.sent.lock().await.retain(|_, at| now < *at || now.since(*at) < every);
    }

    async fn step_chain(&self, wallet: &Wallet, progress: &mut PayerProgress) -> Result<()> {
        if wallet.began.get().is_none() {
            // Before customers of this life ask for anything, whether the chain can be followed yet or not.
            let mut tx = self.treasury.0.store.read().await?;
            self.treasury.note_begin(&mut tx, wallet.asset(), &wallet.began).await?;
        }
        // Sending what is signed does not wait for anything that follows and may fail.
        let sent = self.send_signed(wallet, progress).await;
        if let Err(e @ TreasuryError::BrokenOff(_)) = sent {
            return Err(e);
        }
        if self.treasury.holds_payouts(wallet.asset()) || !self.is_compared(wallet).await? {
            return sent;
        }
        self.sign_planned(wallet, progress).await?;
        let room = self.open_batches(wallet).await?.len() < OPEN_MAX as usize;
        let pays = room && self.has_approved(wallet).await?;
        let moves = room && (wallet.sweep.is_some() || wallet.gather.is_some());
        let due = self.bumps_due(wallet).await?;
        if pays || moves || !due.is_empty() {
            let estimate = wallet.node.fee_rate(wallet.policy.target_blocks).await?;
            self.treasury.passing("fee estimate answered")?;
            let rate = wallet.policy.rate(estimate.map(|r| Rate(r.minor_per_kvb)));
            if pays && self.treasury.fund(wallet, rate).await?.is_some() {
                self.sign_planned(wallet, progress).await?;
            }
            // Without an estimate nothing says that more would help.
            for batch in due.into_iter().filter(|_| estimate.is_some()) {
                if self.treasury.bump(wallet, batch, rate).await? {
                    progress.signed += 1;
                    // Its new form goes out at once.
                    self.sent.lock().await.remove(&batch);
                }
            }
            if moves && self.treasury.plan_move(wallet, rate).await?.is_some() {
                self.sign_planned(wallet, progress).await?;
            }
        }
        // A signer that cannot be reached stands in nothing else's way.
        let ordered = self.step_orders(wallet, progress).await;
        self.send_signed(wallet, progress).await?;
        ordered?;
        if self.caught_up(wallet).await? {
            progress.expired += self.treasury.expire_invoices(wallet.asset()).await?;
        }
        sent
    }

    /// Whether the node's pool spends nothing of ours but what we have signed ourselves. Asked once a life,
    /// before anything is planned: a transaction that this database has forgotten may wait there. What
    /// is found there holds payouts up for good.
    async fn is_compared(&self, wallet: &Wallet) -> Result<bool> {
        if wallet.is_compared.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let asset = wallet.asset();
        if !self.caught_up(wallet).await? {
            return Ok(false);
        }
        let rows = {
            let mut tx = self.treasury.0.store.read().await?;
            tx.fetch_all(sql::UNPROMISED, &params![asset, COMPARED_MAX]).await?
        };
        let mut doubted = Vec::new();
        for row in rows {
            let (txid, vout): ([u8; 32], u32) = (row.get("txid")?, row.get("vout")?);
            if wallet.node.coin_is_unspent(&txid, vout).await? == Some(false) {
                doubted.push((txid, vout));
            }
        }
        // A block that came meanwhile may have spent what seemed to be in doubt: look again.
        if !self.caught_up(wallet).await? {
            return Ok(false);
        }
        transact!(self.treasury.0.store, tx -> Result<()> => {
            for (txid, vout) in &doubted {
                let values = params![asset, *txid, *vout, self.treasury.now()];
                tx.execute(sql::DOUBT, &values).await?;
            }
            if !doubted.is_empty() {
                self.treasury.pass_over_forgotten(tx, asset, None).await?;
            }
            Ok(())
        })?;
        if !doubted.is_empty() {
            tracing::error!(
                %asset, coins = doubted.len(),
                "coins of the house are being spent by transactions it does not know: an older backup, or \
                 somebody has its keys; payouts wait until somebody has looked"
            );
        }
        wallet.is_compared.store(true, Ordering::Relaxed);
        Ok(true)
    }

    /// Transactions that have waited long enough for a higher fee.
    async fn bumps_due(&self, wallet: &Wallet) -> Result<Vec<[u8; 16]>> {
        let before = self.treasury.now().minus(wallet.policy.bump_after);
        let mut tx = self.treasury.0.store.read().await?;
        let values = params![wallet.asset(), before, OPEN_MAX];
        let rows = tx.fetch_all(sql::BUMPS_DUE, &values).await?;
        rows.iter().map(|row| Ok(row.get("id")?)).collect()
    }

    async fn has_approved(&self, wallet: &Wallet) -> Result<bool> {
        let mut tx = self.treasury.0.store.read().await?;
        let ready = params![wallet.asset(), self.treasury.now()];
        Ok(tx.fetch_optional(sql::ANY_APPROVED, &ready).await?.is_some())
    }

    /// Whether the newest block connected is the node's best.
    async fn caught_up(&self, wallet: &Wallet) -> Result<bool> {
        let tip = wallet.node.tip().await?;
        let mut tx = self.treasury.0.store.read().await?;
        Ok(newest(&mut tx, wallet.asset()).await?.is_some_and(|(top, _)| top == tip))
    }

    async fn open_batches(&self, wallet: &Wallet) -> Result<Vec<([u8; 16], String)>> {
        let mut tx = self.treasury.0.store.read().await?;
        let rows = tx.fetch_all(sql::OPEN_BATCHES, &params![wallet.asset(), OPEN_MAX]).await?;
        rows.iter().map(|row| Ok((row.get("id")?, row.get("state")?))).collect()
    }

    async fn sign_planned(&self, wallet: &Wallet, progress: &mut PayerProgress) -> Result<()> {
        for (batch, state) in self.open_batches(wallet).await? {
            if state == "funded" {
                if wallet.signer.is_some() {
                    self.treasury.order_batch(wallet, batch).await?;
                } else {
                    self.treasury.sign_batch(wallet, batch).await?;
                    progress.signed += 1;
                }
            }
        }
        Ok(())
    }

    async fn send_signed(&self, wallet: &Wallet, progress: &mut PayerProgress) -> Result<()> {
        for (batch, state) in self.open_batches(wallet).await? {
            if state == "funded" || !self.is_due(&batch).await {
                continue;
            }
            let now = self.treasury.now();
            self.send(wallet, batch, progress).await?;
            self.sent.lock().await.insert(batch, now);
        }
        Ok(())
    }

    async fn send(
        &self,
        wallet: &Wallet,
        batch: [u8; 16],
        progress: &mut PayerProgress,
    ) -> Result<()> {
        let bytes = {
            let mut tx = self.treasury.0.store.read().await?;
            batch_row(&mut tx, batch).await?.signed_tx
        };
        // One that was found in the chain has none: whoever made it sends it.
        let Some(bytes) = bytes else { return Ok(()) };
        self.treasury.passing("before sending")?;
        let outcome = wallet.node.send_transaction(&bytes).await?;
        self.treasury.passing("sent, before it is noted")?;
        self.note_sending(wallet.asset(), batch, &outcome, progress).await
    }

    /// Whether a transaction is to be sent (again) now.
    pub(crate) async fn is_due(&self, batch: &[u8; 16]) -> bool {
        let now = self.treasury.now();
        match self.sent.lock().await.get(batch) {
            // A clock that went back must not stop sending.
            Some(last) => now < *last || now.since(*last) >= self.treasury.0.resend_every,
            None => true,
        }
    }

    /// Notes what a node said of a transaction.
    pub(crate) async fn note_sending(
        &self,
        asset: Asset,
        batch: [u8; 16],
        outcome: &SendOutcome,
        progress: &mut PayerProgress,
    ) -> Result<()> {
        if let SendOutcome::Rejected(reason) = outcome {
            let reason: String = reason.chars().take(ANSWER_CHARS_MAX).collect();
            tracing::warn!(
                %asset, %reason,
                "a node refuses a payout's transaction; it will be sent again"
            );
            progress.refused += 1;
            return transact!(self.treasury.0.store, tx -> Result<()> => {
                tx.execute(sql::BATCH_ANSWER, &params![batch, reason.as_str()]).await?;
                Ok(())
            });
        }
        progress.sent += 1;
        transact!(self.treasury.0.store, tx -> Result<()> => {
            // Nothing to do when a block was faster, or it is a repetition.
            if tx.execute(sql::BATCH_SENT, &params![batch, "accepted"]).await? == 1 {
                let values = params![batch, PayoutState::Broadcast.word(), self.treasury.now()];
                tx.execute(sql::SET_BATCH_PAYOUTS, &values).await?;
            }
            self.treasury.passing("sending noted, before commit")?;
            Ok(())
        })?;
        self.treasury.passing("sending noted, after commit")
    }
}
