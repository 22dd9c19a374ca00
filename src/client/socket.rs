//! The properties and options of a TCP socket that differ between operating systems.

use std::io;

use mio::net::TcpStream;
use socket2::SockRef;

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

/// The most bytes in the kernel that are not acknowledged, on systems without a limit for unsent bytes. On a link with
/// a round trip of 100 ms, this limits the throughput to about 2.6 MB/s.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MAX_UNACKNOWLEDGED: usize = 256 * 1024;

/// Sets the options of a socket that has just been connected. The kernel does not delay small writes, since this
/// library combines packets itself. And it holds few unsent bytes, so that important packets can still overtake others
/// in the send queue.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return socket.set_tcp_notsent_lowat(MAX_UNSENT);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return socket.set_send_buffer_size(MAX_UNACKNOWLEDGED);
}
