//! The connections of this process, as the kernel knows them.

use std::collections::HashSet;
use std::fs;

use crate::layers::{Outcome, Target};

/// The states in which a connection is open or about to be: established, and a SYN that was sent.
const OPEN: [&str; 2] = ["01", "02"];

/// How many connections to these relays are open on this machine. Nobody else knows their ports.
pub(super) fn open_to(relays: &[Target]) -> Outcome<usize> {
    let ports: HashSet<u16> = relays.iter().map(|(address, _)| address.port()).collect();
    Ok(fs::read_to_string("/proc/self/net/tcp")?.lines().filter(|line| is_open_to(line, &ports)).count())
}

/// A line has a number, the local and the remote address with their ports, and the state.
fn is_open_to(line: &str, ports: &HashSet<u16>) -> bool {
    let mut fields = line.split_whitespace().skip(2);
    let (Some(remote), Some(state)) = (fields.next(), fields.next()) else { return false };
    let port = remote.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
    port.is_some_and(|port| ports.contains(&port)) && OPEN.contains(&state)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::wait::wait_for;

    #[test]
    fn open_connections_are_counted_once_and_not_after_their_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relays = [(listener.local_addr().unwrap(), [0; 32])];
        assert_eq!(open_to(&relays).unwrap(), 0);
        let streams = [(); 2].map(|()| TcpStream::connect(relays[0].0).unwrap());
        assert_eq!(open_to(&relays).unwrap(), 2);
        drop(streams);
        // Another test may start a program just now: until it runs, it holds copies of the sockets.
        let none_is_open = || (open_to(&relays).unwrap() == 0).then_some(());
        assert_eq!(wait_for(Duration::from_secs(20), none_is_open), Some(()));
    }
}
