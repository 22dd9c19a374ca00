//! A table in plain text that fits the terminal.

/// One column.
pub struct Column {
    pub title: &'static str,
    /// If the table is too wide, columns are left out: the largest number first. 0 always stays.
    pub dispensable: u8,
    pub align: Align,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// One row: its cells, and a text that belongs to it.
pub struct Row {
    /// As many as there are columns.
    pub cells: Vec<String>,
    /// Stands at the end of the line, or below if there is no room for it.
    pub remark: String,
    /// Stands below.
    pub details: String,
}

/// How far what stands below is moved to the right.
const INDENT: usize = 4;
/// If the terminal is narrower, lines are broken by the terminal.
const LEAST_WIDTH: usize = 40;

/// Renders the table. Columns without any content are left out.
pub fn render(columns: &[Column], rows: &[Row], remark: &str, width: Option<usize>) -> String {
    let widths: Vec<usize> = (0..columns.len()).map(|column| width_of(columns, rows, column)).collect();
    let mut shown: Vec<usize> =
        (0..columns.len()).filter(|column| rows.iter().any(|row| !row.cells[*column].is_empty())).collect();
    let line_width = |shown: &[usize]| shown.iter().map(|column| widths[*column] + 1).sum::<usize>();
    while width.is_some_and(|width| line_width(&shown) > width + 1) {
        let worst = shown.iter().copied().max_by_key(|column| columns[*column].dispensable);
        match worst.filter(|column| columns[*column].dispensable > 0) {
            Some(worst) => shown.retain(|column| *column != worst),
            None => break,
        }
    }
    let longest = rows.iter().map(|row| row.remark.chars().count()).max().unwrap_or_default();
    let is_inline = width.is_none_or(|width| line_width(&shown) + longest <= width);

    let mut lines = String::new();
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let title = if is_inline && longest > 0 { remark } else { "" };
    push_line(&mut lines, columns, &shown, &widths, &titles, title);
    for row in rows {
        let cells: Vec<&str> = row.cells.iter().map(String::as_str).collect();
        push_line(&mut lines, columns, &shown, &widths, &cells, if is_inline { &row.remark } else { "" });
        if !is_inline {
            push_below(&mut lines, &row.remark, width);
        }
        push_below(&mut lines, &row.details, width);
    }
    lines
}

fn width_of(columns: &[Column], rows: &[Row], column: usize) -> usize {
    let cells = rows.iter().map(|row| row.cells[column].chars().count());
    cells.chain([columns[column].title.len()]).max().unwrap_or_default()
}

fn push_line(
    lines: &mut String,
    columns: &[Column],
    shown: &[usize],
    widths: &[usize],
    cells: &[&str],
    remark: &str,
) {
    let mut line = String::new();
    for column in shown {
        let (cell, width) = (cells[*column], widths[*column]);
        line += &match columns[*column].align {
            Align::Left => format!("{cell:<width$} "),
            Align::Right => format!("{cell:>width$} "),
        };
    }
    line += remark;
    *lines += line.trim_end();
    lines.push('\n');
}

/// Breaks the text between words.
fn push_below(lines: &mut String, text: &str, width: Option<usize>) {
    let room = width.map_or(usize::MAX, |width| width.max(LEAST_WIDTH) - INDENT);
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            *lines += &format!("{:INDENT$}{line}\n", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    if !line.is_empty() {
        *lines += &format!("{:INDENT$}{line}\n", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(width: Option<usize>) -> String {
        let column = |title, dispensable, align| Column { title, dispensable, align };
        let columns = [
            column("S", 0, Align::Left),
            column("ping", 2, Align::Right),
            column("none", 1, Align::Left),
            column("b", 1, Align::Right),
        ];
        let row = |cells: [&str; 4], remark: &str| Row {
            cells: cells.map(str::to_owned).to_vec(),
            remark: remark.to_owned(),
            details: String::new(),
        };
        let rows = [row(["U", "1.5", "", "22"], ""), row(["D", "", "", "3"], "it does not answer at all")];
        render(&columns, &rows, "reason", width)
    }

    #[test]
    fn without_a_limit_all_is_on_one_line() {
        assert_eq!(table(None), "S ping  b reason\nU  1.5 22\nD       3 it does not answer at all\n");
        assert_eq!(table(Some(40)), table(None));
    }

    #[test]
    fn a_reason_without_room_stands_below() {
        assert_eq!(table(Some(20)), "S ping  b\nU  1.5 22\nD       3\n    it does not answer at all\n");
    }

    #[test]
    fn columns_that_matter_less_are_left_out_first() {
        assert_eq!(table(Some(8)).lines().next(), Some("S  b"));
        assert_eq!(table(Some(3)).lines().next(), Some("S"));
    }

    #[test]
    fn a_long_text_is_broken_between_words() {
        let mut lines = String::new();
        push_below(&mut lines, &"word ".repeat(20), Some(44));
        assert_eq!(lines.lines().map(str::len).max(), Some(43));
        assert_eq!(lines.split_whitespace().count(), 20);
    }
}
