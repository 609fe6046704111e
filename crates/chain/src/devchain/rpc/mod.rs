//! Bitcoin Core's JSON-RPC over the chain's state: names, arguments, result fields and error
//! codes are Core's, so that a client written for a real node needs no case for this one.
//!
//! Synchronous and without a network; [`super::http`] carries it.

mod args;
mod aux_blocks;
mod blocks;
mod mining;
mod shapes;
mod transactions;
mod wallet;

pub use args::RpcError;
pub(crate) use blocks::TipWait;
pub(crate) use mining::News;

use super::state::State;
use args::Args;
use serde_json::Value;

/// What a method may use beside its arguments.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    /// The clock's time in seconds.
    pub(crate) now: i64,
    /// Random bytes that make two blocks of one second differ.
    pub(crate) salt: [u8; 8],
}

type Run = fn(&mut Call<'_>, &Args) -> Result<Value, RpcError>;

/// A method: its name, the names of its arguments in their order, and what it does.
struct Method {
    name: &'static str,
    args: &'static [&'static str],
    run: Run,
}

const fn method(name: &'static str, args: &'static [&'static str], run: Run) -> Method {
    Method { name, args, run }
}

const METHODS: &[Method] = &[
    method("getblocktemplate", &["template_request"], mining::getblocktemplate),
    method("submitblock", &["hexdata", "dummy"], mining::submitblock),
    method("createauxblock", &["address"], aux_blocks::createauxblock),
    method("submitauxblock", &["hash", "auxpow"], aux_blocks::submitauxblock),
    method("getauxblock", &["hash", "auxpow"], aux_blocks::getauxblock),
    method("getmininginfo", &[], mining::getmininginfo),
    method("getdifficulty", &[], mining::getdifficulty),
    method("getnetworkhashps", &["nblocks", "height"], mining::getnetworkhashps),
    method("generatetoaddress", &["nblocks", "address", "maxtries"], mining::generatetoaddress),
    method("getblockchaininfo", &[], blocks::getblockchaininfo),
    method("getnetworkinfo", &[], blocks::getnetworkinfo),
    method("getconnectioncount", &[], blocks::getconnectioncount),
    method("getpeerinfo", &[], blocks::getpeerinfo),
    method("getblockcount", &[], blocks::getblockcount),
    method("getbestblockhash", &[], blocks::getbestblockhash),
    method("waitfornewblock", &["timeout", "current_tip"], blocks::waitfornewblock),
    method("getblockhash", &["height"], blocks::getblockhash),
    method("getblockheader", &["blockhash", "verbose"], blocks::getblockheader),
    method("getblock", &["blockhash", "verbosity"], blocks::getblock),
    method("getchaintips", &[], blocks::getchaintips),
    method("invalidateblock", &["blockhash"], blocks::invalidateblock),
    method("reconsiderblock", &["blockhash"], blocks::reconsiderblock),
    method(
        "getrawtransaction",
        &["txid", "verbosity", "blockhash"],
        transactions::getrawtransaction,
    ),
    method("decoderawtransaction", &["hexstring"], transactions::decoderawtransaction),
    method("getrawmempool", &["verbose", "mempool_sequence"], transactions::getrawmempool),
    method("getmempoolentry", &["txid"], transactions::getmempoolentry),
    method("getmempoolinfo", &[], transactions::getmempoolinfo),
    method("sendrawtransaction", &["hexstring", "maxfeerate"], transactions::sendrawtransaction),
    method("testmempoolaccept", &["rawtxs", "maxfeerate"], transactions::testmempoolaccept),
    method("gettxout", &["txid", "n", "include_mempool"], transactions::gettxout),
    method("scantxoutset", &["action", "scanobjects"], transactions::scantxoutset),
    method("estimatesmartfee", &["conf_target", "estimate_mode"], transactions::estimatesmartfee),
    method("validateaddress", &["address"], wallet::validateaddress),
    method("getnewaddress", &["label", "address_type"], wallet::getnewaddress),
    method(
        "sendtoaddress",
        &["address", "amount", "comment", "comment_to", "subtractfeefromamount"],
        wallet::sendtoaddress,
    ),
    method(
        "getbalance",
        &["dummy", "minconf", "include_watchonly", "avoid_reuse"],
        wallet::getbalance,
    ),
    method("gettransaction", &["txid", "include_watchonly", "verbose"], wallet::gettransaction),
    method("getreceivedbyaddress", &["address", "minconf"], wallet::getreceivedbyaddress),
];

/// Carries out one call.
pub(crate) fn dispatch(call: &mut Call<'_>, name: &str, params: &Value) -> Result<Value, RpcError> {
    let Some(method) = METHODS.iter().find(|m| m.name == name) else {
        return Err(RpcError::method_not_found());
    };
    let args = Args::read(params, method.args)?;
    (method.run)(call, &args)
}
