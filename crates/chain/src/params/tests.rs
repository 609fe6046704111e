//! The table against the figures of the real chains.

use super::*;
use crate::eth::reward::UNCLE_DEPTH_MAX;
use crate::eth::wei::split;
use ruint::aliases::U256;
use std::collections::HashSet;

fn of(asset: Asset, network: NetworkName) -> ChainParams {
    params_for(asset, network).unwrap()
}

fn main(asset: Asset) -> ChainParams {
    of(asset, NetworkName::Mainnet)
}

fn vectors() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/retarget-subsidy.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn asset_of(vector: &serde_json::Value) -> Asset {
    vector["chain"].as_str().unwrap().parse().unwrap()
}

fn bits_of(text: &serde_json::Value) -> u32 {
    u32::from_str_radix(text.as_str().unwrap(), 16).unwrap()
}

#[test]
fn subsidies_are_those_of_the_known_heights() {
    let vectors = vectors();
    let mut checked = 0;
    for v in vectors["subsidy"].as_array().unwrap() {
        let (params, height) = (main(asset_of(v)), v["height"].as_u64().unwrap());
        match v.get("winner_wei") {
            None => {
                let expected = v.get("subsidy_sat").or(v.get("subsidy_koinu")).unwrap();
                assert_eq!(params.subsidy(height), expected.as_i64(), "{v}");
            }
            Some(wei) => {
                let rule = params.eras().unwrap();
                let wei: U256 = wei.as_str().unwrap().parse().unwrap();
                assert_eq!(rule.block(height), wei, "{v}");
                assert_eq!(rule.era(height), v["era_zero_based"].as_u64().unwrap(), "{v}");
                assert_eq!(params.subsidy(height), split(wei).map(|(gwei, _)| gwei), "{v}");
                if let Ok(side) = v["uncle_or_nephew_wei"].as_str().unwrap().parse::<U256>() {
                    assert_eq!(rule.nephew(height), side, "{v}");
                    assert_eq!(rule.uncle(height, height - 1), side, "{v}");
                    assert_eq!(rule.uncle(height, height - UNCLE_DEPTH_MAX), side, "{v}");
                }
            }
        }
        checked += 1;
    }
    assert_eq!(checked, vectors["subsidy"].as_array().unwrap().len());
    assert!(checked > 40, "only {checked} heights in the vectors");
}

#[test]
fn a_halving_chain_never_makes_more_than_its_cap() {
    // 20999999.9769 BTC and 83999999.9076 LTC: the sums of all subsidies that there will be.
    for (asset, interval, total) in [
        (Asset::Btc, 210_000_i64, 2_099_999_997_690_000_i64),
        (Asset::Ltc, 840_000, 8_399_999_990_760_000),
    ] {
        let params = main(asset);
        let eras = (0..70_u64).map(|era| params.subsidy(era * interval.unsigned_abs()).unwrap());
        assert_eq!(eras.map(|subsidy| subsidy * interval).sum::<i64>(), total, "{asset}");
        assert_eq!(params.subsidy(u64::MAX), Some(0), "{asset}");
    }
}

#[test]
fn dogecoins_first_blocks_are_worth_what_the_block_before_draws() {
    let doge = main(Asset::Doge);
    assert_eq!(doge.subsidy(144_999), None, "the height alone does not say");
    // Block 2, after block 1 by its hash.
    let first =
        crate::hash_from_text("82bc68038f6034c0596b6e313729793a887fded6e92a31fbdf70863f89d9bea2")
            .unwrap();
    assert_eq!(doge.subsidy_on(2, &first), Some(729_752 * Asset::Doge.unit()));
    assert_eq!(doge.subsidy_on(145_000, &first), Some(250_000 * Asset::Doge.unit()));
    assert_eq!(doge.subsidy_on(6_000_000, &first), Some(10_000 * Asset::Doge.unit()));
}

#[test]
fn dogecoins_drawn_subsidies_sum_to_what_its_own_tests_expect() {
    // Dogecoin Core's dogecoin_tests.cpp: previous hashes are running sums in minor units, whose
    // upper digits, from which is drawn, stay zero.
    let doge = main(Asset::Doge);
    let mut sum = 0_i64;
    for height in 0..=100_000 {
        let mut previous = [0; 32];
        previous[..8].copy_from_slice(&sum.to_le_bytes());
        let subsidy = doge.subsidy_on(height, &previous).unwrap();
        assert!(subsidy <= 1_000_000 * Asset::Doge.unit());
        sum += subsidy;
    }
    assert_eq!(sum, 54_894_174_438 * Asset::Doge.unit());
}

#[test]
fn retargets_are_those_of_the_known_heights() {
    let vectors = vectors();
    for v in vectors["retarget"].as_array().unwrap() {
        let params = main(asset_of(v));
        let parent = HeaderFacts {
            height: v["height"].as_u64().unwrap(),
            time: v["last_time"].as_u64().unwrap(),
            hardness: Hardness::Bits(bits_of(&v["bits"])),
            names_uncles: false,
        };
        let first = params.retarget.looks_back_to(parent.height + 1);
        assert!(first.is_some(), "{v}: it begins a period");
        let next = params.retarget.next(&parent, v["first_time"].as_u64(), 0);
        assert_eq!(next, Some(Hardness::Bits(bits_of(&v["expect"]))), "{v}");
    }
}

#[test]
fn bitcoin_counts_one_interval_less_than_litecoin() {
    let (btc, ltc) = (main(Asset::Btc).retarget, main(Asset::Ltc).retarget);
    assert_eq!(btc.looks_back_to(2_016), Some(0));
    assert_eq!(btc.looks_back_to(4_032), Some(2_016));
    assert_eq!(ltc.looks_back_to(2_016), Some(0), "there is no block before the first");
    assert_eq!(ltc.looks_back_to(4_032), Some(2_015));
    for rule in [btc, ltc] {
        assert_eq!((rule.looks_back_to(0), rule.looks_back_to(2_017)), (None, None));
    }
}

/// Height, time of the block looked back to, time of the last one, its bits, the next one's; from
/// Dogecoin Core's `pow_tests.cpp`.
const DOGECOIN: [(u64, u64, u64, u32, u32); 6] = [
    (239, 1_386_474_927, 1_386_475_638, 0x1e0f_fff0, 0x1e00_ffff),
    (9_599, 1_386_942_008, 1_386_954_113, 0x1c1a_1206, 0x1c15_ea59),
    (145_000, 1_395_094_427, 1_395_094_679, 0x1b49_9dfd, 0x1b67_1062),
    (145_107, 1_395_100_835, 1_395_101_360, 0x1b34_39cd, 0x1b4e_56b3),
    (149_423, 1_395_380_517, 1_395_380_447, 0x1b44_6f21, 0x1b33_5358),
    (145_001, 1_395_094_679, 1_395_094_727, 0x1b67_1062, 0x1b65_58a4),
];

#[test]
fn dogecoins_targets_move_as_its_own_tests_have_them() {
    let rule = main(Asset::Doge).retarget;
    for (height, first, time, bits, expected) in DOGECOIN {
        let hardness = Hardness::Bits(bits);
        let parent = HeaderFacts { height, time, hardness, names_uncles: false };
        assert!(rule.looks_back_to(height + 1).is_some(), "{height}");
        let next = rule.next(&parent, Some(first), 0);
        assert_eq!(next, Some(Hardness::Bits(expected)), "after block {height}");
    }
    assert_eq!(rule.looks_back_to(145_001), Some(144_999));
    assert_eq!(rule.looks_back_to(145_000), None, "the last one of a period of 240");
}

#[test]
fn ethash_difficulties_follow_parent_times_and_uncles() {
    let rule = Retarget::Ethash { bomb_free_from: 0, uncles_from: 0, least: 131_072 };
    let after = |difficulty, parent_time: u64, time, names_uncles| {
        let hardness = Hardness::Difficulty(difficulty);
        let parent = HeaderFacts { height: 9, time: parent_time, hardness, names_uncles };
        rule.next(&parent, None, time)
    };
    // ethereum/tests, DifficultyTests for Byzantium (cases 1 and 1038), where the bomb is zero.
    let up = after(0x6963_001f_28ba_95c2, 0x2_8d21_4818, 0x2_8d21_4819, false);
    assert_eq!(up, Some(Hardness::Difficulty(0x6970_2c7f_2c9f_ad14)));
    let same = after(0x79f2_cbb8_c975_79b0, 0x7_2e44_035d, 0x7_2e44_0371, true);
    assert_eq!(same, Some(Hardness::Difficulty(0x79f2_cbb8_c975_79b0)));
    // A day without a block: 99 steps of a 2048th, and never below the least.
    let d = 2_048_000_000;
    assert_eq!(after(d, 0, 86_400, false), Some(Hardness::Difficulty(d - 99_000_000)));
    assert_eq!(after(131_073, 0, 86_400, false), Some(Hardness::Difficulty(131_072)));
    // ECIP-1041 took effect at 5,900,000, EIP-100 came with Atlantis.
    let mainnet = main(Asset::Etc).retarget;
    let parent = |height| HeaderFacts {
        height,
        time: 0,
        hardness: Hardness::Difficulty(d),
        names_uncles: true,
    };
    assert_eq!(mainnet.next(&parent(5_899_998), None, 13), None, "the bomb still ticks");
    let homestead = mainnet.next(&parent(5_899_999), None, 13);
    assert_eq!(homestead, Some(Hardness::Difficulty(d)), "13 seconds are one step of ten");
    let atlantis = mainnet.next(&parent(8_771_999), None, 13);
    assert_eq!(
        atlantis,
        Some(Hardness::Difficulty(d + d / 2_048)),
        "2 for uncles, less one of nine"
    );
}

#[test]
fn the_next_target_is_told_only_where_it_follows_from_the_tip() {
    let btc = main(Asset::Btc);
    assert_eq!(btc.bits_at(2_015, 0x1d00_ffff), Some(0x1d00_ffff));
    assert_eq!(btc.bits_at(2_016, 0x1d00_ffff), None, "a retarget");
    assert_eq!(btc.bits_at(2_017, 0x1d00_ffff), Some(0x1d00_ffff));
    let regtest = of(Asset::Btc, NetworkName::Regtest);
    assert_eq!(regtest.bits_at(2_016, 0x207f_ffff), Some(0x207f_ffff));
    for network in [NetworkName::Testnet, NetworkName::Dev] {
        let params = of(Asset::Btc, network);
        assert!(!params.foresees_blocks());
        assert_eq!(params.bits_at(5, 0x207f_ffff), None);
    }
    for network in NetworkName::ALL {
        assert!(!of(Asset::Ltc, network).foresees_blocks(), "an extension block");
        assert!(!of(Asset::Doge, network).foresees_blocks(), "a new target each block");
        assert!(!of(Asset::Etc, network).foresees_blocks(), "the node makes the block");
    }
}

#[test]
fn every_entry_has_each_network_once_and_is_whole() {
    let mut prefixes = HashSet::new();
    for rows in TABLE {
        for (row, network) in rows.iter().zip(NetworkName::ALL) {
            let title = row.title();
            assert_eq!(row.network, network, "{title}");
            assert_eq!(row.asset, rows[0].asset, "{title}");
            assert_eq!(row.family(), rows[0].family(), "{title}");
            assert!(row.spacing_secs > 0 && row.coinbase_maturity > 0 && row.confirmations > 0);
            assert!(row.fees.floor > 0 && row.fees.floor <= row.fees.fallback, "{title}");
            assert!(row.fees.fallback <= row.fees.ceiling, "{title}");
            assert!(row.subsidy(1).is_some() || row.subsidy_on(1, &[0; 32]).is_some(), "{title}");
            assert_eq!(row.segwit, row.bech32_hrp().is_some(), "{title}");
            if let Some(hrp) = row.bech32_hrp() {
                assert!(prefixes.insert(hrp), "{hrp} stands twice");
            }
        }
        assert!(!rows[0].genesis.is_empty(), "a real network has a first block");
    }
    let assets: HashSet<Asset> = coins().collect();
    assert_eq!(assets.len(), TABLE.len(), "an asset stands twice");
}

#[test]
fn money_that_is_no_chain_has_no_parameters() {
    for asset in [Asset::Usd, Asset::Eur, Asset::Eth] {
        assert!(params_for(asset, NetworkName::Mainnet).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn no_rule_panics_whatever_the_headers_say(
        height: u64, time: u64, first: u64, now: u64, bits: u32, difficulty: u128, uncles: bool,
    ) {
        for row in all() {
            let _ = (row.subsidy(height), row.subsidy_on(height, &[7; 32]));
            let _ = row.retarget.looks_back_to(height);
            for hardness in [Hardness::Bits(bits), Hardness::Difficulty(difficulty)] {
                let parent = HeaderFacts { height, time, hardness, names_uncles: uncles };
                let _ = (row.retarget.next(&parent, Some(first), now), hardness.work());
            }
        }
    }
}
