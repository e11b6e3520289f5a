//! Terminology that is stored is read by right: what a role may not read, or what a label hides, is not told by
//! operations and modifiers of search either, whether it is named by its id or by its canonical.

use super::World;
use crate::access::{Caller, Role};

/// A world with a code system and value sets, of which one is guarded.
fn world() -> World {
    let world = World::new();
    world.put(r#"{"resourceType":"CodeSystem","id":"cs","url":"urn:cs","status":"active","content":"complete","concept":[{"code":"one","display":"WORD-1"},{"code":"two","display":"WORD-2"}]}"#);
    world.put(r#"{"resourceType":"ValueSet","id":"vs","url":"urn:vs","status":"active","compose":{"include":[{"system":"urn:cs"}]}}"#);
    world.put(r#"{"resourceType":"ValueSet","id":"guarded","url":"urn:guarded","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"status":"active","compose":{"include":[{"system":"urn:cs","concept":[{"code":"two"}]}]}}"#);
    world.put(r#"{"resourceType":"ConceptMap","id":"cm","url":"urn:cm","status":"active","sourceUri":"urn:vs","targetUri":"urn:other","group":[{"source":"urn:cs","target":"urn:t","element":[{"code":"one","target":[{"code":"WORD-3","equivalence":"equal"}]}]}]}"#);
    world.put(r#"{"resourceType":"Observation","id":"coded","subject":{"reference":"Patient/a"},"code":{"coding":[{"system":"urn:cs","code":"two"}]}}"#);
    world
}

fn policy(world: &World, role: &str, types: &[&str]) {
    let rules: Vec<String> = types
        .iter()
        .map(|kind| {
            format!(r#"{{"name":"rule","part":[{{"name":"type","valueCode":"{kind}"}},{{"name":"actions","valueCode":"rs"}}]}}"#)
        })
        .collect();
    let policy = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"role","valueCode":"{role}"}},{}]}}"#,
        rules.join(",")
    );
    let administrator = world.user(Role::Administrator, "Practitioner/x", "user/*.cruds");
    let answer = world.ask(&administrator, "POST $access-policy", &policy);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn what_may_not_be_read_is_not_told() {
    let world = world();
    let roads = [
        "GET ValueSet/vs",
        "GET ValueSet/vs/$expand",
        "GET ValueSet/$expand?url=urn:vs",
        "GET ValueSet/vs/$validate-code?system=urn:cs&code=one",
        "GET ValueSet/$validate-code?url=urn:vs&system=urn:cs&code=one",
        "GET CodeSystem/$lookup?system=urn:cs&code=one",
        "GET CodeSystem/cs/$validate-code?code=one",
        "GET CodeSystem/$subsumes?system=urn:cs&codeA=one&codeB=two",
        "GET ConceptMap/cm/$translate?system=urn:cs&code=one",
        "GET ConceptMap/$translate?url=urn:cm&system=urn:cs&code=one",
    ];
    let nurse = world.user(Role::Nurse, "Practitioner/x", "user/*.rs");
    for line in roads {
        let answer = world.ask(&nurse, line, "");
        assert_eq!(answer.status, 200, "{line}\n{answer:?}");
    }
    assert_eq!(World::found(&world.ask(&nurse, "GET Observation?code:in=urn:vs", "")), "Observation/coded");
    // By scope.
    let small = world.user(Role::Nurse, "Practitioner/x", "user/Observation.rs");
    for line in roads {
        assert_eq!(world.ask(&small, line, "").status, 403, "{line}");
    }
    let answer = world.ask(&small, "GET Observation?code:in=urn:vs", "");
    assert!(answer.is_refused(), "{answer:?}");
    // By policy, from the next request on.
    policy(&world, "nurse", &["Observation", "Patient"]);
    for line in roads {
        let answer = world.ask(&nurse, line, "");
        assert_eq!(answer.status, 403, "{line}\n{answer:?}");
        assert!(!answer.text.contains("WORD-"), "{line}\n{answer:?}");
    }
    // The value set alone does not tell what stands in the code system.
    policy(&world, "nurse", &["Observation", "ValueSet"]);
    for line in ["GET ValueSet/vs/$expand", "GET ValueSet/$expand?url=urn:vs"] {
        let answer = world.ask(&nurse, line, "");
        assert!(!answer.text.contains("WORD-"), "{line}\n{answer:?}");
    }
    assert_eq!(world.ask(&nurse, "GET CodeSystem/$lookup?system=urn:cs&code=one", "").status, 403);
}

#[test]
fn what_a_label_hides_is_as_if_it_were_not_there() {
    let world = world();
    let nurse = world.user(Role::Nurse, "Practitioner/x", "user/*.rs");
    assert_eq!(world.ask(&nurse, "GET ValueSet/guarded", "").status, 404);
    for road in [
        "GET ValueSet/{}/$expand",
        "GET ValueSet/$expand?url=urn:{}",
        "GET ValueSet/$validate-code?url=urn:{}&system=urn:cs&code=two",
        "GET Observation?code:in=urn:{}",
        "GET Observation?code:not-in=urn:{}",
        "GET Observation?code:in=ValueSet/{}",
    ] {
        let one = world.ask(&nurse, &road.replace("{}", "guarded"), "");
        let other = world.ask(&nurse, &road.replace("{}", "missing"), "");
        assert_eq!(one.status, other.status, "{road}\n{one:?}\n{other:?}");
        assert_eq!(one.text.replace("guarded", "missing"), other.text, "{road}");
    }
    let open = world.ask(&Caller::Open, "GET ValueSet/$expand?url=urn:guarded", "");
    assert!(open.status == 200 && open.text.contains("WORD-2"), "{open:?}");
}
