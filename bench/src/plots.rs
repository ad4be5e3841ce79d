//! The same as pictures: SVG files that any browser shows.

use std::{io, ops::Range, path::Path};

use anyhow::{Result, anyhow};
use plotters::{coord::Shift, prelude::*};

use crate::{
    figures::{Figures, Metric},
    results::Results,
    scenario::Scenario,
    soak::Soaked,
    sweep::Curve,
    system::System,
};

/// In pixels.
const HEIGHT: u32 = 480;
const PANEL_WIDTH: u32 = 460;
const BAR_WIDTH: u32 = 80;
/// Panels side by side.
const COLUMNS: usize = 3;
/// The percentiles, in the order in which they are drawn.
const PERCENTILES: [(Metric, &str); 5] = [
    (Metric::P50, "p50"),
    (Metric::P90, "p90"),
    (Metric::P99, "p99"),
    (Metric::P999, "p99.9"),
    (Metric::Slowest, "max"),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// A line, and what it is.
struct Line {
    name: String,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Lines over one axis; the other one is logarithmic.
struct Panel {
    title: String,
    /// What the axis shows.
    x: String,
    /// What stands at a place of it.
    label: fn(f64) -> String,
    lines: Vec<Line>,
}

fn color(system: System) -> RGBColor {
    match system {
        System::Latchd => RGBColor(31, 119, 180),
        System::Etcd => RGBColor(214, 39, 40),
        System::Floor => RGBColor(127, 127, 127),
        System::Redis => RGBColor(255, 127, 14),
    }
}

/// `throughput.svg`: for each case of a closed loop a bar for each system, operations a second.
///
/// # Errors
/// When the file cannot be written.
pub fn throughput(directory: &Path, results: &[Results]) -> Result<()> {
    let loops = results.iter().filter(|results| is_loop(results));
    let loops: Vec<&Results> = loops.collect();
    let Some(most) = greatest(&loops) else {
        return Ok(());
    };
    let file = directory.join("throughput.svg");
    let width = 160 + BAR_WIDTH * u32::try_from(loops.len())?;
    let area = SVGBackend::new(&file, (width.max(PANEL_WIDTH), HEIGHT)).into_drawing_area();
    bars(&area, &loops, most).map_err(|error| anyhow!("drawing {}: {error}", file.display()))
}

/// `latency-SCENARIO.svg`: for each number of clients the percentiles of each system.
///
/// # Errors
/// When a file cannot be written.
pub fn latencies(directory: &Path, results: &[Results]) -> Result<()> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for results in results.iter().filter(|results| is_loop(results)) {
        let scenario = results.case.scenario;
        if !scenarios.contains(&scenario) {
            scenarios.push(scenario);
        }
    }
    for scenario in scenarios {
        let of_it = results.iter().filter(|r| r.case.scenario == scenario);
        let panels: Vec<Panel> = of_it.map(percentiles).collect();
        let name = format!("latency-{}.svg", scenario.name());
        draw(&directory.join(name), &panels)?;
    }
    Ok(())
}

/// `growth-SWEEP.svg`: for each figure a line for each system, by size.
///
/// # Errors
/// When the file cannot be written.
pub fn growth(directory: &Path, curve: &Curve) -> Result<()> {
    let unit = curve.sweep.shot().unit().plural();
    let panels = curve.sweep.shot().columns().iter().map(|metric| {
        let line = |system: System| Line {
            name: system.name().to_owned(),
            color: color(system),
            points: by_size(&curve.points(system), *metric),
        };
        Panel {
            title: format!("{}: {}", curve.sweep.name(), metric.title()),
            x: unit.to_owned(),
            label: power,
            lines: curve.systems().into_iter().map(line).collect(),
        }
    });
    let name = format!("growth-{}.svg", curve.sweep.name());
    draw(&directory.join(name), &panels.collect::<Vec<_>>())
}

/// `growth-cycles.svg`: the data directory and the memory, by cycles of a lock.
///
/// # Errors
/// When the file cannot be written.
pub fn soak(directory: &Path, soaked: &Soaked) -> Result<()> {
    let titles = ["cycles: data directory MiB", "cycles: RSS MiB"];
    let panels = titles.iter().zip(soaked.series()).map(|(title, points)| {
        let line = Line {
            name: System::Latchd.name().to_owned(),
            color: color(System::Latchd),
            points,
        };
        Panel {
            title: (*title).to_owned(),
            x: "cycles".to_owned(),
            label: short,
            lines: vec![line],
        }
    });
    let panels: Vec<Panel> = panels.collect();
    draw(&directory.join("growth-cycles.svg"), &panels)
}

fn is_loop(results: &Results) -> bool {
    matches!(results.case.scenario, Scenario::Loop(_))
}

fn percentiles(results: &Results) -> Panel {
    let systems = results.rounds.iter().map(|(system, _)| *system);
    let lines = systems.filter_map(|system| {
        let figures = results.medians(system)?;
        let points = PERCENTILES.iter().enumerate();
        let points = points.map(|(n, (metric, _))| ((n + 1) as f64, figures.get(*metric)));
        Some(Line {
            name: system.name().to_owned(),
            color: color(system),
            points: points.collect(),
        })
    });
    let case = results.case;
    Panel {
        title: format!(
            "{}, {} clients: latency us",
            case.scenario.name(),
            case.size
        ),
        x: String::new(),
        label: percentile,
        lines: lines.collect(),
    }
}

/// By the logarithm of the size.
fn by_size(points: &[(usize, Figures)], metric: Metric) -> Vec<(f64, f64)> {
    let points = points.iter();
    points
        .map(|(size, figures)| ((*size as f64).log10(), figures.get(metric)))
        .collect()
}

fn percentile(x: f64) -> String {
    let mut all = (1..).zip(PERCENTILES);
    let found = all.find(|(n, _)| (x - f64::from(*n)).abs() < 0.01);
    found.map_or(String::new(), |(_, (_, name))| name.to_owned())
}

/// What a size's logarithm stands for; nothing between the powers of ten.
fn power(x: f64) -> String {
    if (x - x.round()).abs() > 0.01 {
        return String::new();
    }
    short(10_f64.powf(x.round()))
}

/// A number with as few digits as it takes.
fn short(x: f64) -> String {
    match x {
        x if x >= 1e6 => format!("{}M", x / 1e6),
        x if x >= 1e3 => format!("{}k", x / 1e3),
        x => format!("{x}"),
    }
}

/// The greatest throughput; none if there is none at all.
fn greatest(loops: &[&Results]) -> Option<f64> {
    let all = loops.iter().flat_map(|results| {
        let rounds = results.rounds.iter();
        rounds.filter_map(|(system, _)| results.medians(*system))
    });
    let rates = all.map(|figures| figures.get(Metric::Throughput));
    rates.filter(|rate| *rate > 0.0).max_by(f64::total_cmp)
}

/// The cases side by side, each with its systems' bars.
fn bars(area: &Area<'_>, loops: &[&Results], most: f64) -> Drawn {
    area.fill(&WHITE)?;
    let least = 10_f64.powf((most.log10() - 3.0).floor());
    let mut chart = ChartBuilder::on(area)
        .caption("operations a second", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(
            -0.5..loops.len() as f64 - 0.5,
            (least..most * 10.0).log_scale(),
        )?;
    let name = |x: &f64| {
        let case = loops.get(x.round() as usize).map(|results| results.case);
        case.map_or(String::new(), |case| {
            format!("{} {}", case.scenario.name(), case.size)
        })
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(loops.len() + 1)
        .x_label_formatter(&name)
        .x_label_style(("sans-serif", 10))
        .y_label_formatter(&|y| short(*y))
        .draw()?;
    for (place, system) in System::ALL.into_iter().enumerate() {
        let bars = loops.iter().enumerate().filter_map(|(n, results)| {
            let rate = results.medians(system)?.get(Metric::Throughput);
            let left = n as f64 - 0.4 + 0.2 * place as f64;
            let corners = [(left, least), (left + 0.18, rate.max(least))];
            Some(Rectangle::new(corners, color(system).filled()))
        });
        chart
            .draw_series(bars)?
            .label(system.name())
            .legend(move |(x, y)| {
                Rectangle::new([(x, y - 5), (x + 12, y + 5)], color(system).filled())
            });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    area.present()
}

fn draw(file: &Path, panels: &[Panel]) -> Result<()> {
    let columns = panels.len().clamp(1, COLUMNS);
    let rows = panels.len().div_ceil(columns).max(1);
    let size = (
        PANEL_WIDTH * u32::try_from(columns)?,
        HEIGHT * u32::try_from(rows)?,
    );
    let area = SVGBackend::new(file, size).into_drawing_area();
    let drawn = area.fill(&WHITE).and_then(|()| {
        let places = area.split_evenly((rows, columns));
        let mut places = places.iter().zip(panels);
        places.try_for_each(|(place, panel)| panel.draw(place))?;
        area.present()
    });
    drawn.map_err(|error| anyhow!("drawing {}: {error}", file.display()))
}

impl Panel {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let (x, y) = self.ranges();
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 15))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(60)
            .build_cartesian_2d(x, y.log_scale())?;
        chart
            .configure_mesh()
            .x_desc(self.x.clone())
            .x_labels(7)
            .x_max_light_lines(1)
            .x_label_formatter(&|x| (self.label)(*x))
            .y_label_formatter(&|y| short(*y))
            .draw()?;
        for line in &self.lines {
            let (color, points) = (line.color, line.drawable());
            chart
                .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], color));
            let dots = points.into_iter();
            chart.draw_series(dots.map(|point| Circle::new(point, 3, color.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()
    }

    /// All lines, with some room beside; whole powers of ten, and above them room for the names.
    fn ranges(&self) -> (Range<f64>, Range<f64>) {
        let all = self.lines.iter().flat_map(Line::drawable);
        let (x, y): (Vec<f64>, Vec<f64>) = all.unzip();
        let ends = |of: &[f64]| {
            let least = of.iter().copied().fold(f64::INFINITY, f64::min);
            let most = of.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if of.is_empty() {
                (1.0, 1.0)
            } else {
                (least, most)
            }
        };
        let ((left, right), (bottom, top)) = (ends(&x), ends(&y));
        let margin = ((right - left) * 0.05).max(0.1);
        let bottom = 10_f64.powf(bottom.log10().floor());
        let top = 10_f64.powf(top.log10().floor() + 2.0);
        (left - margin..right + margin, bottom..top)
    }
}

impl Line {
    /// Where there is a number, and one that has a logarithm.
    fn drawable(&self) -> Vec<(f64, f64)> {
        let points = self.points.iter().copied();
        points
            .filter(|(x, y)| x.is_finite() && y.is_finite() && *y > 0.0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::*;
    use crate::{results::samples, sweep::Sweep};

    #[test]
    fn a_run_has_bars_and_percentiles() {
        let directory = tempdir().unwrap();
        let results = [samples::results(), samples::herd(10)];
        throughput(directory.path(), &results).unwrap();
        latencies(directory.path(), &results).unwrap();
        let bars = fs::read_to_string(directory.path().join("throughput.svg")).unwrap();
        assert!(
            bars.contains("</svg>") && bars.contains("txn-lock 32"),
            "{bars}"
        );
        let latency = directory.path().join("latency-txn-lock.svg");
        assert!(fs::read_to_string(latency).unwrap().contains("p50"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_sweep_has_a_line_for_each_system() {
        let directory = tempdir().unwrap();
        let curve = Curve {
            sweep: Sweep::Waiters,
            points: vec![samples::herd(10), samples::herd(1_000)],
        };
        growth(directory.path(), &curve).unwrap();
        let svg = fs::read_to_string(directory.path().join("growth-waiters.svg")).unwrap();
        for text in ["waiters: us/turn", "latchd", "etcd", "</svg>"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn axes_are_labelled_shortly() {
        assert_eq!([1e6, 2500.0, 7.0].map(short), ["1M", "2.5k", "7"]);
        assert_eq!([3.0, 3.5].map(power), ["1k", ""]);
        assert_eq!([1.0, 1.5, 5.0].map(percentile), ["p50", "", "max"]);
    }
}
