//! Draws latency against load as SVG, both on logarithmic scales; readable on light and dark backgrounds.

use std::fmt::Write;
use std::ops::Range;

/// The measurements of one relay.
#[derive(Debug, Clone)]
pub struct Series {
    pub name: String,
    pub points: Vec<Point>,
}

/// The latencies with one load, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub load: f64,
    /// p50, p99 and p99.9.
    pub latencies: [f64; 3],
    /// A point that missed its target is hollow.
    pub is_kept: bool,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 740.0;
const TOP: f64 = 80.0;
const BOTTOM: f64 = 385.0;

/// Characters of a name in the legend.
const LONGEST_NAME: usize = 48;

/// The least length of a line.
const SHORTEST_LINE: f64 = 12.0;

/// The classes of the series, and those of the quantiles.
const COLOURS: [&str; 3] = ["first", "second", "third"];
const QUANTILES: [(&str, &str); 3] = [("p50", "dotted"), ("p99", "solid"), ("p99.9", "dashed")];

const STYLE: &str = "
  text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #6e7781 }
  .title { font-size: 17px; font-weight: 600 } .small { font-size: 11px }
  .grid { stroke: #8b949e; stroke-opacity: .3 }
  polyline { fill: none; stroke-width: 2 } circle { stroke-width: 2; fill: none }
  .first { stroke: #d9822b } .second { stroke: #2da77a } .third { stroke: #5b7fd0 } .name { stroke: none }
  .kept.first { fill: #d9822b } .kept.second { fill: #2da77a } .kept.third { fill: #5b7fd0 }
  .dotted { stroke-dasharray: 2 4 } .dashed { stroke-dasharray: 8 4 } .key { stroke: #8b949e }
  @media (prefers-color-scheme: light) { text { fill: #424a53 } }
  @media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } }
";

/// Draws the series, of which there are at most three. `unit` names the load.
pub fn draw(series: &[Series], unit: &str) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let loads = range(points().map(|point| point.load));
    let latencies = range(points().flat_map(|point| point.latencies));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Latency against load\">\n<style>{STYLE}</style>\n"
    );
    text(&mut svg, (16.0, 26.0), "title", "start", "Latency against load (both logarithmic)");
    legend(&mut svg, series);
    for value in ticks(&latencies) {
        let y = BOTTOM - (BOTTOM - TOP) * position(value, &latencies);
        line(&mut svg, (LEFT, y), (RIGHT, y), "grid");
        text(&mut svg, (LEFT - 8.0, y + 4.0), "small", "end", &seconds(value));
    }
    for value in ticks(&loads) {
        let x = LEFT + (RIGHT - LEFT) * position(value, &loads);
        line(&mut svg, (x, TOP), (x, BOTTOM), "grid");
        text(&mut svg, (x, BOTTOM + 18.0), "small", "middle", &number(value));
    }
    text(&mut svg, (RIGHT, BOTTOM + 40.0), "", "end", unit);
    if points().next().is_none() {
        text(&mut svg, ((LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0), "", "middle", "nothing was measured");
    }
    for (series, colour) in series.iter().zip(COLOURS) {
        draw_series(&mut svg, series, colour, &loads, &latencies);
    }
    svg + "</svg>\n"
}

fn legend(svg: &mut String, series: &[Series]) {
    let mut x = LEFT;
    for (name, class) in QUANTILES {
        line(svg, (x, 48.0), (x + 28.0, 48.0), &format!("key {class}"));
        text(svg, (x + 34.0, 52.0), "", "start", name);
        x += 90.0;
    }
    for (series, colour) in series.iter().zip(COLOURS) {
        let _ = writeln!(svg, "<circle class=\"kept {colour}\" cx=\"{:.1}\" cy=\"48\" r=\"4\"/>", x + 6.0);
        text(svg, (x + 16.0, 52.0), "", "start", &shortened(&series.name));
        x += 40.0 + 8.0 * series.name.chars().count() as f64;
    }
}

/// A name that has room in the legend: that of an onion service is longer.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.into(),
    }
}

fn draw_series(svg: &mut String, series: &Series, colour: &str, loads: &Range<f64>, latencies: &Range<f64>) {
    let mut points: Vec<&Point> = series.points.iter().collect();
    points.sort_by(|a, b| a.load.total_cmp(&b.load));
    let place = |point: &Point, quantile: usize| {
        let x = LEFT + (RIGHT - LEFT) * position(point.load, loads);
        (x, BOTTOM - (BOTTOM - TOP) * position(point.latencies[quantile], latencies))
    };
    for (quantile, (_, class)) in QUANTILES.into_iter().enumerate() {
        let mut places: Vec<_> = points.iter().map(|point| place(point, quantile)).collect();
        // A line through one point, or through many in one place, would not be seen.
        if let (Some(first), Some(last)) = (places.first().copied(), places.last().copied())
            && last.0 - first.0 < SHORTEST_LINE
        {
            places.insert(0, (first.0 - SHORTEST_LINE, first.1));
            places.push((last.0 + SHORTEST_LINE, last.1));
        }
        let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(svg, "<polyline class=\"{colour} {class}\" points=\"{}\"/>", path.join(" "));
    }
    for point in points {
        let ((x, y), kept) = (place(point, 1), if point.is_kept { "kept " } else { "" });
        let _ = writeln!(svg, "<circle class=\"{kept}{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
    }
}

/// The range of a scale, in decimal logarithms: all values and a little more, and at least a decade, so that there are
/// ticks.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
    let least = logs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let margin = (0.5 - (most - least) / 2.0).max(0.1);
    if logs.is_empty() { 0.0..1.0 } else { least - margin..most + margin }
}

/// Where a value is on a scale, from 0 to 1. What cannot be on it is at its lower end.
fn position(value: f64, scale: &Range<f64>) -> f64 {
    ((value.log10() - scale.start) / (scale.end - scale.start)).max(0.0)
}

/// 1, 2 and 5 times the powers of ten within a scale; the powers alone if it is long.
fn ticks(scale: &Range<f64>) -> Vec<f64> {
    let steps: &[f64] = if scale.end - scale.start > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let decades = scale.start.floor() as i32..=scale.end.ceil() as i32;
    let all = decades.flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
    all.filter(|value| scale.contains(&value.log10())).collect()
}

fn seconds(seconds: f64) -> String {
    match seconds {
        ..0.999e-3 => format!("{:.0} µs", seconds * 1e6),
        ..0.999 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.0} s"),
    }
}

fn number(number: f64) -> String {
    match number {
        ..1e3 => format!("{}", (number * 1e3).round() / 1e3),
        ..1e6 => format!("{}k", number / 1e3),
        _ => format!("{}M", number / 1e6),
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), class: &str) {
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\"");
    let _ = writeln!(svg, "<text {place}>{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str) -> Series {
        let point =
            |load: f64, is_kept| Point { load, latencies: [load / 1e6, load / 1e5, load / 2e4], is_kept };
        Series {
            name: name.into(),
            points: vec![point(2000.0, true), point(500.0, true), point(8000.0, false)],
        }
    }

    #[test]
    fn each_series_has_a_line_for_each_quantile_and_a_circle_for_each_point() {
        let svg = draw(&[series("a"), series("b < c")], "packets a second");
        assert_eq!(svg.matches("<polyline").count(), 6);
        assert_eq!(svg.matches("<circle").count(), 2 * 3 + 2);
        assert_eq!(svg.matches("class=\"kept first\"").count(), 2 + 1);
        assert!(svg.contains("b &lt; c") && svg.contains("packets a second") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn points_are_joined_in_the_order_of_their_loads() {
        let svg = draw(&[series("a")], "");
        let (_, line) = svg.split_once("points=\"").unwrap();
        let xs: Vec<f64> = line
            .split_once('"')
            .unwrap()
            .0
            .split(' ')
            .map(|point| point.split_once(',').unwrap().0.parse().unwrap())
            .collect();
        assert!(xs.is_sorted() && xs.len() == 3, "{xs:?}");
    }

    #[test]
    fn a_plot_without_points_or_with_zeros_is_drawn() {
        for points in [vec![], vec![Point { load: 0.0, latencies: [0.0; 3], is_kept: true }]] {
            let svg = draw(&[Series { name: "none".into(), points }], "");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        let empty = draw(&[Series { name: "none".into(), points: vec![] }], "");
        assert!(empty.contains("nothing was measured"), "{empty}");
    }

    #[test]
    fn one_point_has_ticks_on_both_scales_and_a_line_for_each_quantile() {
        let point = Point { load: 1400.0, latencies: [0.03, 0.031, 0.032], is_kept: true };
        let svg = draw(&[Series { name: "one".into(), points: vec![point] }], "");
        let ticks = ["10 ms", "20 ms", "50 ms", "500", "1k", "2k"];
        assert!(ticks.iter().all(|tick| svg.contains(&format!(">{tick}</text>"))), "{svg}");
        let lines = svg.lines().filter(|line| line.starts_with("<polyline"));
        assert!(lines.clone().count() == 3 && lines.into_iter().all(|line| line.matches(',').count() == 3));
    }

    #[test]
    fn a_huge_range_has_short_numbers_and_a_long_name_stays_in_the_picture() {
        let point = |load, latency| Point { load, latencies: [latency; 3], is_kept: true };
        let points = vec![point(1.0, 1e-6), point(1e7, 3600.0)];
        let svg = draw(&[Series { name: "x".repeat(62) + ".onion:33445", points }], "");
        for label in ["1 µs", "1000 s", "1k", "1M", "10M", &("x".repeat(48) + "…")] {
            assert!(svg.contains(&format!(">{label}</text>")), "{label}: {svg}");
        }
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(ticks(&(0.9..2.0)), [10.0, 20.0, 50.0]);
        assert_eq!(ticks(&(0.0..3.5)), [1.0, 10.0, 100.0, 1000.0]);
    }
}
