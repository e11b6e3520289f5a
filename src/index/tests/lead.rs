//! What leads to a resource is never more than what its terms say: whatever fulfils a condition is led to by it.

use super::{Definitions, condition, terms};
use crate::index::{Alone, Bounds, Condition, Lead, Leads, Terms};
use proptest::prelude::*;

fn leads(kind: &str) -> Leads {
    let definitions = Definitions::core();
    Leads::of(&definitions, definitions.resource(kind).expect("a type"))
}

fn asked(kind: &str, code: &str, value: &str) -> Condition {
    let definitions = Definitions::core();
    let kind = definitions.resource(kind).expect("a type");
    condition(definitions.search_parameter(kind, code).expect("a parameter"), value)
}

fn lead(kind: &str, code: &str, value: &str) -> Option<Lead> {
    let asked = asked(kind, code, value);
    match &asked {
        Condition::Or(any) => leads(kind).lead(&any.iter().collect::<Vec<_>>()),
        one => leads(kind).lead(&[one]),
    }
}

fn is_within(bounds: Bounds, kind: &str, terms: &Terms) -> bool {
    let Some(limits) = leads(kind).limits(terms) else { return false };
    bounds.end_from.is_none_or(|end| limits.last_end >= end)
        && bounds.start_below.is_none_or(|start| limits.first_start < start)
}

const OBSERVATION: &str = "'subject':{'reference':'Patient/p1'},'performer':[{'reference':'Practitioner/d'}],\
    'code':{'coding':[{'system':'http://a','code':'c1'},{'system':'http://b','code':'c1'},{'code':'c2'}]},\
    'category':[{'coding':[{'system':'http://c','code':'c1'}]}],'effectiveDateTime':'2020-05-05'";

#[test]
fn a_patient_and_a_code_lead() {
    let (_, terms) = terms("Observation", OBSERVATION);
    let leads = leads("Observation");
    let digests = leads.digests(&terms);
    // Of the type, of the patient, of three codes, and of the patient with each.
    assert_eq!(digests.len(), 1 + 1 + 3 + 3, "{digests:?}");
    for (patient, code, found) in [
        ("Patient/p1", "http://a|c1", true),
        // Without a type: nothing else can be meant.
        ("p1", "c1", true),
        ("p2", "c1", false),
        ("Patient/p1", "http://b|c1", true),
        ("Patient/p1", "c1", true),
        ("Patient/p1", "c2", true),
        // The system is not looked at here.
        ("Patient/p1", "http://c|c1", true),
        ("Patient/p2", "http://a|c1", false),
        ("Patient/p1", "http://a|c3", false),
    ] {
        let Some(Lead::Patients(patients)) = lead("Observation", "patient", patient) else { panic!("{patient}") };
        let Some(Lead::Codes(place, codes)) = lead("Observation", "code", code) else { panic!("{code}") };
        let asked = leads.asked(Some(&patients), Some(&(place, codes))).expect("few");
        assert_eq!(asked.iter().any(|digest| digests.contains(digest)), found, "{patient} {code}");
    }
    let Some(Lead::Codes(place, codes)) = lead("Observation", "category", "c2") else { panic!("a category") };
    assert!(!digests.contains(&leads.asked(None, Some(&(place, codes))).expect("few")[0]), "that is the code");
    for (code, value) in
        [("code", "http://a|"), ("status", "final"), ("performer", "Practitioner/d"), ("date", "ne2020")]
    {
        assert_eq!(lead("Observation", code, value), None, "{code}={value}");
    }
    assert_eq!(lead("Observation", "code", "missing:true"), None);
    assert_eq!(lead("Observation", "subject", "p1"), None, "a device may be meant");
}

#[test]
fn tables_say_what_leads() {
    let definitions = Definitions::core();
    let named = |kind: &str, code: &str, value: &str| lead(kind, code, value).is_some();
    assert!(named("MedicationRequest", "authoredon", "ge2020") && !named("MedicationRequest", "date", "ge2020"));
    assert!(
        named("Encounter", "date", "2020") && named("Encounter", "class", "AMB") && named("Encounter", "type", "x")
    );
    assert!(named("Immunization", "vaccine-code", "x") && named("Condition", "onset-date", "lt2020"));
    assert!(!named("ValueSet", "code", "x"), "it is about no patient, and has thousands of codes");
    let led = definitions.resources.iter().map(|kind| Leads::of(&definitions, *kind));
    let none = led.filter(|leads| *leads == Leads::default()).count();
    assert!(none < 60, "{none} of {} types are led to by nothing", definitions.resources.len());
}

#[test]
fn too_many_are_known_by_one_number() {
    let codes: Vec<String> = (0..2_500).map(|n| format!("{{'system':'http://a','code':'c{n}'}}")).collect();
    let text = format!("'subject':{{'reference':'Patient/p1'}},'code':{{'coding':[{}]}}", codes.join(","));
    let (_, terms) = terms("Observation", &text);
    assert_eq!(leads("Observation").digests(&terms), [crate::index::ANY, crate::index::TOO_MANY]);
}

fn moment() -> impl Strategy<Value = String> {
    let date = (2009..2013_u32, 1..=12_u32, 1..=28_u32, 0..24_u32, 0..4_u32);
    date.prop_map(|(year, month, day, hour, precision)| match precision {
        0 => format!("{year}"),
        1 => format!("{year}-{month:02}"),
        2 => format!("{year}-{month:02}-{day:02}"),
        _ => format!("{year}-{month:02}-{day:02}T{hour:02}:00:00Z"),
    })
}

proptest! {
    #[test]
    fn whatever_fulfils_a_date_is_within_its_bounds(
        start in proptest::option::of(moment()), end in proptest::option::of(moment()), other in moment(),
        prefix in prop::sample::select(vec!["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]), value in moment(),
    ) {
        let side = |name: &str, moment: &Option<String>| moment.as_ref().map(|m| format!("'{name}':'{m}'"));
        let sides: Vec<_> = [side("start", &start), side("end", &end)].into_iter().flatten().collect();
        let period = format!("'effectivePeriod':{{{}}}", sides.join(","));
        for (kind, text) in [
            ("Observation", period),
            ("Observation", format!("'effectiveDateTime':'{other}'")),
            ("SupplyRequest", format!("'authoredOn':'{other}'")),
        ] {
            let (of, terms) = terms(kind, &text);
            let value = format!("{prefix}{value}");
            if !asked(kind, "date", &value).matches(of, &terms, &Alone) {
                continue;
            }
            match lead(kind, "date", &value) {
                Some(Lead::Dates(bounds)) => prop_assert!(is_within(bounds, kind, &terms), "{bounds:?}"),
                None => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}

#[test]
fn dates_have_the_bounds_that_matter() {
    let day = 86_400_000_000;
    let start = 1_425_168_000_000_000; // 2015-03-01
    let bounds = |value: &str| match lead("Observation", "date", value) {
        Some(Lead::Dates(bounds)) => (bounds.end_from, bounds.start_below),
        other => panic!("{value}: {other:?}"),
    };
    assert_eq!(bounds("ge2015-03-01"), (Some(start + 1), None));
    assert_eq!(bounds("gt2015-03-01"), (Some(start + day + 1), None));
    assert_eq!(bounds("lt2015-03-01"), (None, Some(start)));
    assert_eq!(bounds("le2015-03-01"), (None, Some(start + day + 1)));
    assert_eq!(bounds("2015-03-01"), (Some(start + 1), Some(start + day + 1)));
    assert_eq!(bounds("sa2015-03-01"), (Some(start + day + 1), None));
    assert_eq!(bounds("eb2015-03-01"), (None, Some(start + 1)));
}
