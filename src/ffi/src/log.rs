//! What the library logs.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::error::trc_error;
use crate::handle::catch;
use crate::text::c_string;

/// How important a line of the log is. A larger number is more detailed.
#[repr(i32)]
#[allow(dead_code, reason = "for C programs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_log_level {
    /// Nothing is logged.
    Off = 0,
    /// Not used by this library.
    Error = 1,
    /// What should never happen; a relay of a pool that cannot be tried.
    Warn = 2,
    /// Not used by this library.
    Info = 3,
    /// The start and the end of connections; socket options that cannot be set.
    Debug = 4,
    /// The steps of connecting.
    Trace = 5,
}

/// Gets one line of the log. `level` is a `trc_log_level`; `message` is a text that is valid during the call.
pub type trc_log_callback = Option<extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char)>;

struct Callback {
    function: trc_log_callback,
    user_data: AtomicPtr<c_void>,
}

struct Logger(Mutex<Callback>);

static LOGGER: Logger =
    Logger(Mutex::new(Callback { function: None, user_data: AtomicPtr::new(null_mut()) }));

impl Logger {
    /// The callback is called without the lock, so that it may set another one.
    fn callback(&self) -> (trc_log_callback, *mut c_void) {
        let callback = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (callback.function, callback.user_data.load(Ordering::Relaxed))
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && self.callback().0.is_some()
    }

    fn log(&self, record: &Record<'_>) {
        if let (Some(function), user_data) = self.callback() {
            let level = match record.level() {
                Level::Error => trc_log_level::Error,
                Level::Warn => trc_log_level::Warn,
                Level::Info => trc_log_level::Info,
                Level::Debug => trc_log_level::Debug,
                Level::Trace => trc_log_level::Trace,
            };
            let message = c_string(record.args());
            function(user_data, level as i32, message.as_ptr());
        }
    }

    fn flush(&self) {}
}

/// Calls `callback` with `user_data` for each line up to this level (a `trc_log_level`), of all clients and pools of
/// the process, in the thread that has called a function of this library. It replaces the callback before; NULL ends
/// it. `user_data` may be NULL; otherwise what it points to must live until no thread can be in the callback. Lines
/// have addresses and public keys of relays; never secret keys, or the content of packets.
///
/// The callback may call any function of this library, but those with the handle that is in use return
/// `TRC_ERROR_BUSY`. It must return: not throw an exception of C++, and not `longjmp`. Another thread may still be in the
/// old callback when this function returns.
///
/// Errors: `TRC_ERROR_ARGUMENT` if it is not a level; `TRC_ERROR_LOGGER`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_set_log_callback(
    callback: trc_log_callback,
    level: i32,
    user_data: *mut c_void,
) -> trc_error {
    catch(|| {
        let filters = LevelFilter::iter();
        let filter = filters.into_iter().find(|filter| *filter as i32 == level).ok_or(trc_error::Argument)?;
        let is_ours = std::ptr::addr_eq(log::logger(), &LOGGER) || log::set_logger(&LOGGER).is_ok();
        if !is_ours {
            return Err(trc_error::Logger.into());
        }
        *LOGGER.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Callback { function: callback, user_data: AtomicPtr::new(user_data) };
        log::set_max_level(if callback.is_some() { filter } else { LevelFilter::Off });
        Ok(())
    })
}
