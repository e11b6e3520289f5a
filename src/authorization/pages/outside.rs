//! The way to an outside provider and back (single sign-on). The browser that comes back has to be the one that went,
//! and what it brings is good once.

use super::super::Authorization;
use super::super::exchange::{Answered, Asked, Method, Parameters};
use super::super::people::outside::{self, Errand, Provider};
use super::super::people::{SignedIn, secret};
use super::{Aim, Visit};
use crate::audit::{Event, Severity};
use crate::base::Failure;

impl Authorization {
    /// `outside`: to the provider.
    pub(super) async fn outside_page(&self, visit: &mut Visit<'_>) -> Result<Answered, Failure> {
        let aim = Aim::of(visit.asked);
        let named = visit.asked.form.get("provider").unwrap_or_default();
        let found = self.people.providers().iter().find(|provider| provider.name == named);
        let (Some(provider), Method::Post) = (found, visit.asked.method) else {
            return Ok(Answered::see_other(aim.at("sign-in")));
        };
        let (address, state, underway) = match outside::begin(provider, back(visit.asked)).await {
            Ok(begun) => begun,
            Err(why) => return Ok(failed(visit, provider, &aim, &why)),
        };
        let errand = Errand { underway, visit: secret::hashed("outside", &visit.here.visit), aim: aim.query() };
        self.people.remember(&state, &errand).await?;
        Ok(Answered::see_other(address))
    }

    /// `outside/return`: back from the provider.
    pub(super) async fn outside_return(&self, visit: &mut Visit<'_>) -> Result<Answered, Failure> {
        let query = &visit.asked.query;
        let errand = match query.get("state") {
            Some(state) => self.people.recall(state).await?,
            None => None,
        };
        let own = secret::hashed("outside", &visit.here.visit);
        let Some(errand) = errand.filter(|errand| secret::same(&errand.visit, &own)) else {
            visit.asked.noted.refused(Severity::Serious, "this browser was not sent there");
            return Ok(Answered::see_other("/auth/sign-in?outside=failed"));
        };
        let aim = Aim::read(&Parameters::read(&errand.aim));
        let found = self.people.providers().iter().find(|provider| provider.name == errand.underway.provider);
        let (Some(provider), Some(code)) = (found, query.get("code")) else {
            visit.asked.noted.refused(Severity::Serious, "the provider sent no code");
            return Ok(Answered::see_other(with_note(&aim)));
        };
        // RFC 9207: an answer of another provider than the one that was asked is refused.
        if query.get("iss").is_some_and(|iss| iss != provider.issuer) {
            return Ok(failed(visit, provider, &aim, "the answer names another issuer"));
        }
        let claims = match outside::finish(provider, back(visit.asked), errand.underway, code.to_owned()).await {
            Ok(claims) => claims,
            Err(why) => return Ok(failed(visit, provider, &aim, &why)),
        };
        let told = |done: &'static str, name: &str| {
            let by = format!("provider {}", provider.name);
            self.telling_of(visit.asked, Event::administration(done, "account", name).user(name).detail("by", &by))
        };
        let Some(user) = self.people.of_claims(provider, &claims, &told).await? else {
            return Ok(failed(visit, provider, &aim, "nobody here belongs to these claims"));
        };
        visit.asked.noted.user(&user.name);
        let SignedIn::Known(entrance) = self.people.known(user, &["fed"])? else {
            return Ok(Answered::see_other(with_note(&aim)));
        };
        let entered = self.enter(visit, &aim, *entrance).await?;
        Ok(entered.unwrap_or_else(|| Answered::see_other(with_note(&aim))))
    }
}

fn failed(visit: &Visit<'_>, provider: &Provider, aim: &Aim, why: &str) -> Answered {
    visit.asked.noted.refused(Severity::Serious, format!("{}: {why}", provider.name));
    tracing::warn!(provider = provider.name, why, "signing in through an outside provider failed");
    Answered::see_other(with_note(aim))
}

/// The page to sign in, with a word that this way did not succeed.
fn with_note(aim: &Aim) -> String {
    let page = aim.at("sign-in");
    let join = if page.contains('?') { '&' } else { '?' };
    format!("{page}{join}outside=failed")
}

/// Where the provider sends the browser back to.
fn back(asked: &Asked) -> String {
    let origin: Vec<&str> = asked.base.split('/').take(3).collect();
    format!("{}/auth/outside/return", origin.join("/"))
}
