//! Wallets on account-based chains: Ethereum Classic and, with another chain id, Ether.
//!
//! Such a chain has no coins to choose from: an address has a balance and a count of the transactions
//! it has made, the *nonce*. So a payout is not bound to coins but to a nonce, and the promise *paid
//! once* hangs on it:
//!
//! | step | stored, in one transaction each |
//! |---|---|
//! | planned | the payout's own nonce, recipient and price; the amount is in flight |
//! | signed | the bytes and their hash, before any node sees them |
//! | signed again | the same nonce at a higher price: another hash for the same payout |
//! | sent | that a node took it; what a node refuses or does not answer is sent again |
//! | in a block | confirmed, by whichever of its hashes; or failed there |
//!
//! A nonce is used by one transaction on the chain, whatever we or others send: that, and not our
//! tables, is what keeps two forms of a payout from both being paid. A nonce reserved in vain (the
//! payout was cancelled before it was signed) is a hole; the next payout takes it, or a payment of
//! nothing to ourselves fills it, so that none behind it waits for ever.
//!
//! Pay-ins come to an address of each invoice and are moved from there to the hot address by a
//! *sweep*, its fee taken from what is moved and booked as the operator's. The hot address is also
//! where blocks pay and where payouts leave from. The books count gwei; wei below a gwei are counted
//! beside them, and go to the remainder account when they make up a whole one.
//!
//! # What cannot be seen
//! Only plain transactions to our addresses are seen. What a contract pays (an *internal* transfer,
//! as from many exchanges' and multi-signature wallets) changes a balance without a transaction to it:
//! it is not credited, and [`crate::Treasury::compare_with_node`] shows it as a surplus.
//!
//! What this module must not know: how the coins were mined. The caller says what a block earned.

mod blocks;
mod config;
mod explain;
mod keys;
mod payer;
mod plan;
mod reconcile;
pub(crate) mod sql;
mod wallet;

pub use blocks::AccountBlock;
pub(crate) use config::transfer_fee;
pub use config::{AccountChainWallet, GasPolicy};
pub(crate) use explain::paid_by;
pub use keys::AccountKeys;
pub use reconcile::{AddressDifference, NodeComparison};
pub(crate) use wallet::AccountWallet;
