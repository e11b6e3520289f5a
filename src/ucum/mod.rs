//! The Unified Code for Units of Measure: whether a code is a unit, what it measures, and the same amount in base units
//! and in other units. The grammar and the tables are those of the crate `octofhir-ucum` (UCUM 2.2, tables of
//! 2024-06-17, which it holds verbatim); here the arithmetic is exact and every code is looked at once.
//!
//! Knows nothing of FHIR's Quantity nor of calendar words.

mod scale;
mod unit;

pub use unit::{Unit, fault, unit};

use crate::primitive::Decimal;
use std::sync::Arc;

/// The system of UCUM in FHIR.
pub const SYSTEM: &str = "http://unitsofmeasure.org";
/// The version of the tables.
pub const VERSION: &str = octofhir_ucum::UCUM_VERSION;

/// Whether a code is a unit.
pub fn is_valid(code: &str) -> bool {
    unit(code).is_some()
}

/// Whether amounts in two units can be compared.
pub fn comparable(a: &str, b: &str) -> bool {
    matches!((unit(a), unit(b)), (Some(a), Some(b)) if a.measures_as(&b))
}

/// The same amount in base units, and that unit: exact, unless the unit itself has no exact factor (`[degF]`, `deg`) or
/// a scale of its own (`[pH]`); then rounded to the digits that can be relied on.
pub fn canonical(value: &Decimal, code: &str) -> Option<(Decimal, Arc<Unit>)> {
    let unit = unit(code)?;
    let value = unit.to_base(value)?;
    Some((value, unit))
}

/// The same amount in another unit; none where the units do not measure the same.
pub fn convert(value: &Decimal, from: &str, to: &str) -> Option<Decimal> {
    let (source, target) = (unit(from)?, unit(to)?);
    if !source.measures_as(&target) {
        return None;
    }
    if from == to {
        return Some(value.clone());
    }
    target.of_base(&source.to_base(value)?)
}

/// The unit of a product (or a quotient) of amounts, written in the units as they are.
pub fn product(a: &str, b: &str, divided: bool) -> Option<String> {
    // Both are looked at first: that bounds their length.
    let (_, _) = (unit(a)?, unit(b)?);
    let result = if divided { octofhir_ucum::unit_divide(a, b).ok() } else { octofhir_ucum::unit_multiply(a, b).ok() }?;
    Some(if result.expression.is_empty() { "1".to_owned() } else { result.expression })
}

/// The name of a unit in words: `(millimeter)`; none where it is no unit.
pub fn display(code: &str) -> Option<String> {
    if code.len() > unit::CODE_MAX {
        return None;
    }
    octofhir_ucum::display_name(code).ok()
}

#[cfg(test)]
mod tests;
