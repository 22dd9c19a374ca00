//! The settings of a client or of a pool.

use std::ffi::c_char;
use std::time::Duration;

use tox_relay_client::{Config, Proxy, SecretKey};

use crate::error::trc_error;
use crate::failure::Failure;
use crate::handle::{Handle, catch, free, handles, run};
use crate::pointer;

/// For a window: unconfirmed data have no bound.
pub const TRC_NO_BOUND: usize = usize::MAX;

/// The settings of a client or of a pool. The defaults are those of the protocol: most programs only give a key.
pub struct trc_config(Handle<ConfigState>);

handles!(trc_config: ConfigState);

pub struct ConfigState {
    pub(crate) config: Config,
    /// The capacity of the buffer for events.
    pub(crate) events: usize,
}

impl ConfigState {
    /// Changes the settings, if the changed ones are valid.
    fn change(&mut self, change: impl FnOnce(Config) -> Config) -> Result<(), Failure> {
        let changed = change(self.config.clone());
        changed.settings()?;
        self.config = changed;
        Ok(())
    }
}

/// A proxy by its URL.
pub(crate) fn proxy(url: *const c_char) -> Result<Proxy, Failure> {
    Ok(pointer::text(url)?.parse()?)
}

/// A window in bytes.
pub(crate) fn window(bytes: usize) -> Option<usize> {
    (bytes != TRC_NO_BOUND).then_some(bytes)
}

/// Creates the default settings with this secret key (32 bytes, which are copied, and wiped with the settings). A relay
/// keeps one connection per key: give each client and each pool a key of its own. Writes the settings to `*config`: free
/// them with `trc_config_free`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_config_new(secret_key: *const u8, config: *mut *mut trc_config) -> trc_error {
    catch(|| {
        let place = pointer::out(config)?;
        let config = Config::new(SecretKey::from(pointer::key(secret_key)?));
        place.write(trc_config::new(ConfigState { config, events: 256 }));
        Ok(())
    })
}

/// Frees settings. Clients and pools that were created with them keep them. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_config_free(config: *mut trc_config) {
    free(config);
}

/// Reaches all relays through this proxy. `url` is one of these, with an IP address, and with credentials or without
/// (percent-encoded): `socks5://user:password@127.0.0.1:9050`, `socks4://id@127.0.0.1:1080` (IPv4 only), `socks4a://`,
/// `http://user:password@127.0.0.1:3128`. A connection through a proxy never falls back to a direct one. Proxies resolve
/// the host names of relays, except SOCKS4.
///
/// Errors: `TRC_ERROR_PROXY_...`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_config_set_proxy(config: *mut trc_config, url: *const c_char) -> trc_error {
    run(config, |state| {
        let proxy = proxy(url)?;
        state.change(|config| config.proxy(proxy))
    })
}

/// How long connecting, the exchange with a proxy and the handshake may take together, in milliseconds. Default: 10 s. With
/// a longer timeout, a relay that is gone occupies a socket for longer.
///
/// Errors: `TRC_ERROR_CONNECT_TIMEOUT` if it is 0.
#[unsafe(no_mangle)]
pub extern "C" fn trc_config_set_connect_timeout(config: *mut trc_config, milliseconds: u64) -> trc_error {
    run(config, |state| state.change(|config| config.connect_timeout(Duration::from_millis(milliseconds))))
}

/// The time from one ping to the next, in milliseconds. Default: 30 s, as the specification says.
///
/// Errors: `TRC_ERROR_PING_INTERVAL` if it is 0.
#[unsafe(no_mangle)]
pub extern "C" fn trc_config_set_ping_interval(config: *mut trc_config, milliseconds: u64) -> trc_error {
    run(config, |state| state.change(|config| config.ping_interval(Duration::from_millis(milliseconds))))
}

/// How long a relay may take to answer a ping, in milliseconds. Default: 10 s, as the specification says.
///
/// Errors: `TRC_ERROR_PONG_TIMEOUT` if it is 0.
#[unsafe(no_mangle)]
pub extern "C" fn trc_config_set_pong_timeout(config: *mut trc_config, milliseconds: u64) -> trc_error {
    run(config, |state| state.change(|config| config.pong_timeout(Duration::from_millis(milliseconds))))
}

/// Bytes of data, OOB, onion and forward packets that may be queued for each connection. Default: 131,072; at least
/// 4,068. A route that sends alone uses at most half of it. A larger queue takes more memory for each relay that reads
/// slowly, and delays what is sent last.
///
/// Errors: `TRC_ERROR_SEND_QUEUE` if it is too small.
#[unsafe(no_mangle)]
pub extern "C" fn trc_config_set_send_queue(config: *mut trc_config, bytes: usize) -> trc_error {
    run(config, |state| state.change(|config| config.send_queue(bytes)))
}

/// The most bytes of data that may be sent to a relay before it confirms them. Default: 16 MiB; at least 16 KiB;
/// `TRC_NO_BOUND` for no bound: then `tox-bootstrapd` usually resets whoever has more than 64 KiB to send at once. Further
/// data wait in the send queue, as if the socket was full. This is only the bound: the window is what the relay reads in
/// half a second, at most 47,000 bytes, and more only if the relay reads at once.
///
/// Errors: `TRC_ERROR_WINDOW` if it is too small.
#[unsafe(no_mangle)]
pub extern "C" fn trc_config_set_window(config: *mut trc_config, bytes: usize) -> trc_error {
    run(config, |state| state.change(|config| config.window(window(bytes))))
}

/// The most events of one poll. Default: 256; smaller values than 2 are raised to 2, larger ones than 1,048,576 lowered
/// to that. A larger number means fewer polls under load, and up to 2031 bytes of memory for each event.
#[unsafe(no_mangle)]
pub extern "C" fn trc_config_set_events(config: *mut trc_config, events: usize) -> trc_error {
    run(config, |state| {
        state.events = events;
        Ok(())
    })
}
