//! How far a round is, as a bar on standard error while that is a terminal.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use terminal_size::{Width, terminal_size_of};

/// The bar is not drawn more often.
const EACH: Duration = Duration::from_millis(100);
const BAR: usize = 30;
/// How the terminal shows Ctrl-C: after the bar, which leaves room for it on its line.
const CTRL_C: &str = "^C";

/// A bar that goes away with this.
///
/// Libraries fill the line with spaces up to its end. Then `^C` stands on the next line, and the bar cannot be cleared.
pub struct Progress {
    all: usize,
    what: &'static str,
    began: Instant,
    /// When it is drawn next.
    due: Instant,
    /// The longest line that fits; `None` if there is no terminal.
    room: Option<usize>,
    /// The width of what stands in the line.
    drawn: usize,
}

impl Progress {
    /// `what` is counted up to `all`.
    pub fn new(all: usize, what: &'static str) -> Self {
        let began = Instant::now();
        let terminal = terminal_size_of(io::stderr());
        // The cursor itself needs a place, too.
        let room = terminal.map(|(Width(width), _)| usize::from(width).saturating_sub(CTRL_C.len() + 1));
        Self { all, what, began, due: began + EACH, room, drawn: 0 }
    }

    /// So many are done.
    pub fn show(&mut self, done: usize) {
        let Some(room) = self.room else { return };
        let now = Instant::now();
        let is_last = done == self.all && self.drawn > 0;
        if now >= self.due || is_last {
            self.due = now + EACH;
            let mut line = self.line(done, now);
            line.truncate(room); // all of it is ASCII
            self.draw(&line);
        }
    }

    fn line(&self, done: usize, now: Instant) -> String {
        let filled = (BAR * done.min(self.all)).checked_div(self.all).unwrap_or(BAR);
        let (full, empty) = ("#".repeat(filled), "-".repeat(BAR - filled));
        let seconds = now.duration_since(self.began).as_secs();
        format!("{full}{empty} {done} of {} {}, {seconds}s", self.all, self.what)
    }

    fn draw(&mut self, line: &str) {
        let width = self.drawn;
        // If the terminal is gone, nobody misses it.
        _ = write!(io::stderr(), "\r{line:width$}");
        self.drawn = line.len();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn > 0 {
            self.drawn += CTRL_C.len();
            self.draw("");
            _ = write!(io::stderr(), "\r");
        }
    }
}
