//! Dates and times with their precision: what is written, and the interval of time that it means. Days are those of
//! the Gregorian calendar; a time without a zone is taken as UTC. Knows nothing of search prefixes.

/// How precisely a date was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `2020`
    Year,
    /// `2020-02`
    Month,
    /// `2020-02-29`
    Day,
    /// `2020-02-29T10:00` (only in queries)
    Minute,
    /// `2020-02-29T10:00:00`
    Second,
    /// `2020-02-29T10:00:00.123`
    Fraction,
}

/// A date, dateTime or instant, or a date of a query: the interval that its precision means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    start: i64,
    end: i64,
    precision: Precision,
}

impl DateTime {
    /// Reads `YYYY[-MM[-DD[Thh:mm[:ss[.fff]][zone]]]]` (R4 search.html#date allows minutes without seconds).
    pub fn parse(text: &str) -> Option<DateTime> {
        parts(text).map(|parts| parts.interval())
    }

    /// The first microsecond since 1970-01-01T00:00:00Z that is in it.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The first microsecond after it.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// How precisely it was written.
    pub fn precision(&self) -> Precision {
        self.precision
    }
}

/// What is written of a date; checked against the calendar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    year: i64,
    month: i64,
    day: i64,
    time: Option<Time>,
    /// Minutes east of UTC.
    zone: Option<i64>,
    precision: Precision,
}

#[derive(Clone, Copy, Debug)]
struct Time {
    hour: i64,
    minute: i64,
    second: i64,
    /// Digits after the point, as microseconds; digits after the sixth are cut off.
    micros: i64,
    /// How many digits were written, at most 6.
    digits: u32,
}

impl Parts {
    /// A year, month or day, without a time.
    pub(super) fn is_date(&self) -> bool {
        self.time.is_none()
    }

    /// With a time down to the second at least.
    pub(super) fn has_seconds(&self) -> bool {
        self.precision >= Precision::Second
    }

    /// With a time zone.
    pub(super) fn has_zone(&self) -> bool {
        self.zone.is_some()
    }

    fn interval(&self) -> DateTime {
        const DAY: i64 = 86_400_000_000;
        let first = days_before(self.year, self.month) + self.day - 1;
        let (start, end) = match (self.precision, self.time) {
            (Precision::Year, _) => (first * DAY, days_before(self.year + 1, 1) * DAY),
            (Precision::Month, _) => {
                let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
                (first * DAY, days_before(year, month) * DAY)
            }
            (_, None) => (first * DAY, (first + 1) * DAY),
            (precision, Some(time)) => {
                let minutes = time.hour * 60 + time.minute - self.zone.unwrap_or(0);
                let start = first * DAY + (minutes * 60 + time.second) * 1_000_000 + time.micros;
                let length = match precision {
                    Precision::Minute => 60_000_000,
                    Precision::Second => 1_000_000,
                    _ => 10i64.pow(6 - time.digits),
                };
                (start, start + length)
            }
        };
        DateTime { start, end, precision: self.precision }
    }
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    // Years counted from March, so that the leap day is the last of its year.
    let y = if month <= 2 { year - 1 } else { year };
    let days_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + days_of_year - 719_468
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Reads a date with whatever precision it has.
pub(super) fn parts(text: &str) -> Option<Parts> {
    let mut rest = Cursor(text.as_bytes());
    let year = rest.number(4).filter(|y| *y >= 1)?;
    let mut parts = Parts { year, month: 1, day: 1, time: None, zone: None, precision: Precision::Year };
    if rest.eat(b'-') {
        parts.month = rest.number(2).filter(|m| (1..=12).contains(m))?;
        parts.precision = Precision::Month;
        if rest.eat(b'-') {
            parts.day = rest.number(2).filter(|d| (1..=days_in(year, parts.month)).contains(d))?;
            parts.precision = Precision::Day;
            if rest.eat(b'T') {
                let (time, precision) = rest.time()?;
                (parts.time, parts.precision) = (Some(time), precision);
                parts.zone = rest.zone()?;
            }
        }
    }
    rest.0.is_empty().then_some(parts)
}

/// Whether a text is a `time` (R4 datatypes.html#time): seconds are needed, a zone is not allowed.
pub(super) fn is_time(text: &str) -> bool {
    let mut rest = Cursor(text.as_bytes());
    rest.time().is_some_and(|(_, precision)| precision >= Precision::Second) && rest.0.is_empty()
}

struct Cursor<'t>(&'t [u8]);

impl Cursor<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    }

    /// `hh:mm[:ss[.fff]]`
    fn time(&mut self) -> Option<(Time, Precision)> {
        let hour = self.number(2).filter(|h| *h < 24)?;
        let minute = if self.eat(b':') { self.number(2).filter(|m| *m < 60)? } else { return None };
        let mut time = Time { hour, minute, second: 0, micros: 0, digits: 0 };
        if !self.eat(b':') {
            return Some((time, Precision::Minute));
        }
        // 60 is a leap second; R4 allows it in every minute.
        time.second = self.number(2).filter(|s| *s <= 60)?;
        if !self.eat(b'.') {
            return Some((time, Precision::Second));
        }
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        let (fraction, rest) = self.0.split_at(count);
        self.0 = rest;
        time.digits = count.min(6) as u32;
        time.micros = fraction.iter().take(6).fold(0, |n, b| n * 10 + i64::from(b - b'0')) * 10i64.pow(6 - time.digits);
        Some((time, Precision::Fraction))
    }

    /// `Z`, `+hh:mm`, `-hh:mm` or nothing; `None` where it is wrong.
    fn zone(&mut self) -> Option<Option<i64>> {
        if self.0.is_empty() {
            return Some(None);
        }
        if self.eat(b'Z') {
            return Some(Some(0));
        }
        let sign = if self.eat(b'+') {
            1
        } else if self.eat(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.number(2)?;
        let minutes = if self.eat(b':') { self.number(2).filter(|m| *m < 60)? } else { return None };
        let offset = hours * 60 + minutes;
        (offset <= 14 * 60).then_some(Some(sign * offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use proptest::prelude::*;

    fn instants(text: &str) -> (String, String) {
        let date = DateTime::parse(text).expect(text);
        (Timestamp(date.start()).to_instant(), Timestamp(date.end()).to_instant())
    }

    #[test]
    fn intervals() {
        for (text, start, end) in [
            ("2020", "2020-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z"),
            ("2020-12", "2020-12-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z"),
            ("2020-02", "2020-02-01T00:00:00.000Z", "2020-03-01T00:00:00.000Z"),
            ("1900-02-28", "1900-02-28T00:00:00.000Z", "1900-03-01T00:00:00.000Z"),
            ("2020-02-29T10:00", "2020-02-29T10:00:00.000Z", "2020-02-29T10:01:00.000Z"),
            ("2020-02-29T10:00+01:00", "2020-02-29T09:00:00.000Z", "2020-02-29T09:01:00.000Z"),
            ("2020-02-29T10:00:01-05:30", "2020-02-29T15:30:01.000Z", "2020-02-29T15:30:02.000Z"),
            ("2020-02-29T10:00:01.5Z", "2020-02-29T10:00:01.500Z", "2020-02-29T10:00:01.600Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z", "2017-01-01T00:00:01.000Z"),
            ("0001", "0001-01-01T00:00:00.000Z", "0002-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(instants(text), (start.to_owned(), end.to_owned()), "{text}");
        }
        let fine = DateTime::parse("1970-01-01T00:00:00.123456789Z").expect("legal");
        assert_eq!((fine.start(), fine.end(), fine.precision()), (123_456, 123_457, Precision::Fraction));
        for text in ["", "2020-02-30", "2020T10:00", "2020-02-29T10", "2020-02-29T10:00:00+", "2020-02-29T10:00Zx", "é"]
        {
            assert_eq!(DateTime::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_a_moment_writes_is_read_back(micros in -62_135_596_800_000_000i64..253_402_300_800_000_000) {
            let millis = micros.div_euclid(1000) * 1000;
            let date = DateTime::parse(&Timestamp(micros).to_instant()).expect("an instant");
            prop_assert_eq!((date.start(), date.end()), (millis, millis + 1000));
        }

        #[test]
        fn coarser_writing_encloses_finer(micros in -62_135_596_800_000_000i64..253_402_300_800_000_000) {
            let text = Timestamp(micros).to_instant();
            let mut inner = DateTime::parse(&text).expect("an instant");
            for length in [19, 16, 10, 7, 4] {
                let outer = DateTime::parse(&text[..length]).expect("a shorter date");
                prop_assert!(outer.start() <= inner.start() && inner.end() <= outer.end());
                inner = outer;
            }
        }

        #[test]
        fn any_text_is_survived(text in "[0-9TZ:.+-]{0,40}|\\PC{0,20}") {
            if let Some(date) = DateTime::parse(&text) {
                prop_assert!(date.start() < date.end());
            }
        }
    }
}
