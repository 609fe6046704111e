use super::super::past::PAST_WEEKS;
use super::super::past::kept::{BTC, LTC, weeks};
use super::*;

/// As many as for a quote.
const QUOTED: usize = super::super::SCENARIOS as usize;

/// Of a hundred terms after weeks of the last years of a history: how many of the intervals of nine in ten, as wide as was
/// learnt by then, held what came (coins, then their value), how many of the past's own width, and how many brought fewer coins.
#[derive(Debug)]
struct Score {
    coins: usize,
    value: usize,
    unwidened: usize,
    fewer: usize,
}

fn score(weeks: &[(f64, f64)], term: usize) -> Score {
    let sufficed = all_sufficed(weeks, term);
    let (mut held, mut all) = ([0; 4], 0);
    for now in (PAST_WEEKS..weeks.len() - term).step_by(4) {
        let past = Past::of(&weeks[..=now]).unwrap();
        let (price, difficulty) = weeks[now];
        let came = earned(term, |k| (weeks[now + k].0 / price, weeks[now + k].1 / difficulty));
        let times = learnt(&sufficed, term, now).unwrap();
        // Drawn anew: not the futures that widths are learnt by.
        let seed = u64::MAX - now as u64;
        let (mut coins, mut values) = futures(&past.clone().widened(times), term, QUOTED, seed);
        let at = place(&mut coins, came.0);
        held[0] += usize::from(at.is_eq());
        held[1] += usize::from(place(&mut values, came.1).is_eq());
        held[2] += usize::from(place(&mut futures(&past, term, QUOTED, seed).0, came.0).is_eq());
        held[3] += usize::from(at.is_lt());
        all += 1;
    }
    let [coins, value, unwidened, fewer] = held.map(|n| n * 100 / all);
    Score { coins, value, unwidened, fewer }
}

#[test]
fn the_interval_holds_what_came_as_often_as_the_docs_say() {
    // docs/statements.md, within three of a hundred; and the bound that it promises.
    let said = [
        (BTC, [(4, 96, 92), (13, 97, 94), (26, 96, 92), (52, 99, 82)]),
        (LTC, [(4, 90, 82), (13, 86, 71), (26, 94, 52), (52, 100, 53)]),
    ];
    for (csv, terms) in said {
        let weeks = weeks(csv);
        for (term, coins, unwidened) in terms {
            let s = score(&weeks, term);
            assert!(s.coins >= 85 && s.value >= 85, "{term}: {s:?}");
            let near = |got: usize, said: usize| got.abs_diff(said) <= 3;
            assert!(near(s.coins, coins) && near(s.unwidened, unwidened), "{term}: {s:?}");
            assert!(s.fewer <= 3, "{term}: {s:?}");
        }
    }
}

#[test]
fn the_widths_that_are_shipped_are_those_learnt_of_the_kept_histories() {
    let shipped = [
        (BTC, include_str!("../../../data/btc-widths.csv")),
        (LTC, include_str!("../../../data/ltc-widths.csv")),
    ];
    for (csv, shipped) in shipped {
        let learnt = Widths::known(&weeks(csv));
        assert_eq!(learnt.written(), shipped);
        assert_eq!(Widths::read(shipped), learnt);
    }
    // For one term the same comes of fewer of them.
    let weeks = weeks(LTC);
    let (all, short) = (Widths::known(&weeks), &weeks[..110]);
    for weeks_of in [1.0, 4.0, 20.0, 52.14, 300.0] {
        let secs = weeks_of * WEEK_SECS;
        assert_eq!(Widths::known_for(&weeks, secs).at(secs), all.at(secs), "{weeks_of}");
        let few = Widths::known(short);
        assert_eq!(Widths::known_for(short, secs).at(secs), few.at(secs), "{weeks_of}");
    }
}

#[test]
fn what_comes_after_a_day_changes_no_width_of_it() {
    let all = weeks(LTC);
    let sufficed = all_sufficed(&all, 13);
    for now in [PAST_WEEKS, 260, 300] {
        let other: Vec<_> =
            (0..).zip(&all).map(|(n, w)| if n > now { (1.0, 1e9) } else { *w }).collect();
        let then = learnt(&all_sufficed(&all[..=now], 13), 13, now);
        assert!(then.is_some());
        assert_eq!(learnt(&sufficed, 13, now), then, "{now}");
        assert_eq!(learnt(&all_sufficed(&other, 13), 13, now), then, "{now}");
    }
}

#[test]
fn widths_are_interpolated_between_terms_and_stay_beyond_them() {
    let widths = Widths::read("weeks,times\n4,1\n13,2\n26,1.5\n");
    let at = |weeks: f64| widths.at(weeks * WEEK_SECS).unwrap();
    for (weeks, want) in [(0.1, 1.0), (4.0, 1.0), (8.5, 1.5), (13.0, 2.0), (26.0, 1.5), (99.0, 1.5)]
    {
        assert!((at(weeks) - want).abs() < 1e-9, "{weeks}: {}", at(weeks));
    }
    assert_eq!(Widths::known(&[(1.0, 1.0); 60]).at(1e6), None, "no term is over often enough");
    assert_eq!(Widths::read("").at(1e6), None);
}

#[test]
fn wider_futures_have_the_means_of_narrow_ones_and_lie_farther_apart() {
    let past = Past::shipped(gruve_units::Asset::Btc).unwrap();
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let many = |past: &Past| {
        let all: Vec<_> = (0..60).map(|seed| futures(past, 26, 100, seed)).collect();
        let (coins, values): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        (coins.concat(), values.concat())
    };
    let (narrow, wide) = (many(&past), many(&past.clone().widened(2.0)));
    for (a, b) in [(&narrow.0, &wide.0), (&narrow.1, &wide.1)] {
        assert!((mean(a) / mean(b) - 1.0).abs() < 0.03, "{} {}", mean(a), mean(b));
    }
    let apart = |all: &[f64]| {
        let mut all: Vec<f64> = all.iter().map(|x| x.ln()).collect();
        all.sort_unstable_by(f64::total_cmp);
        all[all.len() * 95 / 100] - all[all.len() * 5 / 100]
    };
    let times = apart(&wide.0) / apart(&narrow.0);
    assert!((1.8..2.2).contains(&times), "{times}");
}
