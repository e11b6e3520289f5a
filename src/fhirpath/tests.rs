//! Tests of the room: expressions on documents, as data.

use super::{CompileError, Found, Plan, Start, compile, parse};
use crate::definitions::Definitions;
use crate::json::{Document, Limits};
use proptest::prelude::*;

fn plan(kind: &str, expression: &str) -> Result<Plan<Box<str>>, CompileError> {
    let definitions = Definitions::core();
    let start = Start { resource: definitions.resource(kind).expect("resource type"), context: None };
    let tree = parse(expression).map_err(|e| CompileError { at: e.at, message: e.message })?;
    let mut plan = Plan::default();
    for branch in compile(&definitions, start, &tree)? {
        let name = branch.type_name.clone();
        assert!(plan.add(&branch, name), "{expression}");
    }
    Ok(plan)
}

/// The values that an expression finds in a resource (in single quotes, without its type), as `type=JSON`.
fn check(kind: &str, resource: &str, expression: &str, expected: &[&str]) {
    let text = format!("{{\"resourceType\":\"{kind}\",{}}}", resource.replace('\'', "\""));
    let document = Document::parse(text.as_bytes(), &Limits::default()).expect("JSON");
    let plan = plan(kind, expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
    let mut found = Vec::new();
    plan.walk(document.root(), &mut |name, value| {
        found.push(match value {
            Found::Value(value) => format!("{name}={}", value.raw().replace('"', "'")),
            Found::Boolean(truth) => format!("{name}={truth}"),
        });
    });
    assert_eq!(found, expected, "{kind} {expression}");
}

#[test]
fn values_with_their_types() {
    let patient = "'active':true,'name':[{'given':['A','B']},{'given':[null,'C'],'family':'F'}],'deceasedDateTime':'2020',\
        'telecom':[{'system':'phone','value':'1'},{'system':'email','value':'2'}],'link':[{'other':{'reference':'Patient/9'}},{'other':{'reference':'RelatedPerson/8'}}]";
    for (expression, expected) in [
        ("Patient.name.given", &["string='A'", "string='B'", "string='C'"][..]),
        ("name.given", &["string='A'", "string='B'", "string='C'"]),
        ("Resource.id | DomainResource.language | Patient.active", &["boolean=true"]),
        ("Observation.status | Patient.active", &["boolean=true"]),
        ("Observation.status", &[]),
        ("Patient.deceased", &["dateTime='2020'"]),
        ("Patient.deceased as dateTime", &["dateTime='2020'"]),
        ("Patient.deceased.ofType(FHIR.dateTime)", &["dateTime='2020'"]),
        ("(Patient.deceased as boolean)", &[]),
        ("Patient.deceased.exists() and Patient.deceased != false", &["boolean=true"]),
        ("Patient.deceased.exists().not()", &["boolean=false"]),
        ("Patient.multipleBirth.exists() or active = true", &["boolean=true"]),
        ("Patient.telecom.where(system='email').value", &["string='2'"]),
        ("Patient.telecom.where(system='email' or system = 'phone').value", &["string='1'", "string='2'"]),
        ("Patient.telecom.where(system != 'email').value", &["string='1'"]),
        ("Patient.telecom.where(rank.exists())", &[]),
        ("Patient.name[1].family", &["string='F'"]),
        ("Patient.name.first().given", &["string='A'", "string='B'"]),
        ("Patient.link.other.where(resolve() is RelatedPerson).reference", &["string='RelatedPerson/8'"]),
        ("%resource.active", &["boolean=true"]),
        ("$this.active", &["boolean=true"]),
    ] {
        check("Patient", patient, expression, expected);
    }
}

#[test]
fn choices_and_extensions() {
    let observation = "'valueQuantity':{'value':1},'component':[{'valueString':'x'},{'valueQuantity':{'value':2}}],\
        'extension':[{'url':'http://a','valueCode':'c'},{'url':'http://b','valueInteger':5}]";
    for (expression, expected) in [
        ("Observation.value as Quantity", &["Quantity={'value':1}"][..]),
        ("Observation.value.as(Quantity).value", &["decimal=1"]),
        ("Observation.value.value", &["decimal=1"]),
        ("Observation.component.value", &["string='x'", "Quantity={'value':2}"]),
        ("Observation.component.where(value.exists()).value.ofType(string)", &["string='x'"]),
        ("Observation.extension('http://b').value", &["integer=5"]),
        ("Observation.extension.where(url = 'http://a').value as code", &["code='c'"]),
    ] {
        check("Observation", observation, expression, expected);
    }
    let answers = "'item':[{'extension':[{'url':'u'}],'linkId':'1'},{'linkId':'2'}]";
    check("QuestionnaireResponse", answers, "item.where(hasExtension('u')).linkId", &["string='1'"]);
}

#[test]
fn not_compiled_with_position() {
    for (expression, at) in [
        ("Patient.nonsense", 8),
        ("Patient.name.family.given", 20),
        ("Patient.name.where(family > 'a')", 26),
        ("Patient.name.select(given)", 13),
        ("Patient.active as Quantity", 15),
        ("Patient.name.given[0]", 18),
        ("Patient.name[active]", 12),
        ("Patient.name.as(1)", 16),
        ("Patient.contained.as(Patient)", 18),
        ("Patient.name.extension(url)", 23),
        ("1 + 2", 2),
        ("Patient..name", 8),
        ("%ucum", 0),
        ("Patient.name.where(given.count() = 1)", 35),
    ] {
        assert_eq!(plan("Patient", expression).map(|_| ()).map_err(|e| e.at), Err(at), "{expression}");
    }
}

#[test]
fn long_and_deep_expressions_are_refused_or_compiled() {
    let definitions = Definitions::core();
    let start = Start { resource: definitions.resource("Questionnaire").expect("type"), context: None };
    for text in [vec!["item"; 5_000].join("."), vec!["item"; 20_000].join("|"), vec!["value"; 40].join(".")] {
        let tree = parse(&text).expect("syntax");
        assert!(compile(&definitions, start, &tree).is_err());
    }
    let extensions = format!("{}.value", vec!["extension.value"; 30].join("."));
    let tree = parse(&extensions).expect("syntax");
    assert!(compile(&definitions, start, &tree).is_err());
}

proptest! {
    #[test]
    fn nothing_panics(words in proptest::collection::vec(prop_oneof![
        Just("Patient"), Just("."), Just("name"), Just("("), Just(")"), Just("["), Just("]"), Just("0"), Just("|"),
        Just("where"), Just("as"), Just("is"), Just("value"), Just("'x'"), Just("and"), Just("="), Just("$this"),
        Just("%resource"), Just("exists()"), Just("extension('u')"), Just("resolve()"), Just("deceased"), Just("@2020"),
        Just("-"), Just("{}"), Just("é"), Just("'"), Just("`"), Just("\\"), Just("not()"), Just("!="), Just(" "),
    ], 0..24)) {
        let _ = plan("Patient", &words.concat());
        let _ = plan("Patient", &words.join(" "));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = plan("Patient", &text);
    }
}
