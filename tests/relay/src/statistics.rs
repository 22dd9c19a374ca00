//! What the relay counts.

use crate::reason::Reason;

/// The state of a relay at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that are open now. One that the relay has ended counts until the client has
    /// closed its side, too.
    pub connected: usize,
    /// Connected clients that have completed the handshake and sent a packet.
    pub confirmed: usize,
    /// Routes that are open now. The two ends of a pair count as two.
    pub routes: usize,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Complete hellos since the start, valid or not.
    pub hellos: u64,
    /// Packets from clients that were decrypted.
    pub packets_in: u64,
    /// Packets for clients that were encrypted. If a connection has ended, some of its packets may not have been sent.
    pub packets_out: u64,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// Packets discarded because the client's socket was full.
    pub thrown_away: u64,
    /// Connections that the relay has ended for one of the reasons in [`Reason`].
    pub dropped: u64,
    /// Why the last of them was ended.
    pub last_drop: Option<Reason>,
}
