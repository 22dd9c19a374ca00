//! Draws the figures of packets as SVG: horizontal bars on a logarithmic scale, readable on light and dark backgrounds.

use std::fmt::Write;
use std::ops::Range;

use crate::table::{Row, Section, three_digits};

const WIDTH: f64 = 860.0;
/// The left end of the bars, and the width of the scale.
const LEFT: f64 = 100.0;
const SCALE: f64 = 530.0;
/// The right ends of the two columns of ratios.
const RATIOS: [f64; 2] = [732.0, 844.0];
const TOP: f64 = 64.0;
const BAR: f64 = 14.0;
/// The distance from one packet length to the next, and from one panel to the next.
const ROW: f64 = 58.0;
const HEAD: f64 = 40.0;
const FOOT: f64 = 34.0;

/// The CSS classes of the bars, in the order of the columns.
const CLASSES: [&str; 3] = ["ours", "theirs", "bare"];
/// The order of the bars from top to bottom: ours is in the middle.
const ORDER: [usize; 3] = [1, 0, 2];

/// Colours of medium lightness, readable on any background. Text has more contrast if the viewer reports a colour
/// scheme.
const STYLE: &str = "
  text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #6e7781 }
  .title { font-size: 17px; font-weight: 600 }
  .head { font-size: 14px; font-weight: 600 }
  .strong { font-weight: 600; fill: #1f9a6e }
  .small { font-size: 11px }
  .grid { stroke: #8b949e; stroke-opacity: .35 }
  .ours { fill: #2da77a } .theirs { fill: #d9822b } .bare { fill: #8b949e }
  @media (prefers-color-scheme: light) { text { fill: #424a53 } .strong { fill: #1a7f5a } }
  @media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } .strong { fill: #3fcf99 } }
";

/// Draws one panel for each section.
pub fn draw(sections: &[Section]) -> String {
    let scale = scale(sections);
    let panel = |section: &Section| HEAD + ROW * section.rows.len() as f64 + FOOT;
    let height = TOP + sections.iter().map(panel).sum::<f64>();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"CPU time per packet\">\n<style>{STYLE}</style>\n"
    );
    text(
        &mut svg,
        16.0,
        26.0,
        "title",
        "start",
        "The client's CPU time per packet (less is better, logarithmic)",
    );
    legend(&mut svg, sections);
    let mut top = TOP;
    for section in sections {
        draw_panel(&mut svg, section, top, &scale);
        top += panel(section);
    }
    svg + "</svg>\n"
}

fn legend(svg: &mut String, sections: &[Section]) {
    let mut x = LEFT;
    for column in ORDER {
        let name = sections[0].columns[column];
        rect(svg, CLASSES[column], x, 40.0, 12.0, 12.0);
        text(svg, x + 18.0, 51.0, "", "start", name);
        x += 40.0 + 8.0 * name.len() as f64;
    }
}

fn draw_panel(svg: &mut String, section: &Section, top: f64, scale: &Range<f64>) {
    let (title, _) = section.title.split_once(':').unwrap_or((section.title, ""));
    text(svg, 16.0, top + 26.0, "head", "start", title);
    for (rival, x) in (1..).zip(RATIOS) {
        text(svg, x, top + 26.0, "small", "end", &format!("{} / ours", section.columns[rival]));
    }
    let bottom = top + HEAD + ROW * section.rows.len() as f64;
    for decade in scale.start as i32..=scale.end as i32 {
        let value = 10f64.powi(decade);
        let x = LEFT + position(value, scale);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>",
            top + HEAD - 6.0
        );
        text(svg, x, bottom + 14.0, "small", "middle", &time(value).replace(".0", ""));
    }
    for (index, row) in section.rows.iter().enumerate() {
        draw_row(svg, row, top + HEAD + ROW * index as f64, scale);
    }
}

fn draw_row(svg: &mut String, row: &Row, top: f64, scale: &Range<f64>) {
    let middle = top + 1.5 * BAR + 5.0;
    text(svg, LEFT - 10.0, middle, "", "end", &row.label);
    for (line, column) in ORDER.into_iter().enumerate() {
        let figure = row.figures[column];
        let (y, length) = (top + BAR * line as f64, position(figure, scale));
        rect(svg, CLASSES[column], LEFT, y, length, BAR - 2.0);
        text(svg, LEFT + length + 5.0, y + 10.0, "small", "start", &time(figure));
    }
    for (rival, x) in (1..).zip(RATIOS) {
        let class = if rival == 1 { "head strong" } else { "" };
        text(svg, x, middle, class, "end", &format!("{}×", three_digits(row.ratio(rival))));
    }
}

/// The range of the scale, in decimal logarithms. It starts at a power of ten below all figures, so that even the
/// smallest has a bar, and leaves room for the figure after the longest bar.
fn scale(sections: &[Section]) -> Range<f64> {
    let figures = || sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.figures);
    let least = figures().copied().fold(f64::INFINITY, f64::min);
    let most = figures().copied().fold(1.0, f64::max);
    (least / 1.5).log10().floor()..most.log10() + 0.25
}

fn position(value: f64, scale: &Range<f64>) -> f64 {
    SCALE * (value.log10() - scale.start) / (scale.end - scale.start)
}

fn time(nanos: f64) -> String {
    let micros = nanos / 1e3;
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e4 => format!("{micros:.1} µs"),
        _ => format!("{micros:.0} µs"),
    }
}

fn rect(svg: &mut String, class: &str, x: f64, y: f64, width: f64, height: f64) {
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"");
    let _ = writeln!(svg, "<rect class=\"{class}\" {place} rx=\"2\"/>");
}

/// `words` must not contain characters that XML reserves.
fn text(svg: &mut String, x: f64, y: f64, class: &str, anchor: &str, words: &str) {
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\"");
    let _ = writeln!(svg, "<text {place}>{words}</text>");
}
