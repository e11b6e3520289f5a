//! The value of `near` (R4 location.html#positional): latitude, longitude, distance and its unit.

use super::query::{split, unescape};
use super::refusal::Refusal;
use crate::index::Position;
use crate::primitive::Decimal;
use crate::ucum;

/// Kilometres where no distance is given: about a walk.
const DEFAULT: f64 = 5.0;
const FORM: &str = "of the form [latitude]|[longitude]|[distance]|[unit]: degrees from -90 to 90 and from -180 to 180, a \
                    distance of 0 or more and a UCUM unit of length (km if there is none)";

/// A centre, and metres from it.
pub(super) fn read(name: &str, text: &str) -> Result<(Position, f64), Refusal> {
    let bad = || Refusal::value(name, text, FORM);
    let parts: Vec<String> = split(text, b'|').into_iter().map(|part| unescape(part).trim().to_owned()).collect();
    let number = |text: &str| Decimal::parse(text).and_then(|_| text.parse::<f64>().ok()).filter(|n| n.is_finite());
    let (latitude, longitude, rest) = match parts.as_slice() {
        [latitude, longitude, rest @ ..] if rest.len() <= 2 => (latitude, longitude, rest),
        _ => return Err(bad()),
    };
    let degrees = number(latitude).zip(number(longitude)).ok_or_else(bad)?;
    let centre = Position::new(degrees.0, degrees.1).ok_or_else(bad)?;
    let distance = match rest.first().map(String::as_str) {
        None | Some("") => DEFAULT,
        Some(text) => number(text).filter(|n| *n >= 0.0).ok_or_else(bad)?,
    };
    let metres = match rest.get(1).map(String::as_str) {
        None | Some("") => 1_000.0,
        Some(unit) => metres_of(unit).ok_or_else(bad)?,
    };
    Ok((centre, distance * metres))
}

/// Metres of one of a unit.
fn metres_of(unit: &str) -> Option<f64> {
    // What people write for the international mile, foot and yard.
    let code = match unit {
        "mi" | "mile" | "miles" => "[mi_i]",
        "ft" | "feet" => "[ft_i]",
        "yd" => "[yd_i]",
        other => other,
    };
    ucum::convert(&Decimal::parse("1")?, code, "m")?.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn distances_have_units() {
        for (text, metres) in [
            ("1|2", 5_000.0),
            ("1|2|3", 3_000.0),
            ("1|2||m", 5.0),
            ("1|2|30|m", 30.0),
            ("-1.5|-2|11.20|km", 11_200.0),
            ("1|2|2|[mi_i]", 3_218.688),
            ("1|2|2|mi", 3_218.688),
            ("1|2|1e2|cm", 1.0),
        ] {
            let (_, found) = read("near", text).expect(text);
            assert!((found - metres).abs() < 1e-9, "{text}: {found}");
        }
        for text in ["", "1", "1|", "91|0", "0|181", "1|2|-1", "1|2|x", "1|2|3|kg", "1|2|3|km|4", "NaN|1", "inf|1"] {
            assert!(read("near", text).is_err(), "{text}");
        }
    }
}
