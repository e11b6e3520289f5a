//! Quantities (FHIRPath N1, sections 4.1.8 and 6.1): compared in the base units of UCUM, calendar words among
//! themselves; a code that is no unit equals only itself.

use super::number::Number;
use crate::primitive::Decimal;
use crate::ucum;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

/// A number with a unit.
#[derive(Clone, Debug)]
pub struct Quantity {
    /// The number.
    pub value: Number,
    /// UCUM code or word for a calendar duration.
    pub unit: Rc<str>,
    /// Whether the unit is a word.
    pub calendar: bool,
}

/// A word for a calendar duration as a unit; years and months only count as such where a rough answer is wanted.
fn of_word(word: &str, fuzzy: bool) -> Option<&'static str> {
    Some(match word.strip_suffix('s').unwrap_or(word) {
        "year" if fuzzy => "a",
        "month" if fuzzy => "mo",
        "year" | "month" => return None,
        "week" => "wk",
        "day" => "d",
        "hour" => "h",
        "minute" => "min",
        "second" => "s",
        _ => "ms",
    })
}

/// Whether a unit is a word for a calendar duration.
pub(super) fn is_calendar(unit: &str) -> bool {
    const WORDS: [&str; 8] = ["year", "month", "week", "day", "hour", "minute", "second", "millisecond"];
    WORDS.contains(&unit.strip_suffix('s').unwrap_or(unit))
}

impl Quantity {
    /// A quantity with a UCUM code.
    pub fn of(value: Number, unit: &str) -> Quantity {
        Quantity { value, unit: unit.into(), calendar: false }
    }

    /// The value in base units, and what it measures. A code that is no unit measures only itself.
    fn canonical(&self, fuzzy: bool) -> Option<(Decimal, Cow<'_, str>)> {
        let value = Decimal::parse(&self.value.to_string())?;
        let code = match self.calendar {
            false => &*self.unit,
            true => match of_word(&self.unit, fuzzy) {
                Some(code) => code,
                None => {
                    let months = if self.unit.starts_with("year") { 12 } else { 1 };
                    return Some((value.times(&Decimal::whole(months))?, Cow::Borrowed("month")));
                }
            },
        };
        match ucum::canonical(&value, code) {
            Some((value, unit)) => Some((value, Cow::Owned(unit.base().to_owned()))),
            None => Some((value, Cow::Borrowed(code))),
        }
    }

    /// Which is larger; none where the units do not measure the same.
    pub fn compare(&self, other: &Quantity, fuzzy: bool) -> Option<Ordering> {
        if self.unit == other.unit && self.calendar == other.calendar {
            return Some(self.value.cmp(&other.value));
        }
        let ((a, of_a), (b, of_b)) = (self.canonical(fuzzy)?, other.canonical(fuzzy)?);
        (of_a == of_b).then(|| a.cmp(&b))
    }

    /// The same amount in another unit, a code of UCUM or a word for a calendar duration; none where they do not
    /// measure the same.
    pub fn converted(&self, unit: &str) -> Option<Quantity> {
        let calendar = is_calendar(unit);
        let made = |value| Some(Quantity { value, unit: unit.into(), calendar });
        if *self.unit == *unit && self.calendar == calendar {
            return made(self.value);
        }
        fn code(unit: &str, calendar: bool) -> Option<&str> {
            if calendar { of_word(unit, false) } else { Some(unit) }
        }
        match (code(&self.unit, self.calendar), code(unit, calendar)) {
            (Some(from), Some(to)) => {
                let value = ucum::convert(&Decimal::parse(&self.value.to_string())?, from, to)?;
                made(Number::parse(&value.to_string())?)
            }
            (None, None) => {
                let months = |unit: &str| Number::whole(if unit.starts_with("year") { 12 } else { 1 });
                made(self.value.multiply(months(&self.unit))?.divide(months(unit))?)
            }
            _ => None,
        }
    }

    /// The sum or difference, in the unit of the first; none where the units do not measure the same.
    pub fn plus(&self, other: &Quantity, less: bool) -> Option<Quantity> {
        let other = if self.unit == other.unit {
            other.value
        } else if self.calendar || other.calendar {
            return None;
        } else {
            let value = Decimal::parse(&other.value.to_string())?;
            Number::parse(&ucum::convert(&value, &other.unit, &self.unit)?.to_string())?
        };
        let value = if less { self.value.subtract(other)? } else { self.value.plus(other)? };
        Some(Quantity { value, ..self.clone() })
    }

    /// The product or quotient.
    pub fn times(&self, other: &Quantity, divided: bool) -> Option<Quantity> {
        let value = if divided { self.value.divide(other.value)? } else { self.value.multiply(other.value)? };
        let (a, b) = (&*self.unit, &*other.unit);
        let unit = if divided && a == b {
            "1".to_owned()
        } else {
            ucum::product(a, b, divided).unwrap_or_else(|| format!("{a}{}{b}", if divided { '/' } else { '.' }))
        };
        Some(Quantity::of(value, &unit))
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.calendar {
            write!(f, "{} {}", self.value, self.unit)
        } else {
            write!(f, "{} '{}'", self.value, self.unit)
        }
    }
}
