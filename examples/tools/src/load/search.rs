//! The search for the largest load that a relay bears: it doubles the load until the target is missed, then bisects.

/// A search over whole numbers of connections, or of packets a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    start: u64,
    least: u64,
    most: u64,
    kept: Option<u64>,
    missed: Option<u64>,
}

/// The search ends when the largest load that was kept and the smallest that was missed are within this share.
const PRECISION: f64 = 0.05;

/// The smallest load that is tried is this part of the first.
const SMALLEST_PART: u64 = 64;

impl Search {
    /// Begins with the load `start`, and tries none below `least` or above `most`.
    pub fn new(start: u64, least: u64, most: u64) -> Self {
        let most = most.max(1);
        let start = start.clamp(1, most);
        let least = least.max(start / SMALLEST_PART).clamp(1, start);
        Self { start, least, most, kept: None, missed: None }
    }

    /// The load to try next; `None` at the end of the search.
    pub fn next(&self) -> Option<u64> {
        match (self.kept, self.missed) {
            (None, None) => Some(self.start),
            (Some(kept), None) => (kept < self.most).then(|| kept.saturating_mul(2).min(self.most)),
            (None, Some(missed)) => (missed > self.least).then(|| (missed / 2).max(self.least)),
            (Some(kept), Some(missed)) => {
                let is_precise = (missed - kept) as f64 <= PRECISION * missed as f64;
                Some(kept + (missed - kept) / 2).filter(|middle| *middle > kept && !is_precise)
            }
        }
    }

    /// Whether this load kept the target.
    pub fn record(&mut self, load: u64, is_kept: bool) {
        if is_kept { self.kept = self.kept.max(Some(load)) } else { self.missed = Some(load) }
    }

    /// The largest load that kept the target.
    pub fn largest(&self) -> Option<u64> {
        self.kept
    }

    /// Whether the largest load that may be tried kept the target.
    pub fn is_at_most(&self) -> bool {
        self.kept == Some(self.most)
    }

    /// The smallest load that missed the target; `None` if none did.
    pub fn smallest_missed(&self) -> Option<u64> {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches on a relay that bears at most `limit`, and returns the loads that were tried.
    fn search(mut search: Search, limit: u64) -> (Vec<u64>, Search) {
        let mut tried = Vec::new();
        while let Some(load) = search.next() {
            tried.push(load);
            search.record(load, load <= limit);
            assert!(tried.len() < 50, "{tried:?}");
        }
        (tried, search)
    }

    #[test]
    fn it_steps_up_then_bisects() {
        let (tried, found) = search(Search::new(1000, 1, 1_000_000), 5500);
        assert_eq!(tried, [1000, 2000, 4000, 8000, 6000, 5000, 5500, 5750]);
        assert_eq!((found.largest(), found.smallest_missed()), (Some(5500), Some(5750)));
    }

    #[test]
    fn it_steps_down_if_the_first_load_is_too_much() {
        let (tried, found) = search(Search::new(1000, 1, 10_000), 300);
        assert_eq!(tried[..3], [1000, 500, 250]);
        assert!((286..=300).contains(&found.largest().unwrap()), "{found:?}");
    }

    #[test]
    fn it_ends_at_the_most_that_may_be_tried() {
        let (tried, found) = search(Search::new(100, 1, 1000), u64::MAX);
        assert_eq!(tried, [100, 200, 400, 800, 1000]);
        assert_eq!((found.largest(), found.smallest_missed(), found.is_at_most()), (Some(1000), None, true));
        let (_, found) = search(Search::new(100, 1, 1000), 999);
        assert!(!found.is_at_most(), "{found:?}");
    }

    #[test]
    fn it_gives_up_if_nothing_is_kept() {
        let (tried, found) = search(Search::new(1000, 1, 10_000), 0);
        assert_eq!(found.largest(), None);
        assert_eq!(tried.last(), Some(&15));
        let (tried, found) = search(Search::new(1, 1, 10), 0);
        assert_eq!((tried, found.largest()), (vec![1], None));
    }

    #[test]
    fn it_never_tries_less_than_the_least() {
        let (tried, found) = search(Search::new(100, 30, 1000), 0);
        assert_eq!((tried, found.largest()), (vec![100, 50, 30], None));
        let (tried, found) = search(Search::new(100, 30, 1000), 30);
        assert_eq!(tried[..4], [100, 50, 30, 40]);
        assert_eq!(found.largest(), Some(30));
        let (tried, _) = search(Search::new(100, 100, 1000), 0);
        assert_eq!(tried, [100]);
    }

    #[test]
    fn the_result_is_within_the_precision_for_any_limit() {
        for limit in 20..3000 {
            let (_, found) = search(Search::new(500, 1, 1_000_000), limit);
            let largest = found.largest().unwrap();
            assert!(largest <= limit && limit as f64 * 0.94 <= largest as f64 + 1.0, "{limit} {found:?}");
        }
    }
}
