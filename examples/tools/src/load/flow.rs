//! The packets from one user to its peer: which are planned, sent and received.

use tox_relay_client::RouteId;

use crate::load::payload::{Kind, Stamp};

/// One direction of a pair. It is kept for both ends, which are in the same process.
#[derive(Debug, Default)]
pub struct Flow {
    /// The sender's route, while it is online.
    route: Option<RouteId>,
    /// Whether the client has refused a packet and has not yet reported that there is room again.
    pub is_blocked: bool,
    /// Whether one of both users has left as planned since the route was last online.
    pub is_left: bool,
    /// Packets whose moment has come since the step began, and how many of them need not be sent any more.
    planned: u64,
    next: u64,
    /// The number of times that the route was online. The packets of an earlier session do not count any more.
    session: u32,
    /// In a session, the relay keeps the order of data, and that of OOB packets, but not of both together.
    data: Stream,
    oob: Stream,
}

/// The packets of one kind in a session.
#[derive(Debug, Default)]
struct Stream {
    /// How many were sent: the next one has this number.
    sent: u64,
    /// The number that is expected next by the receiver.
    expected: u64,
}

impl Flow {
    /// The route has come online: begins a session.
    pub fn open(&mut self, route: RouteId) {
        self.route = Some(route);
        (self.is_blocked, self.is_left) = (false, false);
        self.session += 1;
        (self.data, self.oob) = Default::default();
    }

    /// Ends the session, if there is one. Returns how many of its packets were not received.
    pub fn close(&mut self) -> u64 {
        self.route = None;
        self.is_blocked = false;
        self.give_up()
    }

    /// Waits for nothing that was sent up to now. Returns how many packets these were.
    pub fn give_up(&mut self) -> u64 {
        [&mut self.data, &mut self.oob]
            .into_iter()
            .map(|stream| stream.sent - std::mem::replace(&mut stream.expected, stream.sent))
            .sum()
    }

    /// The sender's route, if it is online.
    pub fn route(&self) -> Option<RouteId> {
        self.route
    }

    /// One more packet is due.
    pub fn plan(&mut self) {
        self.planned += 1;
    }

    /// The number of the next packet to send, if one is due.
    pub fn next(&self) -> Option<u64> {
        (self.next < self.planned).then_some(self.next)
    }

    /// How many packets are due and not sent.
    pub fn waiting(&self) -> u64 {
        self.planned - self.next
    }

    /// How many packets were planned since the step began.
    pub fn planned(&self) -> u64 {
        self.planned
    }

    /// How many packets were sent in this session, and neither received nor lost.
    pub fn on_the_way(&self) -> u64 {
        [&self.data, &self.oob].into_iter().map(|stream| stream.sent - stream.expected).sum()
    }

    /// The next packet will not be sent any more.
    pub fn skip(&mut self) {
        self.next += 1;
    }

    /// Forgets what was planned. Returns how many packets were not sent.
    pub fn forget_plan(&mut self) -> u64 {
        let unsent = self.waiting();
        (self.planned, self.next) = (0, 0);
        unsent
    }

    /// The session and the number of the next packet of this kind.
    pub fn number(&self, kind: Kind) -> (u32, u64) {
        let stream = match kind {
            Kind::Data => &self.data,
            Kind::Oob => &self.oob,
        };
        (self.session, stream.sent)
    }

    /// The next packet, which is of this kind, was sent.
    pub fn sent(&mut self, kind: Kind) {
        self.skip();
        self.stream(kind).sent += 1;
    }

    /// A packet has arrived at the peer. Returns how many packets before it have not; `None` if it does not count: it
    /// belongs to an earlier session, was given up, or was never sent.
    pub fn receive(&mut self, kind: Kind, stamp: &Stamp) -> Option<u64> {
        let session = self.session;
        let stream = self.stream(kind);
        if stamp.session != session || !(stream.expected..stream.sent).contains(&stamp.sequence) {
            return None;
        }
        let lost = stamp.sequence - stream.expected;
        stream.expected = stamp.sequence + 1;
        Some(lost)
    }

    fn stream(&mut self, kind: Kind) -> &mut Stream {
        match kind {
            Kind::Data => &mut self.data,
            Kind::Oob => &mut self.oob,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A flow in its first session in which so many packets of each kind were sent. (It has no route, since only a
    /// client can make one.)
    fn flow(sent: u64) -> Flow {
        let stream = || Stream { sent, expected: 0 };
        Flow { session: 1, data: stream(), oob: stream(), ..Flow::default() }
    }

    fn stamp(session: u32, sequence: u64) -> Stamp {
        Stamp { session, sequence, planned: Duration::ZERO }
    }

    #[test]
    fn a_gap_is_a_loss() {
        let mut flow = flow(10);
        let lost = [0, 1, 4, 5, 9].map(|sequence| flow.receive(Kind::Data, &stamp(1, sequence)));
        assert_eq!(lost, [Some(0), Some(0), Some(2), Some(0), Some(3)]);
        assert_eq!(flow.receive(Kind::Oob, &stamp(1, 7)), Some(7));
        assert_eq!(flow.give_up(), 2);
        assert_eq!(flow.give_up(), 0);
    }

    #[test]
    fn repeated_invented_and_old_packets_do_not_count() {
        let mut flow = flow(3);
        assert_eq!(flow.receive(Kind::Data, &stamp(1, 1)), Some(1));
        assert_eq!(flow.receive(Kind::Data, &stamp(1, 1)), None);
        assert_eq!(flow.receive(Kind::Data, &stamp(1, 3)), None);
        assert_eq!(flow.receive(Kind::Data, &stamp(0, 2)), None);
        assert_eq!(flow.close(), 1 + 3);
        assert_eq!(flow.receive(Kind::Data, &stamp(1, 2)), None);
    }

    #[test]
    fn planned_packets_wait_until_they_are_sent_or_forgotten() {
        let mut flow = flow(0);
        assert_eq!(flow.next(), None);
        (0..3).for_each(|_| flow.plan());
        assert_eq!((flow.next(), flow.number(Kind::Data)), (Some(0), (1, 0)));
        flow.sent(Kind::Data);
        flow.skip();
        assert_eq!((flow.next(), flow.number(Kind::Data), flow.waiting()), (Some(2), (1, 1), 1));
        assert_eq!(flow.forget_plan(), 1);
        assert_eq!((flow.next(), flow.waiting()), (None, 0));
    }
}
