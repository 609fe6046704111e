//! Shares of real miners and pools (sources named in the file) through our arithmetic.

use gruve_pow::merkle_root_from_branch;
use gruve_stratum::check::{self, HeaderParts};
use gruve_stratum::client::ClientJob;
use gruve_units::{Algorithm, Target};
use serde_json::Value;

const SHARES: &str = include_str!("../../../../testdata/shares-sha256d.json");

fn reversed(hash: [u8; 32]) -> String {
    let mut hash = hash;
    hash.reverse();
    hex::encode(hash)
}

#[test]
fn real_shares_give_the_recorded_coinbase_root_header_and_hash() {
    let shares: Vec<Value> = serde_json::from_str(SHARES).unwrap();
    assert!(shares.len() >= 34);
    for share in &shares {
        let name = share["name"].as_str().unwrap();
        let (notify, submit, derived) = (&share["notify"], &share["submit"], &share["derived"]);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let word = |v: &Value| u32::from_str_radix(v.as_str().unwrap(), 16).unwrap();
        let params: Vec<Value> = [
            "job_id",
            "prevhash",
            "coinb1",
            "coinb2",
            "merkle_branch",
            "version",
            "nbits",
            "ntime",
            "clean_jobs",
        ]
        .map(|key| notify[key].clone())
        .to_vec();
        let mut job = ClientJob::from_notify(&params).unwrap_or_else(|e| panic!("{name}: {e}"));
        job.extranonce1 = hex::decode(text(&share["extranonce1"])).unwrap();
        let extranonce2 = hex::decode(text(&share["extranonce2"])).unwrap();
        let extranonce = [&job.extranonce1[..], &extranonce2].concat();

        let parts = HeaderParts {
            coinbase_prefix: &job.coinbase_prefix,
            coinbase_suffix: &job.coinbase_suffix,
            class: None,
            branch: &job.branch,
            prev_hash: &job.prev_hash,
            bits: job.bits,
        };
        let version = match submit["version_bits"].as_str() {
            None => job.version,
            Some(_) => {
                let bits = word(&submit["version_bits"]);
                let mask = submit["version_mask"]
                    .as_str()
                    .map_or(0x1fff_e000, |_| word(&submit["version_mask"]));
                check::rolled_version(job.version, mask, bits).unwrap()
            }
        };
        let mut coinbase = Vec::new();
        let (ntime, nonce) = (word(&submit["ntime"]), word(&submit["nonce"]));
        let header = parts.header(&extranonce, version, ntime, nonce, &mut coinbase);
        assert_eq!(hex::encode(&coinbase), text(&derived["coinbase"]), "{name}");
        let root = merkle_root_from_branch(gruve_pow::sha256d(&coinbase), &job.branch);
        assert_eq!(hex::encode(root), text(&derived["merkle_root_internal"]), "{name}");
        assert_eq!(hex::encode(header), text(&derived["header"]), "{name}");
        assert_eq!(job.header(&extranonce2, version, ntime, nonce), header, "{name}: the client's");

        let network = Target::from_compact(job.bits).unwrap();
        let class = gruve_units::Class::not_harder_than(network);
        let solution = check::solve(Algorithm::Sha256d, &header, class, network);
        assert_eq!(reversed(solution.pow_hash), text(&derived["pow_hash_display"]), "{name}");
        assert_eq!(Value::Bool(solution.is_block), derived["meets_network_target"], "{name}");
        assert!(
            !solution.is_block || solution.is_share,
            "{name}: a block is never below its class"
        );
    }
}
