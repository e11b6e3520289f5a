//! The pages for passkeys: to sign in by one, to add and to remove them. The only ones with a script, since browsers
//! give no other way to a device's keys; everything else goes without.

use super::super::Authorization;
use super::super::exchange::{Answered, Asked, Method, Went};
use super::super::people::passkey::{Assertion, Expected, party_of};
use super::super::people::{Session, SignedIn, handle};
use super::account::{own_password, told};
use super::layout::{Note, Width, note, script};
use super::sign_in::{field, would_be};
use super::{Aim, Visit, note_of};
use crate::base::{Failure, Timestamp};
use maud::{Markup, html};

/// Scheme, host and port of this server.
fn origin(asked: &Asked) -> String {
    asked.base.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// Whether there can be passkeys for this server: it has a name, and browsers trust it.
pub(super) fn are_possible(asked: &Asked) -> bool {
    let origin = origin(asked);
    party_of(&origin).is_some_and(|party| asked.is_secure() || party == "localhost")
}

impl Authorization {
    /// `passkey`: to sign in.
    pub(super) async fn passkey_page(&self, visit: &mut Visit<'_>) -> Result<Answered, Failure> {
        let aim = Aim::of(visit.asked);
        if visit.asked.method == Method::Get || !are_possible(visit.asked) {
            return Ok(Answered::see_other(aim.at("sign-in")));
        }
        let (lang, origin) = (visit.lang(), origin(visit.asked));
        visit.here.user = None;
        let mut said = None;
        if visit.asked.form.get("do") != Some("begin") {
            let names = ["challenge", "handle", "id", "client", "data", "signature"];
            let [challenge, handle, id, client, data, signature] = names.map(|name| field(visit, name));
            let expected = Expected { challenge: &challenge, origin: &origin };
            let assertion = Assertion { id: &id, client: &client, data: &data, signature: &signature };
            let came = self.people.sign_in_by_passkey(&visit.here.visit, expected, &handle, assertion).await?;
            match came {
                SignedIn::Known(entrance) => {
                    if let Some(answered) = self.enter(visit, &aim, *entrance).await? {
                        return Ok(answered);
                    }
                }
                SignedIn::Wrong(user) => would_be(visit, user.as_deref()),
                SignedIn::Wait(_) => {}
            }
            said = note_of(lang.passkey_failed());
        }
        let challenge = self.people.challenge(&visit.here.visit).await?;
        visit.asked.noted.shown();
        let went = if said.is_some() { Went::Forbidden } else { Went::Ok };
        let content = html! {
            h1 { (lang.with_passkey()) }
            (note(said.as_ref()))
            p id="failed" class="note bad" role="alert" hidden { (lang.passkey_failed()) }
            noscript { p class="note bad" { (lang.passkey_script()) } }
            form id="ceremony" method="post" action=(aim.at("passkey")) data-kind="get" data-challenge=(challenge)
                data-party=(party_of(&origin).unwrap_or_default()) {
                (visit.here.seal())
                (hidden(&["id", "client", "data", "signature", "handle"], &challenge))
                p { (lang.passkey_now()) }
                div class="actions" {
                    button type="submit" autofocus { (lang.go_on()) }
                    a class="button quiet" href=(aim.at("sign-in")) { (lang.cancel()) }
                }
            }
            (script())
        };
        Ok(visit.page_again(went, lang.with_passkey(), Width::Narrow, &content))
    }

    /// `passkeys`: those of the own account.
    pub(super) async fn passkeys_page(&self, visit: &mut Visit<'_>, session: &Session) -> Result<Answered, Failure> {
        if !are_possible(visit.asked) {
            return Ok(Answered::see_other("/auth/account"));
        }
        let lang = visit.lang();
        if visit.asked.method == Method::Get {
            let done = visit.asked.query.get("done").map(|_| Note::Good(lang.passkey_added()));
            return Ok(visit.page(lang.passkeys(), Width::Narrow, &list(visit, session, done.as_ref())));
        }
        if let Some(id) = visit.asked.form.get("remove") {
            self.people_telling(visit.asked).remove_passkey(session, id).await?;
            visit.asked.noted.done();
            return Ok(Answered::see_other("/auth/passkeys"));
        }
        let origin = origin(visit.asked);
        if visit.asked.form.get("do") == Some("begin") {
            let asked = self.people.may_change_passkeys(session, &field(visit, "pass"), visit.from()).await?;
            if let Some(refusal) = asked {
                let (went, why) = told(lang, &refusal);
                let content = list(visit, session, note_of(why).as_ref());
                return Ok(visit.page_again(went, lang.passkeys(), Width::Narrow, &content));
            }
            let challenge = self.people.challenge(&format!("{} {}", session.id(), visit.here.visit)).await?;
            visit.asked.noted.shown();
            return Ok(visit.page(lang.passkey_add(), Width::Narrow, &creation(visit, session, &challenge, &origin)));
        }
        let [challenge, client, attestation] = ["challenge", "client", "attestation"].map(|name| field(visit, name));
        let expected = Expected { challenge: &challenge, origin: &origin };
        let of = format!("{} {}", session.id(), visit.here.visit);
        let people = self.people_telling(visit.asked);
        match people.add_passkey(session, &of, expected, &client, &attestation).await? {
            true => {
                visit.asked.noted.done();
                Ok(Answered::see_other("/auth/passkeys?done=added"))
            }
            false => {
                let content = list(visit, session, note_of(lang.passkey_failed()).as_ref());
                Ok(visit.page_again(Went::Forbidden, lang.passkeys(), Width::Narrow, &content))
            }
        }
    }
}

fn hidden(names: &[&str], challenge: &str) -> Markup {
    html! {
        input type="hidden" name="challenge" value=(challenge);
        @for name in names { input type="hidden" name=(name); }
    }
}

fn list(visit: &Visit<'_>, session: &Session, said: Option<&Note>) -> Markup {
    let lang = visit.lang();
    let passkeys = &session.user().passkeys;
    html! {
        h1 { (lang.passkeys()) }
        p class="lead" { (lang.passkeys_text()) }
        (note(said))
        @if passkeys.is_empty() {
            p { (lang.no_passkeys()) }
        } @else {
            form method="post" action="/auth/passkeys" {
                (visit.here.seal())
                ul class="rows" {
                    @for passkey in passkeys {
                        li {
                            div {
                                code { (passkey.id.get(..8).unwrap_or(&passkey.id)) }
                                small { (lang.since()) " " (Timestamp(passkey.added).to_instant().get(..10).unwrap_or_default()) }
                            }
                            button type="submit" name="remove" value=(passkey.id) class="quiet"
                                aria-label={ (lang.passkey_remove()) ": " (passkey.id) } { (lang.passkey_remove()) }
                        }
                    }
                }
            }
        }
        h2 { (lang.passkey_add()) }
        form method="post" action="/auth/passkeys" {
            (visit.here.seal())
            (own_password(lang, session))
            button type="submit" name="do" value="begin" { (lang.passkey_add()) }
        }
    }
}

fn creation(visit: &Visit<'_>, session: &Session, challenge: &str, origin: &str) -> Markup {
    let (lang, user) = (visit.lang(), session.user());
    html! {
        h1 { (lang.passkey_add()) }
        p id="failed" class="note bad" role="alert" hidden { (lang.passkey_failed()) }
        noscript { p class="note bad" { (lang.passkey_script()) } }
        form id="ceremony" method="post" action="/auth/passkeys" data-kind="create" data-challenge=(challenge)
            data-party=(party_of(origin).unwrap_or_default()) data-handle=(handle(user)) data-name=(user.name)
            data-shown=(user.shown()) {
            (visit.here.seal())
            (hidden(&["client", "attestation"], challenge))
            p { (lang.passkey_now()) }
            div class="actions" {
                button type="submit" autofocus { (lang.go_on()) }
                a class="button quiet" href="/auth/passkeys" { (lang.cancel()) }
            }
        }
        (script())
    }
}
