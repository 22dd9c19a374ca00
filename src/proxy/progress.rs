//! The progress of the exchange with a proxy.

/// The state of a tunnel after some input.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// The proxy's answer is incomplete; all input is used up.
    Waiting,
    /// The tunnel is open. The rest of the input comes from the relay.
    Open,
}
