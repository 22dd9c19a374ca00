//! Public keys, addresses, relays and what a pool remembers in files and messages, with the feature `serde`. A secret key is never serialized.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};

use crate::address::Address;
use crate::config::Relay;
use crate::key::{KEY_LEN, PublicKey};
use crate::pool::{Remembered, RememberedOrigin, RememberedPeer, RememberedRelay};

/// As 64 hexadecimal digits in text formats, otherwise as 32 bytes.
impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(self.as_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(KeyVisitor)
        } else {
            deserializer.deserialize_bytes(KeyVisitor)
        }
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = PublicKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a public key: 64 hexadecimal digits or 32 bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PublicKey, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<PublicKey, E> {
        bytes.try_into().map_err(E::custom)
    }

    /// For formats without byte strings.
    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<PublicKey, A::Error> {
        let mut key = [0; KEY_LEN];
        for (position, byte) in key.iter_mut().enumerate() {
            *byte = bytes.next_element()?.ok_or_else(|| de::Error::invalid_length(position, &self))?;
        }
        match bytes.next_element::<u8>()? {
            None => Ok(PublicKey::from_bytes(key)),
            Some(_) => Err(de::Error::invalid_length(KEY_LEN + 1, &self)),
        }
    }
}

/// As its text, in all formats.
impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AddressVisitor)
    }
}

struct AddressVisitor;

impl Visitor<'_> for AddressVisitor {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address of a relay, such as 198.51.100.7:33445")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
        text.parse().map_err(E::custom)
    }
}

/// A relay as it is stored.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "Relay")]
struct Stored {
    addresses: Vec<Address>,
    public_key: PublicKey,
}

/// What others can know of a relay: its `addresses` (a list) and its `public_key`. What belongs to a connection of this
/// program (identity, proxy, connect timeout, local address, token) is left out. A relay whose address is malformed is
/// an error.
impl Serialize for Relay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let addresses = self.addresses.clone().map_err(S::Error::custom)?;
        Stored { addresses, public_key: self.public_key }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Relay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored { addresses, public_key } = Stored::deserialize(deserializer)?;
        let mut addresses = addresses.into_iter();
        let first = addresses.next().ok_or_else(|| de::Error::invalid_length(0, &"at least one address"))?;
        Ok(addresses.fold(Self::new(first, public_key), Self::address))
    }
}

/// Implements the traits of a type by the definition here that has its fields.
macro_rules! as_defined {
    ($type:ty, $definition:ident) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $definition::serialize(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $definition::deserialize(deserializer)
            }
        }
    };
}

as_defined!(Remembered, RememberedDef);
as_defined!(RememberedRelay, RememberedRelayDef);
as_defined!(RememberedOrigin, RememberedOriginDef);
as_defined!(RememberedPeer, RememberedPeerDef);

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(remote = "Remembered", rename = "Remembered")]
struct RememberedDef {
    #[serde(default)]
    relays: Vec<RememberedRelay>,
    #[serde(default)]
    peers: Vec<RememberedPeer>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(remote = "RememberedRelay", rename = "RememberedRelay")]
struct RememberedRelayDef {
    relay: Relay,
    origin: RememberedOrigin,
    round_trip: Option<Duration>,
    #[serde(default)]
    failures: u32,
    #[serde(default)]
    up_time: Duration,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(remote = "RememberedOrigin", rename = "RememberedOrigin")]
enum RememberedOriginDef {
    User,
    List,
    Peer { public_key: PublicKey, is_local: bool },
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(remote = "RememberedPeer", rename = "RememberedPeer")]
struct RememberedPeerDef {
    public_key: PublicKey,
    relays: Vec<PublicKey>,
}
