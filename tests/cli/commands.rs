//! Import of every form of file, export, check, validate.

use super::{err, out, vesta};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

fn patient(id: &str, family: &str) -> String {
    json!({"resourceType": "Patient", "id": id, "name": [{"family": family}]}).to_string()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).expect("packs");
    packed.finish().expect("packs")
}

/// A folder with resources in every form that is read.
fn fill(folder: &Path) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("writes");
    let observation = json!({
        "resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "performer": [{"reference": "Organization?identifier=urn:test|hospital"}]
    });
    let post = |url: &str, resource: &serde_json::Value| json!({"resource": resource, "request": {"method": "POST", "url": url}});
    let organization = json!({
        "resourceType": "Organization", "name": "H", "identifier": [{"system": "urn:test", "value": "hospital"}]
    });
    // By name the second comes after the first, but the first refers to it.
    let transaction =
        json!({"resourceType": "Bundle", "type": "transaction", "entry": [post("Observation", &observation)]});
    write("a-patient.json", transaction.to_string().as_bytes());
    let first = json!({"resourceType": "Bundle", "type": "batch", "entry": [post("Organization", &organization)]});
    write("z-hospitalInformation.json", first.to_string().as_bytes());
    let collection = json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}}]});
    write("collection.json", collection.to_string().as_bytes());
    write("lines.ndjson.gz", &gzip(&format!("{}\n\n{}\n", patient("one", "One"), patient("two", "Two"))));
    write("single.json.zst", &zstd::bulk::compress(patient("three", "Three").as_bytes(), 3).expect("packs"));
    write(
        "four.xml",
        br#"<Patient xmlns="http://hl7.org/fhir"><id value="four"/><name><family value="Four"/></name></Patient>"#,
    );
    let mut archive = tar::Builder::new(Vec::new());
    let text = patient("five", "Five");
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "folder/five.json", text.as_bytes()).expect("adds");
    write("more.tar", &archive.into_inner().expect("an archive"));
    write("notes.txt", b"not looked at");
}

#[test]
fn every_form_is_imported_and_comes_out_again() {
    let (data, files, exported) = (tempfile::tempdir(), tempfile::tempdir(), tempfile::tempdir());
    let (data, files, exported) = (data.expect("one"), files.expect("one"), exported.expect("one"));
    fill(files.path());
    let imported = vesta(data.path(), &["import", &files.path().to_string_lossy()]);
    assert!(imported.status.success(), "{}\n{}", out(&imported), err(&imported));
    let all = out(&imported).lines().last().map(|l| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(all, Some(vec!["all".into(), "8".into(), "0".into()]), "{}", out(&imported));

    let checked = vesta(data.path(), &["check"]);
    assert!(checked.status.success() && out(&checked).contains("8 resources, 0 faults"), "{}", out(&checked));

    let to = exported.path().join("all");
    let to_text = to.to_string_lossy().into_owned();
    assert!(vesta(data.path(), &["export", &to_text]).status.success());
    let patients = std::fs::read_to_string(to.join("Patient.ndjson")).expect("a file of the type");
    assert_eq!(patients.lines().count(), 5);
    assert!(patients.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON")["name"].is_array()));
    assert!(!to.join("Encounter.ndjson").exists(), "a type without resources has no file");
    assert_eq!(vesta(data.path(), &["export", &to_text]).status.code(), Some(2), "the folder is not empty any more");
    assert_eq!(out(&vesta(data.path(), &["export", "-"])).lines().count(), 8);

    let again = tempfile::tempdir().expect("one");
    assert!(vesta(again.path(), &["import", &to_text]).status.success());
    let lines = |data: &Path| {
        let text = out(&vesta(data, &["export", "-"]));
        let mut ids: Vec<String> = text
            .lines()
            .map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON")["id"].to_string())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(lines(data.path()), lines(again.path()));
}

#[test]
fn what_is_refused_is_said_with_the_reason_and_the_place() {
    let (data, files) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("one"));
    let file = files.path().join("mixed.ndjson");
    let bad = r#"{"resourceType":"Patient","id":"bad","gender":"neither"}"#;
    std::fs::write(&file, format!("{}\n{bad}\nnot json\n", patient("good", "Good"))).expect("writes");
    // What is wrong is told before what is only noticed, and in words.
    let noticed = json!({"resourceType": "Observation", "category": [{"coding": [{"system": "http://unknown.test/x", "code": "1"}]}],
        "code": {"coding": [{"system": "http://unknown.test/x", "code": "1"}]}});
    let entry = |method: &str| json!({"resource": noticed, "request": {"method": method, "url": "Observation"}});
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [entry("POST"), {"fullUrl": "urn:x:1"}]});
    std::fs::write(files.path().join("noticed.json"), noticed.to_string()).expect("writes");
    std::fs::write(files.path().join("batch.json"), batch.to_string()).expect("writes");
    std::fs::write(files.path().join("torn.json.gz"), &gzip("{}")[..10]).expect("writes");
    let imported = vesta(data.path(), &["import", &files.path().to_string_lossy()]);
    assert_eq!(imported.status.code(), Some(1));
    let text = out(&imported);
    for part in ["Patient.gender", "mixed.ndjson:2", "mixed.ndjson:3", "torn.json.gz", "(without type)"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let counts =
        text.lines().find(|l| l.starts_with("Patient")).map(|l| l.split_whitespace().skip(1).collect::<Vec<_>>());
    assert_eq!(counts, Some(vec!["1", "1"]), "{text}");
    let reasons: Vec<&str> = text.lines().filter(|line| line.contains(" × ")).collect();
    assert_eq!(
        reasons.iter().filter(|why| why.contains("'status'") || why.contains("Observation.status")).count(),
        2,
        "{text}"
    );
    assert!(!text.contains("Unprocessable;") && !text.contains("Malformed;"), "{text}");
    for file in ["/no/such/file.json", "/no/such/folder"] {
        let nothing = vesta(data.path(), &["import", file]);
        assert_eq!(nothing.status.code(), Some(1));
        assert!(err(&nothing).contains("No such file"), "{}", err(&nothing));
    }
    assert_eq!(vesta(data.path(), &["import", "Cargo.toml"]).status.code(), Some(2), "no form that is read");
}

#[test]
fn validate_says_what_is_wrong() {
    let files = tempfile::tempdir().expect("one");
    let (good, bad) = (files.path().join("good.json"), files.path().join("bad.json"));
    std::fs::write(&good, patient("good", "Good")).expect("writes");
    std::fs::write(&bad, r#"{"resourceType":"Patient","birthDate":"1987-13-01"}"#).expect("writes");
    let output = vesta(files.path(), &["validate", &good.to_string_lossy()]);
    assert!(output.status.success() && out(&output).contains("1 valid, 0 not"), "{}", out(&output));
    let output = vesta(files.path(), &["validate", &bad.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(1));
    let told = out(&output);
    assert!(told.contains("bad.json:1:39: error value: Patient.birthDate: "), "{told}");
    // With lines, on a line of a file, and in XML.
    let (lines, all, xml) =
        (files.path().join("lines.json"), files.path().join("all.ndjson"), files.path().join("x.xml"));
    std::fs::write(&lines, "{\"resourceType\": \"Patient\",\n  \"gender\": 1}").expect("writes");
    std::fs::write(&all, "\n{\"resourceType\":\"Patient\",\"gender\":1}\n").expect("writes");
    std::fs::write(&xml, "<Patient xmlns=\"http://hl7.org/fhir\">\n  <gender value=\"x\"/>\n</Patient>")
        .expect("writes");
    for (file, place) in [(lines, "lines.json:2:13: error"), (all, "all.ndjson:2:36: error"), (xml, "x.xml:2:3: error")]
    {
        let told = out(&vesta(files.path(), &["validate", &file.to_string_lossy()]));
        assert!(told.contains(place), "{place}: {told}");
    }
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let data = tempfile::tempdir().expect("one");
    let mut first = Command::new(env!("CARGO_BIN_EXE_vesta"))
        .args(["--bind", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(first.stdout.take().expect("output")).read_line(&mut line).expect("a line");
    let second = vesta(data.path(), &["export", "-"]);
    first.kill().expect("ends");
    first.wait().expect("ended");
    assert_eq!(second.status.code(), Some(1));
    assert!(err(&second).contains("another process") || err(&second).contains("in use"), "{}", err(&second));
}

#[test]
fn a_damaged_store_is_not_served_but_can_be_checked() {
    let (data, files) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("one"));
    let file = files.path().join("lines.ndjson");
    let lines = [patient("one", "Sound"), patient("two", "Qzxwvkjy"), patient("three", "Sound")].join("\n");
    std::fs::write(&file, lines).expect("writes");
    assert!(vesta(data.path(), &["import", "--auth", "off", &file.to_string_lossy()]).status.success());
    let truth = data.path().join("truth/data.mdb");
    let mut bytes = std::fs::read(&truth).expect("reads");
    let places: Vec<_> = memchr::memmem::find_iter(&bytes, b"Qzxwvkjy").collect();
    assert!(!places.is_empty(), "the body is in the file");
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    std::fs::write(&truth, bytes).expect("writes");

    let opened = vesta(data.path(), &["export", "-"]);
    assert!(!opened.status.success() && err(&opened).contains("is damaged"), "{}", err(&opened));
    let checked = vesta(data.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        // The lines of a file are imported side by side: any of the three numbers may be the damaged one.
        out(&checked).contains("3 versions") && out(&checked).contains(" of tenant 0 has a wrong checksum"),
        "{}",
        out(&checked)
    );
}

/// Pages that cannot be read end whoever reads them; the command says so all the same.
#[test]
fn a_store_whose_file_was_cut_is_checked_without_a_crash() {
    let (data, files) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("one"));
    let file = files.path().join("lines.ndjson");
    let lines: Vec<String> = (0..400).map(|n| patient(&format!("p{n}"), "Sound")).collect();
    std::fs::write(&file, lines.join("\n")).expect("writes");
    assert!(vesta(data.path(), &["import", "--auth", "off", &file.to_string_lossy()]).status.success());
    assert!(vesta(data.path(), &["check"]).status.success());
    let truth = std::fs::OpenOptions::new().write(true).open(data.path().join("truth/data.mdb")).expect("opens");
    truth.set_len(12_288).expect("cut");
    let checked = vesta(data.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(1), "{}{}", out(&checked), err(&checked));
    assert!(err(&checked).contains("damaged"), "{}", err(&checked));
}

#[test]
fn what_was_accepted_under_wider_limits_can_be_opened_under_narrower_ones() {
    let (data, files) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("one"));
    let (open, close) = (r#"[{"url":"http://x","extension":"#.repeat(100), "}]".repeat(100));
    let inner = r#"[{"url":"http://x","valueString":"v"}]"#;
    let file = files.path().join("deep.json");
    let text = format!(r#"{{"resourceType":"Patient","id":"a","extension":{open}{inner}{close}}}"#);
    std::fs::write(&file, text).expect("writes");
    let path = file.to_string_lossy();
    assert_eq!(vesta(data.path(), &["import", &path]).status.code(), Some(1), "too deep");
    let imported = vesta(data.path(), &["--max-depth", "300", "import", &path]);
    assert!(imported.status.success(), "{}{}", out(&imported), err(&imported));
    let exported = vesta(data.path(), &["export", "-"]);
    assert!(exported.status.success() && out(&exported).contains(&close), "{}", err(&exported));
    assert_eq!(vesta(data.path(), &["--max-depth", "501", "export", "-"]).status.code(), Some(2));
}

#[test]
fn fhirpath_prints_type_and_value_and_tells_what_failed_by_its_code() {
    let data = tempfile::tempdir().expect("one");
    let file = data.path().join("patient.json");
    let text = r#"{"resourceType":"Patient","birthDate":"1987-02","name":[{"given":["Amy","Lee"]}]}"#;
    std::fs::write(&file, text).expect("writes");
    let run = |expression: &str| vesta(data.path(), &["fhirpath", expression, &file.to_string_lossy()]);
    assert_eq!(out(&run("Patient.name.given")), "string\tAmy\nstring\tLee\n");
    assert_eq!(out(&run("Patient.birthDate | Patient.name.given.count()")), "date\t1987-02\nInteger\t2\n");
    // A line for each result, whatever is in it; what is traced is none.
    assert_eq!(out(&run("'a\\nb' | 'c'")), "String\ta\\nb\nString\tc\n");
    assert_eq!(out(&run("Patient.name")), "HumanName\t{\"given\":[\"Amy\",\"Lee\"]}\n");
    let traced = run("Patient.name.trace('n', given).given.count()");
    assert_eq!(
        (out(&traced), err(&traced)),
        ("Integer\t2\n".into(), "trace n: string\tAmy\ntrace n: string\tLee\n".into())
    );
    // The definitions of the specification are known.
    assert_eq!(out(&run("'male'.memberOf(%`vs-administrative-gender`)")), "Boolean\ttrue\n");
    assert_eq!(out(&run("Patient.conformsTo('http://hl7.org/fhir/StructureDefinition/Patient')")), "Boolean\ttrue\n");
    assert_eq!(run("Patient.name.").status.code(), Some(2));
    assert_eq!(run("Patient.name.given.single()").status.code(), Some(3));
    assert!(!data.path().join("truth").exists(), "no data directory is made");
}

#[test]
fn a_token_may_begin_with_a_hyphen() {
    let data = tempfile::tempdir().expect("one");
    // Nobody listens there: the command line was understood.
    let failed = vesta(data.path(), &["launch", "--at", "http://127.0.0.1:1/fhir", "--token", "-abc"]);
    assert!(!failed.status.success() && err(&failed).contains("127.0.0.1:1"), "{}", err(&failed));
}
