//! The consent page: what an app asks for, in words, each part of which can be left out, and narrowed by type or
//! category. What is sent back is held against what was asked; oauth's side does so again.

use super::super::Authorization;
use super::super::consent::{Answer, Choice, Question};
use super::super::emergency::LONGEST;
use super::super::exchange::{Answered, Method};
use super::super::people::Session;
use super::super::scope::{self, Clinical, Reach, Scope};
use super::layout::Width;
use super::patient::{Shown, card};
use super::words::Lang;
use super::{Aim, Visit};
use crate::base::Failure;
use crate::search;
use maud::{Markup, html};

/// Scopes without which the launch has no meaning: they are told, not offered.
const FIXED: [&str; 3] = ["launch", "launch/patient", "launch/encounter"];

impl Authorization {
    /// `consent`
    pub(super) async fn consent_page(&self, visit: &mut Visit<'_>, session: &Session) -> Result<Answered, Failure> {
        let aim = Aim::of(visit.asked);
        let Some(request) = &aim.request else { return Ok(Answered::see_other("/auth/account")) };
        let question = self.question(request).await?;
        if !self.is_enough(&aim, session).await? {
            return Ok(Answered::see_other(aim.at("sign-in")));
        }
        let user = session.user();
        let posted = visit.asked.method == Method::Post;
        if posted && visit.asked.form.get("decision") != Some("allow") {
            return Ok(Answered::see_other(self.deny(visit.asked, request).await?));
        }
        let knows_emergencies = self.knows_emergencies(user.role.code()).await?;
        let stated = if posted { visit.asked.form.get("emergency") } else { question.emergency.as_deref() };
        let reason = self.emergency(user.role.code(), stated).await?;
        let why = reason.as_deref();
        let named = visit.asked.query.get("patient");
        let own = self.own_patient(user.resource.as_deref()).await?;
        let chosen = match question.patient.as_deref().or(own.as_deref()).or(named) {
            Some(id) => Some(self.patient_of(visit, user, id, why).await?),
            None if self.wants_patient(&question, user).await? => return Ok(Answered::see_other(aim.at("patient"))),
            None => None,
        };
        if !posted {
            let emergency = knows_emergencies.then(|| why.unwrap_or_default());
            let content = ask(visit, &question, chosen.as_ref(), emergency);
            return Ok(visit.page(visit.lang().consent_for(), Width::Wide, &content));
        }
        let scopes: Vec<&str> = visit.asked.form.all("scope").collect();
        let parts: Vec<&str> = visit.asked.form.all("part").collect();
        let answer = Answer {
            scopes: granted(&question.choices, &scopes, &parts),
            patient: chosen.map(|patient| patient.id),
            break_glass: reason,
        };
        Ok(Answered::see_other(self.approve(visit.asked, request, session, answer).await?))
    }
}

/// The scopes that an answer allows, out of those that were asked for.
fn granted(choices: &[Choice], scopes: &[&str], parts: &[&str]) -> Vec<String> {
    let mut granted = Vec::new();
    for choice in choices {
        if !FIXED.contains(&choice.scope.as_str()) && !scopes.contains(&choice.scope.as_str()) {
            continue;
        }
        let narrowed: Vec<String> = choice.parts.iter().filter(|p| parts.contains(&p.as_str())).cloned().collect();
        if narrowed.is_empty() {
            granted.push(choice.scope.clone());
        } else {
            granted.extend(narrowed);
        }
    }
    granted
}

/// `emergency`: the reason for one that was stated so far; none where there is no such access.
fn ask(visit: &Visit<'_>, question: &Question, patient: Option<&Shown>, emergency: Option<&str>) -> Markup {
    let lang = visit.lang();
    let (clinical, others): (Vec<&Choice>, Vec<&Choice>) =
        question.choices.iter().partition(|choice| matches!(scope::read(&choice.scope), Ok(Scope::Clinical(_))));
    html! {
        h1 { (lang.consent_for()) }
        p class="lead" { strong { (question.client.name) } " " (lang.wants_access()) " " (lang.wants_text()) }
        form method="post" action=(visit.here.address()) {
            (visit.here.seal())
            @if let Some(patient) = patient {
                ul class="rows" { li { div { (lang.record_of()) " " (card(lang, patient)) } } }
            }
            @if !clinical.is_empty() {
                fieldset {
                    legend { (lang.health_data()) }
                    ul class="plain choices" { @for choice in clinical { (clinical_choice(lang, choice)) } }
                }
            }
            @if !others.is_empty() {
                fieldset {
                    legend { (lang.also()) }
                    ul class="plain choices" { @for choice in others { (named_choice(lang, choice)) } }
                }
            }
            @if let Some(reason) = emergency { (emergency_field(lang, reason)) }
            div class="actions" {
                button type="submit" name="decision" value="allow" id="allow" { (lang.allow()) }
                button type="submit" name="decision" value="deny" class="quiet" { (lang.deny()) }
            }
        }
    }
}

/// Where the reason for an access in an emergency is stated.
pub(super) fn emergency_field(lang: Lang, reason: &str) -> Markup {
    html! {
        details open[!reason.is_empty()] {
            summary { (lang.emergency()) }
            p class="hint" id="emergency-text" { (lang.emergency_text()) }
            label for="emergency" { (lang.emergency_reason()) }
            input type="text" id="emergency" name="emergency" value=(reason) maxlength=(LONGEST) autocomplete="off"
                aria-describedby="emergency-text";
        }
    }
}

fn named_choice(lang: Lang, choice: &Choice) -> Markup {
    let text = match choice.scope.as_str() {
        "openid" => lang.scope_openid(),
        "fhirUser" | "profile" => lang.scope_profile(),
        "launch" => lang.scope_launch(),
        "launch/patient" => lang.scope_launch_patient(),
        "launch/encounter" => lang.scope_launch_encounter(),
        "offline_access" => lang.scope_offline(),
        "online_access" => lang.scope_online(),
        other => other,
    };
    let fixed = FIXED.contains(&choice.scope.as_str());
    html! {
        li {
            label class="tick" {
                @if fixed {
                    input type="checkbox" checked disabled;
                } @else {
                    input type="checkbox" name="scope" value=(choice.scope) checked;
                }
                span { (text) }
            }
        }
    }
}

fn clinical_choice(lang: Lang, choice: &Choice) -> Markup {
    let Ok(Scope::Clinical(asked)) = scope::read(&choice.scope) else { return html! {} };
    let by_type = asked.kind == "*";
    html! {
        li {
            label class="tick" {
                input type="checkbox" name="scope" value=(choice.scope) checked;
                span { (title(lang, &asked)) small { (rights(lang, &asked)) } }
            }
            @if !choice.parts.is_empty() {
                details {
                    summary { (if by_type { lang.only_some_types() } else { lang.only_some() }) }
                    p class="hint" { (lang.only_some_text()) }
                    div class="grid" {
                        @for part in &choice.parts {
                            label class="tick" {
                                input type="checkbox" name="part" value=(part);
                                span { (part_title(lang, part)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a scope is about: `Measurements and results: laboratory`.
fn title(lang: Lang, asked: &Clinical) -> String {
    let kind = if asked.kind == "*" { lang.everything() } else { lang.type_name(&asked.kind) };
    match &asked.query {
        None => kind.to_owned(),
        Some(query) => {
            let conditions: Vec<String> = query.split('&').map(|pair| condition(lang, pair)).collect();
            let colon = if lang == Lang::French { " :" } else { ":" };
            format!("{kind}{colon} {}", conditions.join(", "))
        }
    }
}

/// What one condition of a scope says, with each of its alternatives: of `category=system|laboratory` the name of the
/// category. Read as the search reads it, so that nothing is granted which is not named.
fn condition(lang: Lang, pair: &str) -> String {
    let read = search::pairs(pair).ok().and_then(|pairs| pairs.into_iter().next());
    let Some((name, value)) = read else { return pair.to_owned() };
    let told = |alternative: &str| {
        let code = match search::split(alternative, b'|').as_slice() {
            [_, code] if !code.is_empty() => search::unescape(code),
            _ => search::unescape(alternative),
        };
        if name == "category" { lang.category_name(&code).to_owned() } else { code }
    };
    let any = search::split(&value, b',').into_iter().map(told).collect::<Vec<_>>().join(&format!(" {} ", lang.or()));
    if name == "category" { any } else { format!("{name} {any}") }
}

fn part_title(lang: Lang, part: &str) -> String {
    match scope::read(part) {
        Ok(Scope::Clinical(Clinical { query: Some(query), .. })) => {
            query.split('&').map(|pair| condition(lang, pair)).collect::<Vec<_>>().join(", ")
        }
        Ok(Scope::Clinical(part)) => lang.type_name(&part.kind).to_owned(),
        _ => part.to_owned(),
    }
}

/// What a scope lets an app do: `read, search – of this patient`.
fn rights(lang: Lang, asked: &Clinical) -> String {
    let letters = match asked.permissions.as_str() {
        "read" => "rs",
        "write" => "cud",
        "*" => "cruds",
        letters => letters,
    };
    let words: Vec<&str> = "rscud"
        .chars()
        .filter(|letter| letters.contains(*letter))
        .map(|letter| match letter {
            'r' => lang.may_read(),
            's' => lang.may_search(),
            'c' => lang.may_create(),
            'u' => lang.may_update(),
            _ => lang.may_delete(),
        })
        .collect();
    let whose = match asked.context {
        Reach::Patient => lang.reach_patient(),
        Reach::User => lang.reach_user(),
        Reach::System => lang.reach_system(),
    };
    format!("{} – {whose}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAB: &str =
        "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";

    fn choices() -> Vec<Choice> {
        super::super::super::consent::choices(
            &["launch/patient", "openid", "patient/Observation.rs", "patient/Patient.read"].map(str::to_owned),
        )
    }

    #[test]
    fn only_what_was_asked_is_granted_and_parts_narrow() {
        let all = ["openid", "patient/Observation.rs", "patient/Patient.read"];
        assert_eq!(granted(&choices(), &all, &[]), [&["launch/patient"], &all[..]].concat());
        assert_eq!(granted(&choices(), &["patient/Observation.rs"], &[LAB]), ["launch/patient", LAB]);
        assert_eq!(granted(&choices(), &[], &[LAB]), ["launch/patient"]);
        assert_eq!(granted(&choices(), &["user/*.cruds"], &["system/*.cruds"]), ["launch/patient"]);
    }

    #[test]
    fn scopes_are_told_in_words() {
        let read = |text: &str| match scope::read(text) {
            Ok(Scope::Clinical(clinical)) => clinical,
            other => panic!("{other:?}"),
        };
        assert_eq!(title(Lang::English, &read(LAB)), "Measurements and results: laboratory");
        assert_eq!(
            rights(Lang::French, &read("user/Patient.write")),
            "ajouter, modifier, supprimer – que vous pouvez voir vous-même"
        );
        assert_eq!(part_title(Lang::English, LAB), "laboratory");
        assert_eq!(part_title(Lang::English, "patient/Goal.rs"), "Goals");
        let of = "http://terminology.hl7.org/CodeSystem/observation-category";
        let told = |query: &str| title(Lang::English, &read(&format!("patient/Observation.rs?{query}")));
        for (query, conditions) in [
            (format!("category={of}|vital-signs,{of}|laboratory"), "vital signs or laboratory"),
            (format!("category={of}%7Cvital-signs%2C{of}%7Claboratory"), "vital signs or laboratory"),
            ("category=vital-signs,laboratory".to_owned(), "vital signs or laboratory"),
            (format!("category={of}|laboratory&status=final,amended"), "laboratory, status final or amended"),
            (format!("category={of}|"), "http://terminology.hl7.org/CodeSystem/observation-category|"),
            ("code=a%5C%2Cb,urn:x|c%5C%7Cd".to_owned(), "code a,b or c|d"),
            ("category=%ff".to_owned(), "category=%ff"),
        ] {
            assert_eq!(told(&query), format!("Measurements and results: {conditions}"), "{query}");
        }
    }
}
