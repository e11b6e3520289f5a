//! "Did you mean": the nearest of some names. Cheap and bounded; says nothing where none is near.

/// `; did you mean 'x'?`, or nothing.
pub(super) fn hint<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(wrong, names).map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

/// The nearest name, if it is near: at most a third of the letters differ, or one continues the other.
fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if wrong.len() < 2 || wrong.len() > 40 {
        return None;
    }
    let allowed = (wrong.len() / 3).max(1);
    let judge = |name: &'n str| {
        let distance = distance(wrong, name);
        let continued = name.starts_with(wrong) || (name.len() > 2 && wrong.starts_with(name));
        (distance <= allowed || continued).then_some((distance, name))
    };
    names.into_iter().filter_map(judge).min().map(|(_, name)| name)
}

/// Letters to insert, delete or replace, not regarding case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(!x.eq_ignore_ascii_case(y))).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let names = ["name", "given", "family", "birthdate", "address", "address-city", "_id"];
        for (wrong, expected) in [
            ("nam", "name"),
            ("Name", "name"),
            ("birthDate", "birthdate"),
            ("birth-date", "birthdate"),
            ("familly", "family"),
            ("address-cty", "address-city"),
            ("addres", "address"),
            ("names", "name"),
            ("id", "_id"),
            ("zzz", ""),
            ("x", ""),
            ("", ""),
        ] {
            let hint = hint(wrong, names);
            let shown = if expected.is_empty() { String::new() } else { format!("; did you mean '{expected}'?") };
            assert_eq!(hint, shown, "{wrong}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }
}
