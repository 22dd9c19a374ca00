//! Packets that are sealed and written together, and the pings between them.

use std::num::NonZeroU64;
use std::time::Instant;

use crate::connection::shared::Counters;
use crate::crypto::Sealer;
use crate::wire::frame::{self, OVERHEAD, PREFIX_LEN};

/// The bytes of a ping on the stream.
pub(super) const PING: usize = OVERHEAD + 9;

/// Packets that are sealed together.
pub(super) struct Batch<'a> {
    pub(super) sealer: Sealer<'a>,
    pub(super) counters: &'a mut Counters,
    pub(super) scratch: &'a mut [u8],
    /// Where the next frame begins.
    pub(super) end: usize,
}

impl Batch<'_> {
    /// Seals a packet of this length. Returns `false`, and does nothing, if it has no room or would end after `limit`.
    #[inline]
    pub(super) fn add(&mut self, len: usize, limit: usize, emit: impl FnOnce(&mut [u8])) -> bool {
        let end = self.end + OVERHEAD + len;
        let Some(frame) = self.scratch.get_mut(self.end..end).filter(|_| end <= limit) else {
            return false;
        };
        emit(&mut frame[OVERHEAD..]);
        self.counters.add_to_batch(frame[OVERHEAD]);
        frame::emit_prefix(frame);
        self.sealer.seal(&mut frame[PREFIX_LEN..]);
        self.end = end;
        true
    }
}

/// The pings between data.
pub(super) struct Pings {
    pub(super) now: Instant,
    /// The id of the next one.
    pub(super) next: NonZeroU64,
}

/// The id that follows this one.
pub(super) fn following(id: NonZeroU64) -> NonZeroU64 {
    id.checked_add(1).unwrap_or(NonZeroU64::MIN)
}
