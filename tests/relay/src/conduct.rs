//! How the relay behaves, and misbehaves.

/// How the relay treats a new connection, from its first byte to its last.
///
/// In everything else the relay is honest. That includes pings: a client
/// that is not read, or not answered, is dropped once it has left a ping without a pong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conduct {
    /// Keeps to the protocol.
    #[default]
    Honest,

    /// Closes the connection at once, with a clean end of stream.
    CloseOnAccept,
    /// Accepts, and reads nothing: what the client sends fills the socket.
    Deaf,
    /// Reads everything, and never sends a byte.
    Mute,
    /// Closes cleanly when the hello has come, without an answer.
    CloseAfterHello,
    /// Resets the connection when the hello has come, without an answer.
    ResetAfterHello,

    /// Answers the hello with these bytes instead of a response, then reads on silently.
    Garbage(Vec<u8>),
    /// Answers with boxes of a long-term key that differs from its known one.
    WrongKey,
    /// Sends the client's own nonce and box back. They open with the key of the two, and a client
    /// that believes them has met a relay that holds no key at all.
    ReflectHello,
    /// Replays an older response for this client key, whatever conduct that was recorded
    /// under. The first connection of a key is treated honestly, and recorded.
    Replay,
    /// A response that opens, and offers the client its own temporary public key.
    ReflectTemporaryKey,
    /// A response that opens, and offers the all-zero temporary public key: everyone can compute
    /// what follows from it. The relay does, and goes on honestly.
    LowOrderKey,

    /// Resets the connection when the client's first packet has come.
    ///
    /// Not right after the response: the reset would overtake it.
    ResetAfterHandshake,
    /// Closes cleanly right after the response.
    CloseAfterHandshake,
    /// Sends these bytes right after the response, where the client expects packets.
    GarbageAfterHandshake(Vec<u8>),
    /// Reads nothing after the hello.
    DeafAfterHandshake,
    /// Sends no packet after the response, but reads and routes.
    SilentAfterHandshake,
    /// Leaves pings unanswered.
    NoPong,
    /// Sends these plaintexts after the answer to the client's first packet, legal or not.
    Unsolicited(Vec<Vec<u8>>),

    /// Writes everything to the socket one byte at a time.
    OneByte,
}
