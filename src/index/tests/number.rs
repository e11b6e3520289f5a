//! R4 search.html#number, #quantity and #prefix.

use super::{check_all, comparator};
use crate::index::criteria::number_ranges;
use crate::json::{Document, Limits};
use crate::primitive::Decimal;
use proptest::prelude::*;

#[test]
fn numbers() {
    let risk = "'prediction':[{'probabilityDecimal':0.8}]";
    check_all(
        "RiskAssessment",
        risk,
        "probability",
        &[
            "0.8",
            "0.80",
            "1",
            "8e-1",
            "gt0.7",
            "lt0.9",
            "ge0.8",
            "le0.8",
            "ne0.7",
            "sa0.79",
            "eb0.81",
            "ap0.75",
            "missing:false",
        ],
        &["0.7", "0.81", "gt0.8", "lt0.8", "ge0.81", "le0.79", "ne0.8", "sa0.8", "eb0.8", "ap0.7", "missing:true"],
    );
    let range = "'prediction':[{'probabilityRange':{'low':{'value':10},'high':{'value':20}}}]";
    check_all(
        "RiskAssessment",
        range,
        "probability",
        &["gt15", "lt15", "ge20", "le10", "sa9", "eb21", "ne15", "ap22", "gt19"],
        &["15", "gt20", "lt10", "sa10", "eb20", "ge21", "le9", "ap9", "10"],
    );
    let at_least = "'prediction':[{'probabilityRange':{'low':{'value':10}}}]";
    check_all("RiskAssessment", at_least, "probability", &["gt1000000", "lt11", "sa9"], &["eb1000000", "lt10", "le9"]);
    let variant = "'variant':[{'start':22125503,'end':22125504}]";
    check_all("MolecularSequence", variant, "variant-start", &["22125503", "lt22125504"], &["22125504"]);
    check_all(
        "ChargeItem",
        "'factorOverride':-1.5",
        "factor-override",
        &["-1.5", "lt0", "gt-2", "ap-1.6"],
        &["1.5", "-1.6", "lt-1.5", "gt-1"],
    );
    check_all("ChargeItem", "'factorOverride':0", "factor-override", &["0", "0.0"], &["1", "gt0", "lt0"]);
    check_all(
        "ChargeItem",
        "'factorOverride':100.00",
        "factor-override",
        &["100", "1e2", "100.00", "100.0"],
        &["99", "101", "100.1"],
    );
}

#[test]
fn quantities() {
    let ucum = "http://unitsofmeasure.org";
    let pressure =
        "'valueQuantity':{'value':120.5,'unit':'mm Hg','system':'http://unitsofmeasure.org','code':'mm[Hg]'}";
    let with = |text: &str| text.replace('U', ucum);
    let found = [
        "120.5",
        "gt120|U|mm[Hg]",
        "120.5|U|mm[Hg]",
        "120.5||mm[Hg]",
        "120.5||mm Hg",
        "le120.5||mm[Hg]",
        "ap115",
        "ne1",
        "ne1||mm[Hg]",
    ]
    .map(with);
    let not = [
        "120",
        "gt120|U|mm Hg",
        "120.5|http://other|mm[Hg]",
        "120.5||kg",
        "120.6||mm[Hg]",
        "ne1||kg",
        "ne120.5||mm[Hg]",
        "gt120|U|mm",
    ]
    .map(with);
    check_all(
        "Observation",
        pressure,
        "value-quantity",
        &found.each_ref().map(|s| &**s),
        &not.each_ref().map(|s| &**s),
    );
    check_all("Observation", pressure, "combo-value-quantity", &["120.5||mm[Hg]"], &["120.5||kg"]);
    check_all("Observation", pressure, "component-value-quantity", &["missing:true"], &["120.5"]);
    let below = "'valueQuantity':{'value':5,'comparator':'<','unit':'mg'}";
    check_all(
        "Observation",
        below,
        "value-quantity",
        &["lt5", "lt1", "le5", "eb5", "gt4", "ge4||mg", "ne5"],
        &["5", "gt5", "ge5", "sa1", "lt1|x|mg"],
    );
    let at_least = "'valueQuantity':{'value':5,'comparator':'>='}";
    check_all(
        "Observation",
        at_least,
        "value-quantity",
        &["ge5", "gt100", "lt6", "le5", "sa4"],
        &["lt5", "5", "sa5", "eb100"],
    );
    let above = "'valueQuantity':{'value':5,'comparator':'>'}";
    check_all("Observation", above, "value-quantity", &["sa5", "gt5"], &["le5", "lt5"]);
    check_all(
        "Invoice",
        "'totalGross':{'value':48.50,'currency':'EUR'}",
        "totalgross",
        &["48.5", "48.5|urn:iso:std:iso:4217|EUR", "48.5||EUR"],
        &["48.5||USD"],
    );
    check_all(
        "Encounter",
        "'length':{'value':140,'unit':'min','system':'http://unitsofmeasure.org','code':'min'}",
        "length",
        &["140||min", "gt100"],
        &["140||h"],
    );
    check_all(
        "Condition",
        "'onsetAge':{'value':12,'unit':'years','code':'a','system':'http://unitsofmeasure.org'}",
        "onset-age",
        &["12", "12||a", "12||years"],
        &["13"],
    );
    check_all(
        "Condition",
        "'onsetRange':{'low':{'value':10,'unit':'years'},'high':{'value':20,'unit':'years'}}",
        "onset-age",
        &["gt15", "gt15||years", "sa9"],
        &["15", "gt20", "gt15||a"],
    );
    check_all("Observation", "'valueSampledData':{'period':1}", "value-quantity", &["missing:false"], &["1"]);
}

/// The value as lower and upper bound, with whether each is part of it; `None`: no bound.
type Bounds = (Option<(Decimal, bool)>, Option<(Decimal, bool)>);

fn plain(criterion: &str, (low, high): &Bounds) -> bool {
    let (comparator, value) = comparator(criterion);
    let value = Decimal::parse(value).expect("number");
    let (from, to) = value.implied_range();
    let (near, far) = value.around_tenth();
    use crate::index::Comparator as C;
    let within = low.as_ref().is_some_and(|(low, _)| *low >= from)
        && high.as_ref().is_some_and(|(high, inside)| *high < to || (!inside && *high == to));
    let point = low.is_some() && low == high;
    let above = |x: &Decimal, or_equal: bool| {
        high.as_ref().is_none_or(|(high, inside)| high > x || (or_equal && *inside && high == x))
    };
    let below = |x: &Decimal, or_equal: bool| {
        low.as_ref().is_none_or(|(low, inside)| low < x || (or_equal && *inside && low == x))
    };
    match comparator {
        C::Eq => within,
        C::Ne => !within,
        C::Gt => above(&value, false),
        C::Lt => below(&value, false),
        C::Ge => above(&value, true),
        C::Le => below(&value, true),
        C::Sa => !below(&value, true),
        C::Eb => !above(&value, true),
        C::Ap => {
            point && low.as_ref().is_some_and(|(v, _)| *v >= near && *v <= far)
                || (!point && below(&far, true) && above(&near, true))
        }
        C::Po => below(&to, false) && above(&from, true),
    }
}

fn decimal(mantissa: i32, exponent: i32) -> String {
    format!("{mantissa}e{exponent}")
}

proptest! {
    #[test]
    fn conditions_mean_what_the_specification_says(
        low in -30_i32..30,
        length in 0_i32..30,
        form in 0..8_u8,
        exponent in -3_i32..3,
        search in prop_oneof![-30_i32..60, Just(0)],
        search_exponent in -3_i32..3,
    ) {
        let text = |m| decimal(m, exponent);
        let at = |m, inside| Some((Decimal::parse(&text(m)).expect("number"), inside));
        let (json, bounds): (String, Bounds) = match form {
            0 => (format!("{{\"low\":{{\"value\":{}}},\"high\":{{\"value\":{}}}}}", text(low), text(low + length)), (at(low, true), at(low + length, true))),
            1 => (format!("{{\"low\":{{\"value\":{}}}}}", text(low)), (at(low, true), None)),
            2 => (format!("{{\"high\":{{\"value\":{}}}}}", text(low)), (None, at(low, true))),
            3 => (format!("{{\"value\":{},\"comparator\":\"<\"}}", text(low)), (None, at(low, false))),
            4 => (format!("{{\"value\":{},\"comparator\":\">\"}}", text(low)), (at(low, false), None)),
            _ => (format!("{{\"value\":{}}}", text(low)), (at(low, true), at(low, true))),
        };
        let document = Document::parse(json.as_bytes(), &Limits::default()).expect("JSON");
        let term = crate::index::values::quantity_bytes(document.root());
        for word in ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"] {
            let criterion = format!("{word}{}", decimal(search, search_exponent));
            let (comparator, value) = comparator(&criterion);
            let ranges = number_ranges(comparator, &Decimal::parse(value).expect("number"));
            let found = ranges.iter().any(|range| range.holds(&term));
            prop_assert_eq!(found, plain(&criterion, &bounds), "{} on {}", criterion, json);
        }
    }
}
