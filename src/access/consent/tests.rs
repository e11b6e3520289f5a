//! What Consents deny, provision by provision: each case says whether one Observation of the patient may be read.

use super::*;
use crate::access::rule::Restriction;
use crate::access::{Role, Subject, UserReference};
use crate::index::Extractor;
use crate::json::{Document, Limits, Tree};

const BASE: &str = "http://vesta.test/fhir";

struct Room {
    definitions: Arc<Definitions>,
    extractor: Extractor,
}

impl Room {
    fn new() -> Room {
        let definitions = Definitions::core();
        Room { extractor: Extractor::new(definitions.clone(), vec![BASE.to_owned()]), definitions }
    }

    fn named(&self, reference: &str) -> (TypeId, ResourceId) {
        self.extractor.local(reference).expect(reference)
    }

    /// The doctor Practitioner/d of Organization/o, who takes part in the active CareTeam/t and may be in Group/g.
    fn doctor(&self) -> Asker {
        let (kind, id) = self.named("Practitioner/d");
        let user = Some(UserReference { kind, id });
        let principal = Principal { user, role: Some(Role::Doctor), ..Principal::new("d") };
        let actors = vec![self.named("Organization/o"), self.named("CareTeam/t")];
        Asker::new(&principal, &self.definitions, actors, vec![self.named("Group/g")], Timestamp(1_800_000_000_000_000))
    }

    fn says(&self, consent: &str, asker: Asker) -> Consents {
        let tree = Tree::parse(consent.as_bytes()).expect(consent);
        let statement = Statement::read(&tree, &self.definitions, &self.extractor);
        Consents::new(statement.map(Arc::new), asker)
    }

    /// Whether a Consent denies an action on a resource of patient b.
    fn denies(&self, consent: &str, asker: Asker, action: Action, resource: &str) -> bool {
        let consents = self.says(consent, asker);
        let document = Document::parse(resource.as_bytes(), &Limits::NONE).expect(resource);
        let name = document.root().get("resourceType").and_then(|v| v.as_str()).expect("a type").into_owned();
        let kind = self.definitions.resource(&name).expect("a type");
        let mut denied = consents.denied(&self.definitions, kind, action);
        let Some(rule) = denied.remove(&ResourceId::new("b").expect("an id")) else { return false };
        let id = document.root().get("id").and_then(|v| ResourceId::new(&v.as_str()?)).expect("an id");
        let restriction = Restriction::new(rule, kind, &self.definitions, &self.extractor);
        let subject = Subject { kind, id: &id, updated: Timestamp(0), resource: document.root() };
        restriction.holds(&self.extractor, &subject)
    }
}

fn consent(rest: &str) -> String {
    format!(
        r#"{{"resourceType":"Consent","id":"k","status":"active","scope":{{"coding":[{{"code":"patient-privacy"}}]}},"patient":{{"reference":"Patient/b"}},{rest}}}"#
    )
}

const OUT: &str = r#""policyRule":{"coding":[{"code":"OPTOUT"}]}"#;
const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"x","meta":{"security":[{"code":"R"}]},"subject":{"reference":"Patient/b"},"code":{"coding":[{"system":"s","code":"c"}]},"valueCodeableConcept":{"coding":[{"system":"s","code":"v"}]}}"#;

#[track_caller]
fn check(room: &Room, provision: &str, opted_out: bool, expected: bool) {
    let rest = match opted_out {
        true => format!("{OUT},\"provision\":{provision}"),
        false => format!("\"provision\":{provision}"),
    };
    let denied = room.denies(&consent(&rest), room.doctor(), Action::Read, OBSERVATION);
    assert_eq!(denied, expected, "{rest}");
}

#[test]
fn whose_consent_it_is_is_read_as_search_reads_it() {
    let room = Room::new();
    let plain = consent(r#""provision":{"type":"deny"}"#);
    let with = |patient: &str| plain.replace("Patient/b", patient);
    for (patient, expected) in [
        ("Patient/b", true),
        ("Patient/b/_history/1", true),
        ("http://vesta.test/fhir/Patient/b", true),
        ("http://vesta.test/fhir/Patient/b/_history/7", true),
        ("http://elsewhere.test/fhir/Patient/b", false),
        ("Patient/c", false),
        ("Group/b", false),
    ] {
        assert_eq!(room.denies(&with(patient), room.doctor(), Action::Read, OBSERVATION), expected, "{patient}");
    }
    for (from, to) in [("active", "inactive"), ("active", "proposed"), ("patient-privacy", "research")] {
        assert!(room.says(&plain.replace(from, to), room.doctor()).by_patient.is_empty(), "{to}");
    }
    assert!(room.says(&consent(r#""provision":{"type":"permit"}"#), room.doctor()).by_patient.is_empty());
    let (kind, id) = room.named("Patient/b");
    let itself = Principal { user: Some(UserReference { kind, id }), ..Principal::new("b") };
    let asker = Asker::new(&itself, &room.definitions, Vec::new(), Vec::new(), Timestamp(0));
    assert!(!room.denies(&plain, asker, Action::Read, OBSERVATION));
}

#[test]
fn actors_are_who_they_are_and_the_unknown_deny() {
    let room = Room::new();
    let of = |effect: &str, actor: &str| format!(r#"{{"type":"{effect}","actor":[{actor}]}}"#);
    let by = |text: &str| format!(r#"{{"reference":{{"reference":"{text}"}}}}"#);
    for (actor, deny, permit) in [
        (by("Practitioner/d"), true, true),
        (by("Practitioner/d/_history/3"), true, true),
        (by("http://vesta.test/fhir/Practitioner/d"), true, true),
        (by("Practitioner/other"), false, false),
        (by("http://elsewhere.test/Practitioner/d"), false, false),
        (by("Organization/o"), true, true),
        (by("CareTeam/t"), true, true),
        (by("CareTeam/u"), false, false),
        // Whether it is so is not certain.
        (by("Group/g"), true, false),
        (by("#someone"), true, false),
        (by("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"), true, false),
        (r#"{"reference":{"identifier":{"value":"d"}}}"#.to_owned(), true, false),
        (r#"{"reference":{"display":"Dr. D"}}"#.to_owned(), true, false),
        (r#"{"role":{"coding":[{"code":"PRCP"}]},"reference":{"reference":"Practitioner/d"}}"#.to_owned(), true, true),
        (
            r#"{"role":{"coding":[{"code":"IRCP"}]},"reference":{"reference":"Practitioner/x"}}"#.to_owned(),
            false,
            false,
        ),
        // Where the data come from, and not who gets them.
        (r#"{"role":{"coding":[{"code":"CST"}]},"reference":{"reference":"Practitioner/x"}}"#.to_owned(), true, false),
        (r#"{"role":{"text":"author"},"reference":{"reference":"Practitioner/d"}}"#.to_owned(), true, false),
    ] {
        check(&room, &of("deny", &actor), false, deny);
        check(&room, &of("permit", &actor), true, !permit);
    }
    check(&room, r#"{"type":"permit","actor":[]}"#, true, true);
    check(&room, r#"{"type":"deny","actor":{"reference":{"reference":"Practitioner/x"}}}"#, false, true);
}

#[test]
fn a_permission_opens_the_actions_that_it_names() {
    let room = Room::new();
    let of = |codes: &str, text: &str| {
        let codes: Vec<String> =
            codes.split(' ').filter(|c| !c.is_empty()).map(|c| format!(r#"{{"coding":[{{"code":"{c}"}}]}}"#)).collect();
        consent(&format!(r#"{OUT},"provision":{{"type":"{text}","action":[{}]}}"#, codes.join(",")))
    };
    for (codes, open) in [
        ("access", "rs"),
        ("use", "rs"),
        ("collect", "c"),
        ("correct", "ud"),
        ("disclose", ""),
        ("whatever", ""),
        ("collect access", "crs"),
    ] {
        for action in Action::ALL {
            let denied = room.denies(&of(codes, "permit"), room.doctor(), action, OBSERVATION);
            assert_eq!(!denied, open.contains(action.letter()), "{codes}: {action:?}");
            // What is denied is denied, whatever the actions.
            let denies = of(codes, "deny").replace(OUT, r#""dateTime":"2026""#);
            assert!(room.denies(&denies, room.doctor(), action, OBSERVATION), "{codes}: {action:?}");
        }
    }
}

#[test]
fn what_narrows_and_is_not_understood_opens_nothing_and_closes_all() {
    let room = Room::new();
    for narrowing in [
        r#""dataPeriod":{"start":"2020"}"#,
        r#""class":[{"system":"urn:ietf:bcp:13","code":"application/hl7-cda+xml"}]"#,
        r#""code":[{"text":"what I said"}]"#,
        r#""data":[{"meaning":"authoredby","reference":{"reference":"Practitioner/x"}}]"#,
        r#""data":[{"meaning":"instance","reference":{"display":"that letter"}}]"#,
        r#""securityLabel":[{"display":"secret"}]"#,
        r#""purpose":[{"display":"something"}]"#,
        r#""period":{"start":"soon"}"#,
        r#""class":{"code":"Observation"}"#,
    ] {
        check(&room, &format!(r#"{{"type":"deny",{narrowing}}}"#), false, true);
        check(&room, &format!(r#"{{"type":"permit",{narrowing}}}"#), true, true);
        // What is denied inside is denied.
        let inner = r#"{"type":"deny","actor":[{"reference":{"reference":"Practitioner/d"}}]}"#;
        check(&room, &format!(r#"{{"type":"permit",{narrowing},"provision":[{inner}]}}"#), false, true);
    }
}

#[test]
fn labels_classes_codes_and_data_are_judged_by_the_resource() {
    let room = Room::new();
    for (narrowing, deny, permit) in [
        (r#""securityLabel":[{"code":"R"}]"#, true, true),
        (r#""securityLabel":[{"code":"V"}]"#, false, false),
        // Who may not see what is confidential may not see what is more so.
        (r#""securityLabel":[{"code":"N"}]"#, true, false),
        (r#""securityLabel":[{"code":"R"},{"code":"ETH"}]"#, true, false),
        (r#""class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}]"#, true, true),
        (r#""class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]"#, false, false),
        (r#""code":[{"coding":[{"system":"s","code":"c"}]}]"#, true, true),
        (r#""code":[{"coding":[{"system":"other","code":"c"}]}]"#, true, false),
        (r#""code":[{"coding":[{"system":"s","code":"v"}]}]"#, true, false),
        (r#""code":[{"coding":[{"system":"s","code":"n"}]}]"#, false, false),
        (r#""data":[{"meaning":"instance","reference":{"reference":"Observation/x"}}]"#, true, true),
        (r#""data":[{"meaning":"instance","reference":{"reference":"Observation/x/_history/1"}}]"#, true, true),
        (r#""data":[{"meaning":"instance","reference":{"reference":"Observation/y"}}]"#, false, false),
        (r#""data":[{"meaning":"related","reference":{"reference":"Encounter/y"}}]"#, true, false),
    ] {
        check(&room, &format!(r#"{{"type":"deny",{narrowing}}}"#), false, deny);
        check(&room, &format!(r#"{{"type":"permit",{narrowing}}}"#), true, !permit);
    }
    let denied = r#""provision":{"type":"deny","code":[{"coding":[{"system":"s","code":"hiv"}]}]}"#;
    for (resource, expected) in [
        (r#"{"resourceType":"Encounter","id":"x","type":[{"coding":[{"system":"s","code":"hiv"}]}]}"#, true),
        (r#"{"resourceType":"Encounter","id":"x","type":[{"coding":[{"system":"s","code":"other"}]}]}"#, false),
        (r#"{"resourceType":"DocumentReference","id":"x","type":{"coding":[{"code":"hiv"}]}}"#, true),
        (r#"{"resourceType":"Immunization","id":"x","vaccineCode":{"coding":[{"system":"s","code":"hiv"}]}}"#, true),
        (r#"{"resourceType":"Patient","id":"b"}"#, false),
    ] {
        assert_eq!(room.denies(&consent(denied), room.doctor(), Action::Read, resource), expected, "{resource}");
    }
}

#[test]
fn exceptions_of_exceptions() {
    let room = Room::new();
    assert!(room.denies(&consent(OUT), room.doctor(), Action::Read, OBSERVATION));
    for code in ["OPTOUTE", "NODSCLCD"] {
        let opted = consent(&OUT.replace("OPTOUT", code));
        assert!(room.denies(&opted, room.doctor(), Action::Read, OBSERVATION), "{code}");
    }
    assert!(!room.denies(&consent(&OUT.replace("OPTOUT", "OPTIN")), room.doctor(), Action::Read, OBSERVATION));
    check(&room, r#"{"provision":[{"type":"permit","class":[{"code":"Observation"}]}]}"#, true, false);
    check(&room, r#"{"provision":[{"type":"permit","class":[{"code":"Condition"}]}]}"#, true, true);
    check(&room, r#"{"type":"deny","provision":[{"type":"permit","securityLabel":[{"code":"R"}]}]}"#, false, false);
    check(&room, r#"{"type":"permit","provision":[{"type":"deny","securityLabel":[{"code":"R"}]}]}"#, false, true);
    check(&room, r#"{"type":"permit","provision":[{"type":"permit"},{"type":"deny"}]}"#, false, true);
    check(&room, r#"{"type":"permit","provision":[{"securityLabel":[{"code":"R"}]}]}"#, false, true);
    // Deeper than anybody follows, what is there denies.
    let deep =
        |leaf: &str| (0..25).fold(leaf.to_owned(), |inner, _| format!(r#"{{"type":"permit","provision":[{inner}]}}"#));
    check(&room, &deep(r#"{"type":"deny"}"#), false, true);
}

#[test]
fn periods_and_purposes_are_of_who_asks_and_when() {
    let room = Room::new();
    // The doctor asks in January 2027, to treat.
    for (narrowing, deny, permit) in [
        (r#""period":{"start":"2026","end":"2028"}"#, true, true),
        (r#""period":{"end":"2026"}"#, false, false),
        (r#""period":{"start":"2028"}"#, false, false),
        (r#""purpose":[{"code":"TREAT"}]"#, true, true),
        (r#""purpose":[{"code":"HRESCH"}]"#, false, false),
    ] {
        check(&room, &format!(r#"{{"type":"deny",{narrowing}}}"#), false, deny);
        check(&room, &format!(r#"{{"type":"permit",{narrowing}}}"#), true, !permit);
    }
    let service = || Asker { now: Timestamp(1_800_000_000_000_000), ..Asker::default() };
    let purpose = r#""purpose":[{"code":"HRESCH"}]"#;
    let deny = consent(&format!(r#""provision":{{"type":"deny",{purpose}}}"#));
    assert!(room.denies(&deny, service(), Action::Read, OBSERVATION), "it states no purpose");
    let permit = consent(&format!(r#"{OUT},"provision":{{"type":"permit",{purpose}}}"#));
    assert!(room.denies(&permit, service(), Action::Read, OBSERVATION));
    let ends = consent(r#""provision":{"type":"permit","provision":[{"type":"deny","period":{"end":"2030"}}]}"#);
    assert!(room.says(&ends, room.doctor()).valid_until.is_some_and(|moment| moment > room.doctor().now));
}
