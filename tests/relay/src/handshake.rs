//! The answer to a hello, honest or not.

use std::collections::HashMap;

use crate::{
    conduct::Conduct,
    session::{Fresh, HELLO_LENGTH, Hello, KEY_LENGTH, Key, Nonce, RESPONSE_LENGTH, Session, public_key},
};

/// The most responses that are kept for replay; a test needs one.
const MAX_RECORDINGS: usize = 4096;

/// Answers hellos with the key of one relay.
pub(crate) struct Responder {
    secret_key: Key,
    /// The last honest response to each client key.
    recordings: HashMap<Key, [u8; RESPONSE_LENGTH]>,
}

/// The result of a hello.
pub(crate) struct Answer {
    pub bytes: Vec<u8>,
    pub next: Next,
}

/// What follows the answer.
pub(crate) enum Next {
    /// Encrypted packets.
    Encrypted(Session),
    /// Nothing: whatever the client sends is read and discarded.
    Ignore,
    /// The end of the stream.
    Close,
    /// A reset.
    Reset,
    /// The client is dropped, since its hello does not open.
    Refuse,
}

impl Responder {
    pub fn new(secret_key: Key) -> Self {
        Self { secret_key, recordings: HashMap::new() }
    }

    pub fn public_key(&self) -> Key {
        public_key(&self.secret_key)
    }

    pub fn answer(&mut self, conduct: &Conduct, bytes: &[u8; HELLO_LENGTH]) -> Answer {
        match conduct {
            Conduct::Mute => answer([], Next::Ignore),
            Conduct::CloseAfterHello => answer([], Next::Close),
            Conduct::ResetAfterHello => answer([], Next::Reset),
            Conduct::Garbage(garbage) => answer(garbage.as_slice(), Next::Ignore),
            Conduct::ReflectHello => answer(&bytes[KEY_LENGTH..], Next::Ignore),
            _ => match Hello::open(bytes, &self.secret_key) {
                Ok(hello) => self.answer_opened(conduct, hello),
                Err(_) => answer([], Next::Refuse),
            },
        }
    }

    fn answer_opened(&mut self, conduct: &Conduct, hello: Hello) -> Answer {
        let base_nonce: Nonce = rand::random();
        let offer = |key: &Key| hello.respond(&rand::random(), key, &base_nonce);
        match conduct {
            Conduct::WrongKey => {
                let (response, session) = hello.answered_by(&rand::random()).accept(&fresh());
                answer(response, Next::Encrypted(session))
            }
            Conduct::ReflectTemporaryKey => answer(offer(hello.temporary_public_key()), Next::Ignore),
            Conduct::LowOrderKey => {
                // With a public key of zeros, every secret key results in the same shared key, also the client's.
                let zeros = [0; KEY_LENGTH];
                let session = Session::new(&zeros, &rand::random(), *hello.base_nonce(), base_nonce);
                answer(offer(&zeros), Next::Encrypted(session))
            }
            Conduct::Replay => match self.recordings.get(hello.client_public_key()) {
                Some(recorded) => answer(recorded, Next::Ignore),
                None => self.answer_honestly(&hello),
            },
            Conduct::CloseAfterHandshake => Answer { next: Next::Close, ..self.answer_honestly(&hello) },
            Conduct::GarbageAfterHandshake(garbage) => {
                let mut honest = self.answer_honestly(&hello);
                honest.bytes.extend_from_slice(garbage);
                honest
            }
            _ => self.answer_honestly(&hello),
        }
    }

    fn answer_honestly(&mut self, hello: &Hello) -> Answer {
        let (response, session) = hello.accept(&fresh());
        if self.recordings.len() >= MAX_RECORDINGS {
            self.recordings.clear();
        }
        self.recordings.insert(*hello.client_public_key(), response);
        answer(response, Next::Encrypted(session))
    }
}

fn answer(bytes: impl AsRef<[u8]>, next: Next) -> Answer {
    Answer { bytes: bytes.as_ref().to_vec(), next }
}

/// New random keys and nonces.
fn fresh() -> Fresh {
    Fresh { temporary_secret_key: rand::random(), base_nonce: rand::random(), response_nonce: rand::random() }
}
