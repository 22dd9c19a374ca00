//! The relay's side of one connection, without a socket, a clock or a random source.
//!
//! [`Hello::open`] reads the client's hello, [`Hello::accept`] answers it, and the resulting [`Session`] seals and
//! opens the packets that follow. The caller chooses every key and nonce, so a test knows each byte in advance.

use std::fmt;

use crypto_box::{
    PublicKey, SalsaBox, SecretKey,
    aead::{AeadInPlace, generic_array::GenericArray},
};

/// Bytes of a public or secret key.
pub const KEY_LENGTH: usize = 32;
/// Bytes of a nonce.
pub const NONCE_LENGTH: usize = 24;
/// Bytes that a box adds to its plaintext. They come before the ciphertext.
pub const MAC_LENGTH: usize = 16;
/// Bytes of the client's part of the handshake: public key, nonce, box.
pub const HELLO_LENGTH: usize = KEY_LENGTH + NONCE_LENGTH + MAC_LENGTH + OFFER_LENGTH;
/// Bytes of the relay's part of the handshake: nonce, box.
pub const RESPONSE_LENGTH: usize = NONCE_LENGTH + MAC_LENGTH + OFFER_LENGTH;
/// The longest plaintext that fits a packet; the shortest is one byte, its kind.
pub const MAX_PLAINTEXT: usize = MAX_BOX - MAC_LENGTH;
/// The longest packet on the stream, including its length.
pub const MAX_PACKET: usize = PREFIX_LENGTH + MAX_BOX;

/// The plaintext of both handshake boxes: temporary public key, base nonce.
const OFFER_LENGTH: usize = KEY_LENGTH + NONCE_LENGTH;
/// The length before each packet.
const PREFIX_LENGTH: usize = 2;
/// The limits of that length, which counts MAC and plaintext.
const MIN_BOX: usize = MAC_LENGTH + 1;
const MAX_BOX: usize = 2048;

/// A public or secret X25519 key.
pub type Key = [u8; KEY_LENGTH];
/// A nonce: one big-endian number of 24 bytes.
pub type Nonce = [u8; NONCE_LENGTH];

/// The public key that belongs to `secret_key`.
pub fn public_key(secret_key: &Key) -> Key {
    SecretKey::from_bytes(*secret_key).public_key().to_bytes()
}

/// What an honest relay chooses at random for each connection. A test may choose other values.
#[derive(Clone)]
pub struct Fresh {
    /// The secret key of the relay's temporary key pair.
    pub temporary_secret_key: Key,
    /// The nonce of the first packet that the relay sends.
    pub base_nonce: Nonce,
    /// The nonce of the box in the response.
    pub response_nonce: Nonce,
}

impl Fresh {
    /// The public key of the temporary key pair, which the client receives.
    pub fn temporary_public_key(&self) -> Key {
        public_key(&self.temporary_secret_key)
    }
}

/// The client's part of the handshake, opened.
pub struct Hello {
    client_public_key: Key,
    temporary_public_key: Key,
    base_nonce: Nonce,
    /// The shared key of the two long-term keys, which the response needs, too.
    shared_key: SalsaBox,
}

impl Hello {
    /// Opens the client's 128 bytes with the relay's long-term secret key.
    ///
    /// # Errors
    ///
    /// [`Broken::Box`] if the hello was made for another relay's key, or is garbage.
    pub fn open(bytes: &[u8; HELLO_LENGTH], relay_secret_key: &Key) -> Result<Self, Broken> {
        let (client_public_key, rest) = split(bytes);
        let (nonce, sealed): (Nonce, &[u8]) = split(rest);
        let shared_key = shared_box(&client_public_key, relay_secret_key);

        let mut offer = sealed.to_vec();
        open_in_place(&shared_key, &nonce, &mut offer)?;
        let (temporary_public_key, rest) = split(&offer[MAC_LENGTH..]);
        let (base_nonce, _) = split(rest);
        Ok(Self { client_public_key, temporary_public_key, base_nonce, shared_key })
    }

    /// The client's long-term public key, by which other clients know it.
    pub fn client_public_key(&self) -> &Key {
        &self.client_public_key
    }

    /// The public key that the client made for this connection only.
    pub fn temporary_public_key(&self) -> &Key {
        &self.temporary_public_key
    }

    /// The nonce of the first packet that the client will send.
    pub fn base_nonce(&self) -> &Nonce {
        &self.base_nonce
    }

    /// The same hello, which is then answered with a box of another long-term key, as by an impostor.
    pub fn answered_by(self, secret_key: &Key) -> Self {
        Self { shared_key: shared_box(&self.client_public_key, secret_key), ..self }
    }

    /// The relay's part of the handshake, with any contents, valid or not.
    pub fn respond(
        &self,
        nonce: &Nonce,
        temporary_public_key: &Key,
        base_nonce: &Nonce,
    ) -> [u8; RESPONSE_LENGTH] {
        let mut response = Vec::with_capacity(RESPONSE_LENGTH);
        response.extend_from_slice(nonce);
        seal_onto(&self.shared_key, nonce, &[temporary_public_key, base_nonce], &mut response);
        response.try_into().expect("a nonce and a box of 56 bytes make a response")
    }

    /// The honest answer: the 96 bytes for the client, and the session that follows.
    pub fn accept(&self, fresh: &Fresh) -> ([u8; RESPONSE_LENGTH], Session) {
        let response = self.respond(&fresh.response_nonce, &fresh.temporary_public_key(), &fresh.base_nonce);
        (response, self.session(&fresh.temporary_secret_key, fresh.base_nonce))
    }

    /// The session of this client's keys with any keys of the relay.
    pub fn session(&self, temporary_secret_key: &Key, send_nonce: Nonce) -> Session {
        Session::new(&self.temporary_public_key, temporary_secret_key, self.base_nonce, send_nonce)
    }
}

/// Both directions of an encrypted connection.
pub struct Session {
    shared: SalsaBox,
    receive_nonce: Nonce,
    send_nonce: Nonce,
    /// The bytes of the incomplete packet that have arrived: never more than [`MAX_PACKET`].
    incoming: Vec<u8>,
}

impl Session {
    /// A session from its four parts: the other side's temporary public key, our temporary secret key, and the
    /// nonces of the first packet in each direction. With the roles exchanged it is a client's session.
    pub fn new(
        their_public_key: &Key,
        our_secret_key: &Key,
        receive_nonce: Nonce,
        send_nonce: Nonce,
    ) -> Self {
        let shared = shared_box(their_public_key, our_secret_key);
        Self { shared, receive_nonce, send_nonce, incoming: Vec::new() }
    }

    /// Appends the whole packet for `plaintext`, length included, to `stream`.
    ///
    /// The contents may be valid or not. If they are empty, the packet is one that every client must reject.
    ///
    /// # Panics
    ///
    /// If the length of `plaintext` with its MAC does not fit into two bytes. Plaintexts between [`MAX_PLAINTEXT`] and
    /// that length give invalid packets.
    pub fn seal(&mut self, plaintext: &[u8], stream: &mut Vec<u8>) {
        let length = u16::try_from(MAC_LENGTH + plaintext.len()).expect("a length that fits into two bytes");
        stream.extend_from_slice(&length.to_be_bytes());
        seal_onto(&self.shared, &self.send_nonce, &[plaintext], stream);
        increment(&mut self.send_nonce);
    }

    /// Takes the next bytes of the stream, however they are split, and calls `each` with every plaintext that they
    /// complete.
    ///
    /// # Errors
    ///
    /// At the first invalid packet. The connection must end then, since the nonces no longer agree.
    pub fn open_each(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Broken> {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(self.missing()?.min(bytes.len()));
            self.incoming.extend_from_slice(taken);
            bytes = rest;
            if self.incoming.len() > PREFIX_LENGTH && self.missing()? == 0 {
                let sealed = &mut self.incoming[PREFIX_LENGTH..];
                open_in_place(&self.shared, &self.receive_nonce, sealed)?;
                increment(&mut self.receive_nonce);
                each(&sealed[MAC_LENGTH..]);
                self.incoming.clear();
            }
        }
        // An impossible length is reported as soon as it is complete, not with the byte after it.
        self.missing().map(|_| ())
    }

    /// Like [`open_each`](Session::open_each), and collects the plaintexts, for tests.
    ///
    /// # Errors
    ///
    /// As `open_each`; the packets before the invalid one are lost here.
    pub fn open(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Broken> {
        let mut plaintexts = Vec::new();
        self.open_each(bytes, |plaintext| plaintexts.push(plaintext.to_vec()))?;
        Ok(plaintexts)
    }

    /// How many bytes of an incomplete packet have arrived.
    pub fn unfinished(&self) -> usize {
        self.incoming.len()
    }

    /// How many more bytes of the current packet are needed for the next step: its length, or the whole packet.
    fn missing(&self) -> Result<usize, Broken> {
        let Some((prefix, sealed)) = self.incoming.split_first_chunk() else {
            return Ok(PREFIX_LENGTH - self.incoming.len());
        };
        match usize::from(u16::from_be_bytes(*prefix)) {
            length @ MIN_BOX..=MAX_BOX => Ok(length - sealed.len()),
            length => Err(Broken::Length(length)),
        }
    }
}

/// Why a hello or a packet is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The length field of a packet has this value, which is not in 17..=2048.
    Length(usize),
    /// A box does not open: it has another key or another nonce, or its bytes were changed.
    Box,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "a packet cannot be {length} bytes long"),
            Self::Box => f.write_str("a box does not open"),
        }
    }
}

impl std::error::Error for Broken {}

fn shared_box(public_key: &Key, secret_key: &Key) -> SalsaBox {
    SalsaBox::new(&PublicKey::from(*public_key), &SecretKey::from_bytes(*secret_key))
}

/// Appends the box of `parts`: the MAC, then the ciphertext.
fn seal_onto(shared: &SalsaBox, nonce: &Nonce, parts: &[&[u8]], stream: &mut Vec<u8>) {
    let start = stream.len();
    stream.extend_from_slice(&[0; MAC_LENGTH]);
    for part in parts {
        stream.extend_from_slice(part);
    }
    let (mac, text) = stream[start..].split_at_mut(MAC_LENGTH);
    let tag = shared
        .encrypt_in_place_detached(GenericArray::from_slice(nonce), &[], text)
        .expect("a box may be far longer than a packet");
    mac.copy_from_slice(&tag);
}

/// Opens a box in place: the MAC stays, the plaintext replaces the ciphertext.
fn open_in_place(shared: &SalsaBox, nonce: &Nonce, sealed: &mut [u8]) -> Result<(), Broken> {
    let (mac, text) = sealed.split_at_mut(MAC_LENGTH);
    shared
        .decrypt_in_place_detached(GenericArray::from_slice(nonce), &[], text, GenericArray::from_slice(mac))
        .map_err(|_| Broken::Box)
}

/// Adds one to the nonce, a big-endian number.
fn increment(nonce: &mut Nonce) {
    for byte in nonce.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return;
        }
    }
}

/// Splits an array off the beginning of the bytes, which must be long enough.
fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (first, rest) = bytes.split_first_chunk().expect("the caller passes enough bytes");
    (*first, rest)
}
