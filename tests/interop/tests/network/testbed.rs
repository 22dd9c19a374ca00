//! The network of each test: our clients in one network namespace, a relay in another one, and a line between them.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use interop::Bootstrapd;
use tox_relay_client::Relay;

use crate::direction::Quality;
use crate::line::Line;
use crate::namespace::{end_of_line, inside};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const THE_RELAYS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// The most unacknowledged bytes that a socket of ours holds. All of them may reach the relay at once, when a lost
/// packet is sent again, and the relay stalls forever if more than 64 KiB wait for it.
const OUR_SEND_BUFFER: usize = 48 * 1024;

/// The same for the relay, which discards what it can't write. Here, that would look as if we had lost it.
const THE_RELAYS_SEND_BUFFER: usize = 4 * 1024 * 1024;

pub struct Testbed {
    pub line: Line,
    bootstrapd: Bootstrapd,
}

impl Testbed {
    /// The relay, as it is reached from our end of the line.
    pub fn relay(&self) -> Relay {
        Relay::new(self.relay_addr(), self.relay_key().into())
    }

    pub fn relay_addr(&self) -> SocketAddr {
        (THE_RELAYS, self.bootstrapd.addr().port()).into()
    }

    pub fn relay_key(&self) -> [u8; 32] {
        self.bootstrapd.public_key()
    }
}

/// Runs a test at our end of a line with these qualities, to the relay and back. If that is not possible, it prints why.
pub fn with_testbed(there: Quality, back: Quality, test: impl FnOnce(&Testbed) + Send) {
    let outcome = inside(|| {
        let near = end_of_line(OURS, THE_RELAYS, OUR_SEND_BUFFER)?;
        let (far, bootstrapd) = inside(|| {
            let far = end_of_line(THE_RELAYS, OURS, THE_RELAYS_SEND_BUFFER)?;
            Ok((far, Bootstrapd::start().unwrap()))
        })?;
        let line = Line::new([(near, there), (far, back)])?;
        test(&Testbed { line, bootstrapd });
        Ok(())
    });
    if let Err(error) = outcome {
        // Not by `eprintln`, since the test harness hides its output if the test passes.
        let message = format!("left out, as there is no network namespace with a TUN device: {error}\n");
        let _ = io::stderr().write_all(message.as_bytes());
    }
}
