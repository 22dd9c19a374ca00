//! How far a round is, as a bar on standard error while that is a terminal.

use std::io::Result;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle, TermLike};

/// A bar, which goes away with this.
pub struct Progress(ProgressBar);

impl Progress {
    /// `what` is counted up to `all`.
    pub fn new(all: usize, what: &'static str) -> Self {
        let terminal = Term::buffered_stderr();
        if all == 0 || !terminal.is_term() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} {msg}, {elapsed}");
        let target = ProgressDrawTarget::term_like(Box::new(WithRoom(terminal)));
        let bar = ProgressBar::with_draw_target(Some(all as u64), target)
            .with_style(style.expect("a valid template").progress_chars("#>-"))
            .with_message(what)
            .with_finish(ProgressFinish::AndClear);
        Self(bar)
    }

    /// So many are done.
    pub fn show(&self, done: usize) {
        self.0.set_position(done as u64);
    }
}

/// A terminal with room for the `^C` that it shows at the cursor: a bar fills its line, and if `^C` stood on the next one,
/// only that would be cleared.
#[derive(Debug)]
struct WithRoom(Term);

impl TermLike for WithRoom {
    fn width(&self) -> u16 {
        self.0.width().saturating_sub(3) // with the cursor
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, lines: usize) -> Result<()> {
        self.0.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> Result<()> {
        self.0.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> Result<()> {
        self.0.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> Result<()> {
        self.0.move_cursor_left(columns)
    }

    fn write_line(&self, line: &str) -> Result<()> {
        self.0.write_line(line)
    }

    fn write_str(&self, text: &str) -> Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> Result<()> {
        self.0.flush()
    }
}
