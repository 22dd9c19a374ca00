//! Prints the figures as Markdown tables, with their targets.

use std::fmt;

/// One table: a row for each measurement, a column for each subject.
pub struct Section {
    pub title: &'static str,
    /// The first column is our client, the others are its rivals.
    pub columns: Vec<&'static str>,
    pub rows: Vec<Row>,
    pub notes: Vec<String>,
}

pub struct Row {
    pub label: String,
    /// One figure per column; lower is better.
    pub figures: Vec<f64>,
    /// The target for each rival: its figure divided by ours should be at least this.
    targets: Vec<f64>,
    /// The upper limit for our figure.
    at_most: Option<f64>,
}

impl Section {
    pub fn new(title: &'static str, columns: &[&'static str]) -> Self {
        Self { title, columns: columns.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }
}

impl Row {
    pub fn new(label: String, figures: &[f64]) -> Self {
        Self { label, figures: figures.to_vec(), targets: Vec::new(), at_most: None }
    }

    pub fn targets(mut self, targets: &[f64]) -> Self {
        self.targets = targets.to_vec();
        self
    }

    pub fn at_most(mut self, limit: f64) -> Self {
        self.at_most = Some(limit);
        self
    }

    /// A rival's figure divided by ours.
    pub fn ratio(&self, rival: usize) -> f64 {
        self.figures[rival] / self.figures[0]
    }

    /// The text of the targets, and whether they were reached.
    fn verdict(&self) -> String {
        let ratios = self.targets.iter().enumerate().map(|(index, target)| {
            // Rounded as it is printed: 0.999 counts as 1.00.
            let reached = (self.ratio(index + 1) * 100.0).round() / 100.0 >= *target;
            let decimals = if target.fract() == 0.0 { 0 } else { 2 };
            format!("≥ {}× {}", number(*target, decimals), if reached { "reached" } else { "MISSED" })
        });
        let limit = self.at_most.map(|limit| {
            format!("< {} {}", number(limit, 0), if self.figures[0] < limit { "reached" } else { "MISSED" })
        });
        ratios.chain(limit).collect::<Vec<_>>().join(", ")
    }

    fn cells(&self) -> Vec<String> {
        let figures = self.figures.iter().map(|figure| number(*figure, decimals(*figure)));
        let ratios = (1..self.figures.len()).map(|rival| format!("{}×", three_digits(self.ratio(rival))));
        let label = std::iter::once(self.label.clone());
        label.chain(figures).chain(ratios).chain([self.verdict()]).collect()
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns.iter().map(|&column| column.to_owned());
        let ratios = self.columns[1..].iter().map(|rival| format!("{rival} / ours"));
        let head = [String::new()].into_iter().chain(columns).chain(ratios).chain(["target".to_owned()]);
        let lines: Vec<Vec<String>> =
            [head.collect()].into_iter().chain(self.rows.iter().map(Row::cells)).collect();
        let widths: Vec<usize> = (0..lines[0].len())
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).max(2))
            .collect();

        writeln!(f, "{}\n", self.title)?;
        for (index, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if is_text(column, line.len()) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            writeln!(f, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
            if index == 0 {
                let rules = widths.iter().enumerate().map(|(column, width)| {
                    let dashes = "-".repeat(width - 1);
                    if is_text(column, widths.len()) { format!("{dashes}-") } else { format!("{dashes}:") }
                });
                writeln!(f, "| {} |", rules.collect::<Vec<_>>().join(" | "))?;
            }
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}\n"))
    }
}

/// Whether a column contains text, not numbers: only the first and the last do.
fn is_text(column: usize, columns: usize) -> bool {
    column == 0 || column + 1 == columns
}

/// Formats a number with three significant digits, or more if it is 1000 or larger.
pub fn three_digits(value: f64) -> String {
    number(value, if value < 10.0 { 2 } else { decimals(value) })
}

fn decimals(value: f64) -> usize {
    match value {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    }
}

/// Formats a number with commas between thousands.
pub fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or(grouped.clone(), |fraction| format!("{grouped}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_between_thousands() {
        let three = [0.994, 9.99, 42.25, 999.6, 1_234_567.0].map(three_digits);
        assert_eq!(three, ["0.99", "9.99", "42.2", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_table_has_ratios_and_whether_targets_were_reached() {
        let mut section = Section::new("Sending, ns", &["ours", "C client", "bare loop"]);
        section.rows.push(Row::new("34 bytes".into(), &[200.0, 4_000.0, 190.0]).targets(&[20.0, 1.0]));
        section.rows.push(Row::new("of 10 relays".into(), &[701.0, 12_000.0, 700.0]).at_most(700.0));
        let printed = section.to_string();
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[0], "Sending, ns");
        assert!(lines[2].contains("| C client / ours | bare loop / ours | target "), "{printed}");
        assert!(lines[3].starts_with("| ------------ | ---: | -------: | "), "{printed}");
        let reached = "|  200 |    4,000 |       190 |           20.0× |            0.95× | ≥ 20× reached, ≥ 1× MISSED |";
        assert_eq!(lines[4], format!("| 34 bytes     {reached}"));
        assert!(lines[5].ends_with("| < 700 MISSED               |"), "{printed}");
    }
}
