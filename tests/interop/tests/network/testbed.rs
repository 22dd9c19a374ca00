//! The network of each test: our client in one network namespace, a relay in another one, and a line between them.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use interop::Bootstrapd;
use tox_relay_client::Relay;

use crate::direction::Quality;
use crate::line::Line;
use crate::namespace::{create_device, in_new_namespace};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// The most unacknowledged bytes that a socket of our client holds. When a lost packet is sent again, all of them may
/// reach the relay at once, and the relay stops reading forever if more than 64 KiB are queued for it.
const CLIENT_SEND_BUFFER: usize = 48 * 1024;

/// The same for the relay. It is large, since the relay discards what it cannot write, which these tests would take for
/// a loss in our client.
const RELAY_SEND_BUFFER: usize = 4 * 1024 * 1024;

pub struct Testbed {
    pub line: Line,
    bootstrapd: Bootstrapd,
}

impl Testbed {
    /// The relay, with its address at the other end of the line.
    pub fn relay(&self) -> Relay {
        Relay::new(self.relay_addr(), self.relay_key().into())
    }

    pub fn relay_addr(&self) -> SocketAddr {
        (RELAY, self.bootstrapd.addr().port()).into()
    }

    pub fn relay_key(&self) -> [u8; 32] {
        self.bootstrapd.public_key()
    }
}

/// Runs a test in the client's namespace. `there` is the quality of the direction to the relay, `back` that of the
/// other direction. If there can be no namespace or device, it prints why and skips the test.
pub fn with_testbed(there: Quality, back: Quality, test: impl FnOnce(&Testbed) + Send) {
    let outcome = in_new_namespace(|| {
        let near = create_device(CLIENT, RELAY, CLIENT_SEND_BUFFER)?;
        let (far, bootstrapd) = in_new_namespace(|| {
            let far = create_device(RELAY, CLIENT, RELAY_SEND_BUFFER)?;
            Ok((far, Bootstrapd::start().unwrap()))
        })?;
        let line = Line::new([(near, there), (far, back)])?;
        test(&Testbed { line, bootstrapd });
        Ok(())
    });
    if let Err(error) = outcome {
        // Not with `eprintln`, since the test harness hides its output if the test passes.
        let message = format!("skipped: cannot create a network namespace with a TUN device: {error}\n");
        let _ = io::stderr().write_all(message.as_bytes());
    }
}
