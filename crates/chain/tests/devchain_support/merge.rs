//! A development chain that plays a merge-mined one, served, and a client of it.

use super::open;
use gruve_chain::RpcNode;
use gruve_chain::devchain::{DevChain, DevParams, DevServer};
use gruve_units::{Algorithm, Asset, Hashes};
use std::net::TcpListener;

pub struct AuxStandIn {
    pub chain: DevChain,
    pub server: DevServer,
    pub node: RpcNode,
    _dir: tempfile::TempDir,
}

impl AuxStandIn {
    /// Dogecoin at some eight hashes a block. Call it within the runtime.
    pub fn start() -> AuxStandIn {
        let dir = tempfile::tempdir().unwrap();
        let mut params = DevParams::new(Asset::Doge, Algorithm::Scrypt).with_start_work(Hashes(8));
        params.premine_coins = 1;
        params.coinbase_maturity = 2;
        let (chain, _) = open(dir.path(), params.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = chain.serve(listener, "user", "secret").unwrap();
        let node =
            RpcNode::new(&server.url(), "user", "secret", params.chain_params().unwrap()).unwrap();
        AuxStandIn { chain, server, node, _dir: dir }
    }
}
