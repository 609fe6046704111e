use super::*;
use gruve_units::{Entropy, SeededEntropy};

/// A number from 0 to 1.
fn uniform(e: &SeededEntropy) -> f64 {
    let mut bytes = [0; 8];
    e.fill(&mut bytes);
    as_float(u64::from_be_bytes(bytes) >> 11) / as_float(1 << 53)
}

fn poisson(e: &SeededEntropy, mean: f64) -> u64 {
    // Waiting times of an exponential clock.
    let (mut n, mut left) = (0, mean);
    loop {
        left += uniform(e).max(1e-300).ln();
        if left <= 0.0 {
            return n;
        }
        n += 1;
    }
}

/// How many leading zeros an honest share of a class has.
fn zeros(e: &SeededEntropy, class: u8) -> u8 {
    let mut n = class;
    while uniform(e) < 0.5 && n < 200 {
        n += 1;
    }
    n
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * b.abs().max(1e-12), "{a} for {b}");
}

#[test]
fn chances_of_few_blocks_are_poissons() {
    // From tables; the first two are the reference's: no block in 4.61 is one in a hundred, in 6.91 one in a thousand.
    close(at_most(0, 4.605_170_185_988_092), 0.01);
    close(at_most(0, 6.907_755_278_982_137), 0.001);
    close(at_most(2, 5.0), 0.124_652_019_483_081_12);
    close(at_most(10, 10.0), 0.583_039_750_192_985_4);
    // Against the sum written out, where that does not underflow.
    for mean in [0.3f64, 3.0, 40.0, 600.0] {
        let (mut term, mut sum) = ((-mean).exp(), 0.0);
        for n in 0..900u64 {
            sum += term;
            term *= mean / as_float(n + 1);
            let p = at_most(n, mean);
            assert!((p - sum.min(1.0)).abs() < 1e-9, "P(X <= {n}) at {mean}: {p} for {sum}");
        }
    }
    close(at_most(0, 0.0), 1.0);
    assert!(at_most(100_000, 100_000.0) > 0.5 && at_most(98_000, 100_000.0) < 1e-9);
}

#[test]
fn honest_farms_raise_an_alarm_as_seldom_as_stated() {
    // Forty miners of all sizes, two tests each, one alarm in twenty farms at the most.
    let (alpha, farms, miners) = (0.05, 400, 40);
    let e = SeededEntropy::new(11);
    let mut alarms = 0;
    for _ in 0..farms {
        let found = (0..miners).any(|n| {
            let expected = 0.02 * 1.3f64.powi(n);
            let mut worked = Worked { expected, found: poisson(&e, expected), ..Worked::default() };
            for share in 0..200u32 {
                let class = if share % 3 == 0 { 36 } else { 32 };
                worked.tail.add(Class::new(class).unwrap(), zeros(&e, class));
            }
            worked.chances().is_finding(miners.unsigned_abs() as usize, alpha)
        });
        alarms += u32::from(found);
    }
    // Three standard deviations above 20 of 400.
    assert!(alarms <= 33, "{alarms} alarms in {farms} farms");
}

#[test]
fn whoever_withholds_is_found_as_often_as_stated() {
    let e = SeededEntropy::new(12);
    for (expected, withheld) in [(12.0, 1.0), (30.0, 0.5), (60.0, 0.5), (120.0, 0.3)] {
        let each = threshold(20, 0.01);
        let stated = power(expected, withheld, each);
        let runs = 4_000;
        let found = (0..runs)
            .filter(|_| at_most(poisson(&e, expected * (1.0 - withheld)), expected) < each)
            .count();
        let seen = as_float(found as u64) / f64::from(runs);
        let off = 4.0 * (stated * (1.0 - stated) / f64::from(runs)).sqrt() + 1e-9;
        assert!((seen - stated).abs() <= off, "{expected} blocks, {withheld}: {seen} for {stated}");
    }
}

#[test]
fn small_farms_cannot_be_told_by_blocks() {
    // The figures of docs/operators.md: twenty miners, one false alarm in a hundred looks.
    let each = threshold(20, 0.01);
    assert!(power(8.0, 1.0, each) < 0.5);
    let all = blocks_needed(1.0, each, 0.9).unwrap();
    let half = blocks_needed(0.5, each, 0.9).unwrap();
    let tenth = blocks_needed(0.1, each, 0.9).unwrap();
    assert!((8.2..8.4).contains(&all), "{all}");
    assert!((71.0..74.0).contains(&half), "{half}");
    assert!((2_150.0..2_250.0).contains(&tenth), "{tenth}");
}

#[test]
fn a_tail_that_is_cut_is_found_long_before_blocks_tell() {
    // A day of a machine at six shares a minute; it drops what is five hundred times better than its class, which is no
    // block by far.
    let e = SeededEntropy::new(13);
    let (mut honest, mut cut) = (Tail::default(), Tail::default());
    for _ in 0..6 * 60 * 24 {
        let z = zeros(&e, 40);
        honest.add(Class::new(40).unwrap(), z);
        if z < 49 {
            cut.add(Class::new(40).unwrap(), z);
        }
    }
    assert!(honest.chance().0 > 0.01, "{:?}", honest.chance());
    let (chance, level) = cut.chance();
    assert!(chance < threshold(1_000, 0.01), "{chance}");
    assert_eq!(level, Some(49));
    let as_worked = Worked { expected: 1e-9, found: 0, tail: cut };
    assert!(as_worked.chances().is_finding(1_000, 0.01));
}

#[test]
fn harder_classes_do_not_hide_a_cut_tail() {
    // Hard shares reach high levels by themselves; what is missing are the easy ones that should have.
    let mut tail = Tail::default();
    for _ in 0..50_000 {
        tail.add(Class::new(60).unwrap(), 60);
    }
    for n in 0..1_024u32 {
        tail.add(Class::new(50).unwrap(), 50 + u8::try_from(n.trailing_ones().min(4)).unwrap());
    }
    let (chance, level) = tail.chance();
    assert!(chance < 1e-9, "{chance} at {level:?}");
    // Merging with nothing changes nothing; with itself doubles.
    let mut twice = tail.clone();
    twice.merge(&Tail::default());
    assert_eq!(twice, tail);
    twice.merge(&tail);
    assert_eq!(twice.shares(), 2 * tail.shares());
    assert_eq!(Tail::from_bytes(&tail.to_bytes()), Some(tail.clone()));
    assert_eq!(Tail::from_bytes(&tail.to_bytes()[1..]), None);
}
