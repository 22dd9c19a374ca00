//! A stream socket: TCP, or one that the caller has made. What differs between operating systems is here.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;

use mio::event::Source;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// A stream socket that the caller has made, for [`Client::connect_with`](crate::Client::connect_with): connected or
/// connecting, to the relay or to its proxy.
///
/// It can be created from a `std::net::TcpStream`, on Unix also from a `UnixStream` (to a local SOCKS proxy, for
/// example) and from an `OwnedFd` of any stream socket. The library makes it non-blocking, and closes it at the end.
///
/// ```no_run
/// use std::net::TcpStream;
/// use tox_relay_client::Stream;
///
/// let tcp: Stream = TcpStream::connect("198.51.100.7:33445")?.into();
/// # #[cfg(unix)]
/// let proxy: Stream = std::os::unix::net::UnixStream::connect("/run/tor/socks")?.into();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Stream(pub(super) Transport);

/// Apart from [`Stream`], so that the traits of mio are not part of the public interface.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl From<std::net::TcpStream> for Stream {
    fn from(stream: std::net::TcpStream) -> Self {
        Self(Transport::Tcp(TcpStream::from_std(stream)))
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixStream> for Stream {
    fn from(stream: std::os::unix::net::UnixStream) -> Self {
        Self(Transport::Unix(UnixStream::from_std(stream)))
    }
}

/// Any stream socket, TCP or not: for example one that Android's `VpnService` has protected.
#[cfg(unix)]
impl From<std::os::fd::OwnedFd> for Stream {
    fn from(socket: std::os::fd::OwnedFd) -> Self {
        std::os::unix::net::UnixStream::from(socket).into()
    }
}

/// Whether a read that returns fewer bytes than its buffer has room for has emptied the socket, so that the poller
/// reports what arrives later. This holds for epoll (see its manual page) and kqueue. On other systems mio watches the
/// socket again only after a read that would block.
#[allow(unexpected_cfgs, reason = "mio's own: it can be made to use poll(2)")]
pub(super) const SHORT_READ_DRAINS: bool = cfg!(all(
    any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
    ),
    not(mio_unsupported_force_poll_poll),
));

/// The most unsent bytes in the kernel: one write of this library. Important packets wait for these bytes: with a relay
/// that reads 50 KB/s, a ping waits about a second, and then for what the relay's own socket holds. On a link with a
/// round trip of 100 ms and 27 MB/s, this limit made no measurable difference.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAX_UNSENT: u32 = 64 * 1024;

/// The most unacknowledged bytes in the kernel, on systems without a limit for unsent bytes. On a link with a
/// round trip of 100 ms, this limits the throughput to about 2.6 MB/s.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MAX_UNACKNOWLEDGED: usize = 256 * 1024;

impl Transport {
    /// Begins to connect to `address`, from the address `local` if there is one.
    pub(super) fn connect(address: SocketAddr, local: Option<SocketAddr>) -> io::Result<Self> {
        let Some(local) = local else {
            return TcpStream::connect(address).map(Self::Tcp);
        };
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&local.into())?;
        match socket.connect(&address.into()) {
            Err(error) if !is_in_progress(&error) => Err(error),
            _ => Ok(Self::Tcp(TcpStream::from_std(socket.into()))),
        }
    }

    /// Makes a socket of the caller's non-blocking. An error if it is not a stream socket, as a file may be.
    pub(super) fn adopt(&self) -> io::Result<()> {
        let socket = self.socket();
        if socket.r#type()? != Type::STREAM {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a stream socket"));
        }
        socket.set_nonblocking(true)
    }

    /// Whether it is connected. An error if connecting has failed.
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        match self.socket().peer_addr() {
            Ok(_) => Ok(true),
            // Either it is still connecting, or connecting has failed: then the socket has an error.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => match self.socket().take_error()? {
                Some(error) => Err(error),
                None => Ok(false),
            },
            Err(error) => Err(error),
        }
    }

    /// Whether there is input. It stays in the socket.
    pub(super) fn has_input(&self) -> io::Result<bool> {
        match self.socket().peek(&mut [MaybeUninit::uninit()]) {
            Ok(len) => Ok(len > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sets the options of a socket that has just been connected. The kernel does not delay small writes, since this
    /// library combines packets itself. And it buffers few unsent bytes, so that important packets are sent
    /// soon, before the others in the send queue.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let socket = self.socket();
        let is_tcp = socket.local_addr()?.as_socket().is_some();
        if !is_tcp {
            return Ok(());
        }
        socket.set_tcp_nodelay(true)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return socket.set_tcp_notsent_lowat(MAX_UNSENT);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return socket.set_send_buffer_size(MAX_UNACKNOWLEDGED);
    }

    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream),
        }
    }
}

/// Whether connecting continues: Unix reports `EINPROGRESS`, Windows `WSAEWOULDBLOCK`.
fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(libc::EINPROGRESS);
    #[cfg(not(unix))]
    return error.kind() == io::ErrorKind::WouldBlock;
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Transport {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interests),
            #[cfg(unix)]
            Self::Unix(stream) => stream.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interests),
            #[cfg(unix)]
            Self::Unix(stream) => stream.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            #[cfg(unix)]
            Self::Unix(stream) => stream.deregister(registry),
        }
    }
}
