//! How the relay behaves, and misbehaves.

/// How the relay treats a new connection, from its first byte to its last.
///
/// In everything else the relay is honest. That includes pings: a client that does not answer one is dropped, also if
/// the relay does not read its answer.
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
    /// Closes cleanly when the hello has arrived, without an answer.
    CloseAfterHello,
    /// Resets the connection when the hello has arrived, without an answer.
    ResetAfterHello,

    /// Answers the hello with these bytes instead of a response, then reads and sends nothing more.
    Garbage(Vec<u8>),
    /// Answers with a box of another long-term key than the relay's.
    WrongKey,
    /// Sends the client's own nonce and box back. They open with the shared key, so a client that accepts them takes a
    /// relay without any key for the real one.
    ReflectHello,
    /// Replays the last honest response to this client key, which may have been recorded under another conduct. The
    /// first connection of a key is answered honestly, and recorded.
    Replay,
    /// Sends a response that opens, and offers the client its own temporary public key.
    ReflectTemporaryKey,
    /// Sends a response that opens, and offers a temporary public key of zeros. Everyone can compute the shared key
    /// that results from it. The relay uses that key, and is honest from then on.
    LowOrderKey,

    /// Resets the connection when the client's first packet has arrived.
    ///
    /// Not right after the response: the client might lose it.
    ResetAfterHandshake,
    /// Closes cleanly right after the response.
    CloseAfterHandshake,
    /// Sends these bytes right after the response, where the client expects packets.
    GarbageAfterHandshake(Vec<u8>),
    /// Reads nothing after the hello.
    DeafAfterHandshake,
    /// Sends no packet of its own after the response, but reads and routes.
    SilentAfterHandshake,
    /// Leaves pings unanswered.
    NoPong,
    /// Sends these plaintexts after the answer to the client's first packet, legal or not.
    Unsolicited(Vec<Vec<u8>>),

    /// Discards each packet of data for the client, with a route or out of band, whose number is a multiple of this.
    /// They are counted from 1.
    DropEvery(u64),
    /// Writes everything to the socket one byte at a time.
    OneByte,
}
