//! What a relay has to keep to, such as `p99<100ms,loss<0.1%`, and whether it did.

use std::fmt;
use std::str::FromStr;

use crate::load::latency::Quantiles;
use crate::seconds;

/// Conditions, all of which have to be met.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target(Vec<Condition>);

/// One condition.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Condition {
    measure: Measure,
    is_below: bool,
    /// Seconds, or a share from 0 to 1.
    bound: f64,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    P50,
    P90,
    P99,
    P999,
    Largest,
    Loss,
    Failed,
    Reached,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// `None` if nothing was received: then no bound of a latency is kept.
    pub latency: Option<Quantiles>,
    /// The lost packets, as a share of those that were sent.
    pub loss: f64,
    /// The connections that failed, as a share of those that were asked for.
    pub failed: f64,
    /// The packets that were received, as a share of those that were asked for and could arrive.
    pub reached: f64,
}

/// A condition that was not met, and what was measured instead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Miss {
    condition: Condition,
    found: Option<f64>,
}

const MEASURES: [(&str, Measure); 8] = [
    ("p50", Measure::P50),
    ("p90", Measure::P90),
    ("p99", Measure::P99),
    ("p99.9", Measure::P999),
    ("max", Measure::Largest),
    ("loss", Measure::Loss),
    ("failed", Measure::Failed),
    ("reached", Measure::Reached),
];

impl Target {
    /// The conditions that were not met.
    pub fn misses(&self, measured: &Measured) -> Vec<Miss> {
        let conditions = self.0.iter().copied();
        let misses = conditions.map(|condition| Miss { condition, found: condition.measure.of(measured) });
        misses.filter(|miss| !miss.found.is_some_and(|found| miss.condition.is_met(found))).collect()
    }

    /// Whether there are no conditions.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the conditions of another target for what this one says nothing about.
    pub fn or(mut self, other: Self) -> Self {
        let is_new = |condition: &Condition| self.0.iter().all(|own| own.measure != condition.measure);
        let new: Vec<_> = other.0.into_iter().filter(is_new).collect();
        self.0.extend(new);
        self
    }
}

impl Condition {
    fn is_met(&self, found: f64) -> bool {
        if self.is_below { found < self.bound } else { found > self.bound }
    }
}

impl Measure {
    fn is_time(self) -> bool {
        !matches!(self, Self::Loss | Self::Failed | Self::Reached)
    }

    fn of(self, measured: &Measured) -> Option<f64> {
        let latency = |of: fn(&Quantiles) -> f64| measured.latency.as_ref().map(of);
        match self {
            Self::P50 => latency(|latency| latency.p50),
            Self::P90 => latency(|latency| latency.p90),
            Self::P99 => latency(|latency| latency.p99),
            Self::P999 => latency(|latency| latency.p999),
            Self::Largest => latency(|latency| latency.largest),
            Self::Loss => Some(measured.loss),
            Self::Failed => Some(measured.failed),
            Self::Reached => Some(measured.reached),
        }
    }

    /// The value in the unit of the measure, for people.
    fn show(self, value: f64) -> String {
        if self.is_time() {
            format!("{}ms", round(value * 1e3))
        } else {
            format!("{}%", round(value * 100.0))
        }
    }
}

/// To a thousandth, without needless zeros.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|condition| condition.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(['<', '>']).ok_or(format!("{text:?} has no < or >, as in p99<100ms"))?;
        let (name, bound) = (text[..at].trim(), text[at + 1..].trim());
        let measure = MEASURES.iter().find(|(known, _)| *known == name).map(|(_, measure)| *measure);
        let measure = measure.ok_or_else(|| {
            let known: Vec<_> = MEASURES.iter().map(|(name, _)| *name).collect();
            format!("{name:?} is not measured; there are {}", known.join(", "))
        })?;
        let bound = if measure.is_time() {
            // A bare number would be seconds, and who writes one here means milliseconds.
            let has_unit = bound.ends_with(|letter: char| letter.is_ascii_alphabetic());
            if !has_unit {
                Err("a unit is missing, as in 100ms".to_owned())
            } else {
                seconds::parse(bound).map(|time| time.as_secs_f64())
            }
        } else {
            percentage(bound)
        };
        let bound = bound.map_err(|error| format!("{text:?}: {error}"))?;
        Ok(Self { measure, is_below: text[at..].starts_with('<'), bound })
    }
}

/// A share from 0 to 1, written as a percentage.
pub fn percentage(text: &str) -> Result<f64, String> {
    let share = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    share
        .map(|share| share / 100.0)
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or(format!("a percentage from 0% to 100% is expected, and not {text:?}"))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.0.iter().enumerate() {
            write!(f, "{}{condition}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = MEASURES.iter().find(|(_, measure)| *measure == self.measure).map_or("", |(name, _)| name);
        let sign = if self.is_below { '<' } else { '>' };
        write!(f, "{name}{sign}{}", self.measure.show(self.bound))
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { condition, found } = self;
        match found {
            Some(found) => write!(f, "{condition} (it was {})", condition.measure.show(*found)),
            None => write!(f, "{condition} (nothing was received)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let latency = Quantiles { p50: 0.01, p90: 0.02, p99: 0.05, p999: 0.08, largest: 0.3 };
        Measured { latency: Some(latency), loss: 0.002, failed: 0.0, reached: 0.97 }
    }

    #[test]
    fn each_measure_is_compared_with_its_bound() {
        for (text, is_met) in [
            ("p50<11ms", true),
            ("p50<10ms", false),
            ("p90<20500us", true),
            ("p99 < 100ms", true),
            ("p99.9<80ms", false),
            ("max<1s", true),
            ("loss<0.1%", false),
            ("loss<0.3%", true),
            ("failed<1%", true),
            ("reached>95%", true),
            ("reached>98%", false),
            ("p99<100ms, loss<1%", true),
            ("p99<100ms,loss<0.1%", false),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.misses(&measured()).is_empty(), is_met, "{text}");
        }
    }

    #[test]
    fn without_packets_no_latency_is_kept() {
        let nothing = Measured { latency: None, ..measured() };
        let misses = "p99<10s".parse::<Target>().unwrap().misses(&nothing);
        assert_eq!(misses[0].to_string(), "p99<10000ms (nothing was received)");
    }

    #[test]
    fn a_miss_says_what_was_found() {
        let target: Target = "p99.9<50ms, loss<0.1%".parse().unwrap();
        let misses: Vec<_> = target.misses(&measured()).iter().map(Miss::to_string).collect();
        assert_eq!(misses, ["p99.9<50ms (it was 80ms)", "loss<0.1% (it was 0.2%)"]);
        assert_eq!(target.to_string(), "p99.9<50ms,loss<0.1%");
    }

    #[test]
    fn a_target_is_completed_by_conditions_for_other_measures() {
        let target: Target = "loss<5%".parse().unwrap();
        let completed = target.or("loss<1%,reached>95%".parse().unwrap());
        assert_eq!(completed.to_string(), "loss<5%,reached>95%");
    }

    #[test]
    fn what_is_no_target_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "no < or >"),
            ("p99", "no < or >"),
            ("p98<1ms", "p99.9"),
            ("p99<100", "p99<100"),
            ("loss<1ms", "percentage"),
            ("loss<200%", "percentage"),
            ("loss<NaN%", "percentage"),
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
