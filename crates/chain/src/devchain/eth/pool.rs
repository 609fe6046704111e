//! Transactions that wait for a block, with geth's rules and words.

use super::params::EthDevParams;
use super::world::{World, transfer_to};
use crate::eth::{EthAddress, SignedTx};
use ruint::aliases::U256;
use std::collections::{BTreeMap, HashMap};

/// Transactions that wait at most: a few hundred bytes each.
const POOL_MAX: usize = 16_384;
/// How far above an account's next nonce one may be; the gap may yet be filled.
const NONCES_AHEAD: u64 = 1_024;
/// Percent that a replacement must pay more than what it replaces.
const BUMP_PERCENT: u64 = 10;

/// See the module.
#[derive(Default)]
pub(super) struct Pool {
    by_sender: BTreeMap<EthAddress, BTreeMap<u64, SignedTx>>,
    by_hash: HashMap<[u8; 32], (EthAddress, u64)>,
    /// Counts changes.
    pub(super) changes: u64,
}

impl Pool {
    /// Takes a transaction, or says why not.
    pub(super) fn add(
        &mut self,
        signed: SignedTx,
        world: &World,
        params: &EthDevParams,
    ) -> Result<(), &'static str> {
        if self.by_hash.contains_key(&signed.hash) {
            return Err("already known");
        }
        transfer_to(&signed.tx)?;
        if signed.chain_id != params.chain_id {
            return Err("invalid sender: invalid chain id for signer");
        }
        if signed.tx.gas_limit > params.gas_limit {
            return Err("exceeds block gas limit");
        }
        if signed.tx.gas_price < U256::from(params.gas_price) {
            return Err("transaction underpriced");
        }
        let account = world.get(&signed.sender);
        if signed.tx.nonce < account.nonce {
            return Err("nonce too low");
        }
        if signed.tx.nonce > account.nonce.saturating_add(NONCES_AHEAD) {
            return Err("nonce too high");
        }
        self.can_pay(&signed, account.balance)?;
        let (sender, nonce) = (signed.sender, signed.tx.nonce);
        if let Some(old) = self.by_sender.get(&sender).and_then(|own| own.get(&nonce)) {
            let least = old.tx.gas_price.saturating_mul(U256::from(100 + BUMP_PERCENT));
            if signed.tx.gas_price.saturating_mul(U256::from(100)) < least {
                return Err("replacement transaction underpriced");
            }
            self.by_hash.remove(&old.hash);
        } else if self.by_hash.len() >= POOL_MAX {
            return Err("txpool is full");
        }
        self.by_hash.insert(signed.hash, (sender, nonce));
        self.by_sender.entry(sender).or_default().insert(nonce, signed);
        self.changes += 1;
        Ok(())
    }

    /// Whether the account can pay for this beside all that waits from it.
    fn can_pay(&self, signed: &SignedTx, balance: U256) -> Result<(), &'static str> {
        let own = self.by_sender.get(&signed.sender);
        let others = own.into_iter().flat_map(BTreeMap::values);
        let others = others.filter(|other| other.tx.nonce != signed.tx.nonce);
        let mut cost = signed.tx.cost_max();
        for other in others {
            cost = cost.and_then(|sum| sum.checked_add(other.tx.cost_max()?));
        }
        match cost {
            Some(cost) if cost <= balance => Ok(()),
            _ => Err("insufficient funds for gas * price + value"),
        }
    }

    pub(super) fn find(&self, hash: &[u8; 32]) -> Option<&SignedTx> {
        let (sender, nonce) = self.by_hash.get(hash)?;
        self.by_sender.get(sender)?.get(nonce)
    }

    /// The nonce after all that can follow at once from an account.
    pub(super) fn next_nonce(&self, sender: &EthAddress, world: &World) -> u64 {
        let mut next = world.get(sender).nonce;
        let own = self.by_sender.get(sender);
        while own.is_some_and(|own| own.contains_key(&next)) {
            next = next.saturating_add(1);
        }
        next
    }

    /// What a block may take, `max` at most: of each sender in the order of nonces, among senders
    /// the better payers first.
    pub(super) fn choose(&self, world: &World, max: usize) -> Vec<&SignedTx> {
        let ready = |(sender, own): &(&EthAddress, &BTreeMap<u64, SignedTx>)| {
            own.keys().next() == Some(&world.get(sender).nonce)
        };
        let ready = self.by_sender.iter().filter(ready);
        let mut senders: Vec<&BTreeMap<u64, SignedTx>> = ready.map(|(_, own)| own).collect();
        let price = |own: &BTreeMap<u64, SignedTx>| own.values().next().map(|t| t.tx.gas_price);
        senders.sort_by_key(|own| std::cmp::Reverse(price(own)));
        let mut chosen = Vec::new();
        for own in senders {
            let mut next = own.keys().next().copied().unwrap_or(0);
            for (nonce, signed) in own {
                if *nonce != next || chosen.len() >= max {
                    break;
                }
                chosen.push(signed);
                next = next.saturating_add(1);
            }
        }
        chosen
    }

    /// Drops what can no longer be carried out.
    pub(super) fn prune(&mut self, world: &World) {
        let before = self.by_hash.len();
        for (sender, own) in &mut self.by_sender {
            let account = world.get(sender);
            let mut spent = U256::ZERO;
            own.retain(|nonce, signed| {
                if *nonce >= account.nonce {
                    spent = spent.saturating_add(signed.tx.cost_max().unwrap_or(U256::MAX));
                    if spent <= account.balance {
                        return true;
                    }
                }
                self.by_hash.remove(&signed.hash);
                false
            });
        }
        self.by_sender.retain(|_, own| !own.is_empty());
        if self.by_hash.len() != before {
            self.changes += 1;
        }
    }
}
