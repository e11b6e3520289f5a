//! EHR launch: a user in front of some system chooses an app, and that system asks here, with the user's access token,
//! for an opaque word that the app brings back. It stands for user, session, app and context, works once and not for
//! long.

use super::consent::Person;
use super::exchange::{Answered, Asked, Content, Went};
use super::grant::{LaunchContext, read};
use super::refusal::{Code, Refusal};
use super::{Authorization, json_bytes, secret};
use crate::base::{Failure, FailureKind, ResourceId, Timestamp};
use crate::interaction::{Item, ItemWrite, Records};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The collection of the launches.
pub(super) const LAUNCHES: &str = "launch";

/// How long an app may take to come back.
const WAIT: i64 = 300 * 1_000_000;

/// A launch that was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Whose it is.
    pub subject: String,
    /// The app that it is for, if it is for one.
    pub client: Option<String>,
    /// The context.
    pub context: LaunchContext,
    /// The session from which it was begun, where it was begun from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When it ends.
    pub ends: Timestamp,
}

/// What is sent to begin a launch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The app.
    pub client_id: Option<String>,
    /// The id of the patient.
    pub patient: Option<String>,
    /// The id of the encounter.
    pub encounter: Option<String>,
    /// What the user wants to do.
    pub intent: Option<String>,
    /// Other resources in context.
    #[serde(rename = "fhirContext", default)]
    pub fhir_context: Vec<Value>,
    /// Whether the app has to show whose record it is.
    pub need_patient_banner: Option<bool>,
}

impl Authorization {
    /// A launch by its word, if it is not over.
    pub(super) async fn launch(&self, word: &str) -> Result<Option<(Item, Launch)>, Failure> {
        let Some(item) = self.records.get(LAUNCHES, &secret::digest(word)).await? else { return Ok(None) };
        let launch: Launch = read(&item)?;
        Ok((self.clock.now() < launch.ends).then_some((item, launch)))
    }

    /// `launch`
    pub(super) async fn launch_endpoint(&self, asked: &Asked) -> Answered {
        match self.launch_wanted(asked).await {
            Ok(value) => Answered::new(Went::Created, Content::Json(value)),
            Err(refusal) => refusal.answer(false),
        }
    }

    async fn launch_wanted(&self, asked: &Asked) -> Result<Value, Refusal> {
        let token = asked.bearer().ok_or_else(|| Refusal::new(Code::InvalidToken, "send the user's access token"))?;
        let valid = self.token(token).await?;
        let valid = valid.ok_or_else(|| Refusal::new(Code::InvalidToken, "the access token is not valid"))?;
        self.note(asked, &valid.grant).await?;
        let person = valid.grant.person.as_ref();
        let person = person.ok_or_else(|| Refusal::new(Code::AccessDenied, "a launch is begun by a user"))?;
        // An app that has one patient in context does not get to another by launching a second app.
        if !valid.scopes.iter().any(|scope| scope.starts_with("user/")) {
            return Err(Refusal::new(Code::InsufficientScope, "a launch is begun with user/ scopes"));
        }
        let wanted: Wanted = serde_json::from_slice(&asked.body).map_err(|e| Refusal::invalid(e.to_string()))?;
        asked.noted.launch(wanted.client_id.as_deref(), wanted.patient.as_deref());
        let word = self.begin_launch_in(&self.telling(asked), person, &wanted, &asked.base).await?;
        let mut answer = json!({"launch": word, "iss": asked.base, "expires_in": WAIT / 1_000_000});
        if let Some(client) = &wanted.client_id
            && let Some(uri) = self.active_client(client).await?.and_then(|client| client.launch_uri.clone())
        {
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let between = if uri.contains('?') { '&' } else { '?' };
            answer["url"] = json!(format!("{uri}{between}iss={}&launch={}", encode(&asked.base), encode(&word)));
        }
        Ok(answer)
    }

    /// Begins a launch for a user; the answer is the word that the app has to bring.
    async fn begin_launch_in(
        &self,
        records: &Records,
        person: &Person,
        wanted: &Wanted,
        base: &str,
    ) -> Result<String, Refusal> {
        if let Some(client) = &wanted.client_id
            && self.active_client(client).await?.is_none()
        {
            return Err(Refusal::invalid("no app is registered as client_id"));
        }
        let refused = |kind: &str, failure: Failure| match failure.kind {
            FailureKind::Forbidden => Refusal::new(Code::AccessDenied, format!("no {kind} of that id for you")),
            _ => failure.into(),
        };
        let mut patient = wanted.patient.clone();
        if let Some(id) = &wanted.encounter {
            let seen = self.may_see(person, "Encounter", id, base, None).await;
            let encounter = seen.map_err(|failure| refused("Encounter", failure))?;
            let subject = encounter["subject"]["reference"].as_str().and_then(|text| self.service.local(text));
            let subject = subject.filter(|(kind, _)| kind == "Patient").map(|(_, id)| id);
            // An app that shows one patient's visit beside another's record would be a trap.
            if patient.is_some() && patient != subject {
                return Err(Refusal::invalid("the encounter is not one of the patient"));
            }
            patient = patient.or(subject);
        }
        if let Some(id) = &patient {
            self.may_see(person, "Patient", id, base, None).await.map_err(|failure| refused("Patient", failure))?;
        }
        for other in &wanted.fhir_context {
            if !self.is_in_context(other) {
                let why = "fhirContext holds objects with a relative reference (Type/id), a canonical or an identifier, \
                           and neither Patient nor Encounter";
                return Err(Refusal::invalid(why));
            }
        }
        let context = LaunchContext {
            patient,
            encounter: wanted.encounter.clone(),
            intent: wanted.intent.clone(),
            others: wanted.fhir_context.clone(),
            banner: wanted.need_patient_banner,
        };
        let ends = Timestamp(self.clock.now().0 + WAIT);
        let launch = Launch {
            subject: person.subject.clone(),
            client: wanted.client_id.clone(),
            context,
            session: person.session.clone(),
            ends,
        };
        let word = secret::random();
        let write = ItemWrite::create(LAUNCHES, secret::digest(&word), json_bytes(&launch)?);
        records.commit(vec![write.until(ends)]).await?;
        Ok(word)
    }

    /// Whether something can stand in `fhirContext` (SMART App Launch 2.2).
    fn is_in_context(&self, other: &Value) -> bool {
        let Some(fields) = other.as_object() else { return false };
        let named = ["reference", "canonical", "identifier"].iter().any(|name| fields.contains_key(*name));
        let reference = fields.get("reference").is_none_or(|reference| {
            reference.as_str().and_then(|text| text.split_once('/')).is_some_and(|(kind, id)| {
                let repeated = kind == "Patient" || kind == "Encounter";
                !repeated && self.service.definitions.resource(kind).is_some() && ResourceId::is_legal(id)
            })
        });
        let canonical = fields.get("canonical").is_none_or(|c| c.as_str().is_some_and(|c| c.contains(':')));
        named && reference && canonical && fields.get("identifier").is_none_or(Value::is_object)
    }
}
