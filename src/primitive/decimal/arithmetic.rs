//! Sums, products and quotients of decimals, as far as units of measure need them: sums and products are exact,
//! quotients rounded to a number of digits that is asked for. No powers, no functions.

use super::{Decimal, EXPONENT_MAX, LEXEME_MAX};
use std::cmp::Ordering;

/// Single products of digits at most, so that no multiplication takes long.
const WORK_MAX: usize = 4_000_000;
/// Powers of ten that a result may reach.
const TOP_MAX: i32 = EXPONENT_MAX + LEXEME_MAX as i32;
/// The widest gap between the digits of two summands.
const GAP_MAX: i32 = LEXEME_MAX as i32;

impl Decimal {
    /// A whole number.
    pub fn whole(value: i64) -> Decimal {
        let digits: Vec<u8> = value.unsigned_abs().to_string().bytes().map(|b| b - b'0').collect();
        Decimal::new(value < 0, &digits, digits.len() as i32, 0)
    }

    /// The exact sum; none where the digits lie too far apart.
    pub fn plus(&self, other: &Decimal) -> Option<Decimal> {
        let far = (self.top - other.bottom()).max(other.top - self.bottom()) > GAP_MAX;
        if far && !self.is_zero() && !other.is_zero() {
            return None;
        }
        Some(self.add(other))
    }

    /// The exact difference; none where the digits lie too far apart.
    pub fn minus(&self, other: &Decimal) -> Option<Decimal> {
        self.plus(&other.negated())
    }

    /// The exact product; none where it is too long or too large.
    pub fn times(&self, other: &Decimal) -> Option<Decimal> {
        let place = self.place + other.place;
        if self.is_zero() || other.is_zero() {
            return Some(Decimal::new(false, &[], 0, place));
        }
        if self.digits.len().saturating_mul(other.digits.len()) > WORK_MAX {
            return None;
        }
        let mut columns = vec![0u32; self.digits.len() + other.digits.len()];
        for (i, a) in self.digits.iter().enumerate() {
            for (j, b) in other.digits.iter().enumerate() {
                columns[i + j + 1] += u32::from(a * b);
            }
        }
        let mut carry = 0;
        for column in columns.iter_mut().rev() {
            *column += carry;
            carry = *column / 10;
            *column %= 10;
        }
        let digits: Vec<u8> = columns.into_iter().map(|column| column as u8).collect();
        let product = Decimal::new(self.negative != other.negative, &digits, self.top + other.top, place);
        product.in_range()
    }

    /// The quotient, rounded to this many significant digits; none for a division by zero.
    pub fn divided_by(&self, other: &Decimal, significant: usize) -> Option<Decimal> {
        if other.is_zero() {
            return None;
        }
        if self.is_zero() {
            return Some(self.clone());
        }
        let divisor = &other.digits;
        let mut rest: Vec<u8> = Vec::with_capacity(divisor.len() + 1);
        let mut digits = Vec::with_capacity(significant + 2);
        let mut next = self.digits.iter().copied();
        // The first digit of the quotient may be zero, and one more is needed to round.
        while digits.iter().skip_while(|d| **d == 0).count() <= significant {
            match next.next() {
                Some(digit) => rest.push(digit),
                None if rest.iter().all(|d| *d == 0) => break,
                None => rest.push(0),
            }
            digits.push(step(&mut rest, divisor));
        }
        // The digits so far are the whole quotient of the digits taken by those of the divisor.
        let top = self.top - other.top + divisor.len() as i32;
        let place = top - digits.len() as i32;
        Decimal::new(self.negative != other.negative, &digits, top, place).rounded(significant).in_range()
    }

    /// Rounded to this many significant digits, halves away from zero.
    pub fn rounded(&self, significant: usize) -> Decimal {
        let Some(next) = self.digits.get(significant) else { return self.clone() };
        let mut digits = vec![0];
        digits.extend_from_slice(&self.digits[..significant]);
        if *next >= 5 {
            for digit in digits.iter_mut().rev() {
                if *digit < 9 {
                    *digit += 1;
                    break;
                }
                *digit = 0;
            }
        }
        Decimal::new(self.negative, &digits, self.top + 1, self.top - significant as i32)
    }

    /// Rounded to the precision that another number was written with.
    pub fn rounded_like(&self, other: &Decimal) -> Decimal {
        let significant = self.top - other.place;
        if significant < 0 {
            return Decimal::new(false, &[], 0, other.place);
        }
        self.rounded(significant as usize)
    }

    /// How many significant digits it has.
    pub fn significant(&self) -> usize {
        self.digits.len()
    }

    fn in_range(self) -> Option<Decimal> {
        (-TOP_MAX..=TOP_MAX).contains(&self.top).then_some(self)
    }
}

/// Takes the divisor from the rest as often as it goes; how often that was.
fn step(rest: &mut Vec<u8>, divisor: &[u8]) -> u8 {
    let zeros = rest.iter().take_while(|d| **d == 0).count();
    rest.drain(..zeros);
    let mut times = 0;
    while rest.len() > divisor.len() || rest.len() == divisor.len() && rest.as_slice().cmp(divisor) != Ordering::Less {
        let mut borrow = 0;
        for i in 0..rest.len() {
            let at = rest.len() - 1 - i;
            let take = divisor.len().checked_sub(i + 1).map_or(0, |d| divisor[d]) + borrow;
            borrow = u8::from(rest[at] < take);
            rest[at] = rest[at] + 10 * borrow - take;
        }
        let zeros = rest.iter().take_while(|d| **d == 0).count();
        rest.drain(..zeros);
        times += 1;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::Decimal;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect(text)
    }

    #[test]
    fn products_and_quotients() {
        for (a, b, product) in [("2.5", "4", "10"), ("-0.1", "0.02", "-0.002"), ("0", "5", "0"), ("1e5", "1e-5", "1")] {
            assert_eq!(decimal(a).times(&decimal(b)), Some(decimal(product)));
        }
        for (a, b, quotient) in [
            ("10", "4", "2.5"),
            ("1", "3", "0.33333333"),
            ("2", "3", "0.66666667"),
            ("-1", "8", "-0.125"),
            ("0.001", "250", "0.000004"),
            ("98765", "5", "19753"),
            ("1", "0.0254", "39.370079"),
            ("999999999", "1", "1e9"),
        ] {
            assert_eq!(decimal(a).divided_by(&decimal(b), 8), Some(decimal(quotient)), "{a}/{b}");
        }
        assert_eq!(decimal("1").divided_by(&decimal("0"), 8), None);
        assert_eq!(decimal("1e10000").times(&decimal("1e10000")).and_then(|v| v.times(&decimal("10"))), None);
        assert_eq!(decimal("25.149").rounded_like(&decimal("25.2")), decimal("25.1"));
        assert_eq!(decimal("1e9000").plus(&decimal("1e-9000")), None);
    }

    proptest! {
        #[test]
        fn agrees_with_whole_numbers(a in any::<i32>(), b in 1i32..) {
            let product = i64::from(a) * i64::from(b);
            prop_assert_eq!(decimal(&a.to_string()).times(&decimal(&b.to_string())), Some(Decimal::whole(product)));
            let back = Decimal::whole(product).divided_by(&decimal(&b.to_string()), 20);
            prop_assert_eq!(back, Some(decimal(&a.to_string())));
        }
    }
}
