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

/// The most unacknowledged bytes that a socket holds. The relay discards what it cannot write, which these tests would
/// take for a loss in our client.
const SEND_BUFFER: usize = 4 * 1024 * 1024;

pub struct Testbed<R = Bootstrapd> {
    pub line: Line,
    pub process: R,
    port: u16,
    key: [u8; 32],
}

impl<R> Testbed<R> {
    /// The relay, with its address at the other end of the line.
    pub fn relay(&self) -> Relay {
        Relay::new(self.relay_addr(), self.relay_key().into())
    }

    pub fn relay_addr(&self) -> SocketAddr {
        (RELAY, self.port).into()
    }

    pub fn relay_key(&self) -> [u8; 32] {
        self.key
    }
}

/// Runs a test in the client's namespace, with a `tox-bootstrapd`. `there` is the quality of the direction to the relay,
/// `back` that of the other direction. If there can be no namespace or device, it prints why and skips the test.
pub fn with_testbed(there: Quality, back: Quality, test: impl FnOnce(&Testbed) + Send) {
    let start = || {
        let relay = Bootstrapd::start().unwrap();
        let (port, key) = (relay.addr().port(), relay.public_key());
        (relay, port, key)
    };
    with_relay(there, back, start, test);
}

/// The same with the embedded relay, which reads at once.
pub fn with_prompt_relay(
    there: Quality,
    back: Quality,
    test: impl FnOnce(&Testbed<tox_test_relay::Relay>) + Send,
) {
    let start = || {
        let address = (RELAY, 0).into();
        let relay = tox_test_relay::Relay::start(tox_test_relay::Options { address, ..Default::default() });
        let relay = relay.unwrap();
        let (port, key) = (relay.addr().port(), relay.public_key());
        (relay, port, key)
    };
    with_relay(there, back, start, test);
}

fn with_relay<R: Send>(
    there: Quality,
    back: Quality,
    start: impl FnOnce() -> (R, u16, [u8; 32]) + Send,
    test: impl FnOnce(&Testbed<R>) + Send,
) {
    let outcome = in_new_namespace(|| {
        let near = create_device(CLIENT, RELAY, SEND_BUFFER)?;
        let (far, (process, port, key)) = in_new_namespace(|| {
            let far = create_device(RELAY, CLIENT, SEND_BUFFER)?;
            Ok((far, start()))
        })?;
        let line = Line::new([(near, there), (far, back)])?;
        test(&Testbed { line, process, port, key });
        Ok(())
    });
    if let Err(error) = outcome {
        // Not with `eprintln`, since the test harness hides its output if the test passes.
        let message = format!("skipped: cannot create a network namespace with a TUN device: {error}\n");
        let _ = io::stderr().write_all(message.as_bytes());
    }
}
