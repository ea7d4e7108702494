//! What a verification costs over the size of the response and the number of groups: a line, not a curve.
//!
//! `benches/run-report` has it write the table and the plot into `docs/`.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

use benches::floor::Floor;
use benches::login::{Gate, issued, with_groups};
use benches::{Pace, commit, machine, medians_at};
use issuer::{Issued, test_keys};

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where the plot has room for text and axes.
const MARGIN: f64 = 60.0;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;

struct Point {
    label: String,
    bytes: f64,
    micros: f64,
    floor: f64,
}

struct Series {
    name: &'static str,
    colour: &'static str,
    points: Vec<Point>,
}

impl Series {
    /// Microseconds at no bytes and per kB (least squares, each point weighed by its own size, so that the
    /// small ones count), and the furthest that a point is from that line.
    fn line(&self) -> (f64, f64, f64) {
        let weighed = |value: &dyn Fn(&Point) -> f64| -> f64 {
            self.points.iter().map(|point| value(point) / (point.micros * point.micros)).sum()
        };
        let (w, x, y) = (weighed(&|_| 1.0), weighed(&|p| p.bytes), weighed(&|p| p.micros));
        let (xx, xy) = (weighed(&|p| p.bytes * p.bytes), weighed(&|p| p.bytes * p.micros));
        let slope = (w * xy - x * y) / (w * xx - x * x);
        let start = (y - slope * x) / w;
        let worst = |worst: f64, point: &Point| worst.max((point.micros / (start + slope * point.bytes) - 1.0).abs());
        (start, slope * 1024.0, self.points.iter().fold(0.0, worst))
    }
}

fn main() {
    // Two signatures with their certificates take more than 7 kB, so the first is as small as it gets.
    let sizes = [0, 8, 16, 32, 64, 128].map(|kb| {
        let issued = issued(test_keys::rsa_2048(), kb * 1024);
        point(if kb == 0 { "smallest".to_owned() } else { format!("{kb} kB") }, &issued)
    });
    let groups = [5, 20, 50, 100, 200, 500]
        .map(|count| point(format!("{count} groups"), &with_groups(count).issue(test_keys::rsa_2048())));
    let series = [
        Series { name: "long values", colour: "#1f6feb", points: sizes.into() },
        Series { name: "groups", colour: "#d1242f", points: groups.into() },
    ];
    for series in &series {
        for point in &series.points {
            println!(
                "verify_cost {}: {:.1} us, {} bytes, floor {:.1} us",
                point.label, point.micros, point.bytes, point.floor
            );
        }
        let (start, slope, worst) = series.line();
        println!(
            "verify_cost {}: {start:.1} us + {slope:.2} us per kB, no point further from the line than {:.0} %",
            series.name,
            worst * 100.0
        );
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        std::fs::write(docs.join("verification-cost.svg"), plot(&series)).expect("the plot is written");
        std::fs::write(docs.join("verification-cost.md"), page(&series)).expect("the page is written");
    }
}

fn point(label: String, issued: &Issued) -> Point {
    let key = test_keys::rsa_2048();
    let (body, gate, floor) = (issued.form_body(None), Gate::pinning(key), Floor::of(issued, key));
    let verify = || drop(black_box(gate.verify(black_box(body.as_bytes())).expect("accepted")));
    let (work, bare) = medians_at(Pace::brisk(), verify, || floor.run());
    let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
    Point { label, bytes: issued.xml.len() as f64, micros: micros(work), floor: micros(bare) }
}

fn page(series: &[Series]) -> String {
    let mut page = String::from(
        "# What a verification costs\n\nFrom the form body to the accepted login, RSA-2048, both signatures, one core. The floor is two bare\n\
         verifications and the digests of the digested bytes. Written by\n`benches/run-report`.\n\n",
    );
    let _ = writeln!(page, "Machine: {}. Commit: {}.\n", machine(), commit());
    page.push_str("![cost over size](verification-cost.svg)\n");
    for series in series {
        let (start, slope, worst) = series.line();
        let _ = writeln!(
            page,
            "\n## {}\n\n{start:.1} us + {slope:.2} us per kB; no point is further from that line than {:.0} %.\n\n| response | bytes | us | floor | x floor |\n|---|---|---|---|---|",
            series.name,
            worst * 100.0
        );
        for Point { label, bytes, micros, floor } in &series.points {
            let _ = writeln!(page, "| {label} | {bytes} | {micros:.1} | {floor:.1} | {:.2} |", micros / floor);
        }
    }
    page
}

fn plot(series: &[Series]) -> String {
    let most =
        |value: &dyn Fn(&Point) -> f64| series.iter().flat_map(|series| &series.points).map(value).fold(1.0, f64::max);
    let (most_bytes, most_micros) = (most(&|point| point.bytes), most(&|point| point.micros));
    let x = |bytes: f64| MARGIN + bytes / most_bytes * (WIDTH - 2.0 * MARGIN);
    let y = |micros: f64| HEIGHT - MARGIN - micros / most_micros * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <path d=\"M{MARGIN} {MARGIN}V{bottom}H{right}\" fill=\"none\" stroke=\"#555\"/>\n",
        bottom = HEIGHT - MARGIN,
        right = WIDTH - MARGIN,
    );
    for part in 0..=4 {
        let (bytes, micros) = (most_bytes * f64::from(part) / 4.0, most_micros * f64::from(part) / 4.0);
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{:.0} kB</text>",
            x(bytes),
            HEIGHT - MARGIN + 18.0,
            bytes / 1024.0
        );
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{micros:.0} us</text>",
            MARGIN - 6.0,
            y(micros) + 4.0
        );
    }
    for (at, series) in series.iter().enumerate() {
        let (colour, (start, slope, _)) = (series.colour, series.line());
        let end = series.points.iter().map(|point| point.bytes).fold(0.0, f64::max);
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{colour}\" opacity=\"0.5\"/>",
            x(0.0),
            y(start),
            x(end),
            y(start + slope * end / 1024.0)
        );
        for point in &series.points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"/>",
                x(point.bytes),
                y(point.micros)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" fill=\"{colour}\">{}</text>",
            MARGIN + 20.0,
            MARGIN + 16.0 * at as f64,
            series.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}
