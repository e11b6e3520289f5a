//! Search by date (R4 search.html#date): the interval of the value against the interval of the search.
//!
//! Terms are ordered by class of length and start. For each class the longest interval is known, so that a question
//! about the end is a range of starts and a test on the end.

use super::super::Range;
use super::super::Test;
use super::super::encode::{DATE_CLASSES, after, time_bytes};
use super::Comparator;
use super::pattern::Pattern;
use crate::base::Timestamp;

/// Start of the bytes of the end, behind class and start.
const END: usize = 9;

/// What is asked of start and end, each from (in) up to (out); `None`: no bound.
#[derive(Clone, Copy, Default)]
struct Window {
    start_from: Option<i64>,
    start_below: Option<i64>,
    end_from: Option<i64>,
    end_below: Option<i64>,
}

/// Intervals that compare so with the interval from `start` up to (without) `end`.
pub(super) fn date(comparator: Comparator, start: i64, end: i64, now: Timestamp) -> Vec<Pattern> {
    let any = Window::default();
    // end > x is the same as end >= x + 1; the largest number stands for an open end.
    let above = Window { end_from: Some(end.saturating_add(1)), ..any };
    let below = Window { start_below: Some(start), ..any };
    let within = Window { start_from: Some(start), end_below: Some(end.saturating_add(1)), ..any };
    let windows = match comparator {
        Comparator::Eq => vec![within],
        Comparator::Ne => vec![below, Window { start_from: Some(start), ..above }],
        // What starts late enough ends late enough, as no interval is empty: only the others need a look at the end.
        Comparator::Gt => vec![Window { start_from: Some(end), ..any }, Window { start_below: Some(end), ..above }],
        Comparator::Lt => vec![below],
        // above or within: starts in it or after it, or reaches above it
        Comparator::Ge => vec![Window { start_from: Some(start), ..any }, Window { start_below: Some(start), ..above }],
        Comparator::Le => vec![below, within],
        Comparator::Sa => vec![Window { start_from: Some(end), ..any }],
        Comparator::Eb => vec![Window { end_below: Some(start.saturating_add(1)), ..any }],
        Comparator::Ap => {
            let (start, end) = widened(start, end, now);
            vec![overlapping(start, end)]
        }
        Comparator::Po => vec![overlapping(start, end)],
    };
    let classes = 0..=DATE_CLASSES.len();
    windows.iter().flat_map(|window| classes.clone().filter_map(|class| window.in_class(class))).collect()
}

/// Intervals that have something in common with this one.
fn overlapping(start: i64, end: i64) -> Window {
    Window { start_below: Some(end), end_from: Some(start.saturating_add(1)), ..Window::default() }
}

/// The interval widened by a tenth of its distance to now.
fn widened(start: i64, end: i64, now: Timestamp) -> (i64, i64) {
    let distance = if now.0 < start { start.saturating_sub(now.0) } else { now.0.saturating_sub(end).max(0) };
    (start.saturating_sub(distance / 10), end.saturating_add(distance / 10))
}

impl Window {
    /// The terms of a class that are in the window; `None` where there can be none.
    fn in_class(&self, class: usize) -> Option<Pattern> {
        let longest = DATE_CLASSES.get(class);
        let mut from = self.start_from;
        let mut below = self.start_below;
        if let (Some(end), Some(longest)) = (self.end_from, longest) {
            let least = end.saturating_sub(*longest);
            from = Some(from.map_or(least, |from| from.max(least)));
        }
        if let Some(end) = self.end_below {
            // No interval is empty, so that it starts before its end.
            below = Some(below.map_or(end, |below| below.min(end)));
        }
        if from.zip(below).is_some_and(|(from, below)| from >= below) {
            return None;
        }
        let class = class as u8;
        let bound = |time: i64| [&[class][..], &time_bytes(time)].concat().into();
        Some(Pattern::Range(Range {
            from: from.map_or([class].into(), bound),
            to: below.map_or([class + 1].into(), bound),
            test: self.end_test(),
        }))
    }

    fn end_test(&self) -> Option<Test> {
        if self.end_from.is_none() && self.end_below.is_none() {
            return None;
        }
        Some(Test::Within {
            skip: END,
            from: self.end_from.map_or([].into(), |time| time_bytes(time).into()),
            below: self.end_below.map_or(after(&[0xFF; 8]), |time| time_bytes(time).into()),
        })
    }
}
