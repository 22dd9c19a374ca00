//! All of the Rust library can be reached from C: each public type, method and field of a status is named in the header,
//! or in a list of exceptions with its reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each public type is in C. Text with a blank is the reason why it is not there.
const TYPES: &[(&str, &str)] = &[
    ("Address", "TRC_ADDRESS_SIZE"),
    ("AddressError", "trc_error"),
    ("AddRelayError", "trc_error"),
    ("Client", "trc_client"),
    ("ClientError", "trc_error"),
    ("Config", "trc_config"),
    ("ConnectError", "trc_error"),
    ("ConnectTimes", "trc_connection_status"),
    ("ConnectionId", "ids are numbers"),
    ("ConnectionStatus", "trc_connection_status"),
    ("Destination", "trc_transport"),
    ("DisconnectReason", "trc_reason"),
    ("Event", "trc_event"),
    ("EventWith", "for Rust programs that keep payloads in another form"),
    ("Events", "the client has them, and returns one at a time"),
    ("FailedAttempt", "trc_failed_attempt"),
    ("Fault", "trc_fault"),
    ("Hint", "trc_hint"),
    ("Impostor", "trc_reason"),
    ("Iter", "events are returned one at a time"),
    ("KEY_LEN", "TRC_KEY_SIZE"),
    ("KeyError", "trc_error"),
    ("MoveCause", "trc_move_cause"),
    ("Origin", "trc_origin"),
    ("OwnedEvent", "for Rust programs: in C, who keeps an event copies its payload"),
    ("OwnedPoolEvent", "for Rust programs: in C, who keeps an event copies its payload"),
    ("Party", "trc_party"),
    ("PeerId", "ids are numbers"),
    ("PeerStatus", "trc_peer_status"),
    ("Phrase", "a part of the text in trc_end"),
    ("Pool", "trc_pool"),
    ("PoolEvent", "trc_pool_event"),
    ("PoolEventWith", "for Rust programs that keep payloads in another form"),
    ("PoolEvents", "the pool has them, and returns one at a time"),
    ("PoolSendError", "trc_error"),
    ("Proxy", "trc_config_set_proxy"),
    ("ProxyConfigError", "trc_error"),
    ("ProxyError", "trc_reason"),
    ("PublicKey", "TRC_KEY_SIZE"),
    ("Relay", "trc_relay"),
    ("RelayId", "ids are numbers"),
    ("RelayStatus", "trc_relay_status"),
    ("Remembered", "trc_pool_remember"),
    ("RememberedOrigin", "inside the text of trc_pool_remember"),
    ("RememberedPeer", "inside the text of trc_pool_remember"),
    ("RememberedRelay", "inside the text of trc_pool_remember"),
    ("Retry", "trc_retry"),
    ("RoundTrips", "trc_connection_status"),
    ("RouteError", "trc_error"),
    ("RouteId", "ids are numbers"),
    ("RouteState", "trc_route_state"),
    ("RouteStatus", "trc_route_status"),
    ("SecretKey", "TRC_KEY_SIZE"),
    ("SendError", "trc_error"),
    ("Server", "the text in trc_end names it"),
    ("SettingError", "trc_error"),
    ("Stage", "trc_stage"),
    ("Stream", "trc_client_connect_with"),
    ("TieError", "trc_error"),
    ("Traffic", "trc_traffic"),
    ("TrafficByKind", "trc_traffic_by_kind"),
    ("Violation", "trc_reason"),
    ("Waker", "trc_waker"),
    ("socks", "addresses are texts, and proxies URLs"),
];

/// Methods that have another name in C than that of `name`; or a reason, as above.
const METHODS: &[(&str, &str)] = &[
    ("Address::host_name", "addresses are texts"),
    ("Address::port", "addresses are texts"),
    ("Address::socket_addr", "addresses are texts"),
    ("Client::open_route_with_token", "trc_client_open_route"),
    ("Config::settings", "each function checks what it sets"),
    ("ConnectError::fault", "trc_error_details"),
    ("ConnectError::retry", "trc_error_details"),
    ("Destination::address", "it is only given to a function, as a text"),
    ("DisconnectReason::fault", "trc_end"),
    ("DisconnectReason::retry", "trc_end"),
    ("DisconnectReason::stage", "trc_end"),
    ("EventWith::connection", "trc_event"),
    ("EventWith::route", "trc_event"),
    ("Event::to_owned", "there are no owned events"),
    ("EventWith::token", "trc_event"),
    ("Events::capacity", "the program has set it itself"),
    ("Events::clear", "each poll does it"),
    ("Events::is_empty", "trc_client_next_event"),
    ("Events::iter", "trc_client_next_event"),
    ("Events::len", "trc_client_next_event"),
    ("Events::with_capacity", "trc_config_set_events"),
    ("OwnedEvent::as_event", "there are no owned events"),
    ("OwnedPoolEvent::as_event", "there are no owned events"),
    ("Phrase::as_str", "a part of the text in trc_end"),
    ("Phrase::is_empty", "a part of the text in trc_end"),
    ("Pool::add_peer_with_token", "trc_pool_add_peer"),
    ("Pool::client", "trc_pool_connection"),
    ("PoolEvent::to_owned", "there are no owned events"),
    ("PoolEventWith::peer", "trc_event"),
    ("PoolEventWith::relay", "trc_event"),
    ("PoolEventWith::token", "trc_event"),
    ("PoolEvents::capacity", "the program has set it itself"),
    ("PoolEvents::clear", "each poll does it"),
    ("PoolEvents::get", "trc_pool_next_event"),
    ("PoolEvents::is_empty", "trc_pool_next_event"),
    ("PoolEvents::iter", "trc_pool_next_event"),
    ("PoolEvents::len", "trc_pool_next_event"),
    ("PoolEvents::with_capacity", "trc_config_set_events"),
    ("Proxy::address", "trc_connection_status"),
    ("Proxy::credentials", "trc_config_set_proxy"),
    ("Proxy::http", "trc_config_set_proxy"),
    ("Proxy::socks4", "trc_config_set_proxy"),
    ("Proxy::socks4a", "trc_config_set_proxy"),
    ("Proxy::socks5", "trc_config_set_proxy"),
    ("Proxy::scheme", "a C program has the URL that it gave"),
    ("Proxy::user_id", "trc_config_set_proxy"),
    ("PublicKey::as_bytes", "trc_key_to_text"),
    ("PublicKey::from_bytes", "trc_key_from_text"),
    ("Relay::address", "trc_relay_add_address"),
    ("SecretKey::as_bytes", "keys are bytes"),
    ("SecretKey::generate", "trc_generate_secret_key"),
    ("SecretKey::public_key", "trc_public_key"),
];

/// Names in Rust and in C.
type Renamed = &'static [(&'static str, &'static str)];

/// The status of the Rust library, that in C, and the fields that have another name there.
const STATUSES: &[(&str, &str, Renamed)] = &[
    (
        "ConnectionStatus",
        "trc_connection_status",
        &[
            ("started", "age"),
            ("connected_at", "connected_since"),
            ("round_trips", "round_trip"),
            ("times", "time_of_transport"),
        ],
    ),
    (
        "ConnectTimes",
        "trc_connection_status",
        &[
            ("transport", "time_of_transport"),
            ("tunnel", "time_of_tunnel"),
            ("handshake", "time_of_handshake"),
            ("connected", "time_of_connected"),
        ],
    ),
    (
        "RoundTrips",
        "trc_connection_status",
        &[("latest", "round_trip"), ("smallest", "smallest_round_trip"), ("smoothed", "smoothed_round_trip")],
    ),
    ("FailedAttempt", "trc_failed_attempt", &[("reason", "end")]),
    ("Traffic", "trc_traffic", &[]),
    ("TrafficByKind", "trc_traffic_by_kind", &[]),
    ("RouteStatus", "trc_route_status", &[]),
    ("PeerStatus", "trc_peer_status", &[("id", "peer")]),
    // `trc_pool_connection` takes the id of the relay.
    (
        "RelayStatus",
        "trc_relay_status",
        &[("id", "relay"), ("relay", "public_key"), ("connection", "is_connected"), ("retry_at", "retry_in")],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in the header.
fn header() -> BTreeSet<String> {
    let header = read(&root().join("ffi/include/tox_relay_client.h"));
    header.split(|letter: char| !letter.is_alphanumeric() && letter != '_').map(str::to_owned).collect()
}

/// All source of the Rust library, without its tests and the C library.
fn sources() -> Vec<String> {
    let mut folders = vec![root()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
            if path.is_dir() && name != "ffi" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests" {
                sources.push(read(&path));
            }
        }
    }
    sources
}

/// The names that a module exports with `pub use`.
fn exports(file: &str) -> BTreeSet<String> {
    let source = read(&root().join(file));
    let uses = source.split("\npub use ").skip(1).filter_map(|rest| rest.split_once(';'));
    let names =
        uses.flat_map(|(path, _)| path.split(['{', '}', ',', ':']).map(|name| name.trim().to_owned()));
    names.filter(|name| name.contains(|letter: char| letter.is_uppercase()) || name == "socks").collect()
}

/// `Type::method` for each public method of these types.
fn methods(types: &BTreeSet<String>) -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for source in sources() {
        let mut name = None;
        for line in source.lines() {
            if line.starts_with("impl") && !line.contains(" for ") {
                let rest = line.trim_start_matches("impl").trim_end_matches('{').trim();
                let rest =
                    rest.strip_prefix('<').and_then(|rest| rest.split_once("> ")).map_or(rest, |pair| pair.1);
                name = rest.split('<').next().filter(|name| types.contains(*name)).map(str::to_owned);
            } else if line == "}" {
                name = None;
            }
            let signature = line.strip_prefix("    pub fn ").or(line.strip_prefix("    pub const fn "));
            if let (Some(name), Some(signature)) = (&name, signature) {
                let method = signature.split(['(', '<']).next().expect("a name");
                methods.insert(format!("{name}::{method}"));
            }
        }
    }
    methods
}

/// The public fields of a structure.
fn fields<'a>(source: &'a str, structure: &str) -> Vec<&'a str> {
    let (_, body) = source.split_once(&format!("pub struct {structure} {{\n")).unwrap_or_default();
    let (body, _) = body.split_once("\n}").unwrap_or_default();
    body.lines().filter_map(|line| line.strip_prefix("    pub ")?.split(':').next()).collect()
}

/// Whether this is in the header, or is a reason.
fn is_there(header: &BTreeSet<String>, name: &str) -> bool {
    name.contains(' ') || header.contains(name)
}

#[test]
fn each_type_and_method_can_be_reached() {
    let header = header();
    let types: BTreeSet<String> = exports("lib.rs").into_iter().chain(exports("pool/mod.rs")).collect();
    let listed: BTreeSet<String> = TYPES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(types, listed, "the types of the Rust library, and those listed here");
    let methods = methods(&types);
    assert!(methods.len() > 100, "{methods:?}");
    for (name, in_c) in TYPES.iter().chain(METHODS) {
        assert!(is_there(&header, in_c), "{name}: {in_c} is not in the header");
        assert!(!name.contains(':') || methods.contains(*name), "{name} is not a method any more");
    }
    for method in methods {
        if METHODS.iter().any(|(name, _)| *name == method) {
            continue;
        }
        let (of, name) = method.split_once("::").expect("a type and a method");
        let of = of.to_lowercase();
        let names = [format!("trc_{of}_{name}"), format!("trc_{of}_set_{name}")];
        assert!(names.iter().any(|name| header.contains(name)), "{method} cannot be reached from C");
    }
}

#[test]
fn each_field_of_a_status_can_be_reached() {
    let sources = sources().concat();
    let header = read(&root().join("ffi/include/tox_relay_client.h"));
    for (status, in_c, renamed) in STATUSES {
        let (_, body) = header.split_once(&format!("typedef struct {in_c} {{\n")).expect("a structure");
        let (body, _) = body.split_once("\n}").expect("its end");
        let fields = fields(&sources, status);
        assert!(fields.len() > 1, "{status}: {fields:?}");
        for field in fields {
            let name = renamed.iter().find(|(name, _)| *name == field).map_or(field, |(_, name)| name);
            let is_there = [';', '['].iter().any(|end| body.contains(&format!(" {name}{end}")));
            assert!(is_there, "{status}::{field} is not in {in_c}");
        }
    }
}
