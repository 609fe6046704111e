//! Real nodes on regtest for tests: `litecoind` and `bitcoind`, two of each where a peer is needed
//! (`litecoind` gives templates only to who has one). Killed when dropped.
//!
//! Usable from other crates' tests by `#[path]`; needs `gruve_chain`, `gruve_units`, `serde_json`,
//! `tempfile` and `tokio`.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

use gruve_chain::{ChainParams, NetworkName, Node, RpcNode, params_for};
use gruve_units::Asset;
use rustix::process::{Pid, WaitOptions, waitpid};
use serde_json::{Value, json};
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const USER: &str = "gruve";
const PASSWORD: &str = "regtest-only";
const DEADLINE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Whether Litecoin's extension block may activate (it does at height 432).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mweb {
    Activates,
    Never,
}

/// Which program, and how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Litecoind(Mweb),
    Bitcoind,
}

impl From<Mweb> for Program {
    fn from(mweb: Mweb) -> Program {
        Program::Litecoind(mweb)
    }
}

impl Program {
    pub fn params(self) -> ChainParams {
        let asset = match self {
            Program::Litecoind(_) => Asset::Ltc,
            Program::Bitcoind => Asset::Btc,
        };
        params_for(asset, NetworkName::Regtest).unwrap()
    }

    /// What to run, and what installs it.
    fn command(self) -> (PathBuf, &'static str) {
        match self {
            Program::Litecoind(_) => (
                "litecoind".into(),
                "apt-get update && apt-get install -y --no-install-recommends litecoind",
            ),
            Program::Bitcoind => {
                let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
                let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
                let cache = cache.unwrap_or_else(|| home().join(".cache"));
                let built = cache.join("gruve/bin/bitcoind");
                let path = if built.exists() { built } else { "bitcoind".into() };
                (path, "scripts/bitcoind-for-tests")
            }
        }
    }
}

/// Two connected nodes; ask the first.
pub struct RealPair {
    pub node: RealNode,
    pub peer: RealNode,
}

impl RealPair {
    /// Starts both and waits until they are connected.
    pub async fn start(program: impl Into<Program>) -> Self {
        let program = program.into();
        let node = RealNode::start(program, None).await;
        let peer = RealNode::start(program, Some(&node)).await;
        wait_until("the nodes are connected", async || {
            node.rpc().info().await.is_ok_and(|info| info.peers > 0)
        })
        .await;
        RealPair { node, peer }
    }
}

/// One node with a directory and ports of its own.
pub struct RealNode {
    program: Program,
    child: Child,
    rpc_port: u16,
    p2p_port: u16,
    dir: TempDir,
}

impl Drop for RealNode {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RealNode {
    /// Starts a node and waits until it answers.
    pub async fn start(program: impl Into<Program>, peer: Option<&RealNode>) -> Self {
        Self::start_with(program, peer, &[]).await
    }

    /// As [`RealNode::start`], with further arguments, which win over the usual ones.
    pub async fn start_with(
        program: impl Into<Program>,
        peer: Option<&RealNode>,
        arguments: &[&str],
    ) -> Self {
        let program = program.into();
        // A free port may be taken by another test before the node has it: then once more.
        let mut words = String::new();
        for _ in 0..5 {
            let mut node = Self::spawn(program, peer, arguments);
            if node.is_up().await {
                return node;
            }
            words = std::fs::read_to_string(node.dir.path().join("stderr")).unwrap_or_default();
        }
        panic!("{program:?} does not start: {words}");
    }

    fn spawn(program: Program, peer: Option<&RealNode>, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let stderr = File::create(dir.path().join("stderr")).expect("a file in it");
        let (rpc_port, p2p_port) = free_ports();
        let (path, install) = program.command();
        let mut command = Command::new(path);
        command
            // Debian's wrapper script writes a configuration into the home directory.
            .env("HOME", dir.path())
            .arg("-regtest")
            .arg(format!("-datadir={}", dir.path().display()))
            .arg(format!("-rpcuser={USER}"))
            .arg(format!("-rpcpassword={PASSWORD}"))
            .arg(format!("-rpcport={rpc_port}"))
            .arg(format!("-bind=127.0.0.1:{p2p_port}"))
            .args(["-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-server=1", "-listen=1"])
            .args(["-dnsseed=0", "-listenonion=0", "-discover=0"])
            // Otherwise the node counts as downloading (and gives no template) until somebody has
            // mined a block after regtest's genesis of 2011.
            .arg("-maxtipage=2000000000")
            .args(["-fallbackfee=0.0001", "-dbcache=4", "-maxmempool=5", "-par=1"]);
        if program == Program::Litecoind(Mweb::Never) {
            command.arg("-vbparams=mweb:4000000000:4000000001");
        }
        if let Some(peer) = peer {
            command.arg(format!("-addnode=127.0.0.1:{}", peer.p2p_port));
        }
        command.args(arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        let child = child.unwrap_or_else(|e| panic!("{program:?}: {e}. Install it: {install}"));
        RealNode { program, child, rpc_port, p2p_port, dir }
    }

    async fn is_up(&mut self) -> bool {
        let rpc = self.rpc();
        let mut ticks = tokio::time::interval(ASK_EVERY);
        let up = async {
            loop {
                ticks.tick().await;
                if rpc.tip().await.is_ok() {
                    return true;
                }
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return false;
                }
            }
        };
        tokio::time::timeout(DEADLINE, up).await.unwrap_or(false)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.rpc_port)
    }

    pub fn user(&self) -> &'static str {
        USER
    }

    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// A client for the node.
    pub fn rpc(&self) -> RpcNode {
        self.rpc_with(self.program.params())
    }

    /// A client that takes it for a node of another chain, or of other rules.
    pub fn rpc_with(&self, params: ChainParams) -> RpcNode {
        RpcNode::new(&self.url(), USER, PASSWORD, params).unwrap()
    }

    /// SIGKILL; answers nobody any more.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Where other nodes reach it.
    pub fn p2p_address(&self) -> String {
        format!("127.0.0.1:{}", self.p2p_port)
    }

    /// SIGSTOP: connections are taken by the system, and nobody answers.
    ///
    /// Returns when the whole process stands still: the signal itself comes back while threads of the
    /// node may still answer a call, with a template that nobody is left to take the block of.
    pub fn pause(&self) {
        self.signal("-STOP");
        let node = Pid::from_child(&self.child);
        let stopped = waitpid(Some(node), WaitOptions::UNTRACED).unwrap();
        assert!(stopped.is_some_and(|(_, status)| status.stopped()), "{stopped:?}");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success(), "kill {signal}");
    }

    /// Any call; panics when the node refuses it.
    pub async fn call(&self, method: &'static str, params: Value) -> Value {
        self.rpc().call(method, params).await.unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    /// Makes the node's own wallet, for tests that need somebody else's transactions.
    pub async fn make_wallet(&self) {
        self.call("createwallet", json!(["test"])).await;
    }

    /// A new address of the node's wallet: `legacy`, `p2sh-segwit`, `bech32` or `mweb`.
    pub async fn new_address(&self, kind: &str) -> String {
        self.call("getnewaddress", json!(["", kind])).await.as_str().unwrap().to_owned()
    }

    /// Has the node mine blocks itself.
    pub async fn generate(&self, blocks: u32, address: &str) {
        self.call("generatetoaddress", json!([blocks, address])).await;
    }
}

fn free_ports() -> (u16, u16) {
    let [a, b] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    (a.local_addr().unwrap().port(), b.local_addr().unwrap().port())
}

/// Asks again and again, until the deadline.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut ticks = tokio::time::interval(ASK_EVERY);
    let waiting = async {
        while !holds().await {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, waiting).await.is_ok(), "not in time: {what}");
}
