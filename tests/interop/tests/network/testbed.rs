//! What each test plays in: our clients in one network namespace, a relay in another one, and a line between them.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use interop::Bootstrapd;
use tox_relay_client::Relay;

use crate::direction::Quality;
use crate::line::Line;
use crate::namespace::{end_of_line, inside};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const THE_RELAYS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// What a socket of ours holds until the relay's system has confirmed it. All of that may come to the relay at once, when
/// a lost packet comes at last, and the relay stalls for good when more than 64 KiB wait for it.
const OUR_SEND_BUFFER: usize = 48 * 1024;

/// The same of the relay, which throws away what it can't write. Here, that would only look as if we lost it.
const THE_RELAYS_SEND_BUFFER: usize = 4 * 1024 * 1024;

pub struct Testbed {
    pub line: Line,
    bootstrapd: Bootstrapd,
}

impl Testbed {
    /// The relay, as it is reached from our side of the line.
    pub fn relay(&self) -> Relay {
        Relay::new((THE_RELAYS, self.bootstrapd.addr().port()), self.bootstrapd.public_key().into())
    }
}

/// Runs a test on our side of a line of this quality, to the relay and back. Says so where it can't.
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
        // Written at once, and not by `eprintln`, whose output nobody sees of a test that passes.
        let message = format!("left out, as there is no network namespace with a TUN device: {error}\n");
        let _ = io::stderr().write_all(message.as_bytes());
    }
}
