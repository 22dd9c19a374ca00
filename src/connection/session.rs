//! An established connection: both sides have their session keys and exchange packets.
//!
//! Each packet of the relay is taken off the stream, opened and parsed. It may result in an event, an answer in the
//! outbox, or a change of a route. The first packet that opens proves that the relay holds its key.

use std::io;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::connection::common::Common;
use crate::connection::ending::End;
use crate::connection::keepalive::{Due, KeepAlive};
use crate::connection::outbox::{FlushParameters, Flushed, TooManyPongs};
use crate::connection::round_trips::Trips;
use crate::connection::routes::{Answer, RouteInfo};
use crate::connection::shared::Shared;
use crate::crypto::Channel;
use crate::deframer::Deframer;
use crate::error::{DisconnectReason, Hint, Impostor, Violation};
use crate::event::Event;
use crate::events::Events;
use crate::key::PublicKey;
use crate::stage::Stage;
use crate::status::RoundTrips;
use crate::wire::frame::{MIN_FRAME, PREFIX_LEN, frame_len};
use crate::wire::{Packet, RouteNumber};

/// See the module.
pub(super) struct Session {
    channel: Box<Channel>,
    frames: Deframer,
    keepalive: KeepAlive,
}

impl Session {
    /// Begins with a ping: the relay has not proved yet that it holds its key, and the pong will.
    pub(super) fn new(now: Instant, channel: Box<Channel>, ping: NonZeroU64, common: &mut Common) -> Self {
        common.outbox.push_first(Packet::Ping(ping));
        let keepalive =
            KeepAlive::new(now, ping, Trips::default(), &common.settings, common.traffic.bytes_in);
        Self { channel, frames: Deframer::default(), keepalive }
    }

    /// `Connected` as soon as a packet of the relay has opened.
    pub(super) fn stage(&self, common: &Common) -> Stage {
        if common.times.connected.is_known() { Stage::Connected } else { Stage::Confirming }
    }

    pub(super) fn deadline(&self, common: &Common) -> Instant {
        let deadline = self.keepalive.deadline();
        common.outbox.ping_at().map_or(deadline, |at| at.min(deadline))
    }

    pub(super) fn round_trips(&self) -> RoundTrips {
        self.keepalive.round_trips()
    }

    /// See [`Connection::ping`](crate::connection::Connection::ping).
    pub(super) fn ping(&mut self, now: Instant, ping: NonZeroU64, common: &mut Common) -> bool {
        let begun = self.keepalive.begin_ping(now, ping, &common.settings, common.traffic.bytes_in);
        if begun {
            common.outbox.push_important(Packet::Ping(ping));
        }
        begun
    }

    /// The relay must answer a ping within `time_limit`.
    pub(super) fn handle_network_changed(
        &mut self,
        now: Instant,
        ping: NonZeroU64,
        time_limit: Duration,
        common: &mut Common,
    ) {
        let (is_queued, bytes_in) = (common.outbox.has_ping(), common.traffic.bytes_in);
        let keepalive = &mut self.keepalive;
        if keepalive.handle_network_changed(now, ping, is_queued, time_limit, &common.settings, bytes_in) {
            common.outbox.push_important(Packet::Ping(ping));
        }
        common.outbox.handle_network_changed();
    }

    pub(super) fn handle_settings(&mut self, settings: &Settings) {
        self.keepalive.handle_settings(settings);
    }

    /// The most bytes of input that certainly belong to the next `packets` packets.
    pub(super) fn input_of_packets(&self, packets: usize) -> usize {
        match self.frames.missing(frame_len) {
            Some(missing) => missing + (packets - 1) * MIN_FRAME,
            None => packets * MIN_FRAME - self.frames.partial().len(),
        }
    }

    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant, common: &mut Common) {
        common.outbox.handle_turn(now, since);
        self.keepalive.handle_turn(now, since, common.traffic.bytes_in, &common.settings);
    }

    /// Takes packets off the input while there is room for events.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        input: &mut &mut [u8],
        shared: &mut Shared,
        common: &mut Common,
        events: &mut Events,
    ) -> Result<(), DisconnectReason> {
        while events.has_room() {
            let confirmed = common.times.connected.is_known();
            // Until a packet has opened, anything that is not a packet shows that this is not the relay.
            let fault = |violation| match confirmed {
                false => DisconnectReason::Impostor(Impostor::Replay),
                true => DisconnectReason::Protocol(violation),
            };
            let Some(frame) = self.frames.next(input, frame_len).map_err(fault)? else {
                break;
            };
            let opened = self.channel.open(&mut shared.key_stream, &mut frame[PREFIX_LEN..]);
            let plaintext = opened.ok_or_else(|| fault(Violation::Forged))?;
            common.traffic.packets_in += 1;
            shared.counters.count_received(plaintext);
            if !confirmed {
                common.times.connected = common.times.until(now);
                events.push(Event::Connected { connection: common.id, token: common.token });
            }
            let packet = Packet::parse(plaintext).map_err(Violation::from)?;
            handle_packet(now, packet, &mut self.keepalive, common, events)?;
        }
        Ok(())
    }

    /// Checks the deadline: see [`KeepAlive::handle_timeout`].
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
        common: &mut Common,
    ) -> Result<(), DisconnectReason> {
        match self.keepalive.handle_timeout(now, unread, common.traffic.bytes_in, ping, &common.settings) {
            Due::Nothing if common.outbox.begin_ping(now, ping) => {
                self.keepalive.begin_another(now, ping, &common.settings, common.traffic.bytes_in);
                common.outbox.push_important(Packet::Ping(ping));
            }
            Due::Nothing => {}
            Due::NoPong => return Err(DisconnectReason::NoPong(self.stage(common))),
            Due::Ping(ping) => {
                self.frames.shrink();
                common.outbox.push_important(Packet::Ping(ping));
            }
        }
        Ok(())
    }

    /// The transport has ended.
    pub(super) fn handle_end(&self, end: End, common: &Common) -> DisconnectReason {
        end.reason(self.stage(common), common.times.party(), end.is_close().then_some(Hint::SameKey))
    }

    /// Seals and writes what is queued for sending: see [`Outbox::flush`](crate::connection::outbox::Outbox::flush).
    pub(super) fn flush(
        &mut self,
        shared: &mut Shared,
        parameters: FlushParameters<'_>,
        write: impl FnMut(&[u8]) -> io::Result<usize>,
        common: &mut Common,
        flushed: &mut Flushed,
    ) -> io::Result<bool> {
        let Common { routes, settings, outbox, traffic, .. } = common;
        let (keepalive, now) = (&mut self.keepalive, parameters.now);
        let sent = |packet: &Packet<'_>| match packet {
            Packet::RoutingRequest { peer } => routes.handle_request_sent(peer),
            Packet::DisconnectNotification(id) => routes.handle_disconnect_sent(*id),
            Packet::Ping(id) => keepalive.handle_ping_sent(now, *id, settings, traffic.bytes_in),
            _ => {}
        };
        outbox.flush(&mut self.channel, shared, parameters, write, sent, flushed)
    }

    /// The channel, for tests that check where its keys are in memory.
    #[cfg(test)]
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The bytes allocated for an incomplete packet, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.frames.memory()
    }
}

fn handle_packet(
    now: Instant,
    packet: Packet<'_>,
    keepalive: &mut KeepAlive,
    common: &mut Common,
    events: &mut Events,
) -> Result<(), DisconnectReason> {
    let (connection, token) = (common.id, common.token);
    match packet {
        Packet::Data { number, data } => {
            if let Some(RouteInfo { route, peer, token }) = common.routes.online(connection, number) {
                events.push(Event::Data { connection, route, token, peer, data });
            }
        }
        Packet::OobReceive { sender, data } => events.push(Event::Oob { connection, token, sender, data }),
        Packet::OnionResponse(data) => events.push(Event::OnionResponse { connection, token, data }),
        Packet::Forwarding(data) => events.push(Event::Forwarding { connection, token, data }),
        Packet::Ping(id) => {
            common.outbox.push_pong(Packet::Pong(id)).map_err(|TooManyPongs| DisconnectReason::PingFlood)?
        }
        Packet::Pong(id) => handle_pong(now, id, keepalive, common),
        Packet::ConnectNotification(id) => {
            if let Some(RouteInfo { route, peer, token }) = common.routes.handle_online(connection, id) {
                events.push(Event::RouteOnline { connection, route, token, peer });
            }
        }
        Packet::DisconnectNotification(id) => {
            if let Some(RouteInfo { route, peer, token }) = common.routes.handle_offline(connection, id) {
                // The relay would drop these data, or deliver them to the peer's next session.
                let unsent = common.outbox.remove(id);
                events.push(Event::RouteOffline { connection, route, token, peer, unsent });
            }
        }
        Packet::RoutingResponse { number, peer } => {
            handle_routing_response(peer, number, common, events)?;
        }
        clients @ (Packet::RoutingRequest { .. }
        | Packet::OobSend { .. }
        | Packet::OnionRequest(_)
        | Packet::ForwardRequest { .. }) => {
            return Err(Violation::Kind(clients.kind()).into());
        }
    }
    Ok(())
}

/// A pong that answers no ping is ignored.
fn handle_pong(now: Instant, id: NonZeroU64, keepalive: &mut KeepAlive, common: &mut Common) {
    let Common { outbox, settings, traffic, .. } = common;
    let smallest = keepalive.round_trips().smallest;
    let Some(answer) = outbox.handle_pong(now, id, smallest, settings.window) else {
        return;
    };
    if keepalive.handle_pong(now, id, &answer, settings, traffic.bytes_in) {
        // An idle connection has no buffers, not even the one in which its last ping was queued.
        outbox.shrink();
    }
}

fn handle_routing_response(
    peer: PublicKey,
    number: Option<RouteNumber>,
    common: &mut Common,
    events: &mut Events,
) -> Result<(), Violation> {
    let connection = common.id;
    match common.routes.handle_response(connection, &peer, number)? {
        Answer::Opened(RouteInfo { route, peer, token }) => {
            events.push(Event::RouteOpened { connection, route, token, peer });
        }
        Answer::Refused(RouteInfo { route, peer, token }) => {
            events.push(Event::RouteRefused { connection, route, token, peer });
        }
        Answer::Closed { registered, again } => {
            if let Some(id) = registered {
                common.outbox.push_important(Packet::DisconnectNotification(id));
            }
            if let Some(peer) = again {
                common.outbox.push_important(Packet::RoutingRequest { peer });
            }
        }
    }
    Ok(())
}
