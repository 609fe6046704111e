use super::*;
use gruve_store::testing::prepare_all;
use gruve_store::{Store, laws};
use proptest::prelude::*;

async fn every_statement_prepares(store: Store) {
    let w = crate::world::World::new(store).await;
    prepare_all(&w.store, STATEMENTS).await;
}

laws! { statements: [every_statement_prepares] }

fn covers(f: &Freeze, epoch: u64) -> bool {
    f.from.0 <= epoch && f.until.is_none_or(|until| epoch < until.0)
}

proptest! {
    /// Whatever disputes there are, an epoch that any of them covers stands still once.
    #[test]
    fn stretches_are_the_epochs_that_a_dispute_covers(
        of in prop::collection::vec((0u64..30, prop::option::of(0u64..30)), 0..6),
        from in 0u64..30,
        more in 0u64..12,
    ) {
        let freeze = |(from, until): &(u64, Option<u64>)| Freeze {
            from: EpochNumber(*from),
            until: until.map(EpochNumber),
            lost: None,
        };
        let mut all: Vec<Freeze> = of.iter().map(freeze).collect();
        all.sort_by_key(|f| f.from);
        let found = stretches(&all, EpochNumber(from), EpochNumber(from + more));
        let is_in = |e: u64| found.iter().filter(|s| s.first.0 <= e && e <= s.last.0).count();
        for e in 0..60 {
            let expected = (from..=from + more).contains(&e) && all.iter().any(|f| covers(f, e));
            prop_assert_eq!(is_in(e), usize::from(expected), "epoch {}", e);
        }
        let apart = found.windows(2).all(|two| two[0].last.next() < two[1].first);
        prop_assert!(apart, "{:?}", found);
    }
}
