//! The codes that a search means by a value set, or by a code with what is above or below it, as the outside terminology
//! server lists them. What it listed is kept for some minutes, by the question in its words.

use super::{Away, Call, KEPT, KEPT_FAILURE, LONGEST, brought, named, parameter, parameters};
use crate::interaction::{Context, Service};
use crate::json::Tree;
use crate::search::CodeList;
use crate::terminology::Problem;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::time::Instant;

/// Lists that are kept at most, and codes in all of them together; then it begins again.
const LISTS: usize = 100;
const CODES: usize = 200_000;

/// The codes that a question came to, or why there are none.
type Listed = Result<CodeList, String>;

/// The same as it is kept for all who ask: of why there are none, only what the outside server has to do with it. What is
/// missing here is told to each in words of their own, as it may be hidden from others.
type Kept = Result<CodeList, Cow<'static, str>>;

/// Lists that are kept, by what was posted, and until when.
#[derive(Default)]
pub(in crate::interaction) struct Lists(Mutex<FxHashMap<Vec<u8>, (Instant, Kept)>>);

impl Lists {
    fn find(&self, body: &[u8]) -> Option<Kept> {
        self.0.lock().get(body).filter(|(until, _)| *until > Instant::now()).map(|(_, known)| known.clone())
    }

    fn keep(&self, body: Vec<u8>, listed: &Kept) {
        let mut kept = self.0.lock();
        let codes = |listed: &Kept| listed.as_ref().map_or(0, Vec::len);
        let held: usize = kept.values().map(|(_, listed)| codes(listed)).sum();
        if kept.len() >= LISTS || held + codes(listed) > CODES {
            kept.clear();
        }
        let until = Instant::now() + if listed.is_ok() { KEPT } else { KEPT_FAILURE };
        kept.insert(body, (until, listed.clone()));
    }
}

/// What an expansion is asked of.
pub(in crate::interaction) enum Of {
    /// The value set of a canonical.
    Canonical(String),
    /// A value set that is brought along, with those that it imports.
    Sets(Vec<Tree>),
    /// A value set of a code with what is above or below it, the code itself among them.
    Around(Tree),
}

impl Service {
    /// What is listed by the outside server in the place of what is missing here; `problem` says what that is. `most`:
    /// codes at most.
    pub(in crate::interaction) async fn listed_outside(
        &self,
        context: &Context,
        problem: &Problem,
        of: Of,
        most: usize,
    ) -> Listed {
        if !self.outside.is_there() || !problem.is_missing() {
            return Err(problem.sentence());
        }
        let around = matches!(of, Of::Around(_));
        let body = question(of, most);
        let why = |what: &str| format!("{}; the outside terminology server {what}", problem.sentence());
        if let Some(known) = self.outside.lists.find(&body) {
            return known.map_err(|what| why(&what));
        }
        if body.len() > LONGEST {
            return Err(why("is not asked: the value set is too large"));
        }
        if context.outside.take(1) == 0 {
            return Err(why("is not asked more in one request"));
        }
        let (begun, path) = (Instant::now(), "ValueSet/$expand".to_owned());
        let call = Call { path, language: None, body: Some(body.clone()) };
        let answer = self.outside.call(call, context.outside.until()).await;
        context.outside.waited(begun);
        let listed = match answer {
            // Soon it may answer again.
            Err(Away) => return Err(why("does not answer")),
            Ok((200, bytes)) => match Tree::parse(&bytes).ok().and_then(|answer| codes(&answer)) {
                Some(codes) if around && codes.is_empty() => Err("does not know the code either".into()),
                Some(codes) if codes.len() > most => Err(format!("lists more than {most} codes").into()),
                Some(codes) => Ok(codes),
                None => Err("gives no whole expansion".into()),
            },
            Ok((status, _)) => Err(format!("has no answer either ({status})").into()),
        };
        self.outside.lists.keep(body, &listed);
        listed.map_err(|what| why(&what))
    }
}

/// A value set of a code and what is below or above it.
pub(in crate::interaction) fn around(system: &str, code: &str, below: bool) -> Of {
    let filter = Tree::object([
        ("property", Tree::string("concept")),
        ("op", Tree::string(if below { "is-a" } else { "generalizes" })),
        ("value", Tree::string(code)),
    ]);
    let include = Tree::object([("system", Tree::string(system)), ("filter", Tree::Array(vec![filter]))]);
    Of::Around(Tree::object([
        ("resourceType", Tree::string("ValueSet")),
        ("status", Tree::string("active")),
        ("compose", Tree::object([("include", Tree::Array(vec![include]))])),
    ]))
}

/// The parameters of `$expand`.
fn question(of: Of, most: usize) -> Vec<u8> {
    let mut all = match of {
        Of::Canonical(canonical) => named(&canonical),
        Of::Sets(sets) => brought(sets),
        Of::Around(set) => brought(vec![set]),
    };
    // One more shows that there are too many.
    all.push(parameter("count", "valueInteger", Tree::Number((most + 1).to_string())));
    parameters(all)
}

/// The codes of an expansion; none where it is none or only a part.
fn codes(answer: &Tree) -> Option<CodeList> {
    let text = |of: &Tree, key: &str| of.get(key).and_then(Tree::as_str).unwrap_or_default().to_owned();
    let expansion = answer.get("expansion")?;
    // Servers that cut an expansion say so, in one of these ways.
    let extensions = expansion.get("extension").map_or(&[][..], Tree::items).iter();
    let cut = |url: &str| ["valueset-unclosed", "valueset-toocostly"].iter().any(|end| url.ends_with(end));
    if extensions.filter_map(|of| of.get("url")?.as_str()).any(cut) {
        return None;
    }
    let (mut found, mut others) = (Vec::new(), 0);
    let mut open: Vec<&Tree> = expansion.get("contains").map_or(&[][..], Tree::items).iter().collect();
    while let Some(item) = open.pop() {
        match item.get("abstract") {
            Some(Tree::Bool(true)) => others += 1,
            _ if item.get("code").is_none() => others += 1,
            _ => found.push((text(item, "system"), text(item, "code"))),
        }
        open.extend(item.get("contains").map_or(&[][..], Tree::items));
    }
    let total = match expansion.get("total") {
        Some(Tree::Number(total)) => total.parse().unwrap_or(0),
        _ => 0,
    };
    (total <= found.len() + others).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansions_are_read_whole_or_not_at_all() {
        let read = |json: &str| codes(&Tree::parse(json.as_bytes()).expect("JSON"));
        let nested = r#"{"expansion":{"total":3,"contains":[{"abstract":true,"contains":[
            {"system":"s","code":"a"},{"system":"s","code":"b"}]}]}}"#;
        let mut found = read(nested).expect("codes");
        found.sort();
        assert_eq!(found, [("s".to_owned(), "a".to_owned()), ("s".to_owned(), "b".to_owned())]);
        assert_eq!(read(r#"{"expansion":{"total":2,"contains":[{"system":"s","code":"a"}]}}"#), None);
        let cut = r#"{"expansion":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/valueset-unclosed",
            "valueBoolean":true}],"contains":[{"system":"s","code":"a"}]}}"#;
        assert_eq!(read(cut), None);
        assert_eq!(read(r#"{"expansion":{"contains":[{"display":"a heading"}]}}"#), Some(Vec::new()));
        assert_eq!(read(r#"{"expansion":{}}"#), Some(Vec::new()));
        assert_eq!(read(r#"{"resourceType":"OperationOutcome"}"#), None);
    }
}
