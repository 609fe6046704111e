//! What a life of the house did that these tables have forgotten, since they are an older backup: numbers of invoices
//! that it gave out, and payouts that it was asked for and made.
//!
//! Promises: what it gave out is given to nobody else, as far as its traces reach; what it paid is booked as the payout of
//! whoever a person says, never of more than that account has, and each output once. It must not know who the person is.

use crate::account::paid_by;
use crate::books::Draft;
use crate::invoices::LOOK_AHEAD;
use crate::keys::Keychain;
use crate::strangers::{payout_explained_by, read_id};
use crate::{PayoutState, Result, Treasury, TreasuryError, sql, transaction};
use gruve_ledger::Account;
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Amount, Asset, PayoutId, Timestamp};
use std::collections::BTreeMap;

/// What a payout says that was asked for in a life that is forgotten, until its block is booked.
const FORGOTTEN: &str = "asked for and paid before these books";

/// Whose payments a forgotten life made: accounts by addresses.
pub type Recipients = BTreeMap<String, AccountId>;

/// What an unexplained transaction pays to somebody whom no waiting payout names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidTo {
    /// The address as people write it; the script in hexadecimal where it has none.
    pub address: String,
    /// How much it got.
    pub amount: Amount,
    /// The one account whose payouts went there before, if there is just one.
    pub known: Option<AccountId>,
}

/// The same as it stands in the chain.
struct Output {
    script: Vec<u8>,
    value: i64,
}

impl Treasury {
    /// It has shown itself that a life of the house gave out addresses which these tables have forgotten, `used` among
    /// them where one is known. Some of those before and behind may be in somebody's hands and unpaid: given out again,
    /// what comes late would pay somebody else's invoice. So numbers go on far behind them, and banks' references too,
    /// which were forgotten with them. Doing it again does nothing before there is another invoice.
    pub(crate) async fn pass_over_forgotten(
        &self,
        tx: &mut Tx,
        asset: Asset,
        used: Option<u32>,
    ) -> Result<()> {
        let banks = self.0.banks.iter().map(|bank| (bank.asset, None));
        for (asset, used) in std::iter::once((asset, used)).chain(banks) {
            let last: i64 = tx.fetch_one(sql::LAST_INVOICED, &params![asset]).await?.get("last")?;
            let last = last.max(used.map_or(-1, i64::from));
            let until = last.saturating_add(i64::from(self.0.look_far));
            let keychain = Keychain::PayIn;
            let values = params![asset, keychain.number(), until];
            let is_moved = tx.execute(sql::USED_INDEX, &values).await? == 1;
            // What comes to those between is ours as well, and waits for a person.
            if is_moved && self.assets().contains(&asset) {
                let until = u32::try_from(until).unwrap_or(u32::MAX).saturating_add(LOOK_AHEAD);
                self.watch_ahead(tx, asset, keychain, until).await?;
            }
        }
        Ok(())
    }

    /// Whom an unexplained transaction pays beside waiting payouts and the house itself.
    ///
    /// # Errors
    /// [`TreasuryError::NoStranger`]; [`TreasuryError::NoWallet`]; the database's.
    pub async fn unexplained_payments(&self, asset: Asset, txid: &str) -> Result<Vec<PaidTo>> {
        let id = read_id(txid).ok_or(TreasuryError::NoStranger)?;
        let mut tx = self.0.store.read().await?;
        let row = tx.fetch_optional(sql::STRANGER, &params![asset, id]).await?;
        let form: Vec<u8> = row.ok_or(TreasuryError::NoStranger)?.get("form")?;
        let mut paid = Vec::new();
        for output in self.paid_to_others(&mut tx, asset, &form).await? {
            let rows = tx.fetch_all(sql::PAID_BEFORE, &params![asset, &output.script[..]]).await?;
            let known = match &rows[..] {
                [one] => Some(one.get("account")?),
                _ => None,
            };
            let address = self.written_address(asset, &output.script);
            let address = address.unwrap_or_else(|_| hex::encode(&output.script));
            paid.push(PaidTo { address, amount: Amount::new(asset, output.value), known });
        }
        Ok(paid)
    }

    /// Places the payouts that a forgotten life was asked for, as a person says whose they are: out of each account's
    /// balance goes what the chain shows that it got. Then they wait like any that the transaction explains.
    pub(crate) async fn place_forgotten(
        &self,
        tx: &mut Tx,
        asset: Asset,
        form: &[u8],
        whose: &Recipients,
    ) -> Result<()> {
        let now = self.now();
        let mut named = BTreeMap::new();
        for (address, account) in whose {
            named.insert(self.script_of(asset, address)?, *account);
        }
        for Output { script, value } in self.paid_to_others(tx, asset, form).await? {
            // Who is not named leaves the transaction unexplained, and nothing of this is kept.
            let Some(account) = named.get(&script).copied() else { continue };
            let address = self.written_address(asset, &script)?;
            let id = PayoutId::new(now, self.0.entropy.as_ref());
            let values = params![
                id,
                account,
                asset,
                value,
                address.as_str(),
                script.as_slice(),
                0_i64,
                0_i64,
                PayoutState::Requested.word(),
                None::<&str>,
                now,
                FORGOTTEN,
                1_i64,
                None::<Timestamp>
            ];
            tx.execute(sql::INSERT_PAYOUT, &values).await?;
            Draft::new(asset)
                .debit(Account::CustomerAvailable(account), value)
                .credit(Account::CustomerHeld(account), value)
                .post(tx, "treasury-payout-held", format!("treasury:payout-held:{id}"), now)
                .await?;
        }
        Ok(())
    }

    /// The outputs of a stored form that pay neither a waiting payout, nor the house, nor its cold address.
    async fn paid_to_others(&self, tx: &mut Tx, asset: Asset, form: &[u8]) -> Result<Vec<Output>> {
        if let Ok(wallet) = self.account_wallet(asset) {
            let Some((to, value)) = paid_by(wallet, form) else { return Ok(Vec::new()) };
            let matched = payout_explained_by(tx, asset, &to.0, value, &[]).await?;
            let other = Output { script: to.0.to_vec(), value };
            return Ok(if matched.is_none() { vec![other] } else { Vec::new() });
        }
        let form = transaction::from_bytes(form)?;
        let outputs = self.outputs_of(tx, self.wallet(asset)?, &form).await?;
        let others = outputs.others.into_iter();
        Ok(others.map(|(script, value)| Output { script, value }).collect())
    }
}
