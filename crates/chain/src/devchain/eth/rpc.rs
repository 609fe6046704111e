//! Ethereum's JSON-RPC over the chain's state: names, arguments, result fields, error codes and words
//! are geth's, so that a client written for a real node needs no case for this one.
//!
//! Beside them three methods of its own: `dev_mine` (how many blocks), `dev_invalidate` and
//! `dev_reconsider` (a block's hash).

use super::chain::{EXTRA_BYTES_MAX, Index};
use super::shapes::{self, data, quantity, wide};
use super::state::State;
use super::wallet::ACCOUNTS_MAX;
use super::world::Account;
use crate::devchain::rpc::RpcError;
use crate::eth::{EthAddress, LegacyTx, SignedTx, TRANSFER_GAS};
use ruint::aliases::U256;
use serde_json::{Value, json};

/// An argument that is not what it should be.
const PARAMS: i32 = -32602;
/// What geth says of transactions and states that it does not take or have.
const SERVER: i32 = -32000;
/// Blocks one `dev_mine` finds at most, and tries that they may be expected to take: some seconds, and
/// the chain's lock is held meanwhile.
const MINE_MAX: u64 = 1_000;
const TRIES_MAX: u64 = 2_000;

type Answer = Result<Value, RpcError>;

/// Carries out one call.
pub(super) fn dispatch(state: &mut State, now: u64, name: &str, params: &Value) -> Answer {
    let args = Args::read(params)?;
    let params = &state.chain.params;
    match name {
        "web3_clientVersion" => Ok("Gruve/development-chain".into()),
        "net_version" => Ok(params.chain_id.to_string().into()),
        "net_listening" | "eth_mining" | "eth_submitHashrate" => Ok(true.into()),
        "net_peerCount" | "eth_hashrate" => Ok(quantity(0)),
        "eth_chainId" => Ok(quantity(params.chain_id)),
        "eth_syncing" => Ok(false.into()),
        "eth_gasPrice" => Ok(quantity(params.gas_price)),
        "eth_blockNumber" => Ok(quantity(state.chain.height())),
        "eth_coinbase" => Ok(data(&state.coinbase.0)),
        "eth_accounts" => Ok(state.wallet.addresses().map(|a| data(&a.0)).collect()),
        "eth_getWork" => get_work(state, now),
        "eth_submitWork" => submit_work(state, now, &args),
        "eth_getBlockByNumber" => block_by_number(state, now, &args),
        "eth_getBlockByHash" => block_by_hash(state, &args),
        "eth_getUncleCountByBlockHash" | "eth_getUncleCountByBlockNumber" => {
            let found = one_block(state, name, &args)?;
            Ok(found.map_or(Value::Null, |i| quantity(state.chain.known(i).uncles.len() as u64)))
        }
        "eth_getUncleByBlockHashAndIndex" | "eth_getUncleByBlockNumberAndIndex" => {
            uncle(state, name, &args)
        }
        "eth_getBalance" => account(state, &args).map(|a| wide(&a.balance)),
        "eth_getTransactionCount" => transaction_count(state, &args),
        "eth_getCode" => args.address(0).map(|_| "0x".into()),
        "eth_estimateGas" => Ok(quantity(TRANSFER_GAS)),
        "eth_sendRawTransaction" => send_raw(state, &args),
        "eth_sendTransaction" => send_from_wallet(state, &args),
        "eth_getTransactionByHash" => transaction(state, &args),
        "eth_getTransactionReceipt" => receipt(state, &args),
        "personal_newAccount" => match state.wallet.new_account()? {
            Some(address) => Ok(data(&address.0)),
            None => Err(refused(&format!("all {ACCOUNTS_MAX} accounts are given out"))),
        },
        "miner_setExtra" => {
            let words = args.text(0)?.as_bytes();
            if words.len() > EXTRA_BYTES_MAX {
                let most = format!("extra exceeds max length. {} > {EXTRA_BYTES_MAX}", words.len());
                return Err(refused(&most));
            }
            state.extra = words.to_vec();
            Ok(true.into())
        }
        "miner_setEtherbase" => {
            state.coinbase = args.address(0)?;
            Ok(true.into())
        }
        "dev_mine" => {
            let count = args.number(0)?;
            if count > MINE_MAX {
                return Err(invalid(&format!("at most {MINE_MAX} blocks")));
            }
            let tries = state.chain.tip().header.difficulty.saturating_mul(U256::from(count));
            if tries > U256::from(TRIES_MAX) {
                return Err(refused("too hard to be mined here: let miners do it"));
            }
            let found: Result<Vec<_>, _> = (0..count).map(|_| state.mine(now, true)).collect();
            Ok(found?.iter().map(|hash| data(hash)).collect())
        }
        "dev_invalidate" | "dev_reconsider" => {
            let hash = args.hash(0)?;
            Ok(state.declare(&hash, name == "dev_invalidate")?.into())
        }
        _ => {
            let shown: String = name.chars().take(64).collect();
            let message = format!("the method {shown} does not exist/is not available");
            Err(RpcError::new(RpcError::NO_METHOD, message))
        }
    }
}

fn invalid(what: &str) -> RpcError {
    RpcError::new(PARAMS, what)
}

fn refused(what: &str) -> RpcError {
    RpcError::new(SERVER, what)
}

/// A call's arguments by position.
struct Args<'a>(&'a [Value]);

impl<'a> Args<'a> {
    fn read(params: &'a Value) -> Result<Self, RpcError> {
        match params {
            Value::Null => Ok(Args(&[])),
            Value::Array(values) => Ok(Args(values)),
            _ => Err(invalid("non-array args")),
        }
    }

    fn get(&self, place: usize) -> Option<&'a Value> {
        self.0.get(place).filter(|v| !v.is_null())
    }

    fn text(&self, place: usize) -> Result<&'a str, RpcError> {
        let value = self.get(place).and_then(Value::as_str);
        value.ok_or_else(|| invalid(&format!("missing value for required argument {place}")))
    }

    fn bytes(&self, place: usize) -> Result<Vec<u8>, RpcError> {
        let digits = self.text(place)?.strip_prefix("0x");
        let digits = digits.ok_or_else(|| invalid("hex string without 0x prefix"))?;
        hex::decode(digits).map_err(|_| invalid("invalid hex string"))
    }

    fn array<const N: usize>(&self, place: usize) -> Result<[u8; N], RpcError> {
        let bytes = self.bytes(place)?;
        bytes
            .try_into()
            .map_err(|_| invalid(&format!("hex string has not the length of {N} bytes")))
    }

    fn hash(&self, place: usize) -> Result<[u8; 32], RpcError> {
        self.array(place)
    }

    fn address(&self, place: usize) -> Result<EthAddress, RpcError> {
        self.array(place).map(EthAddress)
    }

    fn flag(&self, place: usize) -> bool {
        self.get(place).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A quantity, or a plain JSON number.
    fn number(&self, place: usize) -> Result<u64, RpcError> {
        let value = self.get(place);
        let number = value.and_then(Value::as_u64);
        let number = number.or_else(|| value.and_then(read_u64));
        number.ok_or_else(|| invalid(&format!("argument {place} is no quantity")))
    }
}

fn read_u64(value: &Value) -> Option<u64> {
    read_wide(value).and_then(|n| u64::try_from(n).ok())
}

fn read_wide(value: &Value) -> Option<U256> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| U256::from_str_radix(digits, 16).ok()).flatten()
}

fn get_work(state: &mut State, now: u64) -> Answer {
    let algorithm = state.chain.params.algorithm;
    let header = &state.work(now)?.header;
    let epoch = gruve_pow::ethash::EthashEpoch::of_block(algorithm, header.number);
    let epoch = epoch.map_err(|e| refused(&e.to_string()))?;
    let bound = super::seal::bound(header.difficulty).to_be_bytes::<32>();
    Ok(json!([
        data(&header.seal_hash()),
        data(&epoch.seed_hash()),
        data(&bound),
        quantity(header.number)
    ]))
}

fn submit_work(state: &mut State, now: u64, args: &Args<'_>) -> Answer {
    let (nonce, seal, mix) = (args.array(0)?, args.hash(1)?, args.hash(2)?);
    Ok(state.submit_work(nonce, &seal, mix, now)?.into())
}

/// A block of the best chain by height or tag; `None` above the tip.
fn at(state: &State, tag: &Value) -> Result<Option<Index>, RpcError> {
    let chain = &state.chain;
    let height = match tag.as_str() {
        None | Some("latest" | "pending") => chain.height(),
        Some("earliest") => 0,
        Some("safe" | "finalized") => return Err(refused("finalized block not found")),
        Some(_) => read_u64(tag).ok_or_else(|| invalid("invalid block number"))?,
    };
    Ok(chain.at_height(height))
}

fn shown(state: &State, index: Option<Index>, in_full: bool) -> Answer {
    let Some(index) = index else { return Ok(Value::Null) };
    let block = state.chain.block(index)?;
    Ok(shapes::block(&block, Some(&state.chain.known(index).total), in_full, false))
}

fn block_by_number(state: &mut State, now: u64, args: &Args<'_>) -> Answer {
    let tag = args.get(0).cloned().unwrap_or(Value::Null);
    let in_full = args.flag(1);
    if tag == "pending" {
        // The one that is mined on.
        let pending = state.work(now)?;
        return Ok(shapes::block(pending, None, in_full, true));
    }
    args.text(0)?;
    shown(state, at(state, &tag)?, in_full)
}

fn block_by_hash(state: &State, args: &Args<'_>) -> Answer {
    shown(state, state.chain.find(&args.hash(0)?), args.flag(1))
}

/// The block that a method's first argument names, by hash or by number as the method's name says.
fn one_block(state: &State, method: &str, args: &Args<'_>) -> Result<Option<Index>, RpcError> {
    if method.contains("BlockHash") {
        return Ok(state.chain.find(&args.hash(0)?));
    }
    args.text(0)?;
    at(state, args.get(0).unwrap_or(&Value::Null))
}

fn uncle(state: &State, method: &str, args: &Args<'_>) -> Answer {
    let place = usize::try_from(args.number(1)?).unwrap_or(usize::MAX);
    let Some(index) = one_block(state, method, args)? else { return Ok(Value::Null) };
    let block = state.chain.block(index)?;
    Ok(block.uncles.get(place).map_or(Value::Null, shapes::uncle))
}

/// An account as of the block that the second argument names.
fn account(state: &State, args: &Args<'_>) -> Result<Account, RpcError> {
    let address = args.address(0)?;
    let tag = args.get(1).unwrap_or(&Value::Null);
    let index = at(state, tag)?.ok_or_else(|| refused("header not found"))?;
    Ok(state.chain.account_at(&address, state.chain.known(index).header.number))
}

fn transaction_count(state: &State, args: &Args<'_>) -> Answer {
    if args.get(1).is_some_and(|tag| tag == "pending") {
        let next = state.pool.next_nonce(&args.address(0)?, &state.chain.world);
        return Ok(quantity(next));
    }
    account(state, args).map(|a| quantity(a.nonce))
}

fn send_raw(state: &mut State, args: &Args<'_>) -> Answer {
    let signed = SignedTx::decode(&args.bytes(0)?).map_err(|e| refused(&e.to_string()))?;
    let hash = signed.hash;
    state.send(signed).map_err(refused)?;
    Ok(data(&hash))
}

/// Pays from an account of the built-in wallet, at the lowest price.
fn send_from_wallet(state: &mut State, args: &Args<'_>) -> Answer {
    let order = args.get(0).ok_or_else(|| invalid("missing value for required argument 0"))?;
    let address = |key: &str| -> Result<EthAddress, RpcError> {
        let text = order.get(key).and_then(Value::as_str);
        let text = text.ok_or_else(|| invalid(&format!("no {key}")))?;
        text.parse().map_err(|e| invalid(&format!("{key}: {e}")))
    };
    let (from, to) = (address("from")?, address("to")?);
    let wide = |key: &str| order.get(key).map(|v| read_wide(v).ok_or_else(|| invalid(key)));
    let value = wide("value").transpose()?.unwrap_or_default();
    let least = U256::from(state.chain.params.gas_price);
    let price = wide("gasPrice").transpose()?.unwrap_or(least);
    let nonce = state.pool.next_nonce(&from, &state.chain.world);
    let key = state.wallet.key(&from).ok_or_else(|| refused("unknown account"))?;
    let signed = LegacyTx::transfer(nonce, to, value, price).sign(state.chain.params.chain_id, key);
    let hash = signed.hash;
    state.send(signed).map_err(refused)?;
    Ok(data(&hash))
}

fn transaction(state: &State, args: &Args<'_>) -> Answer {
    let hash = args.hash(0)?;
    if let Some((index, place)) = state.chain.place_of(&hash) {
        let block = state.chain.block(index)?;
        let known = state.chain.known(index);
        let found = block.txs.get(place);
        let at = (&known.hash, known.header.number, place);
        return Ok(found.map_or(Value::Null, |tx| shapes::transaction(tx, Some(at))));
    }
    Ok(state.pool.find(&hash).map_or(Value::Null, |tx| shapes::transaction(tx, None)))
}

fn receipt(state: &State, args: &Args<'_>) -> Answer {
    let Some((index, place)) = state.chain.place_of(&args.hash(0)?) else {
        return Ok(Value::Null);
    };
    let block = state.chain.block(index)?;
    Ok(shapes::receipt(&block, place).unwrap_or(Value::Null))
}
