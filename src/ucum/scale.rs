//! How an amount of a unit becomes an amount of base units: by a factor, by a factor and an offset (temperatures), or by
//! a function (pH, decibel). The first two are decimals; only functions go through floating numbers.

use crate::primitive::Decimal;
use octofhir_ucum::{Number, UnitAnalysis};

/// Digits that the tables compute factors to; a factor with so many is taken for a rounded one.
const FACTOR_DIGITS: usize = 27;
/// Digits of a result that can be relied on where a factor is rounded.
const RELIABLE: usize = 24;
/// The same for functions, which are computed in floating numbers.
const RELIABLE_FLOAT: usize = 12;

/// The way to base units.
#[derive(Debug)]
pub(super) enum Scale {
    /// value × factor + offset
    Linear {
        /// How much one of the unit is.
        factor: Decimal,
        /// What is added; none but for temperatures.
        offset: Option<Decimal>,
        /// Whether both are exact.
        exact: bool,
    },
    /// A function.
    Curve,
}

fn decimal(number: Number) -> Option<Decimal> {
    let (digits, exponent) = number.to_integer_and_exponent();
    Decimal::parse(&format!("{digits}e{exponent}"))
}

impl Scale {
    pub(super) fn of(analysis: &UnitAnalysis) -> Option<Scale> {
        if analysis.special.is_some() && analysis.offset.is_zero() {
            return Some(Scale::Curve);
        }
        let factor = decimal(analysis.factor)?.times(&decimal(analysis.scale)?)?;
        let offset = if analysis.offset.is_zero() { None } else { Some(decimal(analysis.offset)?) };
        let short = |number: &Decimal| number.significant() < FACTOR_DIGITS;
        let exact = short(&factor) && offset.as_ref().is_none_or(short);
        Some(Scale::Linear { factor, offset, exact })
    }

    pub(super) fn to_base(&self, value: &Decimal, code: &str, base: &str) -> Option<Decimal> {
        match self {
            Scale::Linear { factor, offset, exact } => {
                let product = value.times(factor)?;
                let sum = match offset {
                    Some(offset) => product.plus(offset)?,
                    None => product,
                };
                Some(if *exact { sum } else { sum.rounded(RELIABLE) })
            }
            Scale::Curve => by_function(value, code, base),
        }
    }

    pub(super) fn of_base(&self, value: &Decimal, code: &str, base: &str) -> Option<Decimal> {
        match self {
            Scale::Linear { factor, offset, .. } => {
                let above = match offset {
                    Some(offset) => value.minus(offset)?,
                    None => value.clone(),
                };
                above.divided_by(factor, RELIABLE)
            }
            Scale::Curve => by_function(value, base, code),
        }
    }
}

fn by_function(value: &Decimal, from: &str, to: &str) -> Option<Decimal> {
    let value: f64 = value.to_string().parse().ok()?;
    let result = octofhir_ucum::convert(value, from, to).ok().filter(|r| r.is_finite())?;
    Some(Decimal::parse(&format!("{result:e}"))?.rounded(RELIABLE_FLOAT))
}
