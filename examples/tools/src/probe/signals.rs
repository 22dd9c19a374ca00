//! Ctrl-C, and the end that a service manager asks for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::probe::INTERRUPTED;

/// Whether the program was asked to end. A second signal ends it at once.
pub struct Signals {
    stop: Arc<AtomicBool>,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: at the first signal the flag is not set yet.
            flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(Self { stop })
    }

    pub fn has_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
