//! A proxy that follows a script: it expects exactly these messages from the client, and answers each with given bytes.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use super::GUARD;

/// What the client must send, and what the proxy answers.
pub type Turn = (Vec<u8>, Vec<u8>);

/// What a proxy does after its script.
pub enum Then {
    /// Passes everything on between the client and the server at this address.
    Connect(SocketAddr),
    /// Ends the connection cleanly.
    Close,
    /// Ends it with a reset.
    Reset,
    /// Sends nothing more.
    Wait,
}

/// Serves one connection on a thread of its own.
pub struct ScriptedProxy {
    pub address: SocketAddr,
    thread: JoinHandle<io::Result<Vec<u8>>>,
}

impl ScriptedProxy {
    pub fn start(turns: Vec<Turn>, then: Then) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, thread: thread::spawn(move || serve(&listener, turns, &then)) }
    }

    /// Waits until the client ends the stream, and returns what it sent after the script.
    #[track_caller]
    pub fn finish(self) -> Vec<u8> {
        self.thread.join().expect("the client follows the script").unwrap()
    }
}

fn serve(listener: &TcpListener, turns: Vec<Turn>, then: &Then) -> io::Result<Vec<u8>> {
    let (mut client, _) = listener.accept()?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(GUARD))?;
    for (expected, answer) in turns {
        let mut received = vec![0; expected.len()];
        client.read_exact(&mut received)?;
        assert_eq!(received, expected);
        for byte in &answer {
            client.write_all(&[*byte])?;
        }
    }
    let mut rest = Vec::new();
    match then {
        Then::Connect(target) => tunnel(client, TcpStream::connect(target)?)?,
        Then::Close => {
            client.shutdown(Shutdown::Write)?;
            client.read_to_end(&mut rest)?;
        }
        Then::Reset => SockRef::from(&client).set_linger(Some(Duration::ZERO))?,
        Then::Wait => {
            client.read_to_end(&mut rest)?;
        }
    }
    Ok(rest)
}

/// Passes bytes on in both directions until both sides have ended.
fn tunnel(client: TcpStream, relay: TcpStream) -> io::Result<()> {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        thread::spawn(move || {
            // After a reset, too, this direction ends cleanly.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        })
    };
    let up = copy(client.try_clone()?, relay.try_clone()?);
    let down = copy(relay, client);
    up.join().and(down.join()).expect("a thread that only copies");
    Ok(())
}
