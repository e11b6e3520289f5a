//! What became of an import: how many resources of which type were accepted and refused, and why.

use std::collections::BTreeMap;

/// Reasons that are shown at most; the others are counted.
const SHOWN: usize = 30;

/// Counts of an import.
#[derive(Debug, Default)]
pub struct Report {
    /// Accepted and refused by type.
    kinds: BTreeMap<String, (u64, u64)>,
    /// Reason to number of times and the first place.
    reasons: BTreeMap<String, (u64, String)>,
}

impl Report {
    /// These were written.
    pub fn accept(&mut self, kinds: &[String]) {
        for kind in kinds {
            self.counts(kind).0 += 1;
        }
    }

    /// These were refused together.
    pub fn refuse(&mut self, origin: &str, kinds: &[String], why: &str) {
        for kind in kinds {
            self.counts(kind).1 += 1;
        }
        self.reasons.entry(shortened(why)).or_insert_with(|| (0, origin.to_owned())).0 += 1;
    }

    /// A file, line or member that could not be read at all.
    pub fn refuse_file(&mut self, origin: &str, why: &str) {
        self.refuse(origin, &["(unreadable)".to_owned()], why);
    }

    /// How much was refused.
    pub fn refused(&self) -> u64 {
        self.kinds.values().map(|(_, refused)| refused).sum()
    }

    fn counts(&mut self, kind: &str) -> &mut (u64, u64) {
        self.kinds.entry(kind.to_owned()).or_default()
    }
}

/// A reason may repeat much of what was sent.
fn shortened(why: &str) -> String {
    let mut short: String = why.chars().take(300).collect();
    if short.len() < why.len() {
        short.push('…');
    }
    short
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:<36} {:>10} {:>10}", "type", "accepted", "refused")?;
        for (kind, (accepted, refused)) in &self.kinds {
            writeln!(f, "{kind:<36} {accepted:>10} {refused:>10}")?;
        }
        let accepted: u64 = self.kinds.values().map(|(accepted, _)| accepted).sum();
        write!(f, "{:<36} {accepted:>10} {:>10}", "all", self.refused())?;
        if self.reasons.is_empty() {
            return Ok(());
        }
        write!(f, "\n\nrefused because:")?;
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, (times, _))| std::cmp::Reverse(*times));
        for (why, (times, first)) in reasons.iter().take(SHOWN) {
            write!(f, "\n  {times} × {why}\n      first in {first}")?;
        }
        if reasons.len() > SHOWN {
            write!(f, "\n  and {} other reasons", reasons.len() - SHOWN)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_and_says_why() {
        let mut report = Report::default();
        report.accept(&["Patient".into(), "Patient".into()]);
        report.refuse("a.json", &["Patient".into()], "no name");
        report.refuse("b.json", &["Observation".into()], "no name");
        let text = report.to_string();
        assert_eq!(report.refused(), 2);
        assert!(text.contains("2 × no name\n      first in a.json"), "{text}");
        assert!(text.lines().any(|l| l.split_whitespace().eq(["Patient", "2", "1"])), "{text}");
    }
}
