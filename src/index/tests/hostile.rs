//! Resources that are not what the definitions say, or too much of it: no panic, no more terms than are allowed.

use super::{check_all, extracted, extractor, terms};
use crate::definitions::Definitions;
use crate::index::Omitted;
use crate::index::sink::MOST_TERMS;
use crate::json::{Document, Limits};
use proptest::prelude::*;

#[test]
fn many_values_are_bounded() {
    let identifiers: Vec<_> = (0..20_000).map(|i| format!("{{'value':'{i}'}}")).collect();
    let patient = format!("'identifier':[{}]", identifiers.join(","));
    let (_, all) = terms("Patient", &patient);
    assert!(all.as_slice().len() <= MOST_TERMS + 1);
    check_all("Patient", &patient, "identifier", &["0", "4999", "5000", "19999", "missing:false"], &["20000"]);
    check_all("Patient", &patient, "name", &["missing:true"], &[]);
    let codings: Vec<_> = (0..300).map(|i| format!("{{'code':'{i}'}}")).collect();
    let codings = codings.join(",");
    let components =
        vec![format!("{{'code':{{'coding':[{codings}]}},'valueCodeableConcept':{{'coding':[{codings}]}}}}"); 100];
    let (_, all) = terms("Observation", &format!("'component':[{}]", components.join(",")));
    assert!(all.as_slice().len() <= MOST_TERMS + 1);
    let found = extracted("Observation", &format!("'component':[{}]", components.join(",")));
    let code = |number: u16| Definitions::core().search_parameter_numbered(number).map(|p| p.code.to_string());
    let cut: Vec<_> = found.cut.iter().map(|cut| (cut.parameter.and_then(code).expect("a code"), cut.what)).collect();
    assert!(cut.iter().all(|(_, what)| *what == Omitted::Values), "{cut:?}");
    for composite in ["combo-code-value-concept", "component-code-value-concept"] {
        assert!(cut.iter().any(|(code, _)| code == composite), "{cut:?}");
    }
}

#[test]
fn what_is_left_out_is_told() {
    let cut = |kind: &str, resource: &str| extracted(kind, resource).cut.iter().map(|cut| cut.what).collect::<Vec<_>>();
    assert_eq!(cut("Patient", "'name':[{'family':'Able'}]"), []);
    let long = "long ".repeat(100);
    assert!(cut("Patient", &format!("'name':[{{'family':'{long}'}}]")).iter().all(|what| *what == Omitted::Rest));
    assert!(!cut("Observation", &format!("'code':{{'text':'{long}'}}")).is_empty());
    let contained = vec!["{'resourceType':'Medication','status':'active'}"; 33].join(",");
    assert_eq!(cut("MedicationRequest", &format!("'contained':[{contained}]")), [Omitted::Contained]);
    let words: Vec<_> = (0..50_001).map(|n| format!("w{n}")).collect();
    assert_eq!(cut("Observation", &format!("'note':[{{'text':'{}'}}]", words.join(" "))), [Omitted::Words]);
    let members: Vec<_> = (0..50_001).map(|n| format!("{{'entity':{{'reference':'Patient/{n}'}}}}")).collect();
    let group = format!("'name':'everybody','member':[{}]", members.join(","));
    assert_eq!(cut("Group", &group), [Omitted::Values]);
    // What comes behind is found all the same.
    check_all("Group", &group, "member", &["Patient/0", "Patient/49999"], &["Patient/50000"]);
}

/// Any JSON whose keys are names of elements, so that plans go deep into it.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1.50e3".to_owned()),
        Just("1e9999".to_owned()),
        Just("\"\"".to_owned()),
        Just("\"2020-02\"".to_owned()),
        Just("\"Patient/1\"".to_owned()),
        Just("\"http://x/y|1\"".to_owned()),
        Just("\"urn:uuid:x\"".to_owned()),
        Just("\"#\"".to_owned()),
        Just("\"<\"".to_owned()),
        Just("\"\\u0000ß\\ud83d\\ude00|\\/\"".to_owned()),
        "[a-zé| /:#]{0,12}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let key = proptest::sample::select(vec![
            "code",
            "coding",
            "system",
            "value",
            "valueQuantity",
            "valuePeriod",
            "subject",
            "reference",
            "component",
            "effectivePeriod",
            "effectiveTiming",
            "event",
            "repeat",
            "boundsPeriod",
            "start",
            "end",
            "name",
            "family",
            "given",
            "identifier",
            "extension",
            "url",
            "valueCodeableConcept",
            "low",
            "high",
            "unit",
            "comparator",
            "meta",
            "profile",
            "tag",
            "variant",
            "referenceSeq",
            "chromosome",
            "entry",
            "resource",
            "resourceType",
            "id",
            "deceasedBoolean",
            "telecom",
            "address",
            "line",
            "text",
            "type",
            "valueRange",
            "useContext",
        ]);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::btree_map(key, inner, 0..6).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_panics(text in value()) {
        let definitions = Definitions::core();
        let document = Document::parse(text.as_bytes(), &Limits::default()).expect("JSON");
        for name in ["Observation", "Patient", "MolecularSequence", "Bundle", "Library", "Group"] {
            let kind = definitions.resource(name).expect("type");
            let terms = extractor().extract(kind, document.root());
            prop_assert!(terms.as_slice().len() <= MOST_TERMS + 1);
            for parameter in definitions.search_parameters_of(kind) {
                extractor().references(kind, document.root(), parameter.number);
            }
        }
    }
}
