//! Exact decimal arithmetic of expressions (FHIRPath N1, section 6.6): 38 digits; what does not fit is no number.
//! Keeps the digits after the point as they were written. Knows nothing of units.

use std::cmp::Ordering;

/// Digits after the point at most.
const SCALE_MAX: u32 = 28;

/// mantissa × 10^-scale.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// All digits.
    pub mantissa: i128,
    /// Digits after the point.
    pub scale: u32,
}

fn ten(power: u32) -> Option<i128> {
    10i128.checked_pow(power)
}

impl Number {
    /// A whole number.
    pub fn whole(value: i64) -> Number {
        Number { mantissa: i128::from(value), scale: 0 }
    }

    /// Reads `[-+]digits[.digits][e[-+]digits]`.
    pub fn parse(text: &str) -> Option<Number> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| (-30..=30).contains(e))?),
            None => (text, 0),
        };
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return None,
            Some(split) => split,
            None => (unsigned, ""),
        };
        if whole.is_empty() || fraction.len() > 38 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let digits = if mantissa.starts_with('-') { -digits } else { digits };
        let scale = fraction.len() as i32 - exponent;
        if scale < 0 {
            return Some(Number { mantissa: digits.checked_mul(ten(scale.unsigned_abs())?)?, scale: 0 });
        }
        Some(Number { mantissa: digits, scale: scale as u32 })
    }

    /// From a floating number, for functions that have no exact result.
    pub fn of_float(value: f64) -> Option<Number> {
        if !value.is_finite() || value.abs() > 1e28 {
            return None;
        }
        Number::parse(&format!("{value:.15}")).map(Number::short)
    }

    /// As a floating number.
    pub fn float(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Without zeros at the end.
    pub fn short(mut self) -> Number {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    fn aligned(self, other: Number) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let a = self.mantissa.checked_mul(ten(scale - self.scale)?)?;
        let b = other.mantissa.checked_mul(ten(scale - other.scale)?)?;
        Some((a, b, scale))
    }

    /// The sum.
    pub fn plus(self, other: Number) -> Option<Number> {
        let (a, b, scale) = self.aligned(other)?;
        Some(Number { mantissa: a.checked_add(b)?, scale })
    }

    /// The opposite.
    pub fn negated(self) -> Number {
        Number { mantissa: self.mantissa.saturating_neg(), scale: self.scale }
    }

    /// The difference.
    pub fn subtract(self, other: Number) -> Option<Number> {
        self.plus(other.negated())
    }

    /// The product.
    pub fn multiply(self, other: Number) -> Option<Number> {
        let exact = |a: Number, b: Number| {
            Some(Number { mantissa: a.mantissa.checked_mul(b.mantissa)?, scale: a.scale + b.scale })
        };
        exact(self, other).or_else(|| exact(self.short(), other.short()))
    }

    /// The quotient, to as many digits as fit; none for a division by zero.
    pub fn divide(self, other: Number) -> Option<Number> {
        let (a, b) = (self.short(), other.short());
        if b.mantissa == 0 {
            return None;
        }
        let mut power = SCALE_MAX;
        loop {
            let shift = b.scale + power;
            let scale = a.scale + power;
            if let Some(top) = ten(shift).and_then(|t| a.mantissa.checked_mul(t)) {
                return Some(Number { mantissa: top / b.mantissa, scale }.short());
            }
            power = power.checked_sub(1)?;
        }
    }

    /// The quotient without its fraction.
    pub fn whole_quotient(self, other: Number) -> Option<i128> {
        let (a, b, _) = self.aligned(other)?;
        a.checked_div(b)
    }

    /// What [`Number::whole_quotient`] leaves.
    pub fn modulo(self, other: Number) -> Option<Number> {
        let (a, b, scale) = self.aligned(other)?;
        Some(Number { mantissa: a.checked_rem(b)?, scale })
    }

    /// Rounded to some digits after the point, halves away from zero.
    pub fn round(self, digits: u32) -> Number {
        let Some(unit) = self.scale.checked_sub(digits).and_then(ten) else { return self };
        let (whole, rest) = (self.mantissa / unit, self.mantissa % unit);
        let up = rest.unsigned_abs() * 2 >= unit.unsigned_abs() && self.scale > digits;
        Number { mantissa: whole + if up { rest.signum() } else { 0 }, scale: digits }
    }

    /// The largest whole number that is not larger.
    pub fn floor(self) -> i128 {
        ten(self.scale).map_or(0, |unit| self.mantissa.div_euclid(unit))
    }

    /// Without its fraction.
    pub fn truncate(self) -> i128 {
        ten(self.scale).map_or(0, |unit| self.mantissa / unit)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        match self.short().aligned(other.short()) {
            Some((a, b, _)) => a.cmp(&b),
            None => self.truncate().cmp(&other.truncate()),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        if fraction.is_empty() { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}
