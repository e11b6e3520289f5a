//! Large code systems from release files: imported by the program, asked over HTTP, used by searches, removed.

use crate::cli::{err, out, vesta};
use crate::support::TestServer;
use serde_json::json;
use std::path::Path;
use vesta::cli::settings::{Auth, Settings};
use vesta::cli::wire;

fn release(folder: &Path) {
    let columns = "LOINC_NUM,COMPONENT,PROPERTY,TIME_ASPCT,SYSTEM,SCALE_TYP,METHOD_TYP,CLASS,CLASSTYPE,SHORTNAME,ORDER_OBS,LONG_COMMON_NAME,STATUS";
    let term = |code: &str, name: &str| {
        format!("{code},{name},MCnc,Pt,Ser,Qn,,CHEM,1,{name} SerPl,Both,{name} in Serum,ACTIVE\n")
    };
    let terms: String = (0..30_000).map(|i| term(&format!("{}-1", 90_000 + i), &format!("Testose {i}"))).collect();
    let below: String = (0..30_000).map(|i| format!("LP1,{i},LP{},{}-1,x\n", i % 4, 90_000 + i)).collect();
    std::fs::write(folder.join("Loinc.csv"), format!("{columns}\n{terms}")).expect("written");
    let hierarchy = format!(
        "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\n,1,,LP0,Zero\n,2,,LP1,One\n,3,,LP2,Two\n,4,,LP3,Three\n{below}"
    );
    std::fs::write(folder.join("ComponentHierarchyBySystem.csv"), hierarchy).expect("written");
}

#[test]
fn a_release_is_imported_asked_and_removed() {
    let (data, files) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    release(files.path());
    let folder = files.path().to_str().expect("a name");
    let untold = vesta(data.path(), &["terminology", "import", folder]);
    assert!(!untold.status.success() && err(&untold).contains("--release"), "{}", err(&untold));
    let done = vesta(data.path(), &["terminology", "import", folder, "--release", "9.1"]);
    assert_eq!(out(&done), "imported http://loinc.org|9.1: 30004 concepts\n", "{}", err(&done));
    // Twice: the same version is replaced.
    assert!(vesta(data.path(), &["terminology", "import", folder, "--release", "9.1"]).status.success());
    assert_eq!(out(&vesta(data.path(), &["terminology", "list"])), "http://loinc.org\t9.1\t30004 concepts\n");

    assert!(vesta(data.path(), &["terminology", "import", folder, "--release", "9.2"]).status.success());
    let removed = vesta(data.path(), &["terminology", "remove", "http://loinc.org|9.2"]);
    assert!(removed.status.success(), "{}", err(&removed));
    assert!(!vesta(data.path(), &["terminology", "remove", "http://loinc.org|9.2"]).status.success());
    assert_eq!(out(&vesta(data.path(), &["terminology", "list"])), "http://loinc.org\t9.1\t30004 concepts\n");
    assert!(vesta(data.path(), &["check"]).status.success());
    let trail = out(&vesta(data.path(), &["audit", "list", "--json"]));
    for (done, version, times) in [("import", "9.1", 2), ("import", "9.2", 1), ("remove", "9.2", 1)] {
        let action = format!("\"type\":\"action\",\"valueString\":\"{done}\"}},{{\"type\":\"code-system\"");
        let told = format!("{action},\"valueString\":\"http://loinc.org|{version}\"");
        assert_eq!(trail.matches(&told).count(), times, "{done} {version}: {trail}");
    }

    let settings = Settings {
        data: Some(data.path().to_owned()),
        bind: Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0))),
        auth: Some(Auth::Off),
        ..Settings::default()
    };
    let server = TestServer::over(settings.http(), data, move || {
        let wired = wire::open(&settings).expect("the store opens");
        (wired.service, wired.authorization, wired.definitions)
    });
    let looked = server.get("CodeSystem/$lookup?system=http://loinc.org&code=90005-1").is(200).json();
    let named = |name: &str| {
        let all = looked["parameter"].as_array().expect("parameters");
        all.iter().find(|p| p["name"] == name).map(|p| p["valueString"].clone()).unwrap_or_default()
    };
    assert_eq!((named("display"), named("version")), (json!("Testose 5 in Serum"), json!("9.1")));
    let expanded = server.get("ValueSet/$expand?url=http://loinc.org/vs/LP1&count=3&filter=testose").is(200).json();
    assert_eq!(expanded["expansion"]["total"], 7_500);
    assert_eq!(expanded["expansion"]["contains"].as_array().map(Vec::len), Some(3));
    let valid = |code: &str| {
        let query = format!("ValueSet/$validate-code?url=http://loinc.org/vs/LP1&system=http://loinc.org&code={code}");
        let answer = server.get(&query).is(200).json();
        let all = answer["parameter"].as_array().expect("parameters").clone();
        all.iter().find(|p| p["name"] == "result").expect("a result")["valueBoolean"].clone()
    };
    assert_eq!((valid("90005-1"), valid("90008-1"), valid("1-1")), (json!(true), json!(false), json!(false)));

    let observation = |code: &str| {
        json!({"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]}})
    };
    for code in ["90005-1", "90008-1"] {
        server.put("POST", "Observation", &observation(code)).is(201);
    }
    let found = server.get("Observation?code:below=http://loinc.org|LP1").is(200).json();
    assert_eq!(found["total"], 1);
    assert_eq!(found["entry"][0]["resource"]["code"]["coding"][0]["code"], "90005-1");
}
