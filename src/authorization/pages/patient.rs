//! The patient picker (`launch/patient`). It searches through the interactions with the rights of the user and
//! nothing else, and a choice is read again with the same rights wherever it is used, so that a forged one is of
//! no use.

use super::super::Authorization;
use super::super::consent::Question;
use super::super::exchange::{Answered, Method, Went};
use super::super::people::{Session, User};
use super::super::scope;
use super::consent::emergency_field;
use super::layout::{Width, note};
use super::sign_in::field;
use super::words::Lang;
use super::{Aim, Visit, note_of};
use crate::access::{Caller, Principal, Scopes, UserReference};
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::interaction::{Context, Reply, ReplyContent, Request, Verb};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::sync::Arc;

/// Patients on a page.
const SHOWN: usize = 20;

/// A patient as people tell one from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) name: Option<String>,
    born: Option<String>,
    gender: Option<String>,
    identifier: Option<String>,
}

impl Authorization {
    /// Whether a patient has to be chosen before consent: something on one patient's data is asked for, and neither
    /// the launch nor the user says whose.
    pub(super) async fn wants_patient(&self, question: &Question, user: &User) -> Result<bool, Failure> {
        let asked: Vec<String> = question.choices.iter().map(|choice| choice.scope.clone()).collect();
        if question.patient.is_some() || !scope::needs_patient(&asked) {
            return Ok(false);
        }
        Ok(self.own_patient(user.resource.as_deref()).await?.is_none())
    }

    /// `patient`
    pub(super) async fn patient_page(&self, visit: &mut Visit<'_>, session: &Session) -> Result<Answered, Failure> {
        let aim = Aim::of(visit.asked);
        let Some(request) = &aim.request else { return Ok(Answered::see_other("/auth/account")) };
        let question = self.question(request).await?;
        if !self.wants_patient(&question, session.user()).await? {
            return Ok(Answered::see_other(aim.at("consent")));
        }
        let lang = visit.lang();
        let role = session.user().role.code();
        let knows_emergencies = self.knows_emergencies(role).await?;
        let reason = self.emergency(role, visit.asked.form.get("emergency")).await?;
        let reason = reason.as_deref();
        let (mut why, mut went) = (None, Went::Ok);
        if let Some(id) = visit.asked.form.get("patient").filter(|_| visit.asked.method == Method::Post) {
            match self.patient_of(visit, session.user(), id, reason).await {
                Ok(patient) => {
                    if let Some(reason) = reason {
                        self.keep_emergency(request, reason).await?;
                    }
                    return Ok(Answered::see_other(format!("{}&patient={}", aim.at("consent"), patient.id)));
                }
                Err(failure) if failure.kind == FailureKind::Forbidden => {
                    (why, went) = (note_of(lang.not_that_patient()), Went::Forbidden);
                }
                Err(failure) => return Err(failure),
            }
        }
        let wanted =
            Wanted { name: field(visit, "name"), born: field(visit, "born"), identifier: field(visit, "identifier") };
        let (found, more) = self.patients(visit, session.user(), &wanted, reason).await?;
        let content = html! {
            h1 { (lang.choose_patient()) }
            p class="lead" { strong { (question.client.name) } " " (lang.choose_patient_text()) }
            (note(why.as_ref()))
            form method="post" action=(visit.here.address()) {
                (visit.here.seal())
                (fields(lang, &wanted))
                @if knows_emergencies { (emergency_field(lang, reason.unwrap_or_default())) }
                button type="submit" name="do" value="search" class="quiet" { (lang.search()) }
                (list(lang, &found, more))
            }
        };
        Ok(visit.page_again(went, lang.choose_patient(), Width::Wide, &content))
    }

    /// A patient that a user may see, in an emergency with the reason for that; `Forbidden` if there is no such patient
    /// for this user.
    pub(super) async fn patient_of(
        &self,
        visit: &Visit<'_>,
        user: &User,
        id: &str,
        emergency: Option<&str>,
    ) -> Result<Shown, Failure> {
        let refused = || Failure::new(FailureKind::Forbidden, IssueCode::Forbidden, "no such patient for this user");
        // A patient, or a patient's relative, lets apps see no other record, whatever else it may see.
        let own = self.own_patient(user.resource.as_deref()).await?;
        if !ResourceId::is_legal(id) || own.is_some_and(|own| own != id) {
            return Err(refused());
        }
        let asked = Request::new(Verb::Get, format!("Patient/{id}"));
        match self.as_user(visit, user, asked, emergency).await {
            Ok(Value::Object(patient)) => shown(&Value::Object(patient)).ok_or_else(refused),
            Ok(_) => Err(refused()),
            Err(failure) if is_refusal(failure.kind) => Err(refused()),
            Err(failure) => Err(failure),
        }
    }

    /// Patients that a user may see, and whether there are more.
    async fn patients(
        &self,
        visit: &Visit<'_>,
        user: &User,
        wanted: &Wanted,
        emergency: Option<&str>,
    ) -> Result<(Vec<Shown>, bool), Failure> {
        let mut asked = Request::new(Verb::Get, "Patient");
        asked.query = wanted.query();
        let bundle = match self.as_user(visit, user, asked, emergency).await {
            Ok(bundle) => bundle,
            // What cannot be searched for finds nobody.
            Err(failure) if is_refusal(failure.kind) => return Ok((Vec::new(), false)),
            Err(failure) => return Err(failure),
        };
        let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
        let matches = entries.iter().filter(|entry| entry["search"]["mode"] != "outcome");
        let mut found: Vec<Shown> = matches.filter_map(|entry| shown(&entry["resource"])).collect();
        let more = found.len() > SHOWN;
        found.truncate(SHOWN);
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((found, more))
    }

    /// Performs a request with the rights of a user, as on every other way to the data.
    async fn as_user(
        &self,
        visit: &Visit<'_>,
        user: &User,
        asked: Request,
        emergency: Option<&str>,
    ) -> Result<Value, Failure> {
        let definitions = &*self.service.search_definitions();
        let principal = Principal {
            user: user.resource_parts().and_then(|(kind, id)| {
                Some(UserReference { kind: definitions.resource(kind)?, id: ResourceId::new(id)? })
            }),
            role: Some(user.role),
            scopes: Scopes::parse("user/*.rs", definitions).unwrap_or_default(),
            break_glass: emergency.map(str::to_owned),
            tenant: self.records.tenant(),
            ..Principal::new(user.id.clone())
        };
        let context = Context {
            caller: Caller::Known(Arc::new(principal)),
            remote: visit.asked.remote,
            request_id: visit.asked.request_id.clone(),
            ..Context::open(self.records.tenant(), visit.asked.base.clone())
        };
        let Reply { content, .. } = self.service.perform(&context, asked).await?;
        match content {
            ReplyContent::Json(json) => serde_json::from_slice(&json).map_err(Failure::internal),
            _ => Err(Failure::internal("a read of a Patient answered without a resource")),
        }
    }
}

fn is_refusal(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::NotFound
            | FailureKind::Gone
            | FailureKind::Forbidden
            | FailureKind::Malformed
            | FailureKind::Unprocessable
            | FailureKind::NotSupported
    )
}

/// What is searched for.
#[derive(Clone, Debug, Default)]
struct Wanted {
    name: String,
    born: String,
    identifier: String,
}

impl Wanted {
    fn query(&self) -> String {
        let mut query = format!("_count={}", SHOWN + 1);
        // Each word of a name is to be found, in whatever order; what search takes as a sign is escaped.
        let words = self.name.split_whitespace().take(8).map(|word| ("name", word));
        let others = [("birthdate", self.born.trim()), ("identifier", self.identifier.trim())];
        for (name, value) in words.chain(others).filter(|(_, value)| !value.is_empty() && value.len() <= 200) {
            let mut escaped = String::with_capacity(value.len());
            for c in value.chars() {
                if matches!(c, '\\' | ',' | '$') || (c == '|' && name != "identifier") {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
            query.push_str(&format!("&{name}={}", utf8_percent_encode(&escaped, NON_ALPHANUMERIC)));
        }
        query
    }
}

pub(super) fn shown(patient: &Value) -> Option<Shown> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let names = patient["name"].as_array().map(Vec::as_slice).unwrap_or_default();
    let usual = names.iter().find(|n| n["use"] == "official" || n["use"] == "usual").or(names.first());
    Some(Shown {
        id: text(&patient["id"])?,
        name: usual.and_then(name_of),
        born: text(&patient["birthDate"]),
        gender: text(&patient["gender"]),
        identifier: text(&patient["identifier"][0]["value"]),
    })
}

fn name_of(name: &Value) -> Option<String> {
    if let Some(text) = name["text"].as_str() {
        return Some(text.to_owned());
    }
    let given = name["given"].as_array().map(Vec::as_slice).unwrap_or_default();
    let parts: Vec<&str> = given.iter().chain([&name["family"]]).filter_map(Value::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// A patient in one or two lines.
pub(super) fn card(lang: Lang, patient: &Shown) -> Markup {
    let gender = match patient.gender.as_deref() {
        Some("female") => Some(lang.female()),
        Some("male") => Some(lang.male()),
        Some("other") => Some(lang.other_gender()),
        _ => None,
    };
    let born = patient.born.as_ref().map(|date| format!("{} {date}", lang.born()));
    let parts = [born, gender.map(str::to_owned), patient.identifier.clone()];
    let details: Vec<String> = parts.into_iter().flatten().collect();
    html! {
        strong { (patient.name.as_deref().unwrap_or(lang.unnamed())) }
        small { (details.join(" · ")) }
    }
}

fn fields(lang: Lang, wanted: &Wanted) -> Markup {
    html! {
        label for="name" { (lang.patient_name()) }
        input type="search" id="name" name="name" value=(wanted.name) maxlength="200" autocomplete="off" autofocus;
        div class="pair" {
            div {
                label for="born" { (lang.birth_date()) }
                input type="date" id="born" name="born" value=(wanted.born);
            }
            div {
                label for="identifier" { (lang.identifier()) }
                input type="text" id="identifier" name="identifier" value=(wanted.identifier) maxlength="200"
                    autocomplete="off" spellcheck="false";
            }
        }
    }
}

fn list(lang: Lang, found: &[Shown], more: bool) -> Markup {
    html! {
        @if found.is_empty() {
            p class="note" role="status" { (lang.nobody_found()) }
        } @else {
            ul class="rows" {
                @for patient in found {
                    li {
                        div { (card(lang, patient)) }
                        button type="submit" name="patient" value=(patient.id)
                            aria-label={ (lang.choose()) ": " (patient.name.as_deref().unwrap_or(&patient.id)) } {
                            (lang.choose())
                        }
                    }
                }
            }
            @if more { p class="lead" role="status" { (lang.more_found()) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_only_text() {
        let wanted =
            Wanted { name: " Amy  O,Neil$ ".into(), born: "1987-02-20".into(), identifier: "a|b&_id=1".into() };
        assert_eq!(
            wanted.query(),
            "_count=21&name=Amy&name=O%5C%2CNeil%5C%24&birthdate=1987%2D02%2D20&identifier=a%7Cb%26%5Fid%3D1"
        );
    }

    #[test]
    fn a_patient_is_shown_by_its_usual_name() {
        let patient = serde_json::json!({"resourceType": "Patient", "id": "1", "birthDate": "1987-02-20",
            "name": [{"use": "old", "family": "Old"}, {"use": "official", "given": ["Amy", "B."], "family": "Shaw"}]});
        assert_eq!(shown(&patient).and_then(|p| p.name).as_deref(), Some("Amy B. Shaw"));
        assert_eq!(shown(&serde_json::json!({"resourceType": "Patient"})), None);
    }
}
