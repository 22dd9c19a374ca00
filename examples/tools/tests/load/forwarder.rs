//! A stretch of network between the program and a relay that can stop to carry anything; also as a SOCKS5 proxy.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Accepts connections, and makes one to the relay for each.
pub struct Forwarder {
    address: SocketAddr,
    is_paused: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
}

impl Forwarder {
    /// As if it was the relay at this address.
    pub fn start(relay: SocketAddr) -> Self {
        Self::new(&[relay], false)
    }

    /// As if these were one relay: each takes one connection after the other.
    pub fn in_turns(relays: &[SocketAddr]) -> Self {
        Self::new(relays, false)
    }

    /// As a SOCKS5 proxy, which leads to this relay, whatever it is asked for.
    pub fn socks5(relay: SocketAddr) -> Self {
        Self::new(&[relay], true)
    }

    fn new(relays: &[SocketAddr], is_proxy: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (is_paused, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (paused, count) = (Arc::clone(&is_paused), Arc::clone(&accepted));
        let relays = relays.to_vec();
        // The threads end with the test's process.
        thread::spawn(move || {
            for (client, relay) in listener.incoming().map_while(Result::ok).zip(relays.into_iter().cycle()) {
                count.fetch_add(1, Ordering::Relaxed);
                let paused = Arc::clone(&paused);
                thread::spawn(move || serve(client, relay, is_proxy, paused));
            }
        });
        Self { address, is_paused, accepted }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Carries nothing until it is resumed.
    pub fn pause(&self) {
        self.is_paused.store(true, Ordering::Relaxed);
    }

    pub fn resume(&self) {
        self.is_paused.store(false, Ordering::Relaxed);
    }
}

fn serve(mut client: TcpStream, relay: SocketAddr, is_proxy: bool, paused: Arc<AtomicBool>) {
    if is_proxy && answer_request(&mut client).is_err() {
        return;
    }
    let Ok(relay) = TcpStream::connect(relay) else { return };
    let (Ok(from), Ok(to)) = (client.try_clone(), relay.try_clone()) else { return };
    let back = Arc::clone(&paused);
    thread::spawn(move || carry(relay, client, &back));
    carry(from, to, &paused);
}

/// A greeting with one method, and a request for an IPv4 address.
fn answer_request(client: &mut TcpStream) -> std::io::Result<()> {
    client.read_exact(&mut [0; 3])?;
    client.write_all(&[5, 0])?;
    client.read_exact(&mut [0; 10])?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])
}

fn carry(mut from: TcpStream, mut to: TcpStream, paused: &AtomicBool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        while paused.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    _ = to.shutdown(Shutdown::Both);
    _ = from.shutdown(Shutdown::Both);
}
