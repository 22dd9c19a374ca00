//! How results are told.

mod csv;
mod json;
mod nagios;
mod prometheus;
mod table;
mod text;

use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::probe::history::Probed;
use crate::probe::verdict::Limits;
use crate::state::State;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table
    Text,
    /// An object on each line
    Json,
    /// A header, and a line for each relay
    Csv,
    /// Metrics for Prometheus
    Prom,
    /// A monitoring plugin's line, with performance data
    Nagios,
}

/// Where results go, and in which form.
pub struct Output {
    format: Format,
    /// `None` for standard output.
    file: Option<PathBuf>,
    limits: Limits,
    /// How many entries of lists were not probed.
    skipped: usize,
}

impl Output {
    pub fn new(format: Format, file: Option<PathBuf>, limits: Limits, skipped: usize) -> Self {
        Self { format, file, limits, skipped }
    }

    /// Whether results go to a file that is replaced.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Tries whether the file can be written, before anything is probed.
    pub fn check(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if is_device(file) {
            return Ok(());
        }
        let place = through_link(file);
        let tried = temporary(&place).and_then(|new| fs::write(&new, "").and_then(|()| fs::remove_file(new)));
        let tried = if file.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { tried };
        tried.map_err(|error| naming(file, &error))
    }

    /// Tells all results. Returns `false` if nobody reads standard output any more.
    pub fn write(&self, probed: &[Probed]) -> io::Result<bool> {
        self.emit(&self.all(probed, true)?)
    }

    /// Tells the results of one of many rounds: as a table only what has changed, and what it was before.
    pub fn write_round(
        &self,
        round: u64,
        probed: &[Probed],
        changes: &[(&Probed, State)],
    ) -> io::Result<bool> {
        if self.format == Format::Text && self.file.is_none() && round > 0 {
            return self.emit(text::changes(changes).as_bytes());
        }
        self.emit(&self.all(probed, round == 0 || self.file.is_some())?)
    }

    /// After the last round, tells what was remembered of all.
    pub fn write_history(&self, probed: &[Probed]) -> io::Result<bool> {
        if self.format == Format::Text && self.file.is_none() {
            // The terminal has shown ^C at the beginning of the line, if not after a bar.
            let clear = if io::stdout().is_terminal() { "\r  \r" } else { "" };
            let history = text::history(&by_importance(probed), self.width());
            return self.emit(format!("{clear}{history}").as_bytes());
        }
        Ok(true)
    }

    fn all(&self, probed: &[Probed], with_header: bool) -> io::Result<Vec<u8>> {
        let sorted = by_importance(probed);
        Ok(match self.format {
            Format::Text => text::all(&sorted, self.width()).into_bytes(),
            Format::Json => json::all(&sorted)?,
            Format::Csv => csv::all(&sorted, with_header)?,
            Format::Prom => prometheus::all(&sorted).into_bytes(),
            Format::Nagios => nagios::all(&sorted, &self.limits, self.skipped).into_bytes(),
        })
    }

    /// The columns of the terminal; `None` if there is no limit.
    fn width(&self) -> Option<usize> {
        if self.file.is_some() || !io::stdout().is_terminal() {
            return None;
        }
        terminal_size::terminal_size().map(|(terminal_size::Width(columns), _)| columns.into())
    }

    fn emit(&self, bytes: &[u8]) -> io::Result<bool> {
        if let Some(file) = &self.file {
            return replace(file, bytes).map(|()| true);
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true),
        }
    }
}

/// Whoever reads the file sees the old content or the new one, and never a part. A device or a pipe has no content to
/// replace, and must stay what it is.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_device(file) {
        return fs::write(file, bytes).map_err(|error| naming(file, &error));
    }
    let place = through_link(file);
    let new = temporary(&place)?;
    // A new one: who can write to the folder must not lead this one elsewhere by a link.
    let create = File::create_new(&new);
    let written = create.and_then(|mut file| file.write_all(bytes)).and_then(|()| fs::rename(&new, place));
    if written.is_err() {
        _ = fs::remove_file(&new); // also one that was left behind
    }
    written.map_err(|error| naming(file, &error))
}

/// Whether this is there, and is no file whose content could be replaced, such as `/dev/null`.
fn is_device(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// A symbolic link stays, and what it leads to is replaced.
fn through_link(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

/// Next to the file, so that it can be renamed.
fn temporary(file: &Path) -> io::Result<PathBuf> {
    let name = file.file_name().ok_or(ErrorKind::IsADirectory)?.to_string_lossy();
    Ok(file.with_file_name(format!(".{name}.{}.tmp", std::process::id())))
}

fn naming(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

/// The best and fastest first: the worst are then next to the summary, where the eye is when a long list has gone by.
fn by_importance(probed: &[Probed]) -> Vec<&Probed> {
    let mut sorted: Vec<_> = probed.iter().collect();
    // Without a ping, in the order of the list.
    sorted.sort_by_key(|probed| (probed.verdict.state, probed.report.pings.median()));
    sorted
}
