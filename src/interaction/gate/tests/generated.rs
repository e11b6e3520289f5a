//! The cases that are about every type and every route: for each type that belongs to patients, an app of patient a
//! tries to reach what is patient b's by every road there is, and must neither get it nor learn that it is there.

use super::World;
use crate::access::Caller;
use crate::definitions::{SearchKind, TypeId};

/// Requests by which a resource of another patient might be reached, by its id. `{T}` is the type, `{B}` the id of
/// what is hidden, `{N}` an id that nothing has.
const BY_ID: &[&str] = &[
    "GET {T}/{B}",
    "HEAD {T}/{B}",
    "GET {T}/{B}?_summary=true",
    "GET {T}/{B}?_elements=language",
    "GET {T}/{B} if-none-match:1",
    "GET {T}/{B} if-none-match:*",
    "GET {T}/{B}/_history",
    "GET {T}/{B}/_history?_count=0",
    "GET {T}/{B}/_history/1",
    "GET {T}/{B}/_history/2",
    "GET {T}/{B}/$meta",
    "POST {T}/{B}/$validate",
    "GET {T}/{B}/$everything",
    "POST {T}/{B}/$meta-add",
    "POST {T}/{B}/$meta-delete",
    "DELETE {T}/{B}",
    "DELETE {T}/{B} if-match:1",
    "PUT {T}/{B}",
    "PUT {T}/{B} if-match:1",
    "PUT {T}/{B} if-none-match:*",
    "PATCH {T}/{B} as:json-patch",
    "PATCH {T}/{B} as:merge-patch",
];

/// Searches that must not find anything of the other patient.
const SEARCHES: &[&str] = &[
    "GET {T}",
    "GET {T} handling:lenient",
    "GET {T}?_summary=count",
    "GET {T}?_total=accurate&_count=1",
    "GET {T}?_id={B}",
    "GET {T}?_id={B},{A}",
    "GET {T}?_id:not={A}",
    "GET {T}?_sort=-_lastUpdated&_count=1",
    "GET {T}?_sort=_id",
    "GET {T}?_lastUpdated=gt2000",
    "GET {T}?_language=SECRET-B",
    "GET {T}?_security:missing=true",
    "GET {T}?_tag:not=x",
    "GET {T}?_elements=language&_summary=false",
    "GET {T}?_include=*",
    "GET {T}?_include:iterate=*",
    "GET {T}?_revinclude=*",
    "GET {T}?_include=*&_revinclude:iterate=*",
    "GET {T}/_history",
    "GET {T}/_history?_count=1",
    "GET ?_type={T}",
    "GET ?_type={T}&_id={B}",
    "POST {T}/_search as:form",
    "GET Patient/b/{T}",
    "GET Patient/b/{T}?_id={B}",
    "GET Patient/a/{T}",
    "POST Patient/b/{T}/_search as:form",
    "GET {T}/$meta",
    "GET {T}?_has:Provenance:target:_id=x",
    "GET {T}?_has:List:item:subject=Patient/b",
    "GET {T}?_filter=_id+eq+{B}",
    "GET {T}?_text=SECRET-B",
    "GET {T}?_content=SECRET-B",
    "GET {T}?_list=both",
    "GET {T}?_page=AAAA",
];

/// Searches by a reference parameter that leads to patients.
const BY_PATIENT: &[&str] = &[
    "GET {T}?{P}=Patient/b",
    "GET {T}?{P}=b",
    "GET {T}?{P}=http://vesta.test/fhir/Patient/b",
    "GET {T}?{P}=Patient/a,Patient/b",
    "GET {T}?{P}:Patient=b",
    "GET {T}?{P}:identifier=urn:mrn|SECRET-B",
    "GET {T}?{P}:not=Patient/a",
    "GET {T}?{P}:missing=false",
    "GET {T}?{P}:Patient.name=SECRET-B",
    "GET {T}?{P}.birthdate=lt1960",
    "GET {T}?_sort={P}",
    "GET Patient?_has:{T}:{P}:_id={B}",
    "GET Patient?_has:{T}:{P}:_language=SECRET-B",
    "GET Patient?_revinclude={T}:{P}",
    "GET {T}?_include={T}:{P}",
    "GET {T}?_include:iterate={T}:{P}:Patient",
    "DELETE {T}?{P}=Patient/b",
    "PATCH {T}?{P}=Patient/b as:merge-patch",
    "PUT {T}?{P}=Patient/b",
    "POST {T} if-none-exist:{P}=Patient/b",
];

struct Attack<'w> {
    world: &'w World,
    caller: Caller,
    count: usize,
}

impl Attack<'_> {
    fn body(&self, kind: TypeId, line: &str, patient: &str, id: &str) -> String {
        let element = self.world.elements(kind).into_iter().next().expect("a way");
        match line {
            _ if line.contains("$meta") && line.starts_with("POST") => {
                r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}"#.into()
            }
            _ if line.contains("as:form") => format!("_id={id}&_language=SECRET-B"),
            _ if line.contains("as:json-patch") => {
                r#"[{"op":"test","path":"/language","value":"SECRET-B"},{"op":"replace","path":"/language","value":"x"}]"#
                    .into()
            }
            _ if line.contains("as:merge-patch") => r#"{"language":"taken"}"#.into(),
            _ if line.starts_with("PUT") || line.starts_with("POST") && !line.contains('$') => {
                self.world.member(kind, &element, patient, id, "taken")
            }
            _ => String::new(),
        }
    }

    /// Sends a line about what is hidden, and the same about what is not there: the answers must be alike.
    fn alike(&mut self, kind: TypeId, line: &str, hidden: &str) {
        let name = self.world.definitions.name(kind).to_owned();
        let with = |id: &str| line.replace("{T}", &name).replace("{B}", id);
        let absent = "absent".to_owned() + &"-".repeat(hidden.len().saturating_sub(6));
        let patient = "a";
        let one = self.world.quiet(&self.caller, &with(hidden), &self.body(kind, line, patient, hidden));
        let other = self.world.quiet(&self.caller, &with(&absent), &self.body(kind, line, patient, &absent));
        let neutral =
            |text: &str, id: &str| text.replace(&format!("{name}/{id}"), "ID").replace(&format!("'{id}'"), "ID");
        assert_eq!(one.status, other.status, "{}\n{one:?}\n{other:?}", with(hidden));
        assert_eq!(neutral(&one.text, hidden), neutral(&other.text, &absent), "{}", with(hidden));
        assert_eq!(one.version, None, "{}", with(hidden));
        assert!(one.status >= 400, "{}\n{one:?}", with(hidden));
        self.count += 2;
    }

    /// Sends a line that must not give anything of the other patient away.
    fn quiet(&mut self, kind: TypeId, line: &str, parameter: &str) {
        let name = self.world.definitions.name(kind);
        let of = |patient: &str| format!("{}-{patient}", self.world.short(kind));
        let line =
            line.replace("{T}", name).replace("{A}", &of("a")).replace("{B}", &of("b")).replace("{P}", parameter);
        let body = self.body(kind, &line, "b", &of("b"));
        let answer = self.world.ask(&self.caller, &line, &body);
        self.count += 1;
        assert!(answer.status < 500, "{line}\n{answer:?}");
        // Warnings and links may repeat what was asked; resources may not show it.
        if answer.text.contains("\"resourceType\":\"Bundle\"") {
            let found = World::found(&answer);
            let strange = found.split(' ').any(|id| id.ends_with("-b") || id == "Patient/b" || id == "Group/both");
            assert!(!strange, "{line}\n{found}");
            assert!(!answer.text.contains("\"language\":\"SECRET-B\""), "{line}\n{}", answer.text);
            let total = World::total(&answer).unwrap_or_default();
            let most = if name == "Observation" { 4 } else { 1 };
            assert!(line.contains("_history") || total <= most, "{line} counts {total}\n{found}");
        }
        if !line.starts_with("GET") && !line.contains("_search") {
            assert!(answer.is_refused() || answer.status == 204 || answer.status == 201, "{line}\n{answer:?}");
        }
    }

    /// What is patient b's is as it was.
    fn untouched(&self, kind: TypeId) {
        let line = format!("GET {}/{}-b", self.world.definitions.name(kind), self.world.short(kind));
        let answer = self.world.ask(&Caller::Open, &line, "");
        assert_eq!((answer.status, answer.version), (200, Some(1)), "{line}\n{answer:?}");
        assert!(answer.text.contains("SECRET-B"), "{line}\n{}", answer.text);
    }
}

/// A01–A09, A14, A16, A17, A19, A21–A23, A32, over all types that belong to patients and all routes.
#[test]
fn no_road_leads_to_another_patient() {
    let world = World::new();
    let mut count = 0;
    for scopes in ["patient/*.cruds", "patient/*.rs"] {
        let mut attack = Attack { world: &world, caller: world.app(scopes, Some("a")), count: 0 };
        for kind in world.members() {
            let hidden = format!("{}-b", world.short(kind));
            for line in BY_ID {
                // The right to change is asked for before anything else.
                attack.alike(kind, line, &hidden);
            }
            for line in SEARCHES {
                attack.quiet(kind, line, "");
            }
            let parameters = world.definitions.search_parameters_of(kind);
            let patient = world.definitions.resource("Patient").expect("a type");
            let leads = parameters.iter().filter(|p| p.kind == SearchKind::Reference && p.targets.contains(&patient));
            for parameter in leads {
                for line in BY_PATIENT {
                    attack.quiet(kind, line, &parameter.code);
                }
            }
            attack.untouched(kind);
        }
        let patient = world.definitions.resource("Patient").expect("a type");
        for line in BY_ID.iter().filter(|line| !line.contains("PUT") && !line.contains("POST")) {
            let line = line.replace("{T}", "Patient").replace("{B}", "b");
            let answer = attack.world.quiet(&attack.caller, &line, &attack.body_of_patient(&line));
            assert!(answer.status >= 400, "{line}\n{answer:?}");
            attack.count += 1;
        }
        let _ = patient;
        count += attack.count;
    }
    println!("{count} requests");
    assert!(count > 10_000, "{count}");
}

impl Attack<'_> {
    fn body_of_patient(&self, line: &str) -> String {
        match line {
            _ if line.contains("json-patch") => r#"[{"op":"test","path":"/name/0/family","value":"SECRET-B"}]"#.into(),
            _ if line.contains("merge-patch") => r#"{"gender":"male"}"#.into(),
            _ => String::new(),
        }
    }
}

/// A02, A16, A22, A24: for every element through which a type belongs to a patient, what is the other patient's can
/// neither be written nor taken over, and what is the own one's can be written and read.
#[test]
fn what_is_written_belongs_to_the_own_patient() {
    let world = World::new();
    let app = world.app("patient/*.cruds", Some("a"));
    for kind in world.members() {
        let name = world.definitions.name(kind);
        if name == "AuditEvent" {
            continue;
        }
        for element in world.elements(kind) {
            let foreign = world.member(kind, &element, "b", "x", "taken");
            let answer = world.quiet(&app, &format!("POST {name}"), &foreign);
            assert_eq!(answer.status, 403, "{name}.{element}\n{answer:?}");
            let own = world.member(kind, &element, "a", "x", "mine");
            let answer = world.quiet(&app, &format!("POST {name}"), &own);
            assert_eq!(answer.status, 201, "{name}.{element}\n{own}\n{answer:?}");
            let id = crate::json::Tree::parse(answer.text.as_bytes()).expect("JSON");
            let id = id.get("id").and_then(|id| id.as_str()).expect("an id").to_owned();
            let read = world.quiet(&app, &format!("GET {name}/{id}"), "");
            assert_eq!(read.status, 200, "{name}.{element}\n{read:?}");
            // Moving it to the other patient.
            let moved = world.member(kind, &element, "b", &id, "moved");
            let answer = world.quiet(&app, &format!("PUT {name}/{id}"), &moved);
            assert_eq!(answer.status, 403, "{name}.{element}\n{answer:?}");
            let bundle = format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{moved},"request":{{"method":"PUT","url":"{name}/{id}"}}}}]}}"#
            );
            assert_eq!(world.quiet(&app, "POST ", &bundle).status, 403, "{name}.{element}");
            assert_eq!(world.quiet(&app, &format!("DELETE {name}/{id}"), "").status, 204, "{name}.{element}");
        }
    }
}

/// A11: each right opens its own interactions and no other, on every type.
#[test]
fn each_right_opens_its_own() {
    let world = World::new();
    for kind in world.members() {
        let name = world.definitions.name(kind).to_owned();
        if name == "AuditEvent" {
            continue;
        }
        let element = world.elements(kind).into_iter().next().expect("a way");
        let id = format!("{}-a", world.short(kind));
        let own = world.member(kind, &element, "a", &id, "mine");
        for (letters, open) in [("c", "create"), ("r", "read"), ("u", "update"), ("d", "delete"), ("s", "search")] {
            let app = world.app(&format!("patient/{name}.{letters}"), Some("a"));
            for (interaction, line, body) in [
                ("read", format!("GET {name}/{id}"), ""),
                ("read", format!("GET {name}/{id}/_history"), ""),
                ("read", format!("GET {name}/{id}/_history/1"), ""),
                ("search", format!("GET {name}"), ""),
                ("search", format!("GET {name}/_history"), ""),
                ("search", format!("GET Patient/a/{name}"), ""),
                ("create", format!("POST {name}"), own.as_str()),
                ("update", format!("PUT {name}/{id}"), own.as_str()),
                ("delete", format!("DELETE {name}/{id}"), ""),
                ("none", "GET Patient/a".to_owned(), ""),
                ("none", "GET Patient".to_owned(), ""),
                ("none", format!("PATCH {name}/{id} as:merge-patch"), r#"{"language":"x"}"#),
                ("none", format!("DELETE {name}?_id={id}"), ""),
            ] {
                // Some types belong to patients without being in the compartment of the specification.
                let compartment = world.definitions.compartment("Patient").expect("defined");
                if line.starts_with("GET Patient/a/") && !compartment.members.contains_key(&kind) {
                    continue;
                }
                let answer = world.ask(&app, &line, body);
                let allowed = interaction == open;
                assert_eq!(answer.status < 300, allowed, "{letters}: {line}\n{answer:?}");
                let refusal = if interaction == "update" && letters == "c" { 404 } else { 403 };
                assert!(allowed || answer.status == 403 || answer.status == refusal, "{letters}: {line}\n{answer:?}");
                // Whoever may not read is not shown what was written.
                let shows = answer.text.contains("\"language\"") && matches!(interaction, "create" | "update");
                assert!(!shows || letters == "r", "{letters}: {line}\n{answer:?}");
            }
            world.put(&own);
        }
    }
}

/// What of a type that belongs to nobody says nothing of patients is read by everybody and written by no app of one
/// patient; all the rest is not there for it.
#[test]
fn what_belongs_to_nobody_is_read_or_hidden_and_not_written() {
    use crate::access::{Reach, reach};
    let world = World::new();
    let app = world.app("patient/*.cruds", Some("a"));
    let (mut open, mut hidden) = (0, 0);
    for kind in world.definitions.resources.iter().copied() {
        let universal = match reach(&world.definitions, kind) {
            Reach::Universal => true,
            Reach::Nothing => false,
            Reach::Itself | Reach::Members(_) | Reach::Alone(_) => continue,
        };
        let name = world.definitions.name(kind);
        let body = |id: &str| format!(r#"{{"resourceType":"{name}","id":"{id}","language":"SECRET-B"}}"#);
        let stored = world.ask(&Caller::Open, &format!("PUT {name}/nobodys"), &body("nobodys"));
        assert_eq!(stored.status, 201, "{name}\n{stored:?}");
        for line in ["GET {T}/nobodys", "GET {T}/nobodys/_history", "GET {T}/nobodys/_history/1"] {
            let answer = world.ask(&app, &line.replace("{T}", name), "");
            match universal {
                true => assert!(answer.status == 200 && answer.text.contains("SECRET-B"), "{name}: {line}\n{answer:?}"),
                false => {
                    assert!(answer.is_refused() && !answer.text.contains("SECRET-B"), "{name}: {line}\n{answer:?}")
                }
            }
        }
        for line in ["GET {T}", "GET {T}?_id=nobodys", "GET {T}/_history", "GET ?_type={T}"] {
            let answer = world.ask(&app, &line.replace("{T}", name), "");
            let shows = answer.text.contains("SECRET-B");
            assert_eq!(shows, universal, "{name}: {line}\n{answer:?}");
        }
        for line in [
            "POST {T}",
            "PUT {T}/nobodys",
            "PUT {T}/new",
            "PUT {T}?_id=nobodys",
            "PATCH {T}/nobodys as:merge-patch",
            "DELETE {T}/nobodys",
            "DELETE {T}?_id=nobodys",
        ] {
            let line = line.replace("{T}", name);
            let body = match () {
                () if line.starts_with("PATCH") => r#"{"language":"taken"}"#.to_owned(),
                () if line.starts_with("DELETE") => String::new(),
                () => body(if line.contains("new") { "new" } else { "nobodys" }).replace("SECRET-B", "taken"),
            };
            let answer = world.ask(&app, &line, &body);
            assert!(answer.is_refused(), "{line}\n{answer:?}");
        }
        let after = world.ask(&Caller::Open, &format!("GET {name}/nobodys"), "");
        assert!(after.version == Some(1) && after.text.contains("SECRET-B"), "{name}\n{after:?}");
        if universal { open += 1 } else { hidden += 1 }
    }
    assert_eq!(open, crate::access::UNIVERSAL.len());
    assert!(hidden > 5, "{hidden}");
}
