//! Bytes as a node's answer, above all to `getblocktemplate`.
//!
//! What must hold: no panic; what the reader of all JSON takes for a template the quick one takes
//! too, and for the same (it alone takes some whose fault is in what nobody reads, such as bytes
//! that are no text); of a template that was taken a job can be made or is refused for a reason, and the job's
//! headers and blocks have the right form.

use crate::input::Input;
use crate::jobs::class;
use gruve_chain::rpc::{doors, minor_from_json};
use gruve_chain::{
    BlockRef, ChainParams, Job, JobSpec, NetworkName, Template, TipNotice, params_for,
};
use gruve_units::{Asset, Duration, EpochNumber, JobId};
use serde_json::Value;

fn params(input: &mut Input<'_>) -> ChainParams {
    let (asset, network) = input.pick(&[
        (Asset::Btc, NetworkName::Regtest),
        (Asset::Btc, NetworkName::Mainnet),
        (Asset::Ltc, NetworkName::Mainnet),
        (Asset::Doge, NetworkName::Mainnet),
    ]);
    params_for(asset, network).expect("a chain")
}

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let params = params(&mut input);
    let body = input.rest();
    let quick = doors::read_template(body, &params);
    let slow = doors::read_answer(200, body);
    if let Ok(value) = &slow {
        numbers(value, params.asset);
    }
    let slow = slow.and_then(|value| Ok(Template::from_gbt(&value, &params)?));
    match (quick, slow) {
        (Ok(quick), Ok(slow)) => {
            assert_eq!(quick, slow, "two readers of one template differ");
            template(&quick, &params);
        }
        (Ok(quick), Err(_)) => template(&quick, &params),
        (Err(_), Err(_)) => {}
        (Err(e), Ok(_)) => panic!("the quick reader refuses a template: {e}"),
    }
    let _ = doors::read_answer(500, body);
}

/// Every value as an amount.
fn numbers(value: &Value, asset: Asset) {
    match value {
        Value::Array(all) => all.iter().for_each(|v| numbers(v, asset)),
        Value::Object(all) => all.values().for_each(|v| numbers(v, asset)),
        one => drop(minor_from_json(asset, one)),
    }
}

fn template(template: &Template, params: &ChainParams) {
    let spec = JobSpec {
        id: JobId(1),
        epoch: EpochNumber(1),
        checkpoint_epoch: EpochNumber(0),
        commitment: [0xcd; 32],
        tag: b"tag".to_vec(),
        pay_to: vec![(vec![0x51], template.coinbase_value)],
        extranonce_len: 12,
    };
    if let Ok(job) = Job::build(std::sync::Arc::new(template.clone()), spec) {
        let header = job.header(class(3), &[1; 12], template.version, template.cur_time, 7);
        let block = job.block(class(3), &[1; 12], &header);
        assert_eq!(block[..80], header);
        let _ = gruve_chain::parse_block(&block, params);
    }
    let notice = TipNotice {
        tip: BlockRef { height: template.height, hash: template.prev_hash },
        bits: template.bits,
        median_time: template.min_time,
    };
    if let Some(empty) = template.empty_on(&notice, Duration::from_secs(10), params) {
        assert!(empty.txs.is_empty() && empty.cur_time >= empty.min_time);
    }
}
