//! The parts of a connection that exist in all of its states.

use std::sync::Arc;

use crate::config::Settings;
use crate::connection::outbox::Outbox;
use crate::connection::routes::Routes;
use crate::connection::times::Times;
use crate::id::RelayId;
use crate::status::Traffic;

/// See the module.
pub(super) struct Common {
    pub(super) id: RelayId,
    pub(super) settings: Arc<Settings>,
    pub(super) outbox: Outbox,
    pub(super) routes: Routes,
    pub(super) traffic: Traffic,
    pub(super) times: Times,
}
