use super::*;
use gruve_units::{Entropy, SeededEntropy};

#[allow(clippy::cast_precision_loss)] // shown against published figures
fn shown(fixed: u128) -> f64 {
    fixed as f64 / ONE as f64
}

fn published() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/payout-checks.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bps(fee: &str) -> Bps {
    let fee: f64 = fee.parse().unwrap();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Bps::new((fee * 10_000.0).round() as u16).unwrap()
}

#[test]
fn the_published_coefficients_and_reserves_hold() {
    let all = published();
    for (fee, row) in all["adjustment_coefficient"].as_object().unwrap() {
        let theta = shown(adjustment_coefficient(bps(fee)).unwrap());
        let exact = row["theta_exact"].as_f64().unwrap();
        assert!((theta - exact).abs() < 1e-12, "{fee}: {theta} {exact}");
        assert!(theta > row["theta_rosenfeld_2f"].as_f64().unwrap());
        let blocks = shown(reserve_blocks(bps(fee), 1_000).unwrap());
        let exact = row["reserve_blocks_for_delta_1e3"].as_f64().unwrap();
        assert!((blocks - exact).abs() < 1e-8, "{fee}: {blocks} {exact}");
        assert!(blocks < row["reserve_blocks_rosenfeld"].as_f64().unwrap());
    }
}

#[test]
fn no_reserve_lasts_without_a_fee() {
    assert_eq!(adjustment_coefficient(Bps::ZERO), None);
    assert_eq!(floor_minor(Bps::ZERO, 1_000, 50), None);
    assert!(adjustment_coefficient(Bps::new(1).unwrap()).is_some());
    assert!(adjustment_coefficient(Bps::new(5_000).unwrap()).is_some());
}

#[test]
fn a_floor_is_the_reserve_and_half_a_window_rounded_up() {
    // 66.755 blocks of 1,000 and four more.
    assert_eq!(floor_minor(Bps::new(500).unwrap(), 1_000, 1_000), Some(70_756));
    assert_eq!(floor_minor(Bps::new(1).unwrap(), 1, i64::MAX), None);
}

#[test]
fn reserves_fall_with_the_fee_and_with_the_chance_accepted() {
    let reserve = |fee, ppm| reserve_blocks(Bps::new(fee).unwrap(), ppm).unwrap();
    for fee in [1, 10, 100, 1_000, 4_999] {
        assert!(reserve(fee + 1, 1_000) < reserve(fee, 1_000));
        assert!(reserve(fee, 1_001) < reserve(fee, 1_000));
    }
}

/// The share of seeded lives in which a reserve of `blocks` was used up.
fn simulated(fee: f64, blocks: f64, lives: u32, seed: u64) -> f64 {
    let random = SeededEntropy::new(seed);
    let mut bytes = [0; 8];
    let mut ruined = 0u32;
    for _ in 0..lives {
        let mut reserve = blocks;
        // What is not lost after so many blocks has drifted far away from nothing.
        for _ in 0..3_000 {
            random.fill(&mut bytes);
            #[allow(clippy::cast_precision_loss)]
            let uniform = ((u64::from_le_bytes(bytes) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            reserve -= (1.0 - fee) * -uniform.ln();
            if reserve < 0.0 {
                ruined += 1;
                break;
            }
            reserve += 1.0;
        }
    }
    f64::from(ruined) / f64::from(lives)
}

#[test]
fn simulated_farms_are_ruined_as_seldom_as_published() {
    let all = published();
    for (case, row) in all["pps_ruin"].as_object().unwrap() {
        let (fee, delta) = case.split_once(' ').unwrap();
        let fee: f64 = fee.split_once('=').unwrap().1.parse().unwrap();
        let delta: f64 = delta.split_once('=').unwrap().1.parse().unwrap();
        let blocks = row["R_blocks_rosenfeld"].as_f64().unwrap();
        let lives = 1_000;
        let got = simulated(fee, blocks, lives, 5);
        let said = row["simulated_ruin"].as_f64().unwrap();
        // Four deviations of both samples, theirs of some hundreds.
        let spread = 4.0 * (said.max(0.005) * 2.5 / f64::from(lives)).sqrt();
        assert!((got - said).abs() < spread, "{case}: {got}, published {said}");
        assert!(got <= delta + spread, "{case}: {got} is above {delta}");
    }
    // The exact reserve keeps its chance too.
    let blocks = shown(reserve_blocks(Bps::new(500).unwrap(), 100_000).unwrap());
    assert!(simulated(0.05, blocks, 1_000, 6) <= 0.1 + 0.02);
}
