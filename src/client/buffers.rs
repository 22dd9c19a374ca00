//! The buffers that all connections share, and what uses them: reading a connection in its turn, and writing its
//! output.

use std::num::NonZeroU64;
use std::ops::Range;
use std::time::Instant;

use crate::client::slot::Slot;
use crate::client::socket::Read;
use crate::connection::Shared;
use crate::error::DisconnectReason;
use crate::events::Events;
use crate::id::ConnectionId;
use crate::status::TrafficByKind;

/// The most bytes that one connection reads in a turn, and that are sealed for one write. With this many, a system call
/// costs little compared with handling the packets that it moves.
const BUFFER_LEN: usize = 64 * 1024;

/// See the module. Each connection uses them during its turn.
pub(super) struct Buffers {
    input: Box<[u8]>,
    /// Input of one connection that was not handled, because its share of events was full.
    leftover: Option<Leftover>,
    /// For packets while they are sealed, and for reading while `input` holds a leftover.
    scratch: Box<[u8]>,
    shared: Box<Shared>,
}

/// A range of `Buffers::input` that has not been handled yet.
struct Leftover {
    id: ConnectionId,
    range: Range<usize>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self {
            input: vec![0; BUFFER_LEN].into_boxed_slice(),
            leftover: None,
            scratch: vec![0; BUFFER_LEN].into_boxed_slice(),
            shared: Box::new(Shared::new()),
        }
    }

    /// The connection that has a leftover: input that was not handled.
    pub(super) fn leftover_of(&self) -> Option<ConnectionId> {
        self.leftover.as_ref().map(|leftover| leftover.id)
    }

    /// Drops the leftover of a connection that has ended.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.leftover.take_if(|leftover| leftover.id == id);
    }

    /// Reads once, and a second time if there may be more. While `input` holds the leftover of
    /// another connection, it reads smaller pieces.
    pub(super) fn read(
        &mut self,
        slot: &mut Slot,
        now: Instant,
        events: &mut Events,
    ) -> Result<(), DisconnectReason> {
        self.receive_leftover(slot, now, events)?;
        let id = slot.connection.id();
        let Self { input, leftover, scratch, shared } = self;
        let mut budget = BUFFER_LEN;
        if let Some(leftover) = leftover {
            // If there is still a leftover of this connection, its share of `events` is full. If there is one of
            // another connection, `input` is in use: read only as much as will certainly be handled.
            while leftover.id != id && slot.may_read() && budget > 0 && events.has_room() {
                let most = slot.connection.input_of_packets(events.room_for_packets()).min(budget);
                let Read::Bytes(len) = slot.read(&mut scratch[..most])? else {
                    break;
                };
                budget -= len;
                let taken = slot.receive(now, &mut scratch[..len], shared, events)?;
                debug_assert_eq!(taken, len);
            }
            return Ok(());
        }
        for _ in 0..2 {
            if !slot.may_read() || budget == 0 || !events.has_room() {
                break;
            }
            let Read::Bytes(len) = slot.read(&mut input[..budget])? else {
                break;
            };
            budget -= len;
            let taken = slot.receive(now, &mut input[..len], shared, events)?;
            if taken < len {
                *leftover = Some(Leftover { id, range: taken..len });
                break;
            }
        }
        Ok(())
    }

    /// Passes to a connection the input that is left over from its last turn.
    pub(super) fn receive_leftover(
        &mut self,
        slot: &mut Slot,
        now: Instant,
        events: &mut Events,
    ) -> Result<(), DisconnectReason> {
        let Self { input, leftover, shared, .. } = self;
        let id = slot.connection.id();
        let Some(Leftover { range, .. }) = leftover.take_if(|leftover| leftover.id == id) else {
            return Ok(());
        };
        let taken = slot.receive(now, &mut input[range.clone()], shared, events)?;
        if taken < range.len() {
            *leftover = Some(Leftover { id, range: range.start + taken..range.end });
        }
        Ok(())
    }

    /// What all connections have sent and received, by kind of packet.
    pub(super) fn traffic(&self) -> TrafficByKind {
        self.shared.traffic()
    }

    /// Writes a connection's output: see [`Slot::flush`].
    pub(super) fn flush(&mut self, slot: &mut Slot, ping: NonZeroU64) -> bool {
        slot.flush(ping, &mut self.shared, &mut self.scratch)
    }
}
