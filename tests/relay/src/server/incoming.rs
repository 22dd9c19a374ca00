//! From sockets to the switch.

use std::{
    io::{ErrorKind, Read},
    mem,
    time::Instant,
};

use mio::{Interest, Token, event::Event, net::TcpStream};

use super::Server;
use crate::{
    conduct::Conduct,
    connection::{Connection, Reading, Stage},
    handshake::Next,
    outbox::ClientId,
    reason::Reason,
    session::HELLO_LENGTH,
};

/// The most reads from one connection in one turn. The others are read before it is read again.
const READS_A_TURN: usize = 4;

impl Server {
    pub(super) fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.add(stream),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // The backlog is empty, or there are no descriptors left: the next sweep tries again.
                Err(_) => return,
            }
        }
    }

    fn add(&mut self, mut stream: TcpStream) {
        let entry = self.connections.vacant_entry();
        let id = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, Token(id), interest);
        // The packets of a turn are written together, and must not be delayed until earlier ones are acknowledged.
        if stream.set_nodelay(true).is_err() || registered.is_err() {
            return;
        }
        entry.insert(Connection::new(stream, self.conduct.clone()));
        self.statistics.accepted += 1;
        if *self.conduct == Conduct::CloseOnAccept {
            self.close(id);
        }
    }

    pub(super) fn handle_event(&mut self, id: ClientId, event: &Event) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let reading = connection.reading;
        if event.is_writable() {
            connection.unblock();
            self.mark_dirty(id);
        }
        // A connection that is never read would otherwise not be removed at its end.
        let ended = event.is_read_closed() && reading == Reading::Never;
        if ended || event.is_error() && reading != Reading::On {
            self.remove(id);
        } else if event.is_readable() || event.is_read_closed() {
            self.read(id);
        }
    }

    pub(super) fn read(&mut self, id: ClientId) {
        let mut buffer = mem::take(&mut self.buffer);
        let mut reads = 0;
        while let Some(connection) = self.connections.get_mut(id)
            && connection.reading == Reading::On
        {
            if reads == READS_A_TURN {
                self.unread.push(id);
                break;
            }
            reads += 1;
            match connection.stream.read(&mut buffer) {
                Ok(0) => self.remove(id),
                Ok(length) => {
                    self.statistics.bytes_in += length as u64;
                    self.handle_input(id, &buffer[..length]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.remove(id),
            }
        }
        self.buffer = buffer;
    }

    fn handle_input(&mut self, id: ClientId, bytes: &[u8]) {
        match &mut self.connections[id].stage {
            Stage::Hello(hello) => {
                let missing = HELLO_LENGTH - hello.len();
                let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
                hello.extend_from_slice(taken);
                if let Ok(hello) = hello.as_slice().try_into() {
                    self.answer(id, &hello);
                    self.handle_rest(id, rest);
                }
            }
            Stage::Encrypted { .. } => self.handle_packets(id, bytes),
            Stage::Ignoring | Stage::Closing { .. } => {}
        }
    }

    /// Handles what followed the hello in the same read.
    fn handle_rest(&mut self, id: ClientId, bytes: &[u8]) {
        let reads = |connection: &Connection| connection.reading == Reading::On;
        if !bytes.is_empty() && self.connections.get(id).is_some_and(reads) {
            self.handle_input(id, bytes);
        }
    }

    fn answer(&mut self, id: ClientId, hello: &[u8; HELLO_LENGTH]) {
        self.statistics.hellos += 1;
        let connection = &mut self.connections[id];
        let answer = self.responder.answer(&connection.conduct, hello);
        let (key, _) = hello.split_first_chunk().expect("a hello begins with a key");
        connection.key = Some(*key);
        self.by_key.insert(*key, id);

        connection.send_raw(&answer.bytes);
        connection.stage = Stage::Ignoring;
        if *connection.conduct == Conduct::DeafAfterHandshake {
            connection.reading = Reading::Never;
        }
        self.mark_dirty(id);
        match answer.next {
            Next::Encrypted(session) => {
                self.connections[id].stage = Stage::Encrypted { session, confirmed: false };
                self.switch.join(id, *key, Instant::now());
            }
            Next::Ignore => {}
            Next::Close => self.close(id),
            Next::Reset => self.reset(id),
            Next::Refuse => self.expel(id, Reason::Hello),
        }
    }

    fn handle_packets(&mut self, id: ClientId, bytes: &[u8]) {
        let connection = &mut self.connections[id];
        let Stage::Encrypted { session, confirmed } = &mut connection.stage else { return };
        let mut packets = 0;
        let opened = session.open_each(bytes, |plaintext| {
            packets += 1;
            self.switch.handle(id, plaintext, &mut self.outbox);
        });
        self.statistics.packets_in += packets;
        let is_first = packets > 0 && !mem::replace(confirmed, true);
        let conduct = is_first.then(|| connection.conduct.clone());

        self.deliver();
        match conduct.as_deref() {
            Some(Conduct::ResetAfterHandshake) => return self.reset(id),
            Some(Conduct::Unsolicited(plaintexts)) => {
                for plaintext in plaintexts {
                    self.send(id, plaintext);
                }
            }
            _ => {}
        }
        if let Err(broken) = opened
            && self.switch.contains(id)
        {
            self.expel(id, Reason::Broken(broken));
        }
    }
}
