//! What a probe has measured.

use std::time::Duration;

use tox_relay_client::ConnectTimes;

use crate::problem::Problem;

/// What is known of one relay at one address. `None` is what was not reached, or not tried.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    pub phases: Phases,
    pub pings: Pings,
    /// The time until an OOB packet was at the second connection.
    pub oob: Option<Duration>,
    /// The time until the route was online at both ends.
    pub route: Option<Duration>,
    /// The time until data had been to the second connection and back.
    pub echo: Option<Duration>,
    pub extras: Extras,
    /// What went wrong, in this order.
    pub problems: Vec<Problem>,
    /// Whether Ctrl-C came before the end.
    pub is_interrupted: bool,
}

/// How long each step of connecting took.
#[derive(Debug, Default, PartialEq)]
pub struct Phases {
    pub tcp: Option<Duration>,
    /// `None` without a proxy.
    pub tunnel: Option<Duration>,
    pub handshake: Option<Duration>,
    pub proof: Option<Duration>,
}

impl From<ConnectTimes> for Phases {
    fn from(times: ConnectTimes) -> Self {
        let ConnectTimes { transport, tunnel, handshake, connected, .. } = times;
        let between = |from: Option<Duration>, to: Option<Duration>| Some(to?.saturating_sub(from?));
        Self {
            tcp: transport,
            tunnel: between(transport, tunnel),
            handshake: between(tunnel.or(transport), handshake),
            proof: between(handshake, connected),
        }
    }
}

/// The round trips of the pings, without the first one, which is the proof.
#[derive(Debug, Default, PartialEq)]
pub struct Pings {
    pub sent: u32,
    /// In ascending order.
    round_trips: Vec<Duration>,
}

impl Pings {
    pub fn add(&mut self, round_trip: Duration) {
        let place = self.round_trips.partition_point(|other| *other <= round_trip);
        self.round_trips.insert(place, round_trip);
    }

    pub fn answered(&self) -> u32 {
        self.round_trips.len() as u32
    }

    pub fn lost(&self) -> u32 {
        self.sent.saturating_sub(self.answered())
    }

    pub fn smallest(&self) -> Option<Duration> {
        self.round_trips.first().copied()
    }

    /// The lower one of the middle two, so that it is a time that was measured.
    pub fn median(&self) -> Option<Duration> {
        let middle = self.round_trips.len().checked_sub(1)? / 2;
        self.round_trips.get(middle).copied()
    }

    pub fn largest(&self) -> Option<Duration> {
        self.round_trips.last().copied()
    }

    pub fn sum(&self) -> Duration {
        self.round_trips.iter().sum()
    }
}

/// What is tried only if it is named.
#[derive(Debug, Default, PartialEq)]
pub struct Extras {
    /// Bytes.
    pub largest_data: Option<usize>,
    /// Bytes.
    pub largest_oob: Option<usize>,
    pub burst: Option<Burst>,
    pub routes: Option<usize>,
    pub onion: Option<Passing>,
    pub forward: Option<Passing>,
    /// What listens there, if it is no relay: such as `SSH: SSH-2.0-OpenSSH_9.6`.
    pub banner: Option<String>,
}

/// Packets that were sent at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    pub sent: usize,
    pub received: usize,
    /// Of those that were received.
    pub bytes: usize,
    /// From the first one sent to the last one received.
    pub time: Duration,
}

/// What became of a request to a node on UDP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Passing {
    /// An answer came back.
    Answered(Duration),
    /// The relay has taken the request, and nothing came back: it ignores such requests, or the answer cannot reach us.
    Accepted,
    /// The relay ended the connection.
    Refused,
}

impl Passing {
    /// For programs: it does not change.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }

    /// When the answer came.
    pub fn time(self) -> Option<Duration> {
        match self {
            Self::Answered(time) => Some(time),
            Self::Accepted | Self::Refused => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_median_of_an_even_number_is_one_of_them() {
        let mut pings = Pings::default();
        assert_eq!((pings.smallest(), pings.median(), pings.largest()), (None, None, None));
        for millis in [4, 1, 3, 2] {
            pings.add(millis * MS);
        }
        assert_eq!(
            (pings.smallest(), pings.median(), pings.largest()),
            (Some(MS), Some(2 * MS), Some(4 * MS))
        );
        pings.add(5 * MS);
        pings.sent = 7;
        assert_eq!((pings.median(), pings.lost(), pings.sum()), (Some(3 * MS), 2, 15 * MS));
    }
}
