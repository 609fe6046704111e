use super::*;
use crate::config::Config;
use crate::house::Parts;
use crate::house::files::Holding;
use gruve_chain::{LeanBlock, LeanOutput, LeanTx, NetworkName, params_for, script_for_address};
use gruve_store::params;
use gruve_units::{AccountId, SystemClock, SystemEntropy};
use std::sync::Arc;

const CONFIG: &str = r#"
[house]
name = "House"
origin = "house.example/log"
data = "house"
[[lane]]
id = "btc"
asset = "BTC"
network = "dev"
outside_fee_bps = 150
[lane.node]
url = "http://127.0.0.1:1"
[lane.stratum]
listen = "127.0.0.1:0"
"#;

/// A contract whose owner wants to be paid by the block itself, at this address.
const OWNED: &str =
    "INSERT INTO hosting_contracts (id, machine, lane, account, state, kind, scheme, pay_from, asset,
    energy_minor_per_kwh, fee_minor_per_day, level_bps, price_asset, price_minor, terms, terms_hash, address,
    offered_at, energy_carry, fee_carry, arrears, bills) VALUES ($1, $1, 'btc', $1, 'active', 'own', 'solo',
    'balance', 'BTC', 0, 0, 10000, 'BTC', 0, $1, $2, $3, 0, 0, 0, 0, 0)";
const WISHED: &str = "INSERT INTO hosting_in_block (contract, wanted) VALUES ($1, 1)";
const BESIDE: &str = "SELECT COUNT(*) AS n FROM market_beside WHERE block_hash = $1";

/// A block that pays what its coinbase says.
fn block(height: u64, prev: [u8; 32], outputs: Vec<LeanOutput>) -> FollowedBlock {
    let hash = [u8::try_from(height).unwrap(); 32];
    let coinbase = LeanTx {
        txid: hash,
        coinbase: true,
        hogex: false,
        inputs: vec![([0; 32], u32::MAX)],
        outputs,
    };
    let header = [0; 80];
    let block = LeanBlock {
        header,
        hash,
        prev,
        time: 1_795_000_000,
        bits: 0x207f_ffff,
        txs: vec![coinbase],
    };
    FollowedBlock { height, block }
}

#[tokio::test]
async fn a_block_that_is_wholly_the_houses_pays_no_owner_who_set_an_address_of_the_houses() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::parse(CONFIG, dir.path()).unwrap();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::begin(&config, Holding::Alone, clock, entropy).await.unwrap();
    let params = params_for(Asset::Btc, NetworkName::Dev).unwrap();
    let house = parts.treasury.coinbase_script(Asset::Btc).unwrap();
    let own = address_for_script(&params, &house).unwrap();
    let lane: LaneId = "btc".parse().unwrap();
    let sink = HouseSink {
        store: parts.store.clone(),
        treasury: parts.treasury.clone(),
        market: parts.market.clone(),
        lane,
        asset: Asset::Btc,
        params,
        hosting: Some(parts.hosting.clone()),
    };
    let mut other = vec![0, 20];
    other.extend([0x77; 20]);
    let honest = address_for_script(&params, &other).unwrap();
    assert_eq!(script_for_address(&params, &honest).unwrap(), other);
    let owners =
        [(1, own), (2, honest)].map(|(n, address)| (AccountId::from_bytes([n; 16]), address));
    transact!(parts.store, tx -> Result<(), HouseError> => {
        for (owner, address) in &owners {
            let hash = [0_u8; 32];
            tx.execute(OWNED, &params![*owner, hash, address.as_str()]).await?;
            tx.execute(WISHED, &params![*owner]).await?;
        }
        Ok(())
    })
    .unwrap();
    let output = |value: i64, script: &[u8]| LeanOutput { value, script: script.to_vec() };
    let whole = block(1, [0; 32], vec![output(5_000_000_000, &house)]);
    let shared =
        block(2, whole.block.hash, vec![output(75_000_000, &house), output(4_925_000_000, &other)]);
    for (at, first, second) in [(&whole, 0, 0), (&shared, 1, 1)] {
        sink.connect(at).await.unwrap();
        let mut tx = parts.store.read().await.unwrap();
        let beside: i64 =
            tx.fetch_one(BESIDE, &params![at.block.hash]).await.unwrap().get("n").unwrap();
        let mut paid = Vec::new();
        for (owner, _) in &owners {
            let all = parts.hosting.own_blocks(&mut tx, *owner).await.unwrap();
            paid.push(all.iter().filter(|b| b.block_hash == at.block.hash).count());
        }
        assert_eq!((beside, paid[1]), (first, second), "block {}", at.height);
        assert!(at.height != 1 || paid[0] == 0, "the house's coins are no owner's");
    }
}
