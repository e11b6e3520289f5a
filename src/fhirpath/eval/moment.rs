//! Dates, date-times and times with their precision (FHIRPath N1, sections 4.1.6, 6.2 and 6.6.7): comparison that may
//! have no answer, and addition of durations. Which FHIR type a value has is not known here.

use std::cmp::Ordering;

/// Which of the three System types it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MomentKind {
    /// `@2020-01-01`
    Date,
    /// `@2020-01-01T10:00`
    DateTime,
    /// `@T10:00`
    Time,
}

/// A date, date-time or time: as many of year, month, day, hour, minute, second, millisecond as were written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Its type.
    pub kind: MomentKind,
    /// The parts; those of a time begin with the fourth, the first three being 0.
    pub parts: Vec<i64>,
    /// Minutes east of UTC.
    pub zone: Option<i64>,
}

fn digits(text: &str, count: usize) -> Option<i64> {
    if text.len() == count && text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Days of a month.
pub fn days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a number of days since 1970-01-01.
fn date_of(number: i64) -> (i64, i64, i64) {
    let z = number + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

impl Moment {
    /// `2020-01-01`, `2020`
    pub fn date(text: &str) -> Option<Moment> {
        let mut parts = Vec::with_capacity(3);
        for (i, part) in text.split('-').enumerate() {
            parts.push(digits(part, if i == 0 { 4 } else { 2 })?);
        }
        let of_calendar = match parts.as_slice() {
            [_] => true,
            [_, m] => (1..=12).contains(m),
            [y, m, d] => (1..=12).contains(m) && (1..=days(*y, *m)).contains(d),
            _ => false,
        };
        of_calendar.then_some(Moment { kind: MomentKind::Date, parts, zone: None })
    }

    /// `10:00:00.000`, `10`
    pub fn time(text: &str) -> Option<Moment> {
        let mut parts = vec![0, 0, 0];
        let (clock, fraction) = match text.split_once('.') {
            Some((clock, fraction)) => (clock, Some(fraction)),
            None => (text, None),
        };
        for part in clock.split(':') {
            parts.push(digits(part, 2)?);
        }
        let bounds = [24, 60, 61];
        if parts.len() > 6 || parts.iter().skip(3).zip(bounds).any(|(part, bound)| *part >= bound) {
            return None;
        }
        if let Some(fraction) = fraction {
            if parts.len() != 6 || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let millis: String = fraction.chars().chain("00".chars()).take(3).collect();
            parts.push(millis.parse().ok()?);
        }
        Some(Moment { kind: MomentKind::Time, parts, zone: None })
    }

    /// `2020-01-01T10:00:00+01:00`, `2020-01T`, `2020`
    pub fn date_time(text: &str) -> Option<Moment> {
        let (date, rest) = match text.split_once('T') {
            Some((date, rest)) => (date, rest),
            None => (text, ""),
        };
        let mut moment = Moment { kind: MomentKind::DateTime, ..Moment::date(date)? };
        if rest.is_empty() {
            return Some(moment);
        }
        if moment.parts.len() != 3 {
            return None;
        }
        let (clock, zone) = match rest.find(['Z', '+', '-']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        moment.zone = match zone {
            "" => None,
            "Z" => Some(0),
            zone => {
                let (hours, minutes) = zone.get(1..)?.split_once(':')?;
                let minutes = digits(hours, 2)? * 60 + digits(minutes, 2)?;
                Some(if zone.starts_with('-') { -minutes } else { minutes })
            }
        };
        moment.parts.extend(Moment::time(clock)?.parts.into_iter().skip(3));
        Some(moment)
    }

    /// The same as another type.
    pub fn to(&self, kind: MomentKind) -> Moment {
        let mut other = Moment { kind, ..self.clone() };
        if kind == MomentKind::Date {
            other.parts.truncate(3);
            other.zone = None;
        }
        other
    }

    /// Parts in UTC where there is a zone.
    fn in_utc(&self) -> Vec<i64> {
        match (self.zone, self.parts.as_slice()) {
            (Some(zone), [y, m, d, h, ..]) => {
                let minute = self.parts.get(4).copied().unwrap_or(0);
                let total = day_number(*y, *m, *d) * 1440 + h * 60 + minute - zone;
                let (y, m, d) = date_of(total.div_euclid(1440));
                let mut parts = vec![y, m, d, total.rem_euclid(1440) / 60, total.rem_euclid(60)];
                parts.truncate(self.parts.len());
                parts.extend(self.parts.iter().skip(5));
                parts
            }
            _ => self.parts.clone(),
        }
    }

    /// Which comes first; none where the precisions do not allow to say.
    pub fn compare(&self, other: &Moment) -> Option<Ordering> {
        if (self.kind == MomentKind::Time) != (other.kind == MomentKind::Time) {
            return None;
        }
        if self.zone.is_some() != other.zone.is_some() && self.parts.len() > 3 && other.parts.len() > 3 {
            // Without a zone it may be anywhere: clear only where days lie between.
            let of = |m: &Moment| m.parts.iter().take(3).copied().collect::<Vec<_>>();
            let (a, b) = (of(self), of(other));
            let far = matches!((a.as_slice(), b.as_slice()), ([ay, am, ad], [by, bm, bd])
                if (day_number(*ay, *am, *ad) - day_number(*by, *bm, *bd)).abs() > 1);
            return far.then(|| a.cmp(&b));
        }
        let (mut a, mut b) = match self.zone.is_some() && other.zone.is_some() {
            true => (self.in_utc(), other.in_utc()),
            false => (self.parts.clone(), other.parts.clone()),
        };
        for parts in [&mut a, &mut b] {
            // Seconds and milliseconds are one number.
            if parts.len() == 6 {
                parts.push(0);
            }
        }
        for (a, b) in a.iter().zip(&b) {
            match a.cmp(b) {
                Ordering::Equal => {}
                decided => return Some(decided),
            }
        }
        (a.len() == b.len()).then_some(Ordering::Equal)
    }

    /// Adds a duration; none where the unit is not one of time or the result is out of range.
    pub fn plus(&self, amount: i64, unit: &str) -> Option<Moment> {
        let unit = unit.strip_suffix('s').filter(|u| !u.is_empty()).unwrap_or(unit);
        let mut moment = self.clone();
        let amount = Some(amount).filter(|a| a.abs() < 10_i64.pow(15))?;
        let kept = self.parts.len();
        if self.kind != MomentKind::Time
            && let "year" | "month" = unit
        {
            let months = if unit == "year" { amount.checked_mul(12)? } else { amount };
            let months = if kept == 1 { months / 12 * 12 } else { months };
            let (year, month) = (*moment.parts.first()?, moment.parts.get(1).copied().unwrap_or(1));
            let total = year * 12 + month - 1 + months;
            let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
            moment.parts[0] = year;
            if kept > 1 {
                moment.parts[1] = month;
            }
            if kept > 2 {
                moment.parts[2] = moment.parts[2].min(days(year, month));
            }
            return (1..=9999).contains(&year).then_some(moment);
        }
        let length = match unit {
            "week" | "wk" => 7 * 86_400_000,
            "day" | "d" => 86_400_000,
            "hour" | "h" => 3_600_000,
            "minute" | "min" => 60_000,
            "second" | "s" => 1_000,
            "millisecond" | "m" => 1,
            _ => return None,
        };
        // A coarser value takes whole units of its own precision only.
        let whole = match (self.kind, kept) {
            (MomentKind::Time, _) => 1,
            (_, 1) => 365 * 86_400_000,
            (_, 2) => 30 * 86_400_000,
            (_, 3) => 86_400_000,
            (_, 4) => 3_600_000,
            (_, 5) => 60_000,
            _ => 1,
        };
        let total = amount.checked_mul(length)?;
        if kept < 3 {
            return self.plus(total / whole, if kept == 1 { "year" } else { "month" });
        }
        let part = |i: usize| self.parts.get(i).copied().unwrap_or(0);
        let days = if self.kind == MomentKind::Time { 0 } else { day_number(part(0), part(1), part(2)) };
        let clock = ((part(3) * 60 + part(4)) * 60 + part(5)) * 1000 + part(6);
        let all = (days * 86_400_000 + clock).checked_add(total / whole * whole)?;
        let rest = all.rem_euclid(86_400_000);
        let (y, m, d) = if self.kind == MomentKind::Time { (0, 0, 0) } else { date_of(all.div_euclid(86_400_000)) };
        let mut parts = vec![y, m, d, rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000];
        parts.truncate(if kept == 6 && rest % 1000 != 0 { 7 } else { kept });
        moment.parts = parts;
        (self.kind == MomentKind::Time || (1..=9999).contains(&y)).then_some(moment)
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = if self.kind == MomentKind::Time { 3 } else { 0 };
        for (i, part) in self.parts.iter().enumerate().skip(from) {
            match i {
                0 => write!(f, "{part:04}")?,
                1 | 2 => write!(f, "-{part:02}")?,
                3 if from == 3 => write!(f, "{part:02}")?,
                3 => write!(f, "T{part:02}")?,
                4 | 5 => write!(f, ":{part:02}")?,
                _ => write!(f, ".{part:03}")?,
            }
        }
        match self.zone {
            Some(0) => f.write_str("Z"),
            Some(zone) => {
                let sign = if zone < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", zone.abs() / 60, zone.abs() % 60)
            }
            None => Ok(()),
        }
    }
}
