//! The figures, as people read them.

use std::io::Write;

use anyhow::Context;

/// Every figure, in groups.
pub struct Table {
    count: usize,
    groups: Vec<(String, Vec<Figure>)>,
}

struct Figure {
    what: String,
    measured: String,
    wanted: Option<(String, bool)>,
}

impl Table {
    /// Of so many resources.
    pub const fn new(count: usize) -> Self {
        Self { count, groups: vec![] }
    }

    /// The figures that follow are about this.
    pub fn group(&mut self, name: impl Into<String>) {
        self.groups.push((name.into(), vec![]));
    }

    /// A figure that nothing is wanted of.
    pub fn told(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        self.add(Figure { what: what.into(), measured: measured.into(), wanted: None });
    }

    /// A figure that should be at most this.
    pub fn at_most(&mut self, what: impl Into<String>, measured: f64, most: f64, unit: &str) {
        let (what, wanted) = (what.into(), format!("≤ {}", number(most)));
        let measured_text = format!("{}{unit}", number(measured));
        self.add(Figure { what, measured: measured_text, wanted: Some((wanted + unit, measured <= most)) });
    }

    fn add(&mut self, figure: Figure) {
        if let Some((_, figures)) = self.groups.last_mut() {
            figures.push(figure);
        }
    }

    /// Print all of it.
    pub fn print(&self) -> anyhow::Result<()> {
        let mut text = format!("\nKeywright with {} resources in one namespace and one tenant\n", self.count);
        for (name, figures) in &self.groups {
            text += "\n";
            text += name;
            text += "\n";
            for Figure { what, measured, wanted } in figures {
                let wanted = match wanted {
                    Some((wanted, true)) => format!("{wanted:>10}  ✓"),
                    Some((wanted, false)) => format!("{wanted:>10}  ✗"),
                    None => String::new(),
                };
                text += format!("  {what:<52}{measured:>12}{wanted}").trim_end();
                text += "\n";
            }
        }
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("could not write to standard output")
    }
}

/// A count among figures.
pub fn count(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Whole if it is large or whole, else with one digit.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 || value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}
