//! The feature `serde`: values are read back as they were written, in a text format (JSON) and in a binary one (CBOR),
//! and secrets are not written.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tox_relay_client::pool::{Remembered, RememberedOrigin, RememberedPeer, RememberedRelay};
use tox_relay_client::{Address, PublicKey, Relay, SecretKey};

const KEY: &str = "3F0A45A268367C1BEA652F258C85F4A66DA76BCAA667A49E770BCC4917AB6A25";

fn cbor(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn from_cbor<T: DeserializeOwned>(value: &impl Serialize) -> Result<T, String> {
    ciborium::from_reader(&cbor(value)[..]).map_err(|error| error.to_string())
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn a_public_key_is_hexadecimal_in_json_and_bytes_in_cbor() {
    let key: PublicKey = KEY.parse().unwrap();
    let json = serde_json::to_string(&key).unwrap();
    assert_eq!(json, format!("{KEY:?}"));
    assert_eq!(from_json(&json), Ok(key));
    // A byte string of 32 bytes: two bytes for its length, and the key.
    assert_eq!(cbor(&key), [&[0x58, 32][..], key.as_bytes()].concat());
    assert_eq!(from_cbor(&key), Ok(key));
    assert_eq!(from_cbor(key.as_bytes()), Ok(key), "a list of 32 numbers");
}

#[test]
fn an_invalid_key_is_refused_with_the_reason() {
    for (text, reason) in [("\"3F\"", "64 hexadecimal digits, not 2"), ("7", "expected a public key")] {
        let error = from_json::<PublicKey>(text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    for len in [0, 31, 33] {
        assert!(from_cbor::<PublicKey>(&vec![7; len]).is_err(), "{len} numbers");
        let error = from_cbor::<PublicKey>(&ciborium::Value::Bytes(vec![7; len])).unwrap_err();
        assert!(error.contains(&format!("not {len}")), "{error}");
    }
}

#[test]
fn an_address_is_its_text() {
    for text in ["198.51.100.7:33445", "[2001:db8::7]:33445", "relay.example:33445"] {
        let address: Address = text.parse().unwrap();
        assert_eq!(serde_json::to_string(&address).unwrap(), format!("{text:?}"));
        assert_eq!(from_json(&format!("{text:?}")), Ok(address.clone()));
        assert_eq!(from_cbor(&address), Ok(address));
    }
    let error = from_json::<Address>("\"2001:db8::7:33445\"").unwrap_err();
    assert!(error.contains("in brackets"), "{error}");
}

#[test]
fn a_relay_is_written_without_identity_proxy_and_token() {
    let secret = SecretKey::from([0x5e; 32]);
    let proxy = "socks5://alice:password@127.0.0.1:9050".parse().unwrap();
    let relay = Relay::new("relay.example:33445", KEY.parse().unwrap());
    let private = relay.clone().identity(secret).proxy(proxy).token(7);
    let json = serde_json::to_string(&private).unwrap();
    assert_eq!(json, format!(r#"{{"addresses":["relay.example:33445"],"public_key":"{KEY}"}}"#));
    assert_eq!(json, serde_json::to_string(&relay).unwrap());
    let back: Relay = from_json(&json).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
    let back: Relay = from_cbor(&relay).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
}

#[test]
fn a_relay_keeps_all_its_addresses_in_their_order() {
    let relay = Relay::new("198.51.100.7:33445", KEY.parse().unwrap()).address("[2001:db8::7]:443");
    let json = serde_json::to_string(&relay).unwrap();
    let addresses = r#"["198.51.100.7:33445","[2001:db8::7]:443"]"#;
    assert_eq!(json, format!(r#"{{"addresses":{addresses},"public_key":"{KEY}"}}"#));
    assert_eq!(serde_json::to_string(&from_json::<Relay>(&json).unwrap()).unwrap(), json);
}

#[test]
fn a_relay_without_a_usable_address_is_neither_written_nor_read() {
    let malformed = Relay::new("relay.example", KEY.parse().unwrap());
    assert!(serde_json::to_string(&malformed).unwrap_err().to_string().contains("there is no port"));
    for addresses in [r#"[]"#, r#"["relay.example"]"#, r#""relay.example:1""#] {
        let json = format!(r#"{{"addresses":{addresses},"public_key":"{KEY}"}}"#);
        assert!(from_json::<Relay>(&json).is_err(), "{json}");
    }
}

#[test]
fn what_a_pool_remembers_is_read_back() {
    let [user, list, told, friend] = [1, 2, 3, 4].map(|byte| PublicKey::from([byte; 32]));
    let relay = |key, origin, round_trip: Option<u64>| RememberedRelay {
        relay: Relay::new("198.51.100.7:33445", key).address("[2001:db8::7]:443"),
        origin,
        round_trip: round_trip.map(Duration::from_micros),
        failures: 3,
        up_time: Duration::from_secs(7_200),
    };
    let remembered = Remembered {
        relays: vec![
            relay(user, RememberedOrigin::User, Some(70_123)),
            relay(list, RememberedOrigin::List, None),
            relay(told, RememberedOrigin::Peer { public_key: friend, is_local: false }, None),
        ],
        peers: vec![RememberedPeer { public_key: friend, relays: vec![user, told] }],
    };
    let json = serde_json::to_string(&remembered).unwrap();
    assert_eq!(from_json(&json), Ok(remembered.clone()));
    assert_eq!(from_cbor(&remembered), Ok(remembered.clone()));
    assert_eq!(from_json("{}"), Ok(Remembered::default()), "the file of a pool that knew nothing");
    let broken = json.replace("198.51.100.7", "198.51.100");
    let error = from_json::<Remembered>(&broken).unwrap_err();
    assert!(error.contains("198.51.100"), "{error}");
}
