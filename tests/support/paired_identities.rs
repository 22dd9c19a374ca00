//! Many identities in one client, in pairs: 0 with 1, 2 with 3. Each receives the packets that its partner sends,
//! complete and in order. The token of each connection and route is the number of its member.

use std::time::{Duration, Instant};

use tox_relay_client::{
    Client, Config, ConnectionId, DisconnectReason, Event, Events, PublicKey, Relay, RouteId, SecretKey,
    SendError,
};

use super::numbered;

/// Only a failing test waits this long, also on a busy machine.
pub const LONG: Duration = Duration::from_secs(120);

const EVENTS: usize = 1024;

/// One identity, its connection and its route to its partner.
pub struct Member {
    secret: SecretKey,
    pub key: PublicKey,
    pub relay: ConnectionId,
    pub route: Option<RouteId>,
    pub connected: bool,
    pub online: bool,
    pub ended: Option<DisconnectReason>,
    /// How many packets it has sent. They are numbered.
    pub sent: u32,
    /// The number of the packet that it must receive next.
    pub next: u32,
    /// It or its partner was cut, so some packets may be lost.
    may_lose: bool,
}

pub struct PairedIdentities {
    pub client: Client,
    pub members: Vec<Member>,
    events: Events,
    address: Box<dyn Fn() -> Relay>,
}

impl PairedIdentities {
    /// Begins this many connections to one relay.
    pub fn connect(count: usize, address: impl Fn() -> Relay + 'static) -> Self {
        let config = Config::new(SecretKey::generate()).connect_timeout(LONG).pong_timeout(LONG);
        let mut client = Client::new(config).unwrap();
        let members = (0..count).map(|n| {
            let secret = SecretKey::generate();
            let relay = client.connect(address().identity(secret.clone()).token(n as u64)).unwrap();
            Member {
                key: secret.public_key(),
                secret,
                relay,
                route: None,
                connected: false,
                online: false,
                ended: None,
                sent: 0,
                next: 0,
                may_lose: false,
            }
        });
        let members: Vec<_> = members.collect();
        Self { client, members, events: Events::with_capacity(EVENTS), address: Box::new(address) }
    }

    /// Polls until `holds` is true for each member, which is passed with its number and its partner.
    #[track_caller]
    pub fn until(&mut self, what: &str, holds: impl Fn(usize, &Member, &Member) -> bool) {
        let guard = Instant::now() + LONG;
        loop {
            let fails = |n: &usize| !holds(*n, &self.members[*n], &self.members[n ^ 1]);
            let missing = (0..self.members.len()).filter(fails).count();
            if missing == 0 {
                return;
            }
            assert!(Instant::now() < guard, "{what}: {missing} of {} missing", self.members.len());
            self.client.poll(&mut self.events, Some(Duration::from_millis(10))).unwrap();
            self.handle_events();
        }
    }

    fn handle_events(&mut self) {
        let Self { events, members, .. } = self;
        for event in &*events {
            match event {
                Event::Connected { connection, token, .. } => {
                    member_of(members, token, connection).connected = true
                }
                Event::Disconnected { connection, token, reason, .. } => {
                    let member = member_of(members, token, connection);
                    assert_eq!(member.ended.replace(reason), None, "reported once");
                }
                Event::RouteOpened { route, token, peer, .. } => _ = route_of(members, token, route, peer),
                Event::RouteOnline { route, token, peer, .. } => {
                    route_of(members, token, route, peer).online = true
                }
                Event::RouteOffline { route, token, peer, .. } => {
                    route_of(members, token, route, peer).online = false
                }
                Event::Data { route, token, peer, data, .. } => {
                    route_of(members, token, route, peer).receive(data)
                }
                Event::Writable { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Frees the memory of the events, whose size depends on how much data one poll has found.
    pub fn free_events(&mut self) {
        self.events = Events::with_capacity(EVENTS);
    }

    /// Opens the route of this member to its partner.
    pub fn open(&mut self, n: usize) {
        let partner = self.members[n ^ 1].key;
        self.members[n].route =
            Some(self.client.open_route_with_token(self.members[n].relay, partner, n as u64).unwrap());
    }

    /// Sends a packet, as soon as there is room for it.
    pub fn send(&mut self, n: usize, len: usize) {
        let member = &self.members[n];
        let (route, data) = (member.route.unwrap(), numbered(member.sent, len));
        while let Err(error) = self.client.send_data(route, &data) {
            assert_eq!(error, SendError::WouldBlock);
            self.client.poll(&mut self.events, Some(LONG)).unwrap();
            self.handle_events();
        }
        self.members[n].sent += 1;
    }

    /// From now on packets between this member and its partner may be lost.
    pub fn allow_loss(&mut self, n: usize) {
        self.members[n].may_lose = true;
        self.members[n ^ 1].may_lose = true;
    }

    /// Connects the members in `cut` again, whose connections have ended, and opens their routes. From then on nothing
    /// is lost.
    #[track_caller]
    pub fn reconnect(&mut self, cut: &[usize]) {
        for &n in cut {
            let member = &mut self.members[n];
            (member.connected, member.online, member.ended) = (false, false, None);
            let relay = (self.address)().identity(member.secret.clone()).token(n as u64);
            member.relay = self.client.connect(relay).unwrap();
        }
        self.until("connected again", |_, member, _| member.connected);
        for &n in cut {
            self.open(n);
        }
        self.until("online again", |_, member, _| member.online);
        // After this packet nothing arrives that was sent before the cut.
        for &n in cut {
            self.send(n, 4);
            self.send(n ^ 1, 4);
        }
        self.until_all_is_received("received again", |_| true);
        for &n in cut {
            self.members[n].may_lose = false;
            self.members[n ^ 1].may_lose = false;
        }
    }

    /// Polls until the members for which `is_checked` returns true have received everything that their partners have
    /// sent.
    #[track_caller]
    pub fn until_all_is_received(&mut self, what: &str, is_checked: impl Fn(usize) -> bool) {
        self.until(what, |n, member, partner| !is_checked(n) || member.next == partner.sent);
    }
}

impl Member {
    fn receive(&mut self, data: &[u8]) {
        let number = u32::from_be_bytes(*data.first_chunk().expect("data begin with a number"));
        assert!(data == numbered(number, data.len()), "the bytes are as they were sent");
        assert!(
            number == self.next || self.may_lose && number > self.next,
            "{number} instead of {}",
            self.next
        );
        self.next = number + 1;
    }
}

/// The member whose number is this token. Asserts that this is its connection.
fn member_of(members: &mut [Member], token: u64, connection: ConnectionId) -> &mut Member {
    let member = &mut members[token as usize];
    assert_eq!(member.relay, connection);
    member
}

/// The member whose number is this token. Asserts that this is its route, to its partner.
fn route_of(members: &mut [Member], token: u64, route: RouteId, peer: PublicKey) -> &mut Member {
    let n = token as usize;
    assert_eq!((members[n].route, members[n ^ 1].key), (Some(route), peer));
    &mut members[n]
}
