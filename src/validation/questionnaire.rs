//! Answers against their Questionnaire (R4 questionnaireresponse.html): which items there may be and where, how many
//! answers, of which type, within which bounds, and none where an item is not enabled.

mod answer;
mod enabled;

use super::place::Place;
use super::rule::Rule;
use super::walk::{Scope, Walk, shown};
use crate::base::{IssueCode, Severity};
use crate::definitions::Codes;
use crate::json::{Document, Kind, Limits, Tree, Value};
use enabled::Answers;

/// Levels of items at most.
const DEEPEST: usize = 60;

/// What stays the same while the items are walked.
struct Form<'q, 'd> {
    questionnaire: Value<'q>,
    /// Knows the value sets that stand in the same resource.
    contained: Option<Box<dyn Codes + 'q>>,
    /// All answers of the response, by link id.
    answers: Answers<'d>,
    /// Whether the response is finished, so that what is required must be there.
    finished: bool,
}

impl<'d> Walk<'_, 'd> {
    /// A QuestionnaireResponse, where its Questionnaire is at hand.
    pub(super) fn answers_form(&mut self, response: Value<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        let Some(canonical) = response.get("questionnaire").and_then(Value::as_str) else { return };
        let at = place.child("questionnaire");
        if canonical.starts_with('#') {
            let found = self.entries().resolve(&canonical, scope, self.definitions()).and_then(|n| n.value);
            if let Some(questionnaire) = found {
                // What is contained contains nothing itself: its value sets stand beside it.
                self.form(questionnaire, response, response, place, scope);
            }
            return;
        }
        let registry = self.validator.registry.clone();
        let Some(found) = registry.find("Questionnaire", &canonical) else {
            let (url, _) = crate::definitions::split_canonical(&canonical);
            if let Some(other) = registry.kind_of(url).filter(|kind| *kind != "Questionnaire") {
                let message = format!("{} is a {other}, not a Questionnaire", shown(&canonical));
                return self.report(IssueCode::Invalid, &at, message);
            }
            if self.validator.codes.knows(url) {
                let message = format!("{} is terminology, not a Questionnaire", shown(&canonical));
                return self.report(IssueCode::Invalid, &at, message);
            }
            let message = format!(
                "the Questionnaire {} is not known here: the answers were not held against it",
                shown(&canonical)
            );
            return self.note(Severity::Warning, IssueCode::NotFound, &at, message);
        };
        let json = found.json();
        match Document::parse(&json, &Limits::NONE) {
            Ok(document) => self.form(document.root(), document.root(), response, place, scope),
            Err(why) => self.unusable(&canonical, &why.to_string(), &at),
        }
    }

    /// `container`: what contains the value sets that the Questionnaire names by `#id`.
    fn form(
        &mut self,
        questionnaire: Value<'_>,
        container: Value<'_>,
        response: Value<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        let contained: Vec<Tree> =
            container.get("contained").into_iter().flat_map(Value::items).map(Tree::from).collect();
        let status = response.get("status").and_then(Value::as_plain);
        let finished = matches!(status, Some("completed" | "amended"));
        let contained = self.validator.codes.with_contained(&contained);
        let form = Form { questionnaire, contained, answers: Answers::of(response), finished };
        self.items_of(&form, questionnaire.get("item"), response.get("item"), place, scope, 0);
    }

    /// The items of one level.
    fn items_of(
        &mut self,
        form: &Form<'_, 'd>,
        questions: Option<Value<'_>>,
        items: Option<Value<'d>>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
        depth: usize,
    ) {
        if depth > DEEPEST {
            return;
        }
        let questions: Vec<Value<'_>> = questions.into_iter().flat_map(Value::items).collect();
        let links: Vec<_> = questions.iter().map(|q| text(*q, "linkId").unwrap_or_default()).collect();
        let mut found: Vec<Vec<(usize, Value<'d>)>> = vec![Vec::new(); questions.len()];
        let mut latest = 0;
        for (i, item) in items.into_iter().flat_map(Value::items).enumerate() {
            let Some(link) = text(item, "linkId") else { continue };
            let at = place.child("item").item(i);
            match links.iter().position(|l| *l == link) {
                Some(number) => {
                    if number < latest {
                        let message =
                            format!("the item '{}' stands before this one in the Questionnaire", shown(&link));
                        self.report(IssueCode::Structure, &at, message);
                    }
                    latest = number;
                    found[number].push((i, item));
                }
                None if defines(form.questionnaire, &link, 0) => {
                    let message = format!("the item '{}' belongs to another level of the Questionnaire", shown(&link));
                    self.report(IssueCode::Structure, &at, message);
                }
                None => {
                    let message = format!("the Questionnaire has no item '{}'", shown(&link));
                    self.report(IssueCode::NotFound, &at, message);
                }
            }
        }
        for (question, items) in questions.into_iter().zip(found) {
            self.question(form, question, &items, place, scope, depth);
        }
    }

    /// One item of the Questionnaire and what answers it.
    fn question(
        &mut self,
        form: &Form<'_, 'd>,
        question: Value<'_>,
        items: &[(usize, Value<'d>)],
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
        depth: usize,
    ) {
        let link = text(question, "linkId").unwrap_or_default();
        let kind = text(question, "type").unwrap_or_default();
        let truth = |name: &str| question.get(name).and_then(Value::as_bool).unwrap_or(false);
        let (required, repeats) = (truth("required"), truth("repeats"));
        let enabled = form.answers.enable(question) && self.enabled_by_expression(question, scope);
        let whole = |i: usize| place.child("item").item(i);
        let answers = |item: Value<'d>| item.get("answer").filter(|a| a.kind() == Kind::Array);
        for (i, item) in items {
            let at = whole(*i);
            if !enabled && (answers(*item).is_some() || item.get("item").is_some()) {
                let message = format!("the item '{link}' has an answer, but is not enabled by the others");
                self.report(IssueCode::Invalid, &at, message);
            }
            match &*kind {
                "group" | "display" | "question" if answers(*item).is_some() => {
                    let message = format!("the item '{link}' is of type {kind}: it has no answers");
                    self.report(IssueCode::Structure, &at, message);
                }
                "group" => self.items_of(form, question.get("item"), item.get("item"), &at, scope, depth + 1),
                "display" | "question" => {}
                _ => {
                    if item.get("item").is_some() {
                        let message = format!("what is asked beneath '{link}' stands in its answer");
                        self.report(IssueCode::Structure, &at, message);
                    }
                    for (a, answer) in answers(*item).into_iter().flat_map(Value::items).enumerate() {
                        let inner = at.child("answer").item(a);
                        self.answer(question, form.contained.as_deref(), &kind, answer, &inner);
                        self.items_of(form, question.get("item"), answer.get("item"), &inner, scope, depth + 1);
                    }
                }
            }
        }
        if let (Some((i, _)), true) = (items.get(1), kind != "group" || !repeats) {
            let message = format!("the item '{link}' stands once, with all its answers in it");
            self.report(IssueCode::Structure, &whole(*i), message);
        }
        let count: usize = items.iter().filter_map(|(_, item)| answers(*item)).map(|a| a.items().count()).sum();
        let at = items.first().map_or(place.child("item"), |(i, _)| whole(*i));
        let occurs = |name: &str| {
            let url = format!("http://hl7.org/fhir/StructureDefinition/questionnaire-{name}");
            extension(question, &url)?.get("valueInteger")?.as_number()?.parse::<usize>().ok()
        };
        let group = matches!(&*kind, "group" | "display" | "question");
        let number = if group { items.len() } else { count };
        if enabled && form.finished && required && number == 0 {
            let message = format!("the item '{link}' is required and has no answer");
            self.report(IssueCode::Required, &at, message);
        } else if enabled
            && required
            && kind == "group"
            && items.iter().all(|(_, item)| item.get("item").is_none())
            && number > 0
        {
            let message = format!("the group '{link}' is required and has nothing in it");
            self.report(IssueCode::Required, &at, message);
        } else if enabled && required && !group && count == 0 && !items.is_empty() {
            let message = format!("the item '{link}' is required and has no answer");
            self.report(IssueCode::Required, &at, message);
        }
        if let Some(least) = occurs("minOccurs").filter(|least| enabled && number < *least && !items.is_empty()) {
            let message = format!("the item '{link}' has {least} answers at least, not {number}");
            self.report(IssueCode::Required, &at, message);
        }
        let most = occurs("maxOccurs").or((!repeats).then_some(1));
        if let Some(most) = most.filter(|most| number > *most) {
            let message = format!("the item '{link}' has {most} answers at most, not {number}");
            self.report(IssueCode::Structure, &at, message);
        }
        self.exclusive(question, items, place);
    }

    /// Whether the expressions of an item (of Structured Data Capture, and of the Finnish guide that had them before) say
    /// that it is to be answered; one that cannot be judged says nothing.
    fn enabled_by_expression(&mut self, question: Value<'_>, scope: Scope<'_, 'd>) -> bool {
        const SDC: &str = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-enableWhenExpression";
        const KANTA: &str = "http://phr.kanta.fi/StructureDefinition/fiphr-ext-questionnaire-enablewhen";
        let sdc = extension(question, SDC).and_then(|e| e.get("valueExpression"));
        let sdc = sdc.filter(|e| e.get("language").and_then(Value::as_plain) == Some("text/fhirpath"));
        let kanta = extension(question, KANTA).and_then(|e| e.get("valueString"));
        let Some(text) = sdc.and_then(|e| e.get("expression")).or(kanta).and_then(Value::as_str) else { return true };
        let rule = Rule::new("enableWhenExpression", true, &text, "");
        self.holds(&rule, scope.resource, &Place::root("QuestionnaireResponse"), scope)
    }

    /// A Questionnaire by itself: conditions name items that there are, and not their own.
    pub(super) fn conditions(&mut self, questionnaire: Value<'d>, place: &Place<'_>) {
        self.conditions_of(questionnaire, questionnaire, place, 0);
    }

    fn conditions_of(&mut self, whole: Value<'d>, of: Value<'d>, place: &Place<'_>, depth: usize) {
        for (i, item) in of.get("item").into_iter().flat_map(Value::items).enumerate().filter(|_| depth <= DEEPEST) {
            let at = place.child("item").item(i);
            for condition in item.get("enableWhen").into_iter().flat_map(Value::items) {
                let Some(link) = text(condition, "question") else { continue };
                if defines(item, &link, depth) {
                    let message = format!("the item depends on '{}', which stands beneath it", shown(&link));
                    self.report(IssueCode::BusinessRule, &at, message);
                } else if !defines(whole, &link, 0) {
                    let message = format!("the item depends on '{}', which there is not", shown(&link));
                    self.report(IssueCode::BusinessRule, &at, message);
                }
            }
            self.conditions_of(whole, item, &at, depth + 1);
        }
    }

    /// An option that excludes the others.
    fn exclusive(&mut self, question: Value<'_>, items: &[(usize, Value<'d>)], place: &Place<'_>) {
        const EXCLUSIVE: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive";
        let options = question.get("answerOption").into_iter().flat_map(Value::items);
        let alone =
            |o: &Value<'_>| extension(*o, EXCLUSIVE).and_then(|e| e.get("valueBoolean")?.as_bool()) == Some(true);
        let exclusive: Vec<Value<'_>> = options.filter(alone).collect();
        if exclusive.is_empty() {
            return;
        }
        for (i, item) in items {
            let all: Vec<Value<'d>> = item.get("answer").into_iter().flat_map(Value::items).collect();
            for (a, answer) in all.iter().enumerate().filter(|_| all.len() > 1) {
                if exclusive.iter().any(|option| answer::same_option(*option, *answer)) {
                    let at = place.child("item").item(*i);
                    let at = at.child("answer").item(a);
                    self.report(IssueCode::Invariant, &at, "this option excludes all other answers");
                }
            }
        }
    }
}

fn text<'v>(of: Value<'v>, name: &str) -> Option<std::borrow::Cow<'v, str>> {
    of.get(name)?.as_str()
}

/// The extension with a url.
fn extension<'v>(of: Value<'v>, url: &str) -> Option<Value<'v>> {
    of.get("extension")?.items().find(|e| text(*e, "url").is_some_and(|u| u == url))
}

/// Whether an item with a link id is somewhere in a Questionnaire.
fn defines(of: Value<'_>, link: &str, depth: usize) -> bool {
    depth <= DEEPEST
        && of
            .get("item")
            .into_iter()
            .flat_map(Value::items)
            .any(|item| text(item, "linkId").is_some_and(|l| l == link) || defines(item, link, depth + 1))
}
