//! R4 search.html#string and #uri.

use super::check_all;

#[test]
fn strings_are_compared_folded() {
    let name = "'name':[{'family':'van den Müller-Straße','given':['Éva','Jo'],'prefix':['Dr.'],'suffix':['PhD'],'text':'Dr. Éva'}]";
    check_all(
        "Patient",
        name,
        "name",
        &[
            "van",
            "VAN DEN",
            "van den muller-strasse",
            "eva",
            "ÉVA",
            "jo",
            "dr",
            "phd",
            "exact:Éva",
            "exact:Dr. Éva",
            "contains:strass",
            "contains:MÜLL",
            "van  den",
        ],
        &["den", "a", "exact:eva", "exact:Eva", "exact:Év", "contains:xyz", "van den muller-strasse1"],
    );
    check_all(
        "Patient",
        name,
        "family",
        &["van", "exact:van den Müller-Straße", "contains:den"],
        &["eva", "exact:van den"],
    );
    check_all("Patient", name, "given", &["eva", "jo", "missing:false", "contains:v"], &["van"]);
    check_all("Patient", name, "phonetic", &["eva"], &["x"]);
    check_all("Patient", "'name':[{'use':'official'}]", "name", &["missing:false"], &["a", ""]);
    check_all("Patient", name, "name", &[""], &[]);
}

#[test]
fn addresses() {
    let address = "'address':[{'line':['Long Street 5','Flat 2'],'city':'Köln','postalCode':'50667','country':'DE','state':'NRW','use':'home'}]";
    check_all(
        "Patient",
        address,
        "address",
        &["long", "flat", "koln", "KÖLN", "50667", "de", "nrw", "contains:street"],
        &["street", "home"],
    );
    check_all("Patient", address, "address-city", &["ko", "exact:Köln"], &["de", "exact:Koln"]);
    check_all("Patient", address, "address-postalcode", &["506"], &["667"]);
    check_all("Patient", address, "address-use", &["home"], &["work"]);
}

#[test]
fn long_strings_are_cut() {
    let long = "Word ".repeat(2_000);
    let resource = format!("'description':'{long}end'");
    let same = format!("exact:{long}end");
    let other = format!("exact:{long}enD");
    check_all(
        "Questionnaire",
        &resource,
        "description",
        &["word word", "contains:d w", &same, &long],
        &["end", &other],
    );
    let umlauts = format!("'description':'{}'", "ü".repeat(5_000));
    check_all("Questionnaire", &umlauts, "description", &["uuu", "ÜÜ"], &["v"]);
}

#[test]
fn other_sources_of_strings() {
    check_all("Observation", "'valueString':'Some Text'", "value-string", &["some"], &["text"]);
    check_all("Observation", "'valueCodeableConcept':{'text':'Normal'}", "value-string", &["normal"], &["x"]);
    check_all("Organization", "'name':'A','alias':['B b']", "name", &["a", "b"], &["c"]);
    check_all("InsurancePlan", "'name':'A','alias':['B b']", "name", &["a", "b"], &["c"]);
    check_all("Condition", "'onsetString':'early'", "onset-info", &["early"], &["late"]);
}

#[test]
fn uris() {
    let set = "'url':'http://acme.org/fhir/ValueSet/123'";
    check_all(
        "ValueSet",
        set,
        "url",
        &[
            "http://acme.org/fhir/ValueSet/123",
            "below:http://acme.org/fhir",
            "below:http://acme.org/fhir/",
            "below:http://acme.org/fhir/ValueSet/123",
            "above:http://acme.org/fhir/ValueSet/123/_history/5",
            "above:http://acme.org/fhir/ValueSet/123",
            "above:http://acme.org/fhir/ValueSet/123/",
            "missing:false",
        ],
        &[
            "http://acme.org/fhir/ValueSet/12",
            "http://acme.org/fhir/ValueSet/123/",
            "http://ACME.org/fhir/ValueSet/123",
            "below:http://acme.org/fh",
            "below:http://acme.org/fhir/ValueSet/12",
            "above:http://acme.org/fhir/ValueSet/1234",
            "above:http://acme.org/fhir",
        ],
    );
    check_all("ValueSet", "'url':'urn:oid:1.2.3'", "url", &["urn:oid:1.2.3"], &["urn:oid:1.2", "below:urn:oid:1.2"]);
    let profile = "'meta':{'profile':['http://x/StructureDefinition/a|1.0','http://x/StructureDefinition/b'],'source':'http://src#1'}";
    check_all(
        "Patient",
        profile,
        "_profile",
        &[
            "http://x/StructureDefinition/a",
            "http://x/StructureDefinition/a|1.0",
            "http://x/StructureDefinition/b",
            "below:http://x",
        ],
        &["http://x/StructureDefinition/a|2.0", "http://x/StructureDefinition/b|1.0"],
    );
    check_all("Patient", profile, "_source", &["http://src#1"], &["http://src"]);
    let long = format!("http://x/{}", "y".repeat(2_000));
    check_all("ValueSet", &format!("'url':'{long}'"), "url", &[&long, "below:http://x"], &[&format!("{long}y")]);
}
