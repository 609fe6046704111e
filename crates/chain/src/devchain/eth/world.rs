//! All accounts, and what a block does to them.

use super::params::EthDevParams;
use crate::eth::reward::RewardRule;
use crate::eth::trie::{EMPTY_ROOT, hashed_root};
use crate::eth::{EthAddress, EthHeader, LegacyTx, SignedTx, TRANSFER_GAS, keccak256, rlp};
use ruint::aliases::U256;
use std::collections::BTreeMap;

/// An account; one with neither is no account (EIP-161).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) nonce: u64,
    pub(super) balance: U256,
}

/// What accounts were before a block, in the order they were touched.
pub(super) type Journal = Vec<(EthAddress, Account)>;

/// See the module.
#[derive(Default)]
pub(super) struct World(BTreeMap<EthAddress, Account>);

impl World {
    pub(super) fn get(&self, address: &EthAddress) -> Account {
        self.0.get(address).copied().unwrap_or_default()
    }

    fn set(&mut self, address: EthAddress, account: Account) {
        if account == Account::default() {
            self.0.remove(&address);
        } else {
            self.0.insert(address, account);
        }
    }

    /// Gives an account wei; `None` when they would not fit.
    pub(super) fn pay(&mut self, to: EthAddress, wei: U256, journal: &mut Journal) -> Option<()> {
        let before = self.get(&to);
        journal.push((to, before));
        self.set(to, Account { balance: before.balance.checked_add(wei)?, ..before });
        Some(())
    }

    /// Takes back what a journal tells of.
    pub(super) fn undo(&mut self, journal: Journal) {
        for (address, before) in journal.into_iter().rev() {
            self.set(address, before);
        }
    }

    /// The root of all accounts.
    pub(super) fn root(&self) -> [u8; 32] {
        let no_code = keccak256(&[]);
        hashed_root(self.0.iter().map(|(address, account)| {
            let mut items = Vec::with_capacity(110);
            rlp::put_u64(&mut items, account.nonce);
            rlp::put_u256(&mut items, &account.balance);
            rlp::put_bytes(&mut items, &EMPTY_ROOT);
            rlp::put_bytes(&mut items, &no_code);
            (&address.0[..], rlp::list(&items))
        }))
    }

    /// Carries out a transaction of the block that `miner` makes; the reason when it cannot.
    pub(super) fn carry_out(
        &mut self,
        signed: &SignedTx,
        miner: EthAddress,
        params: &EthDevParams,
        journal: &mut Journal,
    ) -> Result<(), &'static str> {
        let to = transfer_to(&signed.tx)?;
        if signed.chain_id != params.chain_id {
            return Err("invalid chain id for signer");
        }
        let before = self.get(&signed.sender);
        match signed.tx.nonce.cmp(&before.nonce) {
            std::cmp::Ordering::Less => return Err("nonce too low"),
            std::cmp::Ordering::Greater => return Err("nonce too high"),
            std::cmp::Ordering::Equal => {}
        }
        let cost = signed.tx.cost_max().filter(|cost| *cost <= before.balance);
        if cost.is_none() {
            return Err("insufficient funds for gas * price + value");
        }
        // What of the gas is not used is not paid.
        let fee = signed.tx.gas_price.saturating_mul(U256::from(TRANSFER_GAS));
        let left = before.balance.saturating_sub(fee).saturating_sub(signed.tx.value);
        let nonce = before.nonce.checked_add(1).ok_or("nonce has max value")?;
        journal.push((signed.sender, before));
        self.set(signed.sender, Account { nonce, balance: left });
        let paid = self.pay(to, signed.tx.value, journal);
        let paid = paid.and_then(|()| self.pay(miner, fee, journal));
        paid.ok_or("more coins than there can be")
    }

    /// Pays a block's rewards.
    pub(super) fn reward(
        &mut self,
        rule: &RewardRule,
        number: u64,
        miner: EthAddress,
        uncles: &[EthHeader],
        journal: &mut Journal,
    ) -> Result<(), &'static str> {
        let nephews = rule.nephew(number).saturating_mul(U256::from(uncles.len()));
        let mut paid = self.pay(miner, rule.block(number).saturating_add(nephews), journal);
        for uncle in uncles {
            let wei = rule.uncle(number, uncle.number);
            paid = paid.and_then(|()| self.pay(uncle.coinbase, wei, journal));
        }
        paid.ok_or("more coins than there can be")
    }
}

/// Whom a transaction pays, where it is one that this chain carries out: a plain transfer.
pub(super) fn transfer_to(tx: &LegacyTx) -> Result<EthAddress, &'static str> {
    let to = tx.to.ok_or("this chain runs no contracts: a transaction needs a recipient")?;
    if !tx.data.is_empty() {
        return Err("this chain runs no contracts: a transaction carries no data");
    }
    if tx.gas_limit < TRANSFER_GAS {
        return Err("intrinsic gas too low");
    }
    Ok(to)
}
