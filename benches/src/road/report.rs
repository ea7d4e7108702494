//! The figures as a page with its plot.

use std::fmt::Write as _;
use std::time::Duration;

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    pub authenticates: bool,
    /// Of each round, per request.
    pub cpu: Vec<Duration>,
    /// Over the first contestant's, of each round.
    pub ratios: Vec<f64>,
    /// Over what the application alone takes.
    pub p50_added: f64,
    pub p99_added: f64,
    pub resident: u64,
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle half.
pub fn spread(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get((sorted.len().saturating_sub(1) as f64 * share) as usize).copied();
    (at(0.25).unwrap_or(f64::NAN), at(0.75).unwrap_or(f64::NAN))
}

impl Row {
    /// In microseconds.
    pub fn cpu(&self) -> f64 {
        median(&self.cpu.iter().map(|time| time.as_secs_f64() * 1e6).collect::<Vec<_>>())
    }

    pub fn ratio(&self) -> f64 {
        median(&self.ratios)
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut text = "| | who asks must be signed in | CPU per request, us | x nginx | requests/s of one core | p50 added, us | p99 added, us | memory, MB |\n\
                    |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let (low, high) = spread(&row.ratios);
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {:.2} ({low:.2} to {high:.2}) | {:.0} | {:.0} | {:.0} | {:.1} |",
            row.name,
            if row.authenticates { "yes" } else { "no" },
            row.cpu(),
            row.ratio(),
            1e6 / row.cpu(),
            row.p50_added,
            row.p99_added,
            row.resident as f64 / 1e6,
        );
    }
    text
}

/// Bars of the CPU per request.
pub fn plot(rows: &[Row]) -> String {
    let (bar, gap, left, width) = (22, 8, 260, 420);
    let most = rows.iter().map(Row::cpu).fold(1.0, f64::max);
    let height = rows.len() * (bar + gap) + 40;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\">CPU per request, microseconds</text>\n",
        left + width + 80
    );
    for (number, row) in rows.iter().enumerate() {
        let y = 30 + number * (bar + gap);
        let length = row.cpu() / most * f64::from(width);
        let colour = match (row.name.starts_with("samlgate"), row.authenticates) {
            (true, _) => "#1b6e3c",
            (false, true) => "#b04a2f",
            (false, false) => "#8a8f98",
        };
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{left}\" y=\"{y}\" width=\"{length:.1}\" height=\"{bar}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{:.1}</text>",
            left - 8,
            y + 16,
            row.name,
            f64::from(left) + length + 6.0,
            y + 16,
            row.cpu(),
        );
    }
    text.push_str("</svg>\n");
    text
}
