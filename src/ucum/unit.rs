//! A unit as the rest of the house sees it, looked at once for each code and remembered. Says in plain words what is
//! wrong with a code that is no unit.

use super::scale::Scale;
use crate::primitive::Decimal;
use octofhir_ucum::ErrorKind;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::{Arc, LazyLock};

/// The longest code that is looked at; the longest in use are far shorter.
pub(super) const CODE_MAX: usize = 200;
/// Codes that are remembered at most.
const REMEMBERED: usize = 8192;

/// A unit of measure.
#[derive(Debug)]
pub struct Unit {
    code: Box<str>,
    base: Box<str>,
    scale: Scale,
}

impl Unit {
    /// The unit in base units (`g.m-3` for `mg/dL`); units with the same one measure the same.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether amounts in this unit can be compared with amounts in the other.
    pub fn measures_as(&self, other: &Unit) -> bool {
        self.base == other.base
    }

    /// An amount of this unit in base units.
    pub fn to_base(&self, value: &Decimal) -> Option<Decimal> {
        self.scale.to_base(value, &self.code, &self.base)
    }

    /// An amount of base units in this unit.
    pub fn of_base(&self, value: &Decimal) -> Option<Decimal> {
        self.scale.of_base(value, &self.code, &self.base)
    }
}

type Remembered = RwLock<FxHashMap<Box<str>, Option<Arc<Unit>>>>;
static UNITS: LazyLock<Remembered> = LazyLock::new(Remembered::default);

/// The unit of a code, as UCUM writes it (case matters); none where it is no unit.
pub fn unit(code: &str) -> Option<Arc<Unit>> {
    if code.is_empty() || code.len() > CODE_MAX {
        return None;
    }
    if let Some(known) = UNITS.read().get(code) {
        return known.clone();
    }
    let found = analyse(code).map(Arc::new);
    let mut units = UNITS.write();
    if units.len() >= REMEMBERED {
        // Whoever sends thousands of made-up codes makes everybody look again, and nothing worse.
        units.clear();
    }
    units.insert(code.into(), found.clone());
    found
}

fn analyse(code: &str) -> Option<Unit> {
    let analysis = octofhir_ucum::analyse(code).ok()?;
    let base = base_unit(&analysis.dimension.0, &analysis.arbitrary);
    let scale = Scale::of(&analysis)?;
    Some(Unit { code: code.into(), base: base.into(), scale })
}

/// The base units of a dimension, mass first, and the arbitrary units beside them.
fn base_unit(exponents: &[i8; 7], arbitrary: &[(&'static str, i32)]) -> String {
    const ORDER: [usize; 7] = [2, 0, 1, 3, 4, 5, 6];
    let power = |code: &str, exponent: i32| match exponent {
        0 => None,
        1 => Some(code.to_owned()),
        _ => Some(format!("{code}{exponent}")),
    };
    let proper = ORDER.into_iter().filter_map(|slot| {
        let code = octofhir_ucum::Dimension::BASE_UNITS.get(slot)?;
        power(code, i32::from(*exponents.get(slot)?))
    });
    let parts: Vec<String> = proper.chain(arbitrary.iter().filter_map(|(code, e)| power(code, *e))).collect();
    if parts.is_empty() { "1".to_owned() } else { parts.join(".") }
}

/// What is wrong with a code, as half a sentence; none where it is a unit.
pub fn fault(code: &str) -> Option<String> {
    if unit(code).is_some() {
        return None;
    }
    if code.is_empty() {
        return Some("is empty; UCUM writes 1 for a number without a unit".to_owned());
    }
    if code.len() > CODE_MAX {
        return Some(format!("is longer than {CODE_MAX} characters"));
    }
    if code.chars().any(char::is_whitespace) {
        return Some("has white space in it, which UCUM does not allow".to_owned());
    }
    let Err(error) = octofhir_ucum::validate(code) else {
        return Some("is no unit of UCUM that can be computed with".to_owned());
    };
    let nearest = error.suggestions.first().map(|s| format!("; did you mean {s}?")).unwrap_or_default();
    Some(match &error.kind {
        ErrorKind::UnitNotFound { unit, .. } => format!("names {unit}, which is no unit of UCUM{nearest}"),
        ErrorKind::InvalidExpression { position: Some(at), .. } => {
            format!("is not written as UCUM wants it, from character {} on{nearest}", at + 1)
        }
        _ => format!("is no unit of UCUM{nearest}"),
    })
}
