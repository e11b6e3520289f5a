//! Decimals without loss: any number of digits that a document may hold, exponents to ±10000. Order, equality and a
//! sortable form are those of the numbers; the range that a written number stands for depends on its digits (R4
//! search.html#number). What units of measure need of arithmetic stands in `decimal/arithmetic.rs`.

mod arithmetic;

use std::cmp::Ordering;

/// The largest exponent that is read, either way.
const EXPONENT_MAX: i32 = 10_000;
/// The longest lexeme that is read.
const LEXEME_MAX: usize = 10_000;

/// An exact decimal number.
///
/// Two are equal if they are the same number: `1.0` equals `1`.
#[derive(Clone, Debug)]
pub struct Decimal {
    negative: bool,
    /// Digits (0 to 9) without zeros at either end; none for zero.
    digits: Box<[u8]>,
    /// The power of ten just above the first digit: the value is 0.digits × 10^top. 0 for zero.
    top: i32,
    /// The power of ten of the last digit that was written, which gives the precision.
    place: i32,
}

impl Decimal {
    /// Reads `[-+]digits[.digits][e[-+]digits]`; zeros at the beginning are allowed, as queries have them.
    /// `None` also where it is too long (10,000 characters) or the exponent is beyond ±10000.
    pub fn parse(lexeme: &str) -> Option<Decimal> {
        if lexeme.len() > LEXEME_MAX {
            return None;
        }
        let negative = lexeme.starts_with('-');
        let unsigned = lexeme.strip_prefix(['-', '+']).unwrap_or(lexeme);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(self::exponent(exponent)?)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(split) => split,
            None => (mantissa, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut place = exponent.unwrap_or(0) - fraction.len() as i32;
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
        let top = place + digits.len() as i32;
        if exponent.is_some() && fraction.is_empty() && whole.len() == 1 {
            // R4 search.html#number reads 1e2 as 95 up to 105: one digit with an exponent counts as two.
            place -= 1;
        }
        Some(Decimal::new(negative, &digits, top, place))
    }

    fn new(negative: bool, digits: &[u8], top: i32, place: i32) -> Decimal {
        let zeros = digits.iter().take_while(|d| **d == 0).count();
        let end = digits.iter().rposition(|d| *d != 0).map_or(zeros, |i| i + 1);
        let digits: Box<[u8]> = digits.get(zeros..end).unwrap_or_default().into();
        let zero = digits.is_empty();
        Decimal { negative: negative && !zero, top: if zero { 0 } else { top - zeros as i32 }, digits, place }
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Appends bytes whose order is the order of the numbers, the same for equal numbers, and none the beginning of
    /// another's: sign, biased exponent, pairs of digits, terminator; all but the sign inverted for negative numbers.
    pub fn write_sortable(&self, out: &mut Vec<u8>) {
        out.push(if self.is_zero() { 1 } else { 2 - 2 * u8::from(self.negative) });
        if self.is_zero() {
            return;
        }
        let invert = if self.negative { 0xFF } else { 0 };
        // |top| is at most EXPONENT_MAX + LEXEME_MAX and a little, so that 16 bits hold it.
        let biased = (self.top + 0x8000).clamp(0, 0xFFFF) as u16;
        out.extend(biased.to_be_bytes().map(|b| b ^ invert));
        for pair in self.digits.chunks(2) {
            let byte = pair[0] * 10 + pair.get(1).copied().unwrap_or(0) + 1;
            out.push(byte ^ invert);
        }
        out.push(invert);
    }

    /// The numbers that round to this one as precisely as it is written, from the first up to (without) the second:
    /// `100` means 99.5 up to 100.5 (R4 search.html#number).
    pub fn implied_range(&self) -> (Decimal, Decimal) {
        let half = Decimal::new(false, &[5], self.place, self.place - 1);
        (self.add(&half.negated()), self.add(&half))
    }

    /// The number less and more a tenth of it (prefix `ap`, R4 search.html#prefix).
    pub fn around_tenth(&self) -> (Decimal, Decimal) {
        let tenth = Decimal { negative: false, top: self.top - 1, digits: self.digits.clone(), place: self.place - 1 };
        (self.add(&tenth.negated()), self.add(&tenth))
    }

    fn negated(&self) -> Decimal {
        Decimal { negative: !self.negative && !self.is_zero(), ..self.clone() }
    }

    /// The sum. Only for numbers whose digits lie near each other: the work grows with the distance.
    fn add(&self, other: &Decimal) -> Decimal {
        let place = self.place.min(other.place);
        if other.is_zero() {
            return Decimal { place, ..self.clone() };
        }
        if self.is_zero() {
            return Decimal { place, ..other.clone() };
        }
        let top = self.top.max(other.top) + 1;
        let bottom = self.bottom().min(other.bottom());
        let (a, b) = (self.aligned(top, bottom), other.aligned(top, bottom));
        if self.negative == other.negative {
            return Decimal::new(self.negative, &sum(&a, &b), top, place);
        }
        match a.cmp(&b) {
            Ordering::Less => Decimal::new(other.negative, &difference(&b, &a), top, place),
            _ => Decimal::new(self.negative, &difference(&a, &b), top, place),
        }
    }

    /// The power of ten of the last digit.
    fn bottom(&self) -> i32 {
        self.top - self.digits.len() as i32
    }

    /// All digits between two powers of ten.
    fn aligned(&self, top: i32, bottom: i32) -> Vec<u8> {
        let before = (top - self.top).max(0) as usize;
        let mut all = vec![0; before];
        all.extend_from_slice(&self.digits);
        all.resize((top - bottom).max(0) as usize, 0);
        all
    }

    fn magnitude(&self, other: &Decimal) -> Ordering {
        self.top.cmp(&other.top).then_with(|| self.digits.cmp(&other.digits))
    }
}

fn exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i32 = text.parse().ok()?;
    (-EXPONENT_MAX..=EXPONENT_MAX).contains(&value).then_some(value)
}

/// a + b, digit by digit; both equally long, with room for the carry in front.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut out: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let digit = a + b + carry;
            carry = digit / 10;
            digit % 10
        })
        .collect();
    out.reverse();
    out
}

/// a − b, digit by digit; both equally long, a not less than b.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut out: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let digit = 10 + a - b - borrow;
            borrow = 1 - digit / 10;
            digit % 10
        })
        .collect();
    out.reverse();
    out
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |d: &Decimal| if d.is_zero() { 0 } else { 1 - 2 * i8::from(d.negative) };
        sign(self)
            .cmp(&sign(other))
            .then_with(|| if self.negative { other.magnitude(self) } else { self.magnitude(other) })
    }
}

/// Writes it without an exponent where that is short, else in scientific form.
impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        let digits: String = self.digits.iter().map(|d| char::from(b'0' + d)).collect();
        let sign = if self.negative { "-" } else { "" };
        let count = digits.len() as i32;
        match self.top {
            top if !(-20..=40).contains(&top) => {
                let (first, rest) = digits.split_at(1);
                let point = if rest.is_empty() { "" } else { "." };
                write!(f, "{sign}{first}{point}{rest}e{}", top - 1)
            }
            top if top <= 0 => write!(f, "{sign}0.{}{digits}", "0".repeat(-top as usize)),
            top if top >= count => write!(f, "{sign}{digits}{}", "0".repeat((top - count) as usize)),
            top => {
                let (whole, fraction) = digits.split_at(top as usize);
                write!(f, "{sign}{whole}.{fraction}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect(text)
    }

    fn sortable(value: &Decimal) -> Vec<u8> {
        let mut out = Vec::new();
        value.write_sortable(&mut out);
        out
    }

    #[test]
    fn order_and_equality() {
        let ascending = [
            "-1e10000",
            "-12345678901234567890123456789012345678901",
            "-12345678901234567890123456789012345678900",
            "-100",
            "-99.9",
            "-1.5",
            "-1.05",
            "-1",
            "-0.001",
            "-1e-10000",
            "0",
            "1e-10000",
            "0.00099",
            "0.001",
            "0.1",
            "0.11",
            "0.9",
            "1",
            "1.0000000000000000000000000000000000000001",
            "1.5",
            "9",
            "10",
            "10.5",
            "99",
            "100",
            "1e40",
            "1e10000",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                let (a, b) = (decimal(a), decimal(b));
                assert_eq!(a.cmp(&b), i.cmp(&j), "{a} {b}");
                assert_eq!(sortable(&a).cmp(&sortable(&b)), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in [
            ("1", "1.00"),
            ("0", "-0.0"),
            ("1e2", "100"),
            ("0.5e1", "5"),
            ("-1200", "-1.2E+3"),
            ("007", "7"),
            ("+1", "1"),
            ("0e5", "0"),
        ] {
            assert_eq!(decimal(a), decimal(b));
            assert_eq!(sortable(&decimal(a)), sortable(&decimal(b)));
        }
    }

    #[test]
    fn ranges_by_precision() {
        for (text, low, high) in [
            ("100", "99.5", "100.5"),
            ("100.00", "99.995", "100.005"),
            ("1e2", "95", "105"),
            ("5.40e-3", "0.005395", "0.005405"),
            ("0", "-0.5", "0.5"),
            ("0.0", "-0.05", "0.05"),
            ("-5.4", "-5.45", "-5.35"),
            ("0.4", "0.35", "0.45"),
            ("9.99", "9.985", "9.995"),
        ] {
            assert_eq!(decimal(text).implied_range(), (decimal(low), decimal(high)), "{text}");
        }
        for (text, low, high) in [
            ("100", "90", "110"),
            ("-100", "-110", "-90"),
            ("0", "0", "0"),
            ("5.5", "4.95", "6.05"),
            ("9999", "8999.1", "10998.9"),
        ] {
            assert_eq!(decimal(text).around_tenth(), (decimal(low), decimal(high)), "{text}");
        }
    }

    #[test]
    fn refused_and_bounded() {
        for text in [
            "",
            "-",
            "+",
            ".5",
            "1.",
            "1e",
            "1e+",
            "e5",
            "1e10001",
            "1e-10001",
            "1e99999999999",
            "1.2.3",
            "--1",
            "1 ",
            "0x1",
            "é",
            "NaN",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(Decimal::parse(&"1".repeat(10_001)), None);
        let long = decimal(&"7".repeat(1000));
        assert_eq!(long.to_string().len(), 1000 + ".e999".len());
        assert!(long.implied_range().0 < long);
        let extreme = decimal(&format!("{}e10000", "9".repeat(9_000)));
        assert!(extreme > decimal("1e10000") && sortable(&extreme) > sortable(&decimal("1e10000")));
        assert_eq!(extreme.around_tenth().1.cmp(&extreme), Ordering::Greater);
    }

    #[test]
    fn written() {
        for (text, written) in [
            ("1.50", "1.5"),
            ("-0.001", "-0.001"),
            ("1e3", "1000"),
            ("0.0", "0"),
            ("12e50", "1.2e51"),
            ("1e-30", "1e-30"),
        ] {
            assert_eq!(decimal(text).to_string(), written);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_whole_numbers(a in any::<i64>(), b in any::<i64>(), scale in -30i32..30) {
            let (x, y) = (decimal(&format!("{a}e{scale}")), decimal(&format!("{b}e{scale}")));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(sortable(&x).cmp(&sortable(&y)), a.cmp(&b));
            let total = i128::from(a) + i128::from(b);
            prop_assert_eq!(x.add(&y), decimal(&format!("{total}e{scale}")));
        }

        #[test]
        fn sortable_bytes_order_as_the_numbers(a in "-?[0-9]{1,45}(\\.[0-9]{1,45})?(e-?[0-9]{1,3})?", b in "-?[0-9]{1,3}(\\.[0-9]{1,2})?(e-?[0-9]{1,2})?") {
            let (x, y) = (decimal(&a), decimal(&b));
            prop_assert_eq!(sortable(&x).cmp(&sortable(&y)), x.cmp(&y));
            prop_assert_eq!(decimal(&x.to_string()), x.clone());
            let (low, high) = x.implied_range();
            prop_assert!(low < x && x < high);
            // Self-delimiting: what follows never changes the order of different numbers.
            let (mut p, mut q) = (sortable(&x), sortable(&y));
            p.push(0xFF);
            q.push(0);
            prop_assert!(x == y || p.cmp(&q) == x.cmp(&y));
        }

        #[test]
        fn any_text_is_survived(text in "[-+0-9.eE]{0,30}|\\PC{0,20}") {
            if let Some(value) = Decimal::parse(&text) {
                let _ = (value.implied_range(), value.around_tenth(), sortable(&value));
            }
        }
    }
}
