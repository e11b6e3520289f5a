//! Quantities (FHIRPath N1, sections 4.1.8 and 6.1): units of length, mass, volume and time with their prefixes are
//! brought to a common measure, and products of them; any other code equals only itself. Not the whole of UCUM.

use super::number::Number;
use std::cmp::Ordering;
use std::collections::BTreeMap;
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

/// Code, base unit, factor.
const ATOMS: [(&str, &str, &str); 18] = [
    ("g", "g", "1"),
    ("m", "m", "1"),
    ("s", "s", "1"),
    ("min", "s", "60"),
    ("h", "s", "3600"),
    ("d", "s", "86400"),
    ("wk", "s", "604800"),
    ("a", "s", "31557600"),
    ("mo", "s", "2629800"),
    ("L", "m3", "0.001"),
    ("l", "m3", "0.001"),
    ("mol", "mol", "1"),
    ("[lb_av]", "g", "453.59237"),
    ("[oz_av]", "g", "28.349523125"),
    ("[in_i]", "m", "0.0254"),
    ("[ft_i]", "m", "0.3048"),
    ("%", "1", "0.01"),
    ("1", "1", "1"),
];
const PREFIXES: [(&str, &str); 9] = [
    ("k", "1000"),
    ("h", "100"),
    ("d", "0.1"),
    ("c", "0.01"),
    ("m", "0.001"),
    ("u", "0.000001"),
    ("n", "0.000000001"),
    ("p", "0.000000000001"),
    ("M", "1000000"),
];
const PREFIXED: [&str; 6] = ["g", "m", "s", "L", "l", "mol"];

fn atom(code: &str) -> Option<(Number, &'static str)> {
    let find = |code: &str| ATOMS.iter().find(|a| a.0 == code);
    if let Some((_, base, factor)) = find(code) {
        return Some((Number::parse(factor)?, base));
    }
    PREFIXES.iter().find_map(|(prefix, power)| {
        let rest = code.strip_prefix(prefix).filter(|rest| PREFIXED.contains(rest))?;
        let (_, base, factor) = find(rest)?;
        Some((Number::parse(factor)?.multiply(Number::parse(power)?)?, *base))
    })
}

type Dimensions = BTreeMap<String, i32>;

impl Quantity {
    /// A quantity with a UCUM code.
    pub fn of(value: Number, unit: &str) -> Quantity {
        Quantity { value, unit: unit.into(), calendar: false }
    }

    /// Value and dimensions in base units.
    fn canonical(&self, fuzzy: bool) -> Option<(Number, Dimensions)> {
        let mut unit = self.unit.to_string();
        if self.calendar {
            let word = unit.strip_suffix('s').unwrap_or(&unit);
            unit = match word {
                "year" if fuzzy => "a",
                "month" if fuzzy => "mo",
                "year" => return Some((self.value.multiply(Number::whole(12))?, [("month".to_owned(), 1)].into())),
                "month" => return Some((self.value, [("month".to_owned(), 1)].into())),
                "week" => "wk",
                "day" => "d",
                "hour" => "h",
                "minute" => "min",
                "second" => "s",
                _ => "ms",
            }
            .to_owned();
        }
        let mut value = self.value;
        let mut dimensions = Dimensions::new();
        let mut sign = 1;
        for piece in unit.split_inclusive(['.', '/']) {
            let code = piece.trim_end_matches(['.', '/']);
            let letters = code.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
            let (name, exponent) = match code.strip_prefix(letters).and_then(|e| e.parse::<i32>().ok()) {
                Some(exponent) if !letters.is_empty() => (letters, exponent),
                _ => (code, 1),
            };
            let exponent = exponent.clamp(-9, 9) * sign;
            let (factor, base) = match atom(name) {
                Some((factor, base)) => (factor, base.to_owned()),
                None => (Number::whole(1), name.to_owned()),
            };
            for _ in 0..exponent.abs() {
                value = if exponent > 0 { value.multiply(factor)? } else { value.divide(factor)? };
            }
            let (base, times) = if base == "m3" { ("m".to_owned(), 3) } else { (base, 1) };
            if base != "1" && !name.is_empty() {
                *dimensions.entry(base).or_default() += exponent * times;
            }
            if piece.ends_with('/') {
                sign = -1;
            } else if piece.ends_with('.') {
                sign = 1;
            }
        }
        dimensions.retain(|_, exponent| *exponent != 0);
        Some((value, dimensions))
    }

    /// Which is larger; none where the units do not measure the same.
    pub fn compare(&self, other: &Quantity, fuzzy: bool) -> Option<Ordering> {
        if self.unit == other.unit && self.calendar == other.calendar {
            return Some(self.value.cmp(&other.value));
        }
        let ((a, of_a), (b, of_b)) = (self.canonical(fuzzy)?, other.canonical(fuzzy)?);
        (of_a == of_b).then(|| a.cmp(&b))
    }

    /// The product or quotient.
    pub fn times(&self, other: &Quantity, divided: bool) -> Option<Quantity> {
        let value = if divided { self.value.divide(other.value)? } else { self.value.multiply(other.value)? };
        let unit = match (&*self.unit, &*other.unit) {
            (a, "1") => a.to_owned(),
            ("1", b) if !divided => b.to_owned(),
            (a, b) if divided && a == b => "1".to_owned(),
            (a, b) => format!("{a}{}{b}", if divided { '/' } else { '.' }),
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
