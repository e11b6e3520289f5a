//! How far a long command is: a bar where a person looks, else a line on standard error now and then.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Tells it.
pub struct Steps {
    bar: Option<ProgressBar>,
    told: Option<(String, Instant)>,
    unit: &'static str,
}

impl Steps {
    /// Counting in a unit, such as "versions".
    pub fn of(unit: &'static str) -> Steps {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style =
                ProgressStyle::with_template(&format!("{{msg}}: {{bar:30}} {{pos}} of {{len}} {unit}, {{eta}} left"));
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Steps { bar, told: None, unit }
    }

    /// So much of so much is done of a step, which has a name.
    pub fn tell(&mut self, step: &str, done: u64, all: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(step.to_owned());
            bar.set_length(all);
            bar.set_position(done);
            return;
        }
        let due = self.told.as_ref().is_none_or(|(name, at)| name != step || at.elapsed() >= EVERY);
        if due {
            eprintln!("{step}: {done} of {all} {}", self.unit);
            self.told = Some((step.to_owned(), Instant::now()));
        }
    }

    /// It is done.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
