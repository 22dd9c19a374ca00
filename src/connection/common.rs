//! The parts of a connection that exist in all of its states.

use std::sync::Arc;

use crate::address::Address;
use crate::config::{Proxy, Settings};
use crate::connection::outbox::Outbox;
use crate::connection::routes::Routes;
use crate::connection::times::Times;
use crate::id::ConnectionId;
use crate::status::Traffic;

/// See the module.
pub(super) struct Common {
    pub(super) id: ConnectionId,
    /// The token that the caller has chosen for this connection.
    pub(super) token: u64,
    /// The relay's address: that of the attempt that has won, and before that the first one.
    pub(super) address: Address,
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) settings: Arc<Settings>,
    pub(super) outbox: Outbox,
    pub(super) routes: Routes,
    pub(super) traffic: Traffic,
    pub(super) times: Times,
}
