//! What the relay counts.

use crate::reason::Reason;

/// The state of a relay at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that are open now. One that the relay has ended counts until the client has
    /// closed its side, too.
    pub connected: usize,
    /// Clients that have shaken hands and sent a packet, and are still there.
    pub confirmed: usize,
    /// Routes that are open now. The two ends of a pair count as two.
    pub routes: usize,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Complete hellos since the start, valid or not.
    pub hellos: u64,
    /// Packets from clients that opened.
    pub packets_in: u64,
    /// Packets for clients that were sealed. A connection that ended may not have sent all.
    pub packets_out: u64,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// Packets discarded because the client's socket was full.
    pub thrown_away: u64,
    /// Clients that the relay dropped for what they did or failed to do.
    pub dropped: u64,
    /// Why the last of them was dropped.
    pub last_drop: Option<Reason>,
}
