//! What the claims of a verified token mean here: for whom it is, how long, and who asks with which rights. What is
//! missing or cannot be read is refused: better nothing than a guess.

use super::{Issuer, Trusted, Verified};
use crate::access::{Principal, Role, ScopeContext, Scopes, UserReference};
use crate::authorization::people::outside::{claim_at, texts_of};
use crate::base::{ResourceId, Timestamp};
use crate::definitions::Definitions;
use serde_json::{Map, Value};

/// How far clocks may differ for what lies ahead, in seconds. The end of a token is the end.
const SKEW: f64 = 60.0;

/// What can stand for a user.
const USERS: [&str; 5] = ["Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Person"];

impl Issuer {
    /// Who asks, and until when; or why the token is refused.
    pub(super) fn read(
        &self,
        claims: &Map<String, Value>,
        digest: &str,
    ) -> Result<(Principal, Timestamp), &'static str> {
        let ends = self.judge(claims)?;
        let principal = principal(&self.trusted, &self.definitions, claims, digest)?;
        Ok((principal, ends))
    }

    /// Whether the token is of the issuer, for this server and valid now; gives its end.
    fn judge(&self, claims: &Map<String, Value>) -> Result<Timestamp, &'static str> {
        let asked = matches!(self.trusted.verified, Verified::Introspection { .. });
        match claims.get("iss") {
            Some(Value::String(issuer)) if *issuer == self.trusted.issuer => {}
            // Whoever is asked is the issuer.
            None if asked => {}
            _ => return Err("it is of another issuer"),
        }
        let audience = claims.get("aud").map(texts_of).unwrap_or_default();
        if !audience.iter().any(|aud| *aud == self.trusted.audience) {
            return Err("it is not for this server (aud)");
        }
        if claims.contains_key("cnf") {
            return Err("it is bound to a key (cnf), which is not verified here");
        }
        // Keycloak tells here what sort of token it is.
        if claims.get("typ").is_some_and(|typ| typ.as_str().is_none_or(|typ| !typ.eq_ignore_ascii_case("bearer"))) {
            return Err("it is no access token (typ)");
        }
        let now = self.clock.now().0 as f64 / 1e6;
        let time = |name: &str| claims.get(name).map(|value| value.as_f64().ok_or("a time in it is no number"));
        let ends = time("exp").ok_or("it has no end (exp)")??;
        if ends <= now {
            return Err("it is over (exp)");
        }
        for begin in ["nbf", "iat"] {
            if let Some(begins) = time(begin)
                && begins? > now + SKEW
            {
                return Err("it does not hold yet (nbf, iat)");
            }
        }
        Ok(Timestamp((ends.min(1e11) * 1e6) as i64))
    }
}

fn principal(
    trusted: &Trusted,
    definitions: &Definitions,
    claims: &Map<String, Value>,
    digest: &str,
) -> Result<Principal, &'static str> {
    let whole = Value::Object(claims.clone());
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let client = ["client_id", "azp", "cid"].into_iter().find_map(text);
    let subject = text("sub").or(client).ok_or("it does not say whose it is (sub)")?;
    // No name out there can be one of those of here.
    let mut principal = Principal::new(format!("{}#{subject}", trusted.issuer));
    principal.client = client.map(str::to_owned);
    principal.token = Some(text("jti").unwrap_or(digest).chars().take(64).collect());

    let scopes = ["scope", "scp"].into_iter().find_map(|name| claims.get(name)).map(texts_of).unwrap_or_default();
    principal.scopes = Scopes::parse(&scopes.join(" "), definitions).map_err(|_| "its scopes cannot be understood")?;

    principal.user = match claim_at(&whole, &trusted.user_claim) {
        None | Some(Value::Null) => None,
        Some(user) => {
            let user = user.as_str().and_then(|user| reference(trusted, definitions, user));
            Some(user.ok_or("its user is no resource of this server")?)
        }
    };
    principal.patient = match claim_at(&whole, &trusted.patient_claim) {
        None | Some(Value::Null) => None,
        Some(patient) => Some(patient_of(trusted, definitions, patient).ok_or("its patient is no id of this server")?),
    };
    principal.role = match principal.scopes.has_context(ScopeContext::System) {
        true if principal.user.is_some() => return Err("it has system/ scopes and a user"),
        // A person signed in for it, even if it does not say who.
        true if ["sid", "session_state", "auth_time"].iter().any(|name| claims.contains_key(*name)) => {
            return Err("it has system/ scopes and is of a session");
        }
        // Whoever is a backend service for its scopes has no role.
        true => None,
        false => role(trusted, definitions, &principal, &whole),
    };
    let clinical = &principal.scopes.clinical;
    if principal.role.is_none() && clinical.iter().any(|scope| scope.context != ScopeContext::System) {
        return Err("it tells no role that this server knows");
    }
    Ok(principal)
}

/// The role that the claims tell: of several the first in the order of `access`, from administrator on. Patients and
/// their relatives are known by what they are.
fn role(trusted: &Trusted, definitions: &Definitions, principal: &Principal, claims: &Value) -> Option<Role> {
    let told = trusted.role_claim.as_deref().and_then(|claim| claim_at(claims, claim)).map(texts_of);
    let told = told.unwrap_or_default();
    let mapped: Vec<Role> =
        trusted.roles.iter().filter(|(value, _)| told.contains(&value.as_str())).map(|(_, role)| *role).collect();
    if let Some(role) = Role::ALL.into_iter().find(|role| mapped.contains(role)) {
        return Some(role);
    }
    let user = principal.user.as_ref().map(|user| definitions.name(user.kind));
    matches!(user, Some("Patient" | "RelatedPerson")).then_some(Role::Patient)
}

/// `Practitioner/7`, alone or under one of this server's own bases: elsewhere the same id means somebody else.
fn reference(trusted: &Trusted, definitions: &Definitions, text: &str) -> Option<UserReference> {
    let (kind, id) = local(trusted, text)?.split_once('/')?;
    let user = USERS.contains(&kind);
    user.then(|| Some(UserReference { kind: definitions.resource(kind)?, id: ResourceId::new(id)? })).flatten()
}

/// The patient of the launch: an id, or a reference to one.
fn patient_of(trusted: &Trusted, definitions: &Definitions, claim: &Value) -> Option<ResourceId> {
    let text = claim.as_str()?;
    if !text.contains('/') {
        return ResourceId::new(text);
    }
    let patient = reference(trusted, definitions, text)?;
    (definitions.name(patient.kind) == "Patient").then_some(patient.id)
}

fn local<'t>(trusted: &Trusted, text: &'t str) -> Option<&'t str> {
    if !text.contains("://") {
        return Some(text);
    }
    let under = |base: &String| text.strip_prefix(base.trim_end_matches('/'))?.strip_prefix('/');
    trusted.bases.iter().find_map(under)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn trusted() -> Trusted {
        Trusted {
            issuer: "https://issuer.example".into(),
            audience: "https://fhir.example/r4".into(),
            verified: Verified::Keys(None),
            role_claim: Some("realm_access.roles".into()),
            roles: vec![("nurses".into(), Role::Nurse), ("medics".into(), Role::Doctor)],
            user_claim: "fhirUser".into(),
            patient_claim: "patient".into(),
            bases: vec!["https://fhir.example/r4".into()],
            pause: Duration::from_secs(10),
        }
    }

    fn read(claims: Value) -> Result<Principal, &'static str> {
        let Value::Object(claims) = claims else { unreachable!("an object") };
        principal(&trusted(), &Definitions::core(), &claims, "digest")
    }

    #[test]
    fn claims_become_a_principal() {
        let definitions = Definitions::core();
        let doctor = read(json!({
            "sub": "7", "azp": "app", "jti": "t1", "scope": "openid user/*.rs launch",
            "fhirUser": "https://fhir.example/r4/Practitioner/7", "realm_access": {"roles": ["nurses", "medics", "x"]},
        }));
        let doctor = doctor.expect("read");
        assert_eq!(doctor.subject, "https://issuer.example#7");
        assert_eq!((doctor.client.as_deref(), doctor.role), (Some("app"), Some(Role::Doctor)));
        let user = doctor.user.expect("a user");
        assert_eq!((definitions.name(user.kind), user.id.as_str()), ("Practitioner", "7"));

        let amy = read(json!({"sub": "a", "scp": ["patient/*.rs"], "fhirUser": "Patient/a", "patient": "Patient/a"}));
        let amy = amy.expect("read");
        assert_eq!((amy.role, amy.patient.as_ref().map(ResourceId::as_str)), (Some(Role::Patient), Some("a")));

        let service = read(json!({"client_id": "s", "scope": "system/*.rs", "realm_access": {"roles": ["medics"]}}));
        assert_eq!(service.expect("read").role, None);
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for (claims, why) in [
            (json!({"scope": "user/*.rs"}), "whose"),
            (json!({"sub": "a", "scope": "user/*.rs"}), "role"),
            (json!({"sub": "a", "scope": "patient/*.rs", "patient": "a"}), "role"),
            (json!({"sub": "a", "scope": "user/*.rs user/*.read", "fhirUser": "Patient/a"}), "scopes"),
            (json!({"sub": "a", "scope": "user/Nothing.rs", "fhirUser": "Patient/a"}), "scopes"),
            (json!({"sub": "a", "scope": "user/*.rs", "fhirUser": "Observation/a"}), "user"),
            (json!({"sub": "a", "scope": "user/*.rs", "fhirUser": "https://evil.example/Patient/a"}), "user"),
            (json!({"sub": "a", "scope": "user/*.rs", "fhirUser": "https://fhir.example/r4evil/Patient/a"}), "user"),
            (json!({"sub": "a", "scope": "user/*.rs", "fhirUser": 7}), "user"),
            (json!({"sub": "a", "scope": "patient/*.rs", "fhirUser": "Patient/a", "patient": "Group/a"}), "patient"),
            (json!({"sub": "a", "scope": "patient/*.rs", "fhirUser": "Patient/a", "patient": ["a", "b"]}), "patient"),
            (json!({"sub": "a", "scope": "system/*.rs", "fhirUser": "Practitioner/a"}), "system/"),
        ] {
            let refused = read(claims.clone());
            assert!(refused.as_ref().is_err_and(|told| told.contains(why)), "{claims}: {refused:?}");
        }
    }
}
