//! Settings that can be changed while there are connections.

use std::sync::Arc;
use std::time::Duration;

use crate::client::interface::Client;
use crate::config::{FOREVER, Proxy, Settings};
use crate::error::SettingError;

impl Client {
    /// Changes the [ping interval](crate::Config::ping_interval), for all connections. It counts from the last ping: a
    /// ping that is overdue now is sent in the next [`poll`](Self::poll).
    ///
    /// A longer interval saves power on a telephone that is not in use, but it takes longer to find that a connection
    /// is dead.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is zero. Then nothing has changed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let mut client = shared::client();
    /// client.set_ping_interval(Duration::from_secs(120))?;
    /// assert!(client.set_ping_interval(Duration::ZERO).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_ping_interval(&mut self, interval: Duration) -> Result<(), SettingError> {
        self.set(|settings| settings.ping_interval = interval.min(FOREVER))
    }

    /// Changes the [pong timeout](crate::Config::pong_timeout), for all connections, from their next ping on. A ping
    /// that is not answered yet keeps its time.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is zero. Then nothing has changed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let mut client = shared::client();
    /// client.set_pong_timeout(Duration::from_secs(20))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_pong_timeout(&mut self, timeout: Duration) -> Result<(), SettingError> {
        self.set(|settings| settings.pong_timeout = timeout.min(FOREVER))
    }

    /// Changes the [connect timeout](crate::Config::connect_timeout), for attempts to
    /// connect that begin from now on. Those that have begun keep their time.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is zero. Then nothing has changed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let mut client = shared::client();
    /// client.set_connect_timeout(Duration::from_secs(60))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_connect_timeout(&mut self, timeout: Duration) -> Result<(), SettingError> {
        self.set(|settings| settings.connect_timeout = timeout.min(FOREVER))
    }

    /// Changes the bound of the [window](crate::Config::window), for all connections.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is less than 16 KiB. Then nothing has changed.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let mut client = shared::client();
    /// client.set_window(32 * 1024)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_window(&mut self, bytes: impl Into<Option<usize>>) -> Result<(), SettingError> {
        self.set(|settings| settings.window = bytes.into())
    }

    /// Changes the [proxy](crate::Config::proxy), for what connects from now on; `None` for direct connections.
    /// Existing connections stay as they are, also those that are being opened: [`disconnect`](Self::disconnect) those
    /// that must not continue.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let mut client = shared::client();
    /// client.set_proxy(Some("socks5://127.0.0.1:9050".parse()?));
    /// # client.set_proxy(None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_proxy(&mut self, proxy: Option<Proxy>) {
        self.proxy = proxy.map(Arc::new);
    }

    /// Replaces the settings, which all connections share, by changed ones.
    fn set(&mut self, change: impl FnOnce(&mut Settings)) -> Result<(), SettingError> {
        let mut settings = Settings::clone(&self.settings);
        change(&mut settings);
        settings.check()?;
        self.settings = Arc::new(settings);
        for connection in self.connections().collect::<Vec<_>>() {
            if let Some(slot) = self.event_loop.table.get_mut(connection) {
                slot.connection.set_settings(Arc::clone(&self.settings));
                self.event_loop.update(connection);
            }
        }
        Ok(())
    }
}
