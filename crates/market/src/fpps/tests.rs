use super::*;
use proptest::prelude::*;

const BITS: u32 = 0x1d00_ffff;

fn job(height: u64, bits: u32, work: u128) -> JobWork {
    JobWork { height, bits, work: Hashes(work) }
}

fn block() -> u128 {
    Target::from_compact(BITS).unwrap().expected_hashes().0
}

fn bps(n: u16) -> Bps {
    Bps::new(n).unwrap()
}

#[test]
fn a_blocks_work_earns_a_block_less_the_fee() {
    let done = Hashes(block() * 4);
    let jobs = [(job(100, BITS, block() * 4), 312_500_000)];
    let got = earned(Hashes(block()), done, &jobs, bps(200)).unwrap();
    assert_eq!(got, Accrual::from_minor(306_250_000).unwrap());
    assert_eq!(
        earned(Hashes(block()), done, &jobs, Bps::ZERO).unwrap().split().unwrap().0,
        312_500_000
    );
}

#[test]
fn each_height_and_target_is_paid_at_its_own() {
    // Half of the work at 100 coins a block, a quarter at 300, a quarter at 300 and eight times as hard.
    let harder = 0x1c1f_ffe0;
    assert_eq!(Target::from_compact(harder).unwrap().expected_hashes().0 / block(), 8);
    let quarter = block() * 2;
    let jobs = [
        (job(1, BITS, quarter * 2), 100_000),
        (job(2, BITS, quarter), 300_000),
        (job(3, harder, quarter), 300_000),
    ];
    let done = Hashes(quarter * 4);
    let got = earned(done, done, &jobs, Bps::ZERO).unwrap().split().unwrap().0;
    assert!((400_000 + 600_000 + 74_900..=400_000 + 600_000 + 75_000).contains(&got), "{got}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let jobs = [(job(1, BITS, 10), 5)];
    assert!(earned(Hashes(11), Hashes(10), &jobs, Bps::ZERO).is_err());
    assert!(earned(Hashes(0), Hashes(0), &jobs, Bps::ZERO).is_err());
    assert!(earned(Hashes(1), Hashes(10), &[(job(1, 0, 10), 5)], Bps::ZERO).is_err());
    assert!(earned(Hashes(1), Hashes(10), &[(job(1, BITS, 10), -5)], Bps::ZERO).is_err());
    // Work that was not merge-mined earns nothing of the other asset.
    assert_eq!(earned(Hashes(1), Hashes(10), &[], Bps::ZERO).unwrap(), Accrual::ZERO);
}

proptest! {
    #[test]
    fn parts_never_earn_more_than_the_whole(
        parts in proptest::collection::vec(0u128..1 << 50, 1..8), worth in 0i64..1 << 40, fee in 0u16..5_000,
    ) {
        let done = Hashes(parts.iter().sum::<u128>() + 1);
        let jobs = [(job(1, BITS, done.0 / 3), worth), (job(2, 0x1c00_ffff, done.0 - done.0 / 3), worth / 2)];
        let all = earned(done, done, &jobs, bps(fee)).unwrap();
        let sum: u128 = parts.iter().map(|p| earned(Hashes(*p), done, &jobs, bps(fee)).unwrap().0).sum();
        prop_assert!(sum <= all.0);
        // No more is lost than one unit for each target and contract.
        let rest = earned(Hashes(1), done, &jobs, bps(fee)).unwrap().0;
        prop_assert!(all.0 - sum <= rest + 2 * (parts.len() as u128 + 1));
    }

    #[test]
    fn a_fee_is_taken_of_the_whole(work in 1u128..1 << 50, worth in 0i64..1 << 40, fee in 0u16..5_000) {
        let jobs = [(job(1, BITS, work), worth)];
        let gross = earned(Hashes(work), Hashes(work), &jobs, Bps::ZERO).unwrap().0;
        let net = earned(Hashes(work), Hashes(work), &jobs, bps(fee)).unwrap().0;
        let part = |gross: u128| u128::try_from(Wide::from(gross) * Wide::from(10_000 - fee) / Wide::from(10_000u32)).unwrap();
        prop_assert!((part(gross)..=part(gross + 1)).contains(&net));
    }
}
