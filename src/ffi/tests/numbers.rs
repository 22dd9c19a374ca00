//! The numbers of errors, reasons and events never change, and each variant of the Rust library's errors has one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The numbers of `trc_error`. A new one is added here; the others stay.
const ERRORS: &str = "
    NONE 0 NULL 1 UTF8 2 BUSY 3 PANICKED 4 UNSUPPORTED 5 ARGUMENT 6 IO 7 OTHER 8 JSON 9 LOGGER 10 HANDLE 11
    SEND_QUEUE 20 WINDOW 21 CONNECT_TIMEOUT 22 PING_INTERVAL 23 PONG_TIMEOUT 24
    KEY_TOX_ID 30 KEY_LENGTH 31 KEY_DIGIT 32
    ADDRESS_NO_HOST 40 ADDRESS_NO_PORT 41 ADDRESS_PORT 42 ADDRESS_NO_BRACKETS 43 ADDRESS_IPV6 44 ADDRESS_SCOPE 45
    ADDRESS_IPV4 46 ADDRESS_URL 47 ADDRESS_CHARACTER 48 ADDRESS_LENGTH 49 ADDRESS_EMPTY_LABEL 50
    PROXY_SCHEME 60 PROXY_ADDRESS 61 PROXY_PATH 62 PROXY_UNENCODED 63 PROXY_ENCODING 64 PROXY_LENGTH 65
    PROXY_CHARACTER 66 PROXY_NO_PASSWORD 67
    BEYOND_PROXY 80 NAME_WITHOUT_PROXY 81 TOO_MANY_ADDRESSES 82 TOO_MANY_CONNECTIONS 83 LOW_ORDER_KEY 84
    NON_CANONICAL_KEY 85 OWN_KEY 86 SAME_SHARED_KEY 87 ALREADY_CONNECTED 88
    UNKNOWN_CONNECTION 100 UNKNOWN_ROUTE 101 ROUTE_EXISTS 102 TOO_MANY_ROUTES 103
    WOULD_BLOCK 110 LENGTH 111 ROUTE_OFFLINE 112
    LOCAL_ADDRESS 120 TOO_MANY_RELAYS 121 UNKNOWN_PEER 122 UNKNOWN_RELAY 123 TOO_MANY_TIES 124 UNREACHABLE 125";

const REASONS: &str = "
    OTHER 0 CLOSED_BY_CALLER 1 REFUSED 2 TIMED_OUT 3 NO_PONG 4 CLOSED 5 TRANSPORT 6 PING_FLOOD 7
    PROXY_OTHER 20 PROXY_NO_ACCEPTABLE_METHOD 21 PROXY_CREDENTIALS 22 PROXY_SOCKS5 23 PROXY_SOCKS4 24 PROXY_HTTP 25
    PROXY_UNAUTHORIZED 26 PROXY_PROTOCOL 27 PROXY_MALFORMED 28
    IMPOSTOR_OTHER 40 IMPOSTOR_WRONG_KEY 41 IMPOSTOR_OTHER_SERVER 42 IMPOSTOR_REFLECTION 43 IMPOSTOR_LOW_ORDER_KEY 44
    IMPOSTOR_NON_CANONICAL_KEY 45 IMPOSTOR_REPLAY 46
    VIOLATION_OTHER 60 VIOLATION_PACKET_LENGTH 61 VIOLATION_FORGED 62 VIOLATION_KIND 63 VIOLATION_LENGTH 64
    VIOLATION_ROUTE_NUMBER 65 VIOLATION_PING_ID 66 VIOLATION_UNSOLICITED_RESPONSE 67 VIOLATION_ROUTE_NUMBER_IN_USE 68";

const EVENTS: &str = "
    OTHER 0 CONNECTED 1 DISCONNECTED 2 ROUTE_OPENED 3 ROUTE_REFUSED 4 ROUTE_ONLINE 5 ROUTE_OFFLINE 6 DATA 7 OOB 8
    ONION_RESPONSE 9 FORWARDING 10 WRITABLE 11";

const POOL_EVENTS: &str = "
    OTHER 0 PEER_ONLINE 1 PEER_OFFLINE 2 PEER_MOVED 3 DATA 4 OOB 5 WRITABLE 6 RELAY_UP 7 RELAY_DOWN 8 ONION_RESPONSE 9
    FORWARDING 10 ROUTE_REFUSED 11 RELAY_REFUSED 12 UNSENT 13 RELAY_WRITABLE 14";

const MOVE_CAUSES: &str = "OTHER 0 OFFLINE 1 SILENT 2 LOSES 3 FULL 4 FASTER 5";

const STAGES: &str = "NONE 0 CONNECTING 1 TUNNELLING 2 HANDSHAKING 3 CONFIRMING 4 CONNECTED 5 OTHER 6";
const PARTIES: &str = "UNKNOWN 0 RELAY 1 PROXY 2 TUNNEL 3";
const HINTS: &str =
    "NONE 0 OTHER_KEY 1 NOT_REACHED 2 NOT_REACHED_OR_OTHER_KEY 3 INCOMPLETE 4 SAME_KEY 5 OTHER 6";
const FAULTS: &str = "UNKNOWN 0 CALLER 1 NETWORK 2 PROXY 3 RELAY 4";
const RETRIES: &str = "UNKNOWN 0 SOON 1 SELDOM 2 ASK 3";
const ROUTE_STATES: &str = "OTHER 0 REQUESTED 1 OFFLINE 2 ONLINE 3";
const ORIGINS: &str = "USER 1 LIST 2 PEER 3 LOCAL_PEER 4";
const TRANSPORTS: &str = "UDP 1 TCP 2";
const LOG_LEVELS: &str = "OFF 0 ERROR 1 WARN 2 INFO 3 DEBUG 4 TRACE 5";

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a file that can be read")
}

/// The table as names with their numbers.
fn table(text: &str) -> BTreeMap<String, i32> {
    let words: Vec<_> = text.split_whitespace().collect();
    words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].parse().expect("a number"))).collect()
}

/// The constants in the header that begin with this prefix.
fn numbers(prefix: &str) -> BTreeMap<String, i32> {
    let header = read("include/tox_relay_client.h");
    let lines = header.lines().filter_map(|line| line.trim().strip_prefix(prefix)?.strip_suffix(','));
    let pairs = lines.filter_map(|line| line.split_once(" = "));
    pairs.map(|(name, number)| (name.to_owned(), number.parse().expect("a number"))).collect()
}

#[test]
fn numbers_never_change() {
    for (prefix, text) in [
        ("TRC_ERROR_", ERRORS),
        ("TRC_REASON_", REASONS),
        ("TRC_EVENT_KIND_", EVENTS),
        ("TRC_POOL_EVENT_KIND_", POOL_EVENTS),
        ("TRC_MOVE_CAUSE_", MOVE_CAUSES),
        ("TRC_STAGE_", STAGES),
        ("TRC_PARTY_", PARTIES),
        ("TRC_HINT_", HINTS),
        ("TRC_FAULT_", FAULTS),
        ("TRC_RETRY_", RETRIES),
        ("TRC_ROUTE_STATE_", ROUTE_STATES),
        ("TRC_ORIGIN_", ORIGINS),
        ("TRC_TRANSPORT_", TRANSPORTS),
        ("TRC_LOG_LEVEL_", LOG_LEVELS),
    ] {
        assert_eq!(numbers(prefix), table(text), "{prefix}");
    }
}

/// The variants of an enum in this source.
fn variants(source: &str, name: &str) -> Vec<String> {
    let (_, body) = source.split_once(&format!("pub enum {name}")).unwrap_or_else(|| panic!("no {name}"));
    let (_, body) = body.split_once("{\n").expect("variants");
    let (body, _) = body.split_once("\n}").expect("the end of the enum");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|letter: char| letter.is_ascii_uppercase()));
    names
        .map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned())
        .collect()
}

/// Other crates must have an arm for unknown variants, so the compiler does not find one that is missing here.
#[test]
fn each_variant_of_the_rust_library_has_a_number() {
    let mut checked = 0;
    for (file, enums, mapping) in [
        (
            "../error.rs",
            &["ClientError", "SettingError", "ConnectError", "RouteError", "SendError"][..],
            "failure.rs",
        ),
        ("../error.rs", &["DisconnectReason", "ProxyError", "Impostor", "Violation"], "reason.rs"),
        ("../error.rs", &["Hint"], "advice.rs"),
        ("../address/mod.rs", &["AddressError"], "failure.rs"),
        ("../key/mod.rs", &["KeyError"], "failure.rs"),
        ("../config/proxy.rs", &["ProxyConfigError"], "failure.rs"),
        ("../pool/error.rs", &["AddRelayError", "TieError", "PoolSendError"], "failure.rs"),
        ("../advice.rs", &["Fault", "Retry"], "advice.rs"),
        ("../stage.rs", &["Stage", "Party"], "advice.rs"),
        ("../status.rs", &["RouteState"], "advice.rs"),
        ("../event.rs", &["EventWith"], "event.rs"),
        ("../pool/event.rs", &["PoolEvent", "MoveCause"], "pool_event.rs"),
    ] {
        let (source, mapping) = (read(file), read(&format!("src/{mapping}")));
        for name in enums {
            let variants = variants(&source, name);
            assert!(variants.len() > 1, "{name}: {variants:?}");
            for variant in variants {
                let path = format!("{}::{variant}", name.strip_suffix("With").unwrap_or(name));
                let mut found = mapping.match_indices(&path).map(|(at, _)| &mapping[at + path.len()..]);
                let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
                assert!(found.any(is_end), "{path} has no number");
                checked += 1;
            }
        }
    }
    assert!(checked > 90, "{checked}");
}

#[test]
fn each_number_has_a_text() {
    for (file, name, short) in [("src/error.rs", "trc_error", "E"), ("src/reason.rs", "trc_reason", "R")] {
        let source = read(file);
        let (_, texts) = source.split_once("\nconst TEXTS").expect("texts");
        for variant in variants(&source, name) {
            assert!(texts.contains(&format!("{short}::{variant},")), "{name}::{variant} has no text");
        }
    }
}

/// The names of all functions in the header.
fn functions() -> Vec<String> {
    let header = read("include/tox_relay_client.h");
    let lines = header
        .lines()
        .filter(|line| !line.starts_with(['/', ' ', '#', 't', '}']) || line.starts_with("trc_"));
    let names = lines.filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next().map(str::to_owned));
    names.filter(|name| name.starts_with("trc_")).collect()
}

#[test]
fn each_function_and_each_error_is_in_a_test_in_c() {
    let tests = ["client", "handles", "misuse", "pool"].map(|name| read(&format!("tests/{name}.c"))).concat();
    let tests = tests + &read("tests/check.h");
    let functions = functions();
    assert!(functions.len() > 100, "{functions:?}");
    for name in functions {
        assert!(tests.contains(&format!("{name}(")), "{name} is in no test");
    }
    // What no program can cause: a bug, another system, a variant of a later version, 2^24 connections, another logger,
    // and keys that only an attacker has.
    let impossible =
        ["PANICKED", "UNSUPPORTED", "OTHER", "TOO_MANY_CONNECTIONS", "LOGGER", "SAME_SHARED_KEY"];
    for name in table(ERRORS).into_keys().filter(|name| !impossible.contains(&name.as_str())) {
        assert!(tests.contains(&format!("TRC_ERROR_{name}")), "the error {name} is in no test");
    }
}

#[test]
fn each_kind_of_event_is_in_a_test_in_c() {
    for (test, prefix, kinds) in
        [("client", "TRC_EVENT_KIND_", EVENTS), ("pool", "TRC_POOL_EVENT_KIND_", POOL_EVENTS)]
    {
        let test = read(&format!("tests/{test}.c"));
        for name in table(kinds).into_keys().filter(|name| name != "OTHER") {
            let waits = [format!("{prefix}{name});"), format!("{prefix}{name} &&")];
            assert!(waits.iter().any(|wait| test.contains(wait)), "no test in C waits for {prefix}{name}");
        }
    }
}

/// Each file but `pointer.rs` has `unsafe` only in the attributes that export functions.
#[test]
fn unsafe_code_is_in_one_module() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("pointer.rs") {
                let text = fs::read_to_string(&path).expect("a file").replace("#[unsafe(no_mangle)]", "");
                let code: Vec<_> = text.lines().filter_map(|line| line.split("//").next()).collect();
                let uses =
                    code.iter().filter(|line| line.contains("unsafe") && !line.contains("unsafe_code"));
                assert_eq!(uses.count(), 0, "{}", path.display());
                assert!(text.lines().count() <= 450, "{} is too long", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 15);
}
