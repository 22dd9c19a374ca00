//! What differs from system to system in a TCP socket.

use std::io;

use mio::net::TcpStream;
use socket2::SockRef;

/// Whether a read that was given less than it has room for has emptied its socket, and what comes later is reported by the
/// poller: so it is with epoll (its manual page says so) and kqueue. Elsewhere only a read that would block has mio watch
/// the socket again.
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

/// The most that the kernel holds of what was not sent yet: one write of ours. Important packets wait behind it: a ping to
/// a relay that reads 50 KB/s for a second, beside what the relay's own socket holds. On a line of 100 ms that carries
/// 27 MB/s it made no difference that could be measured.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAX_UNSENT: u32 = 64 * 1024;

/// The most that the kernel holds of what was not acknowledged, where it can't count what was not sent. On a line of
/// 100 ms no more than 4 MB/s pass then.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MAX_UNACKNOWLEDGED: usize = 256 * 1024;

/// Sets the options of a socket that has just been connected: packets are put together here and not in the kernel, and
/// the kernel takes few of them at a time, so that important packets can still pass the others.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return socket.set_tcp_notsent_lowat(MAX_UNSENT);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return socket.set_send_buffer_size(MAX_UNACKNOWLEDGED);
}
