//! The direction of the layers, the size of files and the words they begin with: rules as a test.
//! `docs/architecture.md` says why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rooms and their floors. A room uses only rooms on lower floors.
const FLOORS: &[(&str, u8)] = &[
    ("base", 0),
    ("json", 1),
    ("xml", 1),
    ("primitive", 1),
    ("definitions", 2),
    ("ucum", 2),
    ("fhirpath", 3),
    ("terminology", 3),
    ("validation", 4),
    ("patch", 4),
    ("index", 4),
    ("store", 5),
    ("search", 6),
    ("access", 6),
    ("audit", 7),
    ("interaction", 7),
    ("operation", 7),
    ("authorization", 8),
    ("http", 9),
    ("cli", 10),
];

/// Neighbours that may use each other, each with its reason.
const NEIGHBOURS: &[(&str, &str, &str)] = &[
    ("xml", "json", "XML is read into and written from JSON documents"),
    ("xml", "primitive", "the JSON form of a primitive decides its quotes"),
    ("access", "search", "what scopes and policies name are search criteria and compartments"),
    ("interaction", "audit", "every interaction leaves a record in the trail"),
    ("interaction", "operation", "the service calls operations from its one table"),
    ("operation", "interaction", "operations answer through the same requests and the same gate"),
];

/// Rooms above floor 7 that may name the store: only the files that wire the engines in.
const STORE_WIRING: &[&str] = &["cli/wire.rs", "cli/wire/moving.rs"];

/// Files that may be longer than [`LINES`], each with its reason.
const LONG: &[(&str, &str)] = &[];

/// Lines of a source file at most, its tests included.
const LINES: usize = 800;

fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
            (name, std::fs::read_to_string(&path).expect("readable"))
        })
        .collect()
}

/// The rooms that a text names by `crate::room`, comments left out; braces after `crate::` are opened.
fn rooms_named(text: &str) -> Vec<String> {
    let code: String =
        text.lines().map(|l| if l.trim_start().starts_with("//") { "" } else { l }).collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut fresh = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        fresh = true;
                        continue;
                    }
                    c if depth == 0 && fresh && (c.is_alphanumeric() || c == '_') => {
                        word.push(c);
                        continue;
                    }
                    c if c.is_whitespace() && word.is_empty() => continue,
                    _ => {}
                }
                fresh = false;
                if !word.is_empty() {
                    rooms.push(std::mem::take(&mut word));
                }
            }
        } else {
            rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms
}

#[test]
fn rooms_use_only_lower_floors() {
    let floors: BTreeMap<_, _> = FLOORS.iter().copied().collect();
    let mut faults = Vec::new();
    for (file, text) in sources() {
        let Some((room, _)) = file.split_once('/') else { continue };
        let Some(floor) = floors.get(room) else {
            faults.push(format!("{file}: the room {room} has no floor"));
            continue;
        };
        for used in rooms_named(&text) {
            let Some(other) = floors.get(used.as_str()) else { continue };
            let neighbour = NEIGHBOURS.iter().any(|(a, b, _)| *a == room && *b == used);
            if used != room && other >= floor && !neighbour {
                faults.push(format!("{file} (floor {floor}) uses {used} (floor {other})"));
            }
            if used == "store" && *floor > 7 && !STORE_WIRING.contains(&file.as_str()) {
                faults.push(format!("{file} names the store: only floor 7 may"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_open_with_a_purpose_and_stay_small() {
    let mut faults = Vec::new();
    for (file, text) in sources() {
        if !text.starts_with("//!") {
            faults.push(format!("{file} does not open with //!"));
        }
        let lines = text.lines().count();
        if lines > LINES && !LONG.iter().any(|(name, _)| *name == file) {
            faults.push(format!("{file} has {lines} lines"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn http_is_the_only_room_that_knows_status_codes() {
    let mut faults = Vec::new();
    for (file, text) in sources() {
        let outside = !(file.starts_with("http/") || file.starts_with("cli/") || file == "main.rs");
        if outside && (text.contains("actix_web") || text.contains("StatusCode")) {
            faults.push(file);
        }
    }
    assert!(faults.is_empty(), "HTTP types outside http: {}", faults.join(", "));
}

#[test]
fn unsafe_stands_only_where_it_is_listed() {
    let listed = ["store/embedded/"];
    let mut faults = Vec::new();
    for (file, text) in sources() {
        let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
        let uses = code.into_iter().any(|l| l.contains("unsafe ") || l.contains("allow(unsafe_code)"));
        if uses && !listed.iter().any(|p| file.starts_with(p)) {
            faults.push(file);
        }
    }
    assert!(faults.is_empty(), "unsafe outside the listed places: {}", faults.join(", "));
}

/// H09 of the abuse cases: nothing that a database would run as a program is ever sent to it.
#[test]
fn no_javascript_is_built_for_mongodb() {
    let mut faults = Vec::new();
    for (file, text) in sources() {
        for word in ["$where", "$function", "$accumulator", "mapReduce", "$eval"] {
            let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
            if file.starts_with("store/") && code.into_iter().any(|l| l.contains(word)) {
                faults.push(format!("{file}: {word}"));
            }
        }
    }
    assert!(faults.is_empty(), "JavaScript for the database: {}", faults.join(", "));
}

#[test]
fn only_those_who_are_listed_go_behind_the_gate() {
    let listed = [
        "interaction/gate/",
        "interaction/trail.rs",
        "interaction/auditor.rs",
        "interaction/export.rs",
        "interaction/search_parameters.rs",
        "interaction/terminology.rs",
        "interaction/conformance.rs",
    ];
    let doors = ["behind_the_gate()", ".everything("];
    let mut faults = Vec::new();
    for (file, text) in sources() {
        let named = doors.iter().any(|door| text.contains(door));
        if named && file.starts_with("interaction/") && !listed.iter().any(|p| file.starts_with(p)) {
            faults.push(file);
        }
    }
    assert!(faults.is_empty(), "these reach the store past the gate: {}", faults.join(", "));
}
