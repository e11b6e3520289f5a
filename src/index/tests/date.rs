//! R4 search.html#date and #prefix.

use super::{NOW, check_all};
use crate::index::criteria::Comparator;
use crate::index::encode::push_date;
use proptest::prelude::*;

#[test]
fn days_and_instants() {
    let day = "'birthDate':'2013-01-14'";
    check_all(
        "Patient",
        day,
        "birthdate",
        &[
            "2013-01-14",
            "2013-01",
            "2013",
            "ge2013-01-14",
            "le2013-01-14",
            "gt2013-01-13",
            "lt2013-01-15",
            "ge2013-01",
            "le2013-01",
            "sa2013-01-13",
            "eb2013-01-15",
            "ne2013-01-15",
            "ne2013-01-14T10:00",
            "gt2012",
            "lt2014",
            "gt2013-01-14T10:00",
            "lt2013-01-14T10:00",
            "ap2013-01-14",
            "ap2013-06",
            "missing:false",
        ],
        &[
            "2013-01-15",
            "2013-02",
            "2012",
            "2013-01-14T00:00:00Z",
            "gt2013-01-14",
            "lt2013-01-14",
            "sa2013-01-14",
            "eb2013-01-14",
            "ne2013-01-14",
            "ne2013-01",
            "ge2013-01-15",
            "le2013-01-13",
            "ge2014",
            "ap2010",
            "gt2013",
            "lt2013",
            "sa2013",
            "eb2013",
            "missing:true",
        ],
    );
    let instant = "'effectiveInstant':'2020-05-05T10:00:00.500+02:00'";
    check_all(
        "Observation",
        instant,
        "date",
        &[
            "2020-05-05",
            "2020-05-05T08:00:00.500Z",
            "2020-05-05T08:00:00Z",
            "2020-05-05T10:00:00+02:00",
            "2020-05-05T08:00Z",
            "ge2020-05-05T08:00:00Z",
            "gt2020-05-05T08:00:00.499Z",
        ],
        &["2020-05-05T10:00:00Z", "gt2020-05-05T08:00:00Z", "lt2020-05-05T08:00:00Z"],
    );
    check_all(
        "Patient",
        "'birthDate':'1800'",
        "birthdate",
        &["1800", "lt1900", "ne1800-05", "gt1800-05", "lt1800-05"],
        &["1800-05", "eb1800", "eb1800-05"],
    );
    check_all("Patient", "'birthDate':'nonsense'", "birthdate", &["missing:false"], &["2000", "ne2000", "lt2000"]);
}

#[test]
fn periods() {
    let month = "'effectivePeriod':{'start':'2013-02-15','end':'2013-03-20'}";
    check_all(
        "Observation",
        month,
        "date",
        &[
            "2013",
            "ge2013-03-01",
            "gt2013-03-01",
            "lt2013-03",
            "le2013-03",
            "ne2013-03",
            "sa2013-01",
            "eb2013-04",
            "ap2013-03",
        ],
        // Not `ge2013-03`: nothing of it is after March, and March does not contain it.
        &[
            "2013-02",
            "2013-03",
            "gt2013-03-20",
            "lt2013-02-15",
            "eb2013-03",
            "ne2013",
            "sa2013-03",
            "gt2013-03",
            "ge2013-03",
            "ge2013-04",
        ],
    );
    let open = "'effectivePeriod':{'start':'2013-02-15'}";
    check_all(
        "Observation",
        open,
        "date",
        &["gt2050", "ge2013", "lt2014", "ne2013", "ap2019"],
        &["2013", "eb2050", "sa2013-03", "lt2013"],
    );
    let from_ever = "'effectivePeriod':{'end':'2013-02-15'}";
    check_all(
        "Observation",
        from_ever,
        "date",
        &["lt1000", "le2013", "gt2012", "eb2014", "ne2013"],
        &["2013", "gt2013", "sa1000", "eb2013-02-15"],
    );
    let nothing = "'effectivePeriod':{'id':'x'}";
    check_all("Observation", nothing, "date", &["missing:false"], &["lt3000", "ne3000", "gt1000"]);
    let reversed = "'effectivePeriod':{'start':'2013-02-15','end':'2012-01-01'}";
    check_all("Observation", reversed, "date", &["2013"], &["2012"]);
}

#[test]
fn timings() {
    let timing = "'effectiveTiming':{'event':['2020-01-05','2020-03-01'],'repeat':{'boundsPeriod':{'start':'2020-02-01','end':'2020-04-01'}}}";
    check_all(
        "Observation",
        timing,
        "date",
        &["2020", "ge2020-03", "le2020-02", "sa2019", "eb2021"],
        &["2020-02", "gt2020-04", "sa2020-01"],
    );
    check_all(
        "Observation",
        "'effectiveTiming':{'code':{'text':'daily'}}",
        "date",
        &["missing:false"],
        &["2020", "gt1000"],
    );
    let several = "'period':{'start':'2020-01-01','end':'2020-01-03'}";
    check_all("Encounter", several, "date", &["2020-01", "sa2019-12"], &["2020-01-02"]);
}

/// What the specification says, on the values themselves.
fn plain(comparator: Comparator, (start, end): (i64, i64), (from, to): (i64, i64)) -> bool {
    let within = from <= start && end <= to;
    match comparator {
        Comparator::Eq => within,
        Comparator::Ne => !within,
        Comparator::Gt => end > to,
        Comparator::Lt => start < from,
        Comparator::Ge => end > to || within,
        Comparator::Le => start < from || within,
        Comparator::Sa => start >= to,
        Comparator::Eb => end <= from,
        Comparator::Ap => {
            let distance = if NOW.0 < from { from - NOW.0 } else { (NOW.0 - to).max(0) };
            start < to + distance / 10 && end > from - distance / 10
        }
        Comparator::Po => start < to && end > from,
    }
}

const ALL: [Comparator; 10] = [
    Comparator::Po,
    Comparator::Eq,
    Comparator::Ne,
    Comparator::Gt,
    Comparator::Lt,
    Comparator::Ge,
    Comparator::Le,
    Comparator::Sa,
    Comparator::Eb,
    Comparator::Ap,
];

/// Some lengths that matter: a moment, about a day, a month, a year, and longer.
fn length() -> impl Strategy<Value = i64> {
    let day = 86_400_000_000_i64;
    prop_oneof![
        1..4_i64,
        (day - 2)..(day + 2),
        (32 * day - 2)..(32 * day + 2),
        (366 * day - 2)..(366 * day + 2),
        1..2_000 * day
    ]
}

proptest! {
    #[test]
    fn conditions_mean_what_the_specification_says(
        start in -3_000_000_000_000_000_i64..3_000_000_000_000_000,
        length in length(),
        from in -5_i64..5,
        search in length(),
        near in prop_oneof![Just(0_i64), Just(1), Just(2)],
        open in 0..8_u8,
    ) {
        let start_of = if open == 1 { i64::MIN } else { start };
        let end_of = if open == 2 { i64::MAX } else { start + length };
        // Searches near the ends of the value, and some that are anywhere.
        let at = match near { 0 => start + from, 1 => start + length + from, _ => start - search + from };
        let mut term = Vec::new();
        push_date(start_of, end_of, &mut term);
        for comparator in ALL {
            let patterns = crate::index::criteria::date_ranges(comparator, at, at + search, NOW);
            let found = patterns.iter().any(|range| range.holds(&term));
            prop_assert_eq!(found, plain(comparator, (start_of, end_of), (at, at + search)), "{:?}", comparator);
        }
    }
}
