//! Which way is the fastest on this processor: told by trying all for an instant, at the first use.
//!
//! A list made beforehand would be wrong somewhere: the SHA extensions are worth twice the lanes of AVX-512 on one maker's
//! processors and half of them on another's. The answer never changes a hash, only the time it takes.

use std::time::{Duration, Instant};

/// Runs of each: others' work on the processor makes one longer, never shorter, so the shortest counts.
const RUNS: usize = 7;

/// `all`, the fastest first.
pub(super) fn fastest_first<V: Copy>(all: &[V], mut run: impl FnMut(V)) -> Vec<V> {
    let mut timed: Vec<(Duration, V)> = all.iter().map(|&v| (Duration::MAX, v)).collect();
    // In turns, so that a busy instant meets all alike.
    for _ in 0..RUNS {
        for (shortest, v) in &mut timed {
            let begun = Instant::now();
            run(*v);
            *shortest = begun.elapsed().min(*shortest);
        }
    }
    timed.sort_by_key(|&(shortest, _)| shortest);
    timed.into_iter().map(|(_, v)| v).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_tried_and_all_are_kept() {
        let mut runs = [0; 3];
        let mut order = fastest_first(&[0usize, 1, 2], |v| runs[v] += 1);
        order.sort_unstable();
        assert_eq!((order, runs), (vec![0, 1, 2], [RUNS; 3]));
        assert!(fastest_first(&[] as &[u8], |_| ()).is_empty());
    }

    #[test]
    fn what_takes_longer_comes_later() {
        // A run of the slow one ends when its time has passed, whatever else the processor does.
        let slow = Duration::from_millis(5);
        let order = fastest_first(&[true, false], |is_slow| {
            let begun = Instant::now();
            while is_slow && begun.elapsed() < slow {
                std::hint::spin_loop();
            }
        });
        assert_eq!(order, [false, true]);
    }
}
