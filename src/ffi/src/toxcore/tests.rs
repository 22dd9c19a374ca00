//! The functions as toxcore calls them, with callbacks that call them again.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tox_test_relay::{Options, Relay as TestRelay};

use super::*;
use crate::toxcore::abi::{CONFIRMED, CONNECTING, OFFLINE, ONLINE, SENT};

/// What a callback was told, with its object.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Response { number: u8, peer: [u8; 32] },
    Status { peer: u32, number: u8, status: u8 },
    Data { peer: u32, number: u8, data: Vec<u8> },
    Oob { sender: [u8; 32], data: Vec<u8> },
}

thread_local! {
    static TOLD: RefCell<Vec<(usize, Told)>> = const { RefCell::new(Vec::new()) };
    /// What the next data packet does.
    static REACTION: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

fn tell(object: *mut c_void, told: Told) {
    TOLD.with_borrow_mut(|all| all.push((object.addr(), told)));
}

fn bytes(data: *const u8, length: u16) -> Vec<u8> {
    pointer::bytes(data, length.into()).unwrap().to_vec()
}

extern "C" fn on_response(object: *mut c_void, number: u8, peer: *const u8) -> c_int {
    tell(object, Told::Response { number, peer: pointer::key(peer).unwrap() });
    set_tcp_connection_number(object.cast(), number, 100 + u32::from(number))
}

extern "C" fn on_status(object: *mut c_void, peer: u32, number: u8, status: u8) -> c_int {
    tell(object, Told::Status { peer, number, status });
    0
}

extern "C" fn on_data(
    object: *mut c_void,
    peer: u32,
    number: u8,
    data: *const u8,
    length: u16,
    _userdata: *mut c_void,
) -> c_int {
    tell(object, Told::Data { peer, number, data: bytes(data, length) });
    if let Some(reaction) = REACTION.take() {
        reaction();
    }
    0
}

extern "C" fn on_oob(
    object: *mut c_void,
    sender: *const u8,
    data: *const u8,
    length: u16,
    _userdata: *mut c_void,
) -> c_int {
    tell(object, Told::Oob { sender: pointer::key(sender).unwrap(), data: bytes(data, length) });
    0
}

/// A part of a Tox instance: its connections, of which each is served once an iteration.
struct Tox {
    /// Whether it is toxcore 0.2.18, which has other names.
    is_old: bool,
    /// Whose address is the clock.
    clock: Box<u8>,
    secret_key: [u8; 32],
    public_key: [u8; 32],
    connections: Vec<*mut Connection>,
}

impl Tox {
    fn new() -> Self {
        let secret_key = SecretKey::generate();
        Self {
            is_old: false,
            clock: Box::new(0),
            secret_key: *secret_key.as_bytes(),
            public_key: *secret_key.public_key().as_bytes(),
            connections: Vec::new(),
        }
    }

    /// The clock, as toxcore passes it.
    fn clock(&self) -> *const c_void {
        (&raw const *self.clock).cast()
    }

    fn try_connect(&self, relay: SocketAddr, relay_key: &[u8; 32]) -> *mut Connection {
        let address = IpPort::ipv4([127, 0, 0, 1], relay.port());
        let (relay_key, public_key) = (relay_key.as_ptr(), self.public_key.as_ptr());
        let (clock, secret_key, proxy) = (self.clock(), self.secret_key.as_ptr(), null());
        let (logger, memory, random, network) = (null(), null(), null(), null());
        if self.is_old {
            new_TCP_connection(
                logger, clock, random, network, &address, relay_key, public_key, secret_key, proxy,
            )
        } else {
            new_tcp_connection(
                logger, memory, clock, random, network, &address, relay_key, public_key, secret_key, proxy,
            )
        }
    }

    fn connect(&mut self, relay: SocketAddr, relay_key: &[u8; 32]) -> *mut Connection {
        let connection = self.try_connect(relay, relay_key);
        assert!(!connection.is_null());
        let identity = self.secret_key.into();
        let instance = instance::of_clock(self.clock().addr(), &identity).unwrap();
        assert!(Arc::ptr_eq(&instance, &registry::find(connection).unwrap().instance));
        self.connections.push(connection);
        routing_response_handler(connection, Some(on_response), connection.cast());
        routing_status_handler(connection, Some(on_status), connection.cast());
        routing_data_handler(connection, Some(on_data), connection.cast());
        oob_data_handler(connection, Some(on_oob), connection.cast());
        connection
    }

    fn iterate(&self) {
        let take_turn = if self.is_old { do_TCP_connection } else { do_tcp_connection };
        for connection in &self.connections {
            take_turn(null(), self.clock(), *connection, null_mut());
        }
    }
}

impl Drop for Tox {
    fn drop(&mut self) {
        let kill = if self.is_old { kill_TCP_connection } else { kill_tcp_connection };
        self.connections.iter().for_each(|connection| kill(*connection));
    }
}

/// Iterates until the condition holds.
#[track_caller]
fn until(instances: &[&Tox], mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < limit, "only {:?}", TOLD.take());
        instances.iter().for_each(|tox| tox.iterate());
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Whether a connection was told this; then it is forgotten.
fn was_told(connection: *mut Connection, told: &Told) -> bool {
    TOLD.with_borrow_mut(|all| {
        let place = all.iter().position(|(object, other)| (*object, other) == (connection.addr(), told));
        place.map(|place| all.remove(place)).is_some()
    })
}

/// Two instances on one relay, with a route between them that is online at both ends and has the number 0. One is
/// toxcore 0.2.18, and the other a newer one.
struct Pair {
    relay: TestRelay,
    one: Tox,
    other: Tox,
    from: *mut Connection,
    to: *mut Connection,
}

fn pair() -> Pair {
    let relay = TestRelay::start(Options::default()).unwrap();
    let (mut one, mut other) = (Tox::new(), Tox::new());
    one.is_old = true;
    let [from, to] = [&mut one, &mut other].map(|tox| tox.connect(relay.addr(), &relay.public_key()));
    let online = Told::Status { peer: 100, number: 0, status: ONLINE };
    until(&[&one, &other], || [from, to].iter().all(|end| tcp_con_status(*end) == CONFIRMED));
    for (connection, peer) in [(from, other.public_key), (to, one.public_key)] {
        assert_eq!(send_routing_request(null(), connection, peer.as_ptr()), SENT);
        until(&[&one, &other], || was_told(connection, &Told::Response { number: 0, peer }));
    }
    until(&[&one, &other], || was_told(from, &online));
    until(&[&one, &other], || was_told(to, &online));
    Pair { relay, one, other, from, to }
}

#[test]
fn two_instances_use_each_function() {
    let Pair { relay, one, other, from, to } = pair();
    assert_eq!(send_routing_request(null(), from, other.public_key.as_ptr()), SENT, "a second time");

    assert_eq!(send_data(null(), from, 0, b"hello".as_ptr(), 5), SENT);
    until(&[&other], || was_told(to, &Told::Data { peer: 100, number: 0, data: b"hello".to_vec() }));
    assert_eq!(send_data(null(), from, 1, b"hello".as_ptr(), 5), FAILED);
    assert_eq!(send_data(null(), from, 255, b"hello".as_ptr(), 5), FAILED);

    let oob = Told::Oob { sender: other.public_key, data: b"hello".to_vec() };
    assert_eq!(send_oob_packet(null(), to, one.public_key.as_ptr(), b"hello".as_ptr(), 5), SENT);
    until(&[&one], || was_told(from, &oob));
    assert_eq!(send_oob_packet(null(), to, one.public_key.as_ptr(), null(), 0), FAILED);

    assert_eq!(send_onion_request(null(), from, [0; 178].as_ptr(), 178), SENT);
    let node = IpPort::ipv4([127, 0, 0, 1], 1);
    assert_eq!(send_forward_request_tcp(null(), from, &node, b"hello".as_ptr(), 5), SENT);
    assert_eq!(send_forward_request_tcp(null(), from, &IpPort::NONE, b"hello".as_ptr(), 5), FAILED);
    onion_response_handler(from, None, null_mut());
    forwarding_handler(from, None, null_mut());

    tcp_con_set_custom_object(from, (&raw const *one.clock).cast_mut().cast());
    assert_eq!(tcp_con_custom_object(from).addr(), (&raw const *one.clock).addr());
    tcp_con_set_custom_uint(from, 7);
    assert_eq!(tcp_con_custom_uint(from), 7);
    assert_eq!(tcp_con_ip_port(from).socket_address(), Some(relay.addr()));
    assert_eq!(pointer::key(tcp_con_public_key(from)), Ok(relay.public_key()));

    assert_eq!(send_disconnect_request(null(), to, 0), SENT);
    assert_eq!(send_disconnect_request(null(), to, 0), FAILED, "it is closed");
    assert_eq!(set_tcp_connection_number(to, 0, 7), FAILED);
    until(&[&one], || was_told(from, &Told::Status { peer: 100, number: 0, status: OFFLINE }));
    assert_eq!(TOLD.take(), []);
}

#[test]
fn a_callback_may_send_end_connections_and_make_others() {
    let Pair { relay, mut one, mut other, from, to } = pair();
    let second = TestRelay::start(Options::default()).unwrap();
    let (address, key) = (second.addr(), second.public_key());
    let third = other.connect(address, &key);
    until(&[&other], || tcp_con_status(third) == CONFIRMED);
    other.connections.retain(|connection| *connection != third);
    let made = std::rc::Rc::new(RefCell::new(null_mut()));
    let (place, secret_key, clock) = (made.clone(), other.secret_key, other.clock().addr());
    REACTION.replace(Some(Box::new(move || {
        assert_eq!(send_data(null(), to, 0, b"answer".as_ptr(), 6), SENT);
        kill_tcp_connection(third);
        let clock = std::ptr::without_provenance(clock);
        let address = IpPort::ipv4([127, 0, 0, 1], address.port());
        *place.borrow_mut() = new_tcp_connection(
            null(),
            null(),
            clock,
            null(),
            null(),
            &address,
            key.as_ptr(),
            null(),
            secret_key.as_ptr(),
            null(),
        );
    })));
    assert_eq!(send_data(null(), from, 0, b"hello".as_ptr(), 5), SENT);
    until(&[&one, &other], || !made.borrow().is_null());
    other.connections.push(*made.borrow());
    until(&[&one], || was_told(from, &Told::Data { peer: 100, number: 0, data: b"answer".to_vec() }));
    until(&[&other], || tcp_con_status(*made.borrow()) == CONFIRMED);

    // Even its own connection.
    other.connections.retain(|connection| *connection != to);
    REACTION.replace(Some(Box::new(move || kill_tcp_connection(to))));
    assert_eq!(send_data(null(), from, 0, b"hello".as_ptr(), 5), SENT);
    until(&[&one], || {
        if REACTION.with_borrow(Option::is_some) {
            do_tcp_connection(null(), other.clock(), to, null_mut());
        }
        was_told(from, &Told::Status { peer: 100, number: 0, status: OFFLINE })
    });
    assert!(relay.close(&one.public_key));
    until(&[&one], || tcp_con_status(from) == DISCONNECTED);
    assert_eq!(send_data(null(), from, 0, b"hello".as_ptr(), 5), FAILED);
    one.connections.clear();
    kill_TCP_connection(from);
}

#[test]
fn a_relay_that_refuses_is_connected_once_it_is_there() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let secret_key = SecretKey::generate();
    let mut tox = Tox::new();
    let connection = tox.connect(address, secret_key.public_key().as_bytes());
    let refused = Instant::now() + Duration::from_millis(300);
    until(&[&tox], || {
        assert_eq!(tcp_con_status(connection), CONNECTING);
        Instant::now() > refused
    });
    let options = Options { address, secret_key: Some(*secret_key.as_bytes()), ..Options::default() };
    let relay = TestRelay::start(options).unwrap();
    until(&[&tox], || tcp_con_status(connection) == CONFIRMED);
    drop(relay);
    until(&[&tox], || tcp_con_status(connection) == DISCONNECTED);
}

#[test]
fn what_cannot_be_connected_is_null() {
    let tox = Tox::new();
    let address = "127.0.0.1:1".parse().unwrap();
    assert!(tox.try_connect(address, &tox.public_key).is_null(), "our own key");
    assert!(tox.try_connect(address, &[0; 32]).is_null(), "a key of low order");
    let none = null();
    assert!(new_TCP_connection(none, none, none, none, null(), null(), null(), null(), null()).is_null());
}

#[test]
fn null_is_a_connection_that_has_ended() {
    assert_eq!(tcp_con_status(null()), DISCONNECTED);
    assert_eq!(send_data(null(), null_mut(), 0, null(), 0), FAILED);
    assert!(tcp_con_public_key(null()).is_null());
    do_tcp_connection(null(), null(), null_mut(), null_mut());
    kill_tcp_connection(null_mut());
}
