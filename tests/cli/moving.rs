//! `vesta store copy`, `vesta backup` and `vesta restore` with a real server and real data: between directories, plain
//! and encrypted, and a database where there is one to test with.

use super::{err, out, vesta};
use crate::support::{Answer, Client, shared_data};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const PASSWORD: &str = "a password of my own";

/// Where a store is, as the flags that name it.
#[derive(Clone)]
struct Place {
    /// The directory or connection string.
    name: String,
    flags: Vec<String>,
    key: Option<String>,
}

impl Place {
    fn directory(path: &Path, key: Option<&str>) -> Place {
        let name = path.to_string_lossy().into_owned();
        let mut flags = vec!["--data".to_owned(), name.clone()];
        flags.extend(key.map(|key| ["--encryption-key".to_owned(), key.to_owned()]).into_iter().flatten());
        Place { name, flags, key: key.map(str::to_owned) }
    }

    #[cfg_attr(not(feature = "mongodb"), allow(dead_code))]
    fn database(uri: &str) -> Place {
        Place { name: uri.to_owned(), flags: vec!["--store".to_owned(), uri.to_owned()], key: None }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
        command.args(&self.flags).args(arguments).env_clear().output().expect("runs")
    }

    fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?} on {}: {}{}", self.name, out(&output), err(&output));
        out(&output)
    }

    /// As messages and records name it.
    fn shown(&self) -> String {
        match self.name.contains("://") {
            true => vesta::cli::settings::Settings::without_password(&self.name),
            false => self.name.clone(),
        }
    }

    fn serve(&self, arguments: &[&str]) -> Running {
        Running::start(&self.flags, arguments)
    }
}

/// A server as a process, which ends with this.
struct Running {
    child: Child,
    client: Client,
}

impl Running {
    fn start(flags: &[String], arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
        command
            .args(flags)
            .args(["--bind", "127.0.0.1:0", "--log-level", "error", "--validation", "off"])
            .args(arguments)
            .env_clear();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("runs");
        let mut lines = BufReader::new(child.stdout.take().expect("open")).lines().map_while(Result::ok);
        let base = lines.by_ref().find_map(|line| Some(line.trim().strip_prefix("FHIR base")?.trim().to_owned()));
        let client = Client::new(&base.expect("it starts"));
        lines.find(|line| line.starts_with("Stop with"));
        Running { child, client }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // As an operator would: everything that was accepted is written.
        let told = Command::new("kill").arg(self.child.id().to_string()).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Everything that a client sees of versions: all pages of the history of the system.
fn history(client: &Client) -> Vec<Value> {
    let (mut entries, mut next) = (Vec::new(), Some("_history?_count=500".to_owned()));
    while let Some(path) = next {
        let page = client.get(&path).is(200).json();
        let links = page["link"].as_array().expect("links");
        let link = links.iter().find(|link| link["relation"] == "next").and_then(|link| link["url"].as_str());
        next = link.map(|url| url.split("/fhir").nth(1).expect("of this server").to_owned());
        next = next.map(|path| path.trim_start_matches('/').to_owned());
        entries.extend(page["entry"].as_array().expect("entries").iter().map(|entry| {
            // The full address names the server.
            let mut entry = entry.clone();
            entry.as_object_mut().expect("an object").remove("fullUrl");
            entry
        }));
    }
    entries
}

const QUERIES: [&str; 9] = [
    "Patient?gender=female",
    "Patient?birthdate=ge1970",
    "Observation?code=http://loinc.org%7C8302-2",
    "Observation?value-quantity=gt100",
    "Observation?date=gt2010-01-01",
    "Encounter?status=finished",
    "Condition?subject:Patient.gender=male",
    "Patient?_has:Observation:subject:code=http://loinc.org%7C8302-2",
    "Patient?_lastUpdated=gt2020-01-01",
];

fn totals(client: &Client) -> Vec<u64> {
    let total = |query: &&str| client.get(&format!("{query}&_summary=count")).is(200).json()["total"].as_u64();
    QUERIES.iter().map(|query| total(query).expect("a total")).collect()
}

/// Signs in with the form, as a browser does.
fn signs_in(client: &Client, name: &str) -> Answer {
    let page = client.get("/auth/sign-in");
    page.is(200);
    let text = page.text();
    let seal = text.split("name=\"seal\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a seal");
    let cookies: Vec<&str> = page.set_cookies.iter().filter_map(|cookie| cookie.split(';').next()).collect();
    let body = format!("seal={seal}&user={name}&pass={}", PASSWORD.replace(' ', "+"));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("cookie", &*cookies.join("; "))];
    client.send("POST", "/auth/sign-in", &headers, Some(body.as_bytes()))
}

/// A directory with patients of Synthea, with changes and deletes, a user, and an audit trail.
fn fill(place: &Place, data: &Path) {
    place.must(&[
        "--validation",
        "off",
        "--audit",
        "all",
        "import",
        &data.join("synthea/synthea-small-5.tar.zst").to_string_lossy(),
    ]);
    place.must(&["user", "add", "asante", "--role", "doctor", "--resource", "Practitioner/7"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
    command.args(&place.flags).args(["user", "set-password", "asante", "--password-stdin"]).env_clear();
    let mut child = command.stdin(Stdio::piped()).spawn().expect("runs");
    child.stdin.take().expect("open").write_all(format!("{PASSWORD}\n").as_bytes()).expect("writes");
    assert!(child.wait().expect("ends").success());
    let running = place.serve(&["--auth", "off", "--audit", "all"]);
    let client = &running.client;
    let patients = client.get("Patient?_count=3").is(200).json();
    for entry in patients["entry"].as_array().expect("patients") {
        let mut patient = entry["resource"].clone();
        patient["birthDate"] = json!("1901-02-03");
        let path = format!("Patient/{}", patient["id"].as_str().expect("an id"));
        client.put("PUT", &path, &patient).is(200);
        client.put("PUT", &path, &patient).is(200);
    }
    let observations = client.get("Observation?_count=5").is(200).json();
    for entry in observations["entry"].as_array().expect("observations") {
        let path = format!("Observation/{}", entry["resource"]["id"].as_str().expect("an id"));
        assert!([200, 204].contains(&client.send("DELETE", &path, &[], None).status));
    }
}

fn key_file(folder: &Path, name: &str, byte: u8) -> String {
    let path = folder.join(name);
    std::fs::write(&path, [byte; 32]).expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    format!("file:{}", path.display())
}

/// The places that a store is moved to, one after the other.
fn places(folder: &Path, database: Option<&str>) -> Vec<Place> {
    let key = key_file(folder, "key", 3);
    let mut places = vec![Place::directory(&folder.join("encrypted"), Some(&key))];
    places.extend(database.map(Place::database));
    places.push(Place::directory(&folder.join("plain"), None));
    places
}

#[cfg(feature = "mongodb")]
fn database() -> Option<crate::support::mongodb::TestDatabase> {
    crate::support::mongodb::TestDatabase::new()
}

#[cfg(not(feature = "mongodb"))]
struct NoDatabase;

#[cfg(not(feature = "mongodb"))]
impl NoDatabase {
    fn uri(&self) -> &str {
        ""
    }
}

#[cfg(not(feature = "mongodb"))]
fn database() -> Option<NoDatabase> {
    None
}

fn copy(from: &Place, to: &Place) -> Output {
    let mut arguments = vec!["store", "copy", &from.name, &to.name];
    arguments.extend(from.key.as_deref().map(|key| ["--from-key", key]).into_iter().flatten());
    arguments.extend(to.key.as_deref().map(|key| ["--to-key", key]).into_iter().flatten());
    Command::new(env!("CARGO_BIN_EXE_vesta")).args(arguments).env_clear().output().expect("runs")
}

/// The last record of the audit trail.
fn last_record(place: &Place) -> Value {
    let text = place.must(&["audit", "list", "--limit", "1", "--json"]);
    serde_json::from_str(text.trim()).unwrap_or_else(|e| panic!("no record ({e}): {text}"))
}

/// The details of a record, as `name=value`.
fn details(record: &Value) -> Vec<String> {
    let entities = record["entity"].as_array().map(Vec::as_slice).unwrap_or_default();
    let details = entities.iter().filter_map(|entity| entity["detail"].as_array()).flatten();
    let pair = |detail: &Value| Some(format!("{}={}", detail["type"].as_str()?, detail["valueString"].as_str()?));
    details.filter_map(pair).collect()
}

/// What must be the same at every place: history, totals; and that it is sound and people sign in.
fn looked_at(place: &Place) -> (Vec<Value>, Vec<u64>) {
    assert!(place.must(&["check"]).contains(" 0 faults"));
    assert!(place.must(&["audit", "verify"]).contains("\nsound"));
    let answers = {
        let running = place.serve(&["--auth", "off"]);
        (history(&running.client), totals(&running.client))
    };
    let running = place.serve(&["--auth", "on"]);
    let answer = signs_in(&running.client, "asante");
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(!answer.header("location").contains("sign-in"), "{}", answer.header("location"));
    answers
}

#[test]
fn a_store_is_moved_with_everything_through_every_engine() {
    let Some(data) = shared_data("moving a store") else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let database = database();
    let mut from = Place::directory(&folder.path().join("first"), None);
    fill(&from, &data);
    let before = looked_at(&from);
    assert!(before.0.len() > 300 && before.1.iter().filter(|total| **total > 0).count() > 5, "{:?}", before.1);
    for to in places(folder.path(), database.as_ref().map(|database| database.uri())) {
        let done = copy(&from, &to);
        assert!(done.status.success(), "{} to {}: {}{}", from.name, to.name, out(&done), err(&done));
        // Each trail tells its side of it: what left before it left, what came when it was whole.
        assert_eq!(details(&last_record(&from))[..1], [format!("export=copy to {}", to.shown())]);
        assert_eq!(details(&last_record(&to))[..2], ["action=copy".to_owned(), format!("store={}", from.shown())]);
        let found = looked_at(&to);
        assert_eq!(found.1, before.1, "{}", to.name);
        assert!(found.0 == before.0, "the history of {} is another", to.name);
        let again = copy(&from, &to);
        assert_eq!(again.status.code(), Some(1), "it is not empty");
        assert!(err(&again).contains("is not empty and no unfinished copy"), "{}", err(&again));
        from = to;
    }
}

#[test]
fn a_copy_that_is_killed_is_no_store_and_goes_on() {
    let Some(data) = shared_data("a copy that is killed") else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let database = database();
    let from = Place::directory(&folder.path().join("first"), None);
    fill(&from, &data);
    for to in places(folder.path(), database.as_ref().map(|database| database.uri())) {
        let mut arguments = vec!["store", "copy", &from.name, &to.name];
        arguments.extend(to.key.as_deref().map(|key| ["--to-key", key]).into_iter().flatten());
        let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
        let mut child = command.args(arguments).env_clear().stderr(Stdio::piped()).spawn().expect("runs");
        let mut lines = BufReader::new(child.stderr.take().expect("open")).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.starts_with("copied: ")), "it tells how far it is");
        child.kill().expect("killed");
        child.wait().expect("ended");
        let refused = to.run(&["export", "-"]);
        assert_eq!(refused.status.code(), Some(1), "half of the data are not served");
        assert!(err(&refused).contains(&format!("unfinished copy of {}", from.name)), "{}", err(&refused));
        let done = copy(&from, &to);
        assert!(done.status.success(), "{}{}", out(&done), err(&done));
        assert!(out(&done).contains("were there from an earlier run"), "{}", out(&done));
        let running = [&from, &to].map(|place| place.serve(&["--auth", "off"]));
        assert!(history(&running[0].client) == history(&running[1].client), "{}", to.name);
    }
}

/// Writes pairs in transactions until it is told to stop; gives how many.
fn write_pairs(client: Client, name: String, stop: Arc<AtomicBool>) -> u64 {
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            return n;
        }
        let entry = |kind: &str| {
            let code = json!({"text": "x"});
            let identifier = json!([{"system": "urn:pair", "value": format!("{name}-{n}")}]);
            let resource = match kind {
                "Basic" => json!({"resourceType": kind, "code": code, "identifier": identifier}),
                _ => json!({"resourceType": kind, "identifier": identifier}),
            };
            json!({"resource": resource, "request": {"method": "POST", "url": kind}})
        };
        let entries = [entry("Patient"), entry("Basic")];
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        client.put("POST", "", &bundle).is(200);
    }
    0
}

/// The pairs of a store: the identifiers of patients, and of their partners.
fn pairs(place: &Place) -> [Vec<String>; 2] {
    let text = place.must(&["export", "-"]);
    let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    ["Patient", "Basic"].map(|kind| {
        let of_kind = all.iter().filter(|resource| resource["resourceType"] == kind);
        let mut names: Vec<_> = of_kind.map(|r| r["identifier"][0]["value"].to_string()).collect();
        names.sort();
        names
    })
}

fn saved_under_writers(place: &Place, folder: &Path) {
    let files: Vec<PathBuf> = (0..3).map(|n| folder.join(format!("{n}.vesta"))).collect();
    let names: Vec<String> = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    let key = key_file(folder, "backup-key", 9);
    let (written, moment) = {
        let running = place.serve(&["--auth", "off", "--audit", "writes"]);
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..3)
            .map(|n| {
                let (client, stop) = (Client::new(&running.client_base()), stop.clone());
                std::thread::spawn(move || write_pairs(client, format!("w{n}"), stop))
            })
            .collect();
        let total = || running.client.get("Basic?_summary=count").is(200).json()["total"].as_u64().expect("a total");
        let wait_for = |least: u64| while total() < least {};
        wait_for(20);
        place.must(&["backup", &names[0], "--backup-key", &key]);
        wait_for(total() + 20);
        place.must(&["backup", &names[1], "--since", &names[0], "--backup-key", &key]);
        wait_for(total() + 20);
        let newest = running.client.get("Basic?_sort=-_lastUpdated&_count=1").is(200).json();
        let moment = newest["entry"][0]["resource"]["meta"]["lastUpdated"].as_str().expect("a time").to_owned();
        wait_for(total() + 20);
        place.must(&["backup", &names[2], "--since", &names[1], "--backup-key", &key]);
        stop.store(true, Ordering::SeqCst);
        (writers.into_iter().map(|writer| writer.join().expect("no panic")).sum::<u64>(), moment)
    };
    let mut before = 0;
    for count in 1..=3 {
        let to = Place::directory(&folder.join(format!("restored-{count}")), None);
        let files: Vec<&str> = names[..count].iter().map(String::as_str).collect();
        to.must(&[&["restore"], &files[..], &["--backup-key", &key]].concat());
        assert!(to.must(&["check"]).contains(" 0 faults"));
        assert!(to.must(&["audit", "verify"]).contains("\nsound"));
        let [patients, partners] = pairs(&to);
        assert_eq!(patients, partners, "no half transaction");
        assert!(patients.len() as u64 > before && patients.len() as u64 <= written, "{} of {written}", patients.len());
        before = patients.len() as u64;
    }
    // To a point in time, found by what a client sees of it.
    let to = Place::directory(&folder.join("until"), None);
    to.must(&["restore", &names[0], &names[1], &names[2], "--backup-key", &key, "--until", &moment]);
    let told = details(&last_record(&to));
    assert!(told[0] == "action=restore" && told[1] == format!("store={}", names.join(" ")), "{told:?}");
    assert!(told.iter().any(|detail| detail.starts_with("until=20")), "{told:?}");
    assert!(to.must(&["audit", "verify"]).contains("\nsound"));
    let [patients, partners] = pairs(&to);
    assert!(patients == partners && (patients.len() as u64) < before, "{} of {before}", patients.len());
    let running = to.serve(&["--auth", "off"]);
    let newest = running.client.get("Basic?_sort=-_lastUpdated&_count=1").is(200).json();
    assert_eq!(newest["entry"][0]["resource"]["meta"]["lastUpdated"], json!(moment));
    let refused = to.run(&["restore", &names[0], &names[2], "--backup-key", &key]);
    assert!(err(&refused).contains("in use"), "the server runs on it: {}", err(&refused));
}

impl Running {
    fn client_base(&self) -> String {
        self.client.get("metadata").is(200).json()["implementation"]["url"].as_str().expect("a base").to_owned()
    }
}

#[test]
fn a_backup_under_writers_is_of_one_moment() {
    let folder = tempfile::tempdir().expect("a directory");
    saved_under_writers(&Place::directory(&folder.path().join("data"), None), folder.path());
}

#[test]
fn a_backup_of_a_database_under_writers_is_of_one_moment() {
    let Some(database) = database() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    saved_under_writers(&Place::database(database.uri()), folder.path());
}

/// Beside a server the server tells the trail; where it does not, nothing leaves.
#[test]
fn a_backup_beside_a_server_is_told_by_the_server() {
    let folder = tempfile::tempdir().expect("a directory");
    let place = Place::directory(&folder.path().join("data"), None);
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let copy = folder.path().join("copy").to_string_lossy().into_owned();
    {
        let running = place.serve(&["--auth", "off", "--audit", "all"]);
        place.must(&["backup", &path("a"), "--plain"]);
        // Whether there is a trail is not the command's to say.
        place.must(&["--audit", "off", "backup", &path("c"), "--plain"]);
        place.must(&["store", "copy", &folder.path().join("data").to_string_lossy(), &copy]);
        let signal = |name: &str| {
            let sent = Command::new("kill").args([name, &running.child.id().to_string()]).status();
            assert!(sent.expect("sent").success());
        };
        signal("-STOP");
        let refused = place.run(&["backup", &path("b"), "--plain"]);
        signal("-CONT");
        assert!(err(&refused).contains("nobody records this"), "{}", err(&refused));
        assert!(!Path::new(&path("b")).exists(), "nothing left");
        running.client.get("metadata").is(200);
    }
    let text = place.must(&["audit", "list", "--limit", "100", "--json"]);
    let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told: Vec<String> =
        records.flat_map(|record| details(&record)).filter(|d| d.contains("beside the server")).collect();
    let expected = [format!("export=backup to {}, beside the server", path("a"))];
    assert!(told.contains(&expected[0]) && told.iter().any(|d| d.contains("export=copy to")), "{told:?}");
    assert!(told.contains(&format!("export=backup to {}, beside the server", path("c"))), "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(place.must(&["audit", "verify"]).contains("\nsound"));
}

#[test]
fn backups_are_refused_by_name_of_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("lines.ndjson"), json!({"resourceType": "Patient", "id": "p"}).to_string()).expect("written");
    let (key, other) = (key_file(folder.path(), "one", 1), key_file(folder.path(), "other", 2));
    let store = Place::directory(&folder.path().join("data"), Some(&key));
    store.must(&["--validation", "off", "--audit", "all", "import", &path("lines.ndjson")]);
    let refused = store.run(&["backup", &path("a")]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("--backup-key, or say --plain"), "{}", err(&refused));
    store.must(&["backup", &path("a"), "--backup-key", &key]);
    store.must(&["backup", &path("plain"), "--plain"]);
    let again = store.run(&["backup", &path("plain"), "--plain"]);
    assert!(err(&again).contains("is there already"), "{}", err(&again));
    // Accounts and keys are in a backup.
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path("plain")).expect("there"));
        assert_eq!(mode & 0o777, 0o600);
    }
    // Another one is being written, or was broken off.
    std::fs::write(path("later.part"), "begun").expect("written");
    let busy = store.run(&["backup", &path("later"), "--plain"]);
    assert!(err(&busy).contains("later.part is there"), "{}", err(&busy));
    assert_eq!(std::fs::read(path("later.part")).expect("still there"), b"begun");
    // Nothing is built on what could not be restored.
    let whole = std::fs::read(path("plain")).expect("there");
    std::fs::write(path("torn"), &whole[..whole.len() - 20]).expect("written");
    let built = store.run(&["backup", &path("next"), "--plain", "--since", &path("torn")]);
    assert!(!built.status.success() && !Path::new(&path("next")).exists(), "{}", err(&built));
    let empty = folder.path().join("nothing");
    assert!(err(&vesta(&empty, &["backup", &path("b")])).contains("there are no data"));
    let mut text = Vec::new();
    zstd::Decoder::new(std::fs::File::open(path("plain")).expect("there"))
        .and_then(|mut decoder| decoder.read_to_end(&mut text))
        .expect("a zstd file");
    assert!(memchr::memmem::find(&text, b"Patient").is_some());

    let bytes = std::fs::read(path("a")).expect("readable");
    std::fs::write(path("torn"), &bytes[..bytes.len() - 3]).expect("written");
    let mut changed = bytes.clone();
    changed[bytes.len() - 9] ^= 1;
    std::fs::write(path("changed"), changed).expect("written");
    let to = Place::directory(&folder.path().join("to"), None);
    for (arguments, word) in [
        (&["restore", &path("torn"), "--backup-key", &key][..], "the file is torn: it ends within block 0"),
        (&["restore", &path("changed"), "--backup-key", &key], "block 0 was changed"),
        (&["restore", &path("a")], "is encrypted with the key with the fingerprint"),
        (&["restore", &path("a"), "--backup-key", &other], "the one given"),
        (&["restore", &path("lines.ndjson")], "this is no backup"),
        (&["restore", &path("missing")], "missing: No such file"),
        (&["restore", &path("plain"), "--until", "yesterday"], "neither a moment"),
        (&["restore", &path("plain"), "--until", "2999-01-01T00:00:00Z"], "does not reach"),
    ] {
        let refused = to.run(arguments);
        assert!(!refused.status.success() && err(&refused).contains(word), "{arguments:?}: {}", err(&refused));
    }
    to.must(&["restore", &path("a"), "--backup-key", &key]);
    assert!(to.must(&["audit", "verify"]).contains("3 records"), "the import, the backup itself and the restore");
    assert_eq!(to.must(&["export", "-"]), store.must(&["export", "-"]));
}
