//! What validation could not decide, asked of the outside terminology server by `$validate-code`: whether a code is in a
//! value set, or one of its code system. It learns the code, its system and version, and the canonical of the value set;
//! of a value set that is held here (while its code system is not) the definition, cut down to what it takes from where.

use super::{Away, Call, KEPT, KEPT_FAILURE, LONGEST, QUESTIONS, brought, named, parameter, parameters};
use crate::interaction::{Context, Service};
use crate::json::Tree;
use crate::validation::{Answer, Inquiry, Question, Validator};
use futures_util::stream::{self, StreamExt};
use rustc_hash::FxHashMap;
use std::time::Instant;

/// Questions of one request that are asked at the same time.
const AT_ONCE: usize = 8;

impl Service {
    /// Asks what is open in an inquiry and tells it the answers. Whether anything was open, so that a second look is worth
    /// it. Must not be called while the store is being written.
    pub(in crate::interaction) async fn inquire(
        &self,
        context: &Context,
        validator: &Validator,
        inquiry: &Inquiry,
    ) -> bool {
        let mut open = inquiry.take();
        if open.is_empty() {
            return false;
        }
        for question in open.split_off(context.outside.take(open.len())) {
            let why = format!("is asked about {QUESTIONS} codes at most in one request");
            inquiry.tell(question, Answer::Open(why.into()));
        }
        let (begun, until) = (Instant::now(), context.outside.until());
        // What is held of each value set, unless it is too much to be sent.
        let mut sets: FxHashMap<Box<str>, Option<Vec<Tree>>> = FxHashMap::default();
        for set in open.iter().filter_map(|question| question.value_set.as_ref()) {
            if !sets.contains_key(set) {
                let held = validator.value_set(set);
                let size: usize = held.iter().map(|tree| tree.to_json().len()).sum();
                sets.insert(set.clone(), (size < LONGEST).then_some(held));
            }
        }
        // Each is put together when its turn comes.
        let calls = open.into_iter().map(|question| {
            let held = question.value_set.as_ref().map_or(Some(&[][..]), |set| sets.get(set)?.as_deref());
            self.verdict(held, question, until)
        });
        let answers: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
        context.outside.waited(begun);
        for (question, answer) in answers {
            let now = Instant::now();
            match answer {
                Some(answer @ Answer::Is(_)) => {
                    validator.said().keep(question.clone(), answer.clone(), now + KEPT);
                    inquiry.tell(question, answer);
                }
                Some(answer) => {
                    validator.said().keep(question.clone(), answer.clone(), now + KEPT_FAILURE);
                    inquiry.tell(question, answer);
                }
                // Soon it may answer again: this is not kept.
                None => inquiry.tell(question, Answer::Open("does not answer".into())),
            }
        }
        true
    }

    /// Asks one question, with what is held of its value set, unless that is too much; none: no answer came.
    async fn verdict(&self, held: Option<&[Tree]>, question: Question, until: Instant) -> (Question, Option<Answer>) {
        let Some(held) = held else {
            return (question, Some(Answer::Open("is not asked: the value set is too large".into())));
        };
        let asking = asking(&question, held);
        let call = Call { path: asking.path.to_owned(), language: None, body: Some(asking.body) };
        let answer = match self.outside.call(call, until).await {
            Ok((status, bytes)) => Some(read(status, &bytes)),
            Err(Away) => None,
        };
        (question, answer)
    }
}

/// A question as it is sent.
struct Asking {
    path: &'static str,
    body: Vec<u8>,
}

fn asking(question: &Question, held: &[Tree]) -> Asking {
    let Question { value_set, system, version, code } = question;
    let text = |name: &str, key: &str, value: &str| parameter(name, key, Tree::string(value));
    let Some(value_set) = value_set else {
        let mut all = vec![text("code", "valueCode", code)];
        all.extend(system.as_deref().map(|system| text("url", "valueUri", system)));
        all.extend(version.as_deref().map(|version| text("version", "valueString", version)));
        return Asking { path: "CodeSystem/$validate-code", body: parameters(all) };
    };
    let mut all = if held.is_empty() { named(value_set) } else { brought(held.to_vec()) };
    match system {
        Some(system) => {
            let mut coding = Tree::object([("system", Tree::string(&**system)), ("code", Tree::string(&**code))]);
            if let Some(version) = version {
                coding.set("version", Tree::string(&**version));
            }
            all.push(parameter("coding", "valueCoding", coding));
        }
        None => {
            all.push(text("code", "valueCode", code));
            all.push(parameter("inferSystem", "valueBoolean", Tree::Bool(true)));
        }
    }
    Asking { path: "ValueSet/$validate-code", body: parameters(all) }
}

/// What an answer means. That a code is not right counts only where nothing says that the other server does not know the
/// value set or code system either.
fn read(status: u16, bytes: &[u8]) -> Answer {
    let open = |why: &str| Answer::Open(why.into());
    if status != 200 {
        return open(&format!("has no answer either ({status})"));
    }
    let answer = Tree::parse(bytes).unwrap_or(Tree::Null);
    let all = answer.get("parameter").map_or(&[][..], Tree::items);
    let with = |name: &str| all.iter().find(|p| p.get("name").and_then(Tree::as_str) == Some(name));
    match with("result").and_then(|result| result.get("valueBoolean")) {
        Some(Tree::Bool(true)) => return Answer::Is(true),
        Some(Tree::Bool(false)) => {}
        _ => return open("gives no result"),
    }
    let unknown = ["x-unknown-system", "x-caused-by-unknown-system"].into_iter().any(|name| with(name).is_some());
    let issues = with("issues").and_then(|issues| issues.get("resource")?.get("issue"));
    let of = |issue: &Tree, name: &str| issue.get(name).and_then(Tree::as_str).unwrap_or_default().to_owned();
    // What is said of a code that is not right; any other error is about what it is held against.
    const OF_CODES: [&str; 5] = ["code-invalid", "invalid", "value", "required", "invariant"];
    let other = issues
        .map_or(&[][..], Tree::items)
        .iter()
        .any(|issue| matches!(&*of(issue, "severity"), "error" | "fatal") && !OF_CODES.contains(&&*of(issue, "code")));
    // Servers that tell no issues say it in words.
    let message = with("message").and_then(|message| message.get("valueString")?.as_str()).unwrap_or_default();
    let said = issues.is_none() && {
        let message = message.to_lowercase();
        [
            "unknown code system",
            "unknown codesystem",
            "codesystem is unknown",
            "unable to find code system",
            "cannot be validated",
            "could not be validated",
        ]
        .iter()
        .any(|words| message.contains(words))
    };
    match unknown || other || said {
        true => open("does not know it either"),
        false => Answer::Is(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(value_set: Option<&str>, system: Option<&str>, version: Option<&str>) -> Question {
        let boxed = |text: Option<&str>| text.map(Box::from);
        Question { value_set: boxed(value_set), system: boxed(system), version: boxed(version), code: "c".into() }
    }

    #[test]
    fn questions_hold_codes_systems_and_canonicals() {
        let sent = |question: Question, held: &[Tree]| {
            let Asking { path, body } = asking(&question, held);
            format!("{path} {}", String::from_utf8(body).expect("UTF-8"))
        };
        assert_eq!(
            sent(question(Some("s:v|2"), Some("s:s"), Some("3")), &[]),
            r#"ValueSet/$validate-code {"resourceType":"Parameters","parameter":[{"name":"url","valueUri":"s:v"},{"name":"valueSetVersion","valueString":"2"},{"name":"coding","valueCoding":{"system":"s:s","code":"c","version":"3"}}]}"#
        );
        assert_eq!(
            sent(question(None, Some("s:s"), Some("3")), &[]),
            r#"CodeSystem/$validate-code {"resourceType":"Parameters","parameter":[{"name":"code","valueCode":"c"},{"name":"url","valueUri":"s:s"},{"name":"version","valueString":"3"}]}"#
        );
        assert_eq!(
            sent(question(Some("s:v"), None, None), &[Tree::Null, Tree::Null]),
            r#"ValueSet/$validate-code {"resourceType":"Parameters","parameter":[{"name":"valueSet","resource":null},{"name":"tx-resource","resource":null},{"name":"code","valueCode":"c"},{"name":"inferSystem","valueBoolean":true}]}"#
        );
    }

    #[test]
    fn answers_count_only_where_the_other_knows() {
        let with = |more: &str| {
            let json = format!(r#"{{"parameter":[{{"name":"result","valueBoolean":false}}{more}]}}"#);
            matches!(read(200, json.as_bytes()), Answer::Is(false))
        };
        let issue = |severity: &str, code: &str| {
            format!(
                r#",{{"name":"issues","resource":{{"issue":[{{"severity":"{severity}","code":"{code}"}}]}}}},{{"name":"message","valueString":"Unknown code system"}}"#
            )
        };
        assert!(with("") && with(&issue("error", "code-invalid")) && with(&issue("warning", "not-found")));
        assert!(!with(&issue("error", "not-found")) && !with(&issue("error", "processing")));
        assert!(!with(
            r#",{"name":"message","valueString":"A definition for CodeSystem 'X' could not be found, so the code cannot be validated"}"#
        ));
        assert!(!with(r#",{"name":"x-caused-by-unknown-system","valueCanonical":"s:s"}"#));
        assert!(!with(r#",{"name":"message","valueString":"CodeSystem is unknown and can't be validated: s:s"}"#));
        assert!(with(r#",{"name":"message","valueString":"Unknown code {s:s}c"}"#));
        assert_eq!(read(200, br#"{"parameter":[{"name":"result","valueBoolean":true}]}"#), Answer::Is(true));
        for (status, json) in [(404, "{}"), (200, "{}"), (200, "no JSON"), (200, r#"{"resourceType":"Parameters"}"#)] {
            assert!(matches!(read(status, json.as_bytes()), Answer::Open(_)), "{status} {json}");
        }
    }
}
