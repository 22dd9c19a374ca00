//! The state of a relay.

/// The state of a relay, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// All well.
    Up,
    /// Slow, or it loses packets.
    Warning,
    /// Slower than the critical limit.
    Critical,
    /// It has proved its key, but does not pass packets on.
    Failing,
    /// It breaks the protocol.
    Violation,
    /// Something else answers: another key, another server.
    Impostor,
    /// Not reached, or it stopped to answer.
    Down,
    /// The proxy does not work, so nothing is known of the relay.
    Proxy,
    /// Interrupted before anything was known.
    Unknown,
}

impl State {
    /// For tables.
    pub fn letter(self) -> char {
        match self {
            Self::Up => 'U',
            Self::Warning => 'W',
            Self::Critical => 'C',
            Self::Failing => 'F',
            Self::Violation => 'V',
            Self::Impostor => 'I',
            Self::Down => 'D',
            Self::Proxy => 'P',
            Self::Unknown => '?',
        }
    }

    /// For programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Failing => "failing",
            Self::Violation => "violation",
            Self::Impostor => "impostor",
            Self::Down => "down",
            Self::Proxy => "proxy",
            Self::Unknown => "unknown",
        }
    }

    /// The status of the process.
    pub fn status(self) -> u8 {
        match self {
            Self::Up | Self::Unknown => 0,
            Self::Warning => 1,
            Self::Critical | Self::Failing | Self::Violation | Self::Impostor | Self::Down => 2,
            Self::Proxy => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_letter_of_its_own() {
        let states = [
            State::Up,
            State::Warning,
            State::Critical,
            State::Failing,
            State::Violation,
            State::Impostor,
            State::Down,
            State::Proxy,
            State::Unknown,
        ];
        let mut letters = states.map(State::letter);
        letters.sort_unstable();
        assert!(letters.windows(2).all(|pair| pair[0] != pair[1]), "{letters:?}");
    }
}
