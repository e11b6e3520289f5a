//! XML both ways: official examples there and back, official XML inputs against their JSON, and what is refused where.

use std::io::Read;
use std::path::PathBuf;
use vesta::base::{Failure, FailureKind, IssueCode};
use vesta::definitions::Definitions;
use vesta::json::{Document, Limits, Tree};
use vesta::xml::{from_json, pretty_from_json, to_json};

fn data(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if path.exists() {
        return Some(path);
    }
    crate::support::skipped(format_args!("{} is missing", path.display()));
    None
}

fn written(json: &str) -> Result<String, Failure> {
    let document = Document::parse(json.as_bytes(), &Limits::default()).expect("JSON");
    from_json(document.root(), &*Definitions::core())
}

fn read(xml: &str) -> Result<String, Failure> {
    to_json(xml.as_bytes(), &*Definitions::core(), &Limits::default())
}

/// A tree in which the order of keys, and null slots at the end of arrays, make no difference.
fn settled(tree: Tree) -> Tree {
    match tree {
        Tree::Object(mut entries) => {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Tree::Object(entries.into_iter().map(|(k, v)| (k, settled(v))).collect())
        }
        Tree::Array(items) => {
            let mut items: Vec<Tree> = items.into_iter().map(settled).collect();
            while items.last() == Some(&Tree::Null) {
                items.pop();
            }
            Tree::Array(items)
        }
        other => other,
    }
}

fn tree(json: &str) -> Tree {
    settled(Tree::parse(json.as_bytes()).expect("JSON"))
}

/// The first place where two trees differ.
fn difference(a: &Tree, b: &Tree, place: &str) -> Option<String> {
    match (a, b) {
        (Tree::Object(x), Tree::Object(y)) => {
            let keys = x.iter().chain(y).map(|(k, _)| k);
            keys.into_iter().find_map(|k| match (a.get(k), b.get(k)) {
                (Some(p), Some(q)) => difference(p, q, &format!("{place}.{k}")),
                (p, q) => Some(format!("{place}.{k}: {p:?} / {q:?}")),
            })
        }
        (Tree::Array(x), Tree::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().find_map(|(i, (p, q))| difference(p, q, &format!("{place}[{i}]")))
        }
        _ if a == b => None,
        _ => Some(format!("{place}: {} / {}", a.to_json(), b.to_json())),
    }
}

/// Writes and reads every resource of a packed folder; gives how many there were, and what went wrong.
fn there_and_back(path: &str) -> Option<(usize, Vec<String>)> {
    let packed = std::fs::read(data(path)?).expect("readable");
    let mut archive = tar::Archive::new(zstd::Decoder::new(&packed[..]).expect("zstd"));
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in archive.entries().expect("tar") {
        let mut file = file.expect("tar");
        let name = file.path().expect("name").display().to_string();
        let mut json = String::new();
        file.read_to_string(&mut json).expect("UTF-8");
        let result = written(&json).and_then(|xml| read(&xml));
        match result {
            Ok(back) => wrong.extend(difference(&tree(&json), &tree(&back), &name)),
            Err(failure) => wrong.push(format!("{name}: {failure}")),
        }
        seen += 1;
    }
    Some((seen, wrong))
}

#[test]
fn official_examples_there_and_back() {
    if let Some((seen, wrong)) = there_and_back("r4-examples/r4-examples-dev.tar.zst") {
        assert!(wrong.is_empty(), "{} of {seen}: {wrong:#?}", wrong.len());
        assert!(seen > 500, "{seen}");
    }
}

#[test]
fn examples_of_guides_and_synthetic_patients_there_and_back() {
    for path in [
        "us-core/us-core-6.1.0-examples.dev.tar.zst",
        "other-igs/ips-1.1.0-examples.dev.tar.zst",
        "other-igs/ihe-mhd-4.2.1-examples.dev.tar.zst",
        "synthea/synthea-small-5.tar.zst",
    ] {
        if let Some((seen, wrong)) = there_and_back(path) {
            assert!(wrong.is_empty(), "{path}: {} of {seen}: {wrong:#?}", wrong.len());
            assert!(seen > 5, "{seen}");
        }
    }
}

#[test]
fn official_inputs_against_their_json() {
    let Some(directory) = data("fhirpath/input") else {
        return;
    };
    let mut wrong = Vec::new();
    for file in std::fs::read_dir(directory).expect("readable").flatten() {
        let path = file.path();
        let (Ok(text), true) = (std::fs::read_to_string(&path), path.extension().is_some_and(|e| e == "xml")) else {
            continue;
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let expected = std::fs::read_to_string(path.with_extension("json")).expect("a JSON sibling");
        match read(&text) {
            Ok(json) => {
                // Those who made the JSON left comments out of narratives, which a narrative may have.
                let plain = |json: &str| {
                    let mut tree = tree(json);
                    if let Some(text) = tree.get_mut("text") {
                        text.remove("div");
                    }
                    tree
                };
                wrong.extend(difference(&plain(&expected), &plain(&json), &name));
                let again = written(&json).and_then(|xml| read(&xml));
                assert_eq!(again.map(|j| tree(&j)).ok(), Some(tree(&json)), "{name}");
            }
            Err(failure) => wrong.push(format!("{name}: {failure}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_read() {
    for (xml, json) in [
        (
            r#"<?xml version="1.0" encoding="UTF-8"?><!-- c --><Patient xmlns="http://hl7.org/fhir"><id value="a"/></Patient>"#,
            r#"{"resourceType":"Patient","id":"a"}"#,
        ),
        (r#"<Patient xmlns="http://hl7.org/fhir"/>"#, r#"{"resourceType":"Patient"}"#),
        // Prefixes, a declared place of the schema, a byte order mark, instructions.
        (
            "\u{FEFF}<?p i?><f:Patient xmlns:f=\"http://hl7.org/fhir\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" \
             i:schemaLocation=\"http://hl7.org/fhir x.xsd\">\n <f:active value='true' />\n</f:Patient>\n",
            r#"{"resourceType":"Patient","active":true}"#,
        ),
        // Ids and extensions of primitives, with gaps.
        (
            r#"<Patient xmlns="http://hl7.org/fhir"><name id="n"><given value="a"/><given id="g"/>
               <given value="c"><extension url="u"><valueInteger value="+7"/></extension></given></name></Patient>"#,
            r#"{"resourceType":"Patient","name":[{"id":"n","given":["a",null,"c"],"_given":[null,{"id":"g"},{"extension":[{"url":"u","valueInteger":7}]}]}]}"#,
        ),
        // Repetitions apart, nested resources, digits of a decimal, characters.
        (
            r#"<Bundle xmlns="http://hl7.org/fhir"><link><relation value="a&#10;b &amp; &lt;c&gt;"/></link><entry><resource><Observation>
               <valueQuantity><value value="1.50e+10"/></valueQuantity></Observation></resource></entry><link><relation value="d"/></link></Bundle>"#,
            r#"{"resourceType":"Bundle","link":[{"relation":"a\nb & <c>"},{"relation":"d"}],"entry":[{"resource":{"resourceType":"Observation","valueQuantity":{"value":1.50e+10}}}]}"#,
        ),
        // A narrative that needs declarations from outside is written anew without prefixes.
        (
            r#"<Patient xmlns="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><text><status value="empty"/><h:div><h:p
               title='"'>a<h:br/>&#160;<!-- c --></h:p></h:div></text></Patient>"#,
            r#"{"resourceType":"Patient","text":{"status":"empty","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p title='\"'>a<br/>&#160;<!-- c --></p></div>"}}"#,
        ),
        // Others stay as they are.
        (
            "<Patient xmlns=\"http://hl7.org/fhir\"><text><div xmlns=\"http://www.w3.org/1999/xhtml\"  ><p >a</p >\r\n</div></text></Patient>",
            r#"{"resourceType":"Patient","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"  ><p >a</p >\r\n</div>"}}"#,
        ),
    ] {
        assert_eq!(read(xml).map_err(|f| f.to_string()).as_deref(), Ok(json));
    }
}

#[test]
fn what_is_refused_where() {
    let patient = |inside: &str| format!("<Patient xmlns=\"http://hl7.org/fhir\">\n{inside}</Patient>");
    for (xml, place, line) in [
        (String::new(), None, 1),
        ("<Patient/>".to_owned(), None, 1),
        ("<Nothing xmlns=\"http://hl7.org/fhir\"/>".to_owned(), None, 1),
        ("<!DOCTYPE Patient [<!ENTITY a \"b\">]><Patient xmlns=\"http://hl7.org/fhir\"/>".to_owned(), None, 1),
        ("<?xml version=\"1.0\" encoding=\"latin1\"?><Patient xmlns=\"http://hl7.org/fhir\"/>".to_owned(), None, 1),
        ("<?xml version=\"1.1\"?><Patient xmlns=\"http://hl7.org/fhir\"/>".to_owned(), None, 1),
        (patient("<active value=\"true\"/>") + "<a/>", None, 2),
        (patient("<active value=\"true\"/>") + "x", None, 2),
        (patient("<contact>\n<foo/></contact>"), Some("Patient.contact[0].foo"), 3),
        (patient("<contact/>\n"), Some("Patient.contact[0]"), 2),
        (patient("<name><family value=\"a\" x=\"b\"/></name>"), Some("Patient.name[0].family.x"), 2),
        (patient("<name url=\"a\"/>"), Some("Patient.name[0].url"), 2),
        (patient("<name>a</name>"), Some("Patient.name[0]"), 2),
        (patient("<active value=\"true\">a</active>"), Some("Patient.active"), 2),
        (patient("<active/>"), Some("Patient.active"), 2),
        (patient("<active value=\"1\"/>"), Some("Patient.active"), 2),
        (patient("<multipleBirthInteger value=\"01\"/>"), Some("Patient.multipleBirth"), 2),
        (patient("<gender value=\"male\"/>\n<gender value=\"male\"/>"), Some("Patient"), 3),
        (patient("<gender value=\"&a;\"/>"), Some("Patient.gender"), 2),
        (patient("<active xmlns=\"\" value=\"true\"/>"), Some("Patient"), 2),
        (patient("<x:active value=\"true\"/>"), Some("Patient"), 2),
        (patient("<active value=\"true\"></name>"), Some("Patient.active"), 2),
        (patient("<text><div>a</div></text>"), Some("Patient.text"), 2),
        (patient("<contained/>"), Some("Patient.contained[0]"), 2),
        (patient("<contained><Foo/></contained>"), Some("Patient.contained[0].Foo"), 2),
        (
            patient("<contained><Patient><active value=\"x\"/></Patient></contained>"),
            Some("Patient.contained[0].active"),
            2,
        ),
        (patient("<id id=\"a\" value=\"b\"/>").replace("Patient xml", "Patient id=\"c\" xml"), Some("Patient.id"), 1),
        ("<Patient xmlns=\"http://hl7.org/fhir\">".to_owned(), Some("Patient"), 1),
        (patient("<gender value=\"\u{1}\"/>"), None, 2),
        (patient(&"<extension>".repeat(100_000)), Some("Patient.extension[0]"), 2),
    ] {
        let failure = read(&xml).expect_err(&xml);
        assert_eq!(failure.kind, FailureKind::Malformed);
        let issue = &failure.issues[0];
        assert!(matches!(issue.code, IssueCode::Structure | IssueCode::Value), "{xml:.200}");
        let found =
            issue.expression.as_deref().map(|e| if xml.len() > 10_000 { &e[..place.unwrap_or(e).len()] } else { e });
        assert_eq!((found, issue.position.map(|p| p.line)), (place, Some(line)), "{xml:.200}: {failure}");
    }
    let failure = to_json(b"<a>\n\xFF", &*Definitions::core(), &Limits::default()).expect_err("not UTF-8");
    assert_eq!(failure.issues[0].position.map(|p| (p.line, p.column)), Some((2, 1)));
}

#[test]
fn what_is_written() {
    let json = r#"{"name":[{"given":["a",null],"family":"b\n\"<&>","_given":[null,{"id":"g"}]}],"_birthDate":{"extension":[{"valueDecimal":1.0e-3,"url":"u"}]},
        "contained":[{"id":"c","resourceType":"Patient"}],"resourceType":"Patient","id":"p","deceasedBoolean":false,"text":{"div":"<div>x</div>"}}"#;
    let xml = concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir"><id value="p"/>"#,
        r#"<text><div xmlns="http://www.w3.org/1999/xhtml">x</div></text><contained><Patient><id value="c"/></Patient></contained>"#,
        r#"<name><family value="b&#10;&quot;&lt;&amp;&gt;"/><given value="a"/><given id="g"/></name>"#,
        r#"<birthDate><extension url="u"><valueDecimal value="1.0e-3"/></extension></birthDate><deceasedBoolean value="false"/></Patient>"#
    );
    assert_eq!(written(json).map_err(|f| f.to_string()).as_deref(), Ok(xml));
    let document = Document::parse(json.as_bytes(), &Limits::default()).expect("JSON");
    let pretty = pretty_from_json(document.root(), &*Definitions::core()).expect("written");
    assert!(
        pretty.contains("\n  <contained>\n    <Patient>\n      <id value=\"c\"/>\n    </Patient>\n  </contained>\n"),
        "{pretty}"
    );
    assert_eq!(read(&pretty).map_err(|f| f.to_string()), read(xml).map_err(|f| f.to_string()));
    for (json, place) in [
        ("{}", None),
        (r#"{"resourceType":"Foo"}"#, None),
        (r#"{"resourceType":"Patient","foo":1}"#, Some("Patient")),
        (r#"{"resourceType":"Patient","_name":[{"id":"a"}]}"#, Some("Patient")),
        (r#"{"resourceType":"Patient","name":[{},{"family":"\u0001"}]}"#, Some("Patient.name[1].family")),
        (r#"{"resourceType":"Patient","name":["a"]}"#, Some("Patient.name[0]")),
        (r#"{"resourceType":"Patient","gender":{}}"#, Some("Patient.gender")),
        (r#"{"resourceType":"Patient","text":{"div":"<div><p></div>"}}"#, Some("Patient.text.div")),
    ] {
        let failure = written(json).expect_err(json);
        assert_eq!(failure.kind, FailureKind::NotAcceptable);
        assert_eq!(failure.issues[0].expression.as_deref(), place, "{json}: {failure}");
    }
}

#[test]
fn the_greatest_depth_fits_on_the_stack() {
    let levels = (Limits::DEEPEST - 3) / 2;
    let (open, close) = (r#"[{"url":"http://x","extension":"#.repeat(levels), "}]".repeat(levels));
    let inner = r#"[{"url":"http://x","valueString":"v"}]"#;
    let json = format!(r#"{{"resourceType":"Patient","extension":{open}{inner}{close}}}"#);
    let limits = Limits { depth: Limits::DEEPEST, ..Limits::default() };
    let definitions = Definitions::core();
    let document = Document::parse(json.as_bytes(), &limits).expect("JSON");
    let xml = from_json(document.root(), &*definitions).expect("written");
    let back = to_json(xml.as_bytes(), &*definitions, &limits).expect("read");
    assert_eq!(tree(&back), tree(&json));
}
