//! The published cases of XML Patch, and ours on resources.

use super::xml_patch;
use crate::xml::{XmlElement, XmlNode};

/// Without white space between elements, which the published cases are indented with.
fn bare(element: &XmlElement) -> XmlElement {
    let children = element.children.iter().filter_map(|c| match c {
        XmlNode::Element(element) => Some(XmlNode::Element(bare(element))),
        XmlNode::Text(text) if text.trim().is_empty() => None,
        text => Some(text.clone()),
    });
    XmlElement { children: children.collect(), ..element.clone() }
}

#[test]
fn published_cases() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/patch/xml-patch-tests.dev.xml");
    let Ok(text) = std::fs::read_to_string(path) else {
        crate::base::skipped(format_args!("{path} is missing"));
        return;
    };
    let cases = XmlElement::parse(&text).expect("XML");
    let mut seen = 0;
    for case in cases.elements() {
        let of = |name: &str| case.elements().find(|e| e.name == name);
        let written = |e: Option<&XmlElement>| e.map(XmlElement::write).unwrap_or_default();
        let target = written(of("target").and_then(|t| t.elements().next()));
        let got = xml_patch(&target, &written(of("patch").map(bare).as_ref()));
        let name = case.attribute("name").unwrap_or_default();
        seen += 1;
        match of("patched").and_then(|p| p.elements().next()) {
            Some(expected) => {
                let got = got.map(|text| bare(&XmlElement::parse(&text).expect("XML")));
                assert_eq!(got.expect(name), bare(expected), "{name}");
            }
            None => assert!(got.is_err(), "{name}: {got:?}"),
        }
    }
    println!("XML Patch: {seen} cases");
    assert!(seen >= 20);
}

#[test]
fn refused_with_the_place() {
    let patient = r#"<Patient xmlns="http://hl7.org/fhir"><name><family value="A"/></name><name><family value="B"/></name></Patient>"#;
    let diff =
        |inner: &str| format!(r#"<diff xmlns:p="http://hl7.org/fhir" xmlns="http://hl7.org/fhir">{inner}</diff>"#);
    for (operation, words) in [
        (r#"<remove sel="p:Patient/p:name"/>"#, "selects 2 elements, but one is meant (patch[0].sel)"),
        (r#"<remove sel="p:Patient/p:gender"/>"#, "selects nothing"),
        (r#"<remove sel="q:Patient"/>"#, "the prefix 'q' is not declared"),
        (r#"<remove sel="p:Patient"/>"#, "whole resource"),
        (r#"<remove sel="p:Patient//p:name"/>"#, "cannot be read"),
        (r#"<remove sel="p:Patient/p:name[count(p:a)]"/>"#, "only equality"),
        (r#"<burn sel="p:Patient"/>"#, "one of: add, replace, remove"),
        (r#"<remove/>"#, "has a selector"),
    ] {
        let refused = xml_patch(patient, &diff(operation)).map_err(|f| f.to_string()).expect_err(operation);
        assert!(refused.contains(words), "{operation}: {refused}");
    }
    let changed = diff(
        r#"<replace sel="p:Patient/p:name[p:family/@value='B']/p:family/@value">C</replace><add sel="/p:Patient/p:name[1]" pos="after"><name><text value="x &amp; y"/></name></add>"#,
    );
    let changed = xml_patch(patient, &changed).expect("fits");
    assert_eq!(
        changed,
        r#"<Patient xmlns="http://hl7.org/fhir"><name><family value="A"/></name><name><text value="x &amp; y"/></name><name><family value="C"/></name></Patient>"#
    );
}
