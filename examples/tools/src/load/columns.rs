//! The table for people, with a line a second, as wide as the terminal allows.

use crate::load::latency::Quantiles;
use crate::load::line::Line;
use crate::load::text::{percent, phase, time};

/// A column of the table.
pub struct Column {
    title: &'static str,
    width: usize,
    /// In a narrow terminal, those with the largest are left out first; 0 always stays.
    rank: u8,
    value: fn(&Line) -> String,
}

const fn column(title: &'static str, width: usize, rank: u8, value: fn(&Line) -> String) -> Column {
    Column { title, width, rank, value }
}

/// All of them need 116 columns of the terminal, and those up to rank 5 need 80.
const COLUMNS: [Column; 17] = [
    column("time", 6, 0, |line| format!("{:.1}", line.time)),
    column("phase", 7, 0, |line| phase(line.phase).into()),
    column("conns", 6, 0, |line| line.connections.to_string()),
    column("conn/s", 6, 9, |line| line.connects.to_string()),
    column("failed", 6, 6, |line| line.failed.to_string()),
    column("sent", 6, 3, |line| line.sent.to_string()),
    column("recv", 6, 0, |line| line.received.to_string()),
    column("MB/s", 5, 4, |line| digits(line.bytes_per_second / 1e6)),
    column("lost", 5, 0, |line| line.lost.to_string()),
    column("blocked", 7, 7, |line| line.blocked.to_string()),
    column("p50", 6, 1, |line| latency(line.latency, |all| all.p50)),
    column("p90", 6, 10, |line| latency(line.latency, |all| all.p90)),
    column("p99", 6, 0, |line| latency(line.latency, |all| all.p99)),
    column("p99.9", 6, 8, |line| latency(line.latency, |all| all.p999)),
    column("max", 6, 5, |line| latency(line.latency, |all| all.largest)),
    column("probe", 6, 2, |line| latency(line.probe, |all| all.largest)),
    column("cpu", 4, 2, |line| percent(line.cpu, 0)),
];

/// The columns for which a terminal of this width has room; all of them without a terminal.
pub fn fitting(width: Option<usize>) -> Vec<&'static Column> {
    let mut columns: Vec<_> = COLUMNS.iter().collect();
    let Some(width) = width else { return columns };
    while columns.iter().map(|column| column.width + 1).sum::<usize>() > width + 1 {
        let rank = columns.iter().map(|column| column.rank).max().unwrap_or_default();
        if rank == 0 {
            break;
        }
        columns.retain(|column| column.rank < rank);
    }
    columns
}

/// The titles.
pub fn head(columns: &[&Column]) -> String {
    row(columns, |column| column.title.into())
}

pub fn line(columns: &[&Column], line: &Line) -> String {
    row(columns, |column| (column.value)(line))
}

fn row(columns: &[&Column], cell: impl Fn(&Column) -> String) -> String {
    let cells = columns.iter().map(|column| {
        let (cell, width) = (cell(column), column.width);
        // The only words.
        if column.title == "phase" { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    cells.collect::<Vec<_>>().join(" ")
}

fn latency(latency: Option<Quantiles>, of: fn(&Quantiles) -> f64) -> String {
    latency.map_or("-".into(), |all| time(of(&all)))
}

/// A number with three digits.
fn digits(value: f64) -> String {
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::line::Phase;

    fn example() -> Line {
        let quantiles = Quantiles { p50: 0.0306, p90: 0.0328, p99: 0.123, p999: 0.999_96, largest: 31.0 };
        Line {
            time: 3599.4,
            phase: Phase::WarmUp,
            connections: 100_000,
            connects: 1_000,
            failed: 300,
            sent: 500_000,
            received: 490_000,
            bytes_per_second: 705e6,
            lost: 12_000,
            blocked: 123_456,
            latency: Some(quantiles),
            probe: Some(quantiles),
            cpu: 1.0,
        }
    }

    #[test]
    fn a_line_is_not_wider_than_the_terminal() {
        let empty = Line { latency: None, probe: None, ..example() };
        for width in 52..=160 {
            let columns = fitting(Some(width));
            for line in [head(&columns), line(&columns, &example()), line(&columns, &empty)] {
                assert!(line.chars().count() <= width, "{width}: {line}");
                assert_eq!(line.chars().count(), head(&columns).chars().count(), "{line}");
                assert_eq!(line.split_whitespace().count(), columns.len(), "{line}");
            }
        }
    }

    #[test]
    fn a_terminal_that_is_wide_enough_or_a_pipe_gets_all_columns() {
        for width in [None, Some(120), Some(116)] {
            assert_eq!(fitting(width).len(), COLUMNS.len());
        }
        let at_80 = head(&fitting(Some(80)));
        let expected = "time phase conns sent recv MB/s lost p50 p99 max probe cpu";
        assert_eq!(at_80.split_whitespace().collect::<Vec<_>>().join(" "), expected);
        assert_eq!(at_80.len(), 80);
    }

    #[test]
    fn in_a_terminal_that_is_too_narrow_what_matters_most_stays() {
        let expected = "time phase conns recv lost p99";
        assert_eq!(head(&fitting(Some(10))).split_whitespace().collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(
            [0.0, 1.406, 9.996, 70.5, 99.96, 1234.5].map(digits),
            ["0.00", "1.41", "10.0", "70.5", "100", "1234"]
        );
    }
}
