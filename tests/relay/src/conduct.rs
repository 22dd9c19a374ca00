//! How the relay behaves, and misbehaves.

/// How the relay treats a new connection, from its first byte to its last.
///
/// Whatever is not named is done as an honest relay does it. That goes for pings as well: a client
/// that is not read, or not answered, is dropped once it has left a ping without a pong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conduct {
    /// Keeps to the protocol.
    #[default]
    Honest,

    /// Closes the connection at once, with a clean end of stream.
    CloseOnAccept,
    /// Accepts, and reads nothing: what the client sends piles up in its socket.
    Deaf,
    /// Reads everything, and never says a word.
    Mute,
    /// Closes cleanly when the hello has come, without an answer.
    CloseAfterHello,
    /// Resets the connection when the hello has come, without an answer.
    ResetAfterHello,

    /// Answers the hello with these bytes instead of a response, then reads on silently.
    Garbage(Vec<u8>),
    /// Answers with boxes of another long-term key than the one it is known by.
    WrongKey,
    /// Sends the client's own nonce and box back. They open with the key of the two, and a client
    /// that believes them has met a relay that holds no key at all.
    ReflectHello,
    /// Plays an older response for this client key again, whatever conduct that was recorded
    /// under. The first connection of a key is treated honestly, and recorded.
    Replay,
    /// A response that opens, and offers the client its own temporary public key.
    ReflectTemporaryKey,
    /// A response that opens, and offers the all-zero temporary public key: everyone can compute
    /// what follows from it. The relay does, and goes on honestly.
    LowOrderKey,

    /// Resets the connection when the client's first packet has come.
    ///
    /// Not right behind the response: the reset would overtake it.
    ResetAfterHandshake,
    /// Closes cleanly right behind the response.
    CloseAfterHandshake,
    /// Sends these bytes right behind the response, where the client expects packets.
    GarbageAfterHandshake(Vec<u8>),
    /// Reads nothing after the hello.
    DeafAfterHandshake,
    /// Sends no packet after the response, but reads and routes.
    SilentAfterHandshake,
    /// Leaves pings unanswered.
    NoPong,
    /// Sends these plaintexts behind the answer to the client's first packet, legal or not.
    Unsolicited(Vec<Vec<u8>>),

    /// Hands everything to the socket one byte at a time.
    OneByte,
}
