//! What the demo's house, chains and farm look like.

use crate::cli::DemoArgs;
use gruve_units::{Algorithm, Asset, Hashrate};
use std::fmt::Write;

/// One lane of the demo.
pub struct DemoLane {
    /// Its name.
    pub id: &'static str,
    /// Its coin.
    pub asset: Asset,
    /// What its machines compute.
    pub algorithm: Algorithm,
    /// Its machines: site and name, and the rate each is held to, so that they share the processor.
    pub machines: &'static [(&'static str, &'static str, Hashrate)],
    /// The easiest class.
    pub class_min: u8,
    /// Class of a machine not seen before, near what the machines will settle at.
    pub class_start: u8,
    /// Coins that a block creates.
    pub block_coins: u128,
    /// Offset of its stratum port.
    pub stratum_port: u16,
    /// Offset of its node's port.
    pub node_port: u16,
    /// The chains that are merge-mined with it.
    pub aux: &'static [DemoAux],
    /// Smallest and largest hashrate of the plan and its step.
    pub plan: (Hashrate, Hashrate, Hashrate),
}

/// A merge-mined chain of the demo.
pub struct DemoAux {
    /// Its coin.
    pub asset: Asset,
    /// Offset of its node's port.
    pub node_port: u16,
}

/// A chain of the demo: a lane's own, or one merge-mined with it.
#[derive(Clone, Copy)]
pub struct DemoChain {
    /// The lane that mines it.
    pub lane: &'static DemoLane,
    /// Its coin.
    pub asset: Asset,
    /// Offset of its node's port.
    pub node_port: u16,
}

/// Blocks until a reward may be spent on the demo's chains. Real chains want 100: the demo says so.
pub const MATURITY: u64 = 2;

/// Number of the demo's Ethash chain (EIP-155), no known chain's: what is signed for it is worth nothing
/// elsewhere.
pub const CHAIN_ID: u64 = 74_061;

/// What the Ethash chain asks for a unit of gas, wei: not a whole gwei, so that the books' wei below their
/// minor unit are not always nothing.
pub const GAS_PRICE_WEI: u64 = 1_000_000_007;

/// RPC user of the demo's nodes, which listen on loopback only.
pub const RPC_USER: &str = "gruve";

/// The lanes. One more is one more entry, with ports of its own.
pub const LANES: &[DemoLane] = &[
    DemoLane {
        id: "btc",
        asset: Asset::Btc,
        algorithm: Algorithm::Sha256d,
        machines: &[
            ("bergen", "bergen-1", Hashrate(400_000)),
            ("bergen", "bergen-2", Hashrate(300_000)),
            ("narvik", "narvik-1", Hashrate(300_000)),
        ],
        class_min: 8,
        class_start: 19,
        block_coins: 50,
        stratum_port: 1,
        node_port: 3,
        aux: &[],
        plan: (Hashrate(200_000), Hashrate(1_000_000), Hashrate(10_000)),
    },
    DemoLane {
        id: "ltc",
        asset: Asset::Ltc,
        algorithm: Algorithm::Scrypt,
        machines: &[("bergen", "bergen-3", Hashrate(500)), ("narvik", "narvik-2", Hashrate(500))],
        class_min: 8,
        class_start: 10,
        block_coins: 50,
        stratum_port: 2,
        node_port: 4,
        aux: &[DemoAux { asset: Asset::Doge, node_port: 5 }],
        plan: (Hashrate(200), Hashrate(1_000), Hashrate(10)),
    },
    // Hashed with the epoch's cache alone: so slow that two machines take a fifth of a processor.
    DemoLane {
        id: "etc",
        asset: Asset::Etc,
        algorithm: Algorithm::Etchash,
        machines: &[("bergen", "bergen-4", Hashrate(40)), ("narvik", "narvik-3", Hashrate(40))],
        class_min: 2,
        class_start: 4,
        block_coins: 5,
        stratum_port: 6,
        node_port: 7,
        aux: &[],
        plan: (Hashrate(16), Hashrate(80), Hashrate(1)),
    },
];

impl DemoLane {
    /// Its chains, its own first.
    pub fn chains(&'static self) -> impl Iterator<Item = DemoChain> {
        let own = DemoChain { lane: self, asset: self.asset, node_port: self.node_port };
        let aux = move |aux: &DemoAux| DemoChain {
            lane: self,
            asset: aux.asset,
            node_port: aux.node_port,
        };
        std::iter::once(own).chain(self.aux.iter().map(aux))
    }

    /// Whether its chain has accounts, and its node makes the blocks.
    pub const fn is_ethash(&self) -> bool {
        matches!(self.algorithm, Algorithm::Ethash | Algorithm::Etchash)
    }

    /// What all its machines do together.
    pub fn hashrate(&self) -> Hashrate {
        Hashrate(self.machines.iter().map(|m| m.2.0).sum())
    }
}

/// A lease of about four minutes, at some five sixths of what its work should earn: a tenth of the
/// farm earns a tenth of the blocks' subsidies of that time, before luck.
fn plan_toml(lane: &DemoLane, args: &DemoArgs) -> String {
    let epoch_ms = args.epoch.0.as_millis().max(1);
    let term = (TERM_MS / epoch_ms).max(4);
    let (min, max, step) = lane.plan;
    let tenth = Hashrate(lane.hashrate().0 / 10);
    let subsidy = lane.block_coins * u128::from(lane.asset.unit().unsigned_abs());
    let blocks_of_a_day = DAY_MS / args.spacing.0.as_millis().max(1);
    let price_of_a_day = subsidy * blocks_of_a_day / 12;
    format!(
        "[[plan]]\nid = \"{id}-lease\"\nlane = \"{id}\"\ntitle = \"{asset} lease, four minutes\"\n\
         hashrate_min = \"{min}\"\nhashrate_max = \"{max}\"\nhashrate_step = \"{step}\"\n\
         terms_epochs = [{term}, {long}]\nprice_minor = {price_of_a_day}\nprice_hashrate = \"{tenth}\"\n\
         fee_bps = 200\n",
        id = lane.id,
        asset = lane.asset,
        min = min.0,
        max = max.0,
        step = step.0,
        long = term * 10,
        tenth = tenth.0,
    )
}

const TERM_MS: u128 = 240_000;
const DAY_MS: u128 = 86_400_000;

/// The configuration file of the demo's house: what an operator would write.
pub fn house_toml(args: &DemoArgs, rpc_password: &str) -> String {
    let port = |offset: u16| args.ports.saturating_add(offset);
    let epoch_ms = args.epoch.0.as_millis();
    let grace_ms = (epoch_ms / 5).clamp(1, 1_000);
    let mut toml = format!(
        "# Written anew at each start of `gruve demo`.\n\
         [house]\nname = \"Gruve demo\"\norigin = \"demo.gruve.example/log\"\ndata = \"house\"\n\n\
         [http]\nlisten = \"127.0.0.1:{}\"\n\n\
         # Whoever looks at a demo does not wait a day to see a payout arrive.\n\
         [accounts]\npayout_delay = \"0s\"\n\n\
         [funds]\nevery = \"30s\"\n",
        port(0),
    );
    if let Some(url) = &args.database {
        let _ = write!(toml, "\n[database]\nurl = {url:?}\n");
    }
    for lane in LANES {
        // Writing to a string cannot fail.
        let _ = write!(
            toml,
            "\n[[lane]]\nid = \"{id}\"\nasset = \"{asset}\"\nnetwork = \"dev\"\nepoch = \"{epoch_ms}ms\"\n\
             grace = \"{grace_ms}ms\"\ntag = \"/Gruve demo/\"\nconfirmations = 1\nmaturity = {MATURITY}\n\
             capacity_epochs = 12\nsettle_every = 1\nauto_approve_minor = 1000000000000\n\
             [lane.node]\nurl = \"http://127.0.0.1:{node}\"\nuser = \"{RPC_USER}\"\npassword = \"{rpc_password}\"\n\
             [lane.stratum]\nlisten = \"127.0.0.1:{stratum}\"\nclass_min = {easiest}\nclass_max = 40\n\
             class_start = {start}\nshare_interval = \"500ms\"\n",
            id = lane.id,
            asset = lane.asset,
            node = port(lane.node_port),
            stratum = port(lane.stratum_port),
            easiest = lane.class_min,
            start = lane.class_start,
        );
        if lane.is_ethash() {
            let _ = write!(
                toml,
                "[lane.ethash]\nname = \"{asset} development chain\"\nchain_id = {CHAIN_ID}\n",
                asset = lane.asset,
            );
        }
        for aux in lane.aux {
            let _ = write!(
                toml,
                "[[lane.aux]]\nasset = \"{asset}\"\nconfirmations = 1\nmaturity = {MATURITY}\n\
                 auto_approve_minor = 1000000000000000\n\
                 [lane.aux.node]\nurl = \"http://127.0.0.1:{node}\"\nuser = \"{RPC_USER}\"\npassword = \"{rpc_password}\"\n",
                asset = aux.asset,
                node = port(aux.node_port),
            );
        }
    }
    for lane in LANES {
        let _ = write!(toml, "\n{}", plan_toml(lane, args));
    }
    for site in ["bergen", "narvik"] {
        let _ = write!(toml, "\n[[site]]\nname = \"{site}\"\n");
        for lane in LANES {
            for (_, name, rate) in lane.machines.iter().filter(|m| m.0 == site) {
                let _ = write!(
                    toml,
                    "[[site.machine]]\nname = \"{name}\"\nlane = \"{}\"\nnameplate = \"{}\"\n",
                    lane.id, rate.0,
                );
            }
        }
    }
    toml
}
