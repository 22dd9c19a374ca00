//! How far the exchange with a proxy has come.

/// What has become of a tunnel.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// The proxy has more to say; all input is used up.
    Waiting,
    /// The tunnel stands. What is left of the input comes from the relay.
    Open,
}
