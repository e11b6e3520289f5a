//! The pages of one's own account: overview, password, authenticator app with recovery codes.

use super::super::Authorization;
use super::super::exchange::{Answered, Method, Went};
use super::super::people::password::{LONGEST, Weakness};
use super::super::people::{Refusal, Session, totp};
use super::layout::{Note, Width, note};
use super::sign_in::field;
use super::words::Lang;
use super::{Aim, Visit, note_of};
use crate::base::Failure;
use maud::{Markup, PreEscaped, html};

impl Authorization {
    /// `account`
    pub(super) fn account_page(&self, visit: &Visit<'_>, session: &Session) -> Answered {
        let (lang, user) = (visit.lang(), session.user());
        let done = match visit.asked.query.get("done") {
            Some("password") => Some(Note::Good(lang.password_changed())),
            Some("removed") => Some(Note::Good(lang.totp_removed())),
            _ => None,
        };
        let content = html! {
            h1 { (lang.account()) }
            (note(done.as_ref()))
            dl {
                dt { (lang.user_name()) } dd { (user.name) }
                dt { (lang.role()) } dd { (lang.role_name(user.role.code())) }
                @if let Some(resource) = &user.resource { dt { (lang.stands_for()) } dd { (resource) } }
            }
            h2 { (lang.password()) }
            p { a class="button quiet" href="/auth/password" { (lang.change_password()) } }
            h2 { (lang.totp()) }
            @if user.has_second_factor() {
                p { (lang.totp_on()) " (" (user.recovery.len()) " " (lang.codes_left()) ")" }
                p { a class="button quiet" href="/auth/authenticator" { (lang.totp_remove()) } }
            } @else {
                p { (lang.totp_off()) }
                p { a class="button quiet" href="/auth/authenticator" { (lang.totp_set_up()) } }
            }
            @if super::passkey::are_possible(visit.asked) {
                h2 { (lang.passkeys()) }
                p { (lang.passkeys_text()) }
                p { a class="button quiet" href="/auth/passkeys" { (lang.passkeys()) " (" (user.passkeys.len()) ")" } }
            }
        };
        visit.page(lang.account(), Width::Narrow, &content)
    }

    /// `password`
    pub(super) async fn password_page(&self, visit: &mut Visit<'_>, session: &Session) -> Result<Answered, Failure> {
        let (lang, aim) = (visit.lang(), Aim::of(visit.asked));
        let must = session.user().must_change;
        if visit.asked.method == Method::Get {
            let said = must.then(|| Note::Plain(lang.must_change()));
            return Ok(visit.page(lang.change_password(), Width::Narrow, &password_form(visit, said.as_ref())));
        }
        let (old, new, again) = (field(visit, "pass"), field(visit, "new"), field(visit, "again"));
        let refusal = if new != again {
            (Went::BadRequest, lang.passwords_differ().to_owned())
        } else {
            match self.people_telling(visit.asked).change_password(session, &old, &new, visit.from()).await? {
                Err(refusal) => told(lang, &refusal),
                Ok(token) => {
                    visit.asked.noted.done();
                    visit.set_session(&token);
                    return match (self.people.session(&token).await?, aim.request.is_some() || must) {
                        (Some(session), true) => Ok(Answered::see_other(self.onward(&aim, &session).await?)),
                        _ => Ok(Answered::see_other("/auth/account?done=password")),
                    };
                }
            }
        };
        let content = password_form(visit, note_of(refusal.1).as_ref());
        Ok(visit.page_again(refusal.0, lang.change_password(), Width::Narrow, &content))
    }

    /// `authenticator`
    pub(super) async fn authenticator_page(
        &self,
        visit: &mut Visit<'_>,
        session: &Session,
    ) -> Result<Answered, Failure> {
        if session.user().has_second_factor() {
            return self.authenticator_removal(visit, session).await;
        }
        let lang = visit.lang();
        let (mut said, mut went) = (None, Went::Ok);
        if visit.asked.method == Method::Post {
            let (password, code) = (field(visit, "pass"), field(visit, "code"));
            let people = self.people_telling(visit.asked);
            match people.confirm_second_factor(session, &password, &code, visit.from()).await? {
                Ok(codes) => return Ok(visit.page(lang.recovery(), Width::Narrow, &recovery(lang, &codes))),
                Err(refusal) => {
                    let (how, why) = told(lang, &refusal);
                    (went, said) = (how, note_of(why));
                }
            }
        }
        let shared = self.people.begin_second_factor(session).await?;
        let address = shared.address("Vesta", &session.user().name);
        let content = html! {
            h1 { (lang.totp_set_up()) }
            p class="lead" { (lang.totp_off()) }
            (note(said.as_ref()))
            p { (lang.totp_scan()) }
            (drawing(lang, &address))
            p { (lang.totp_type()) }
            code class="key" { (shared.typed()) }
            form method="post" action="/auth/authenticator" {
                (visit.here.seal())
                label for="code" { (lang.totp_confirm()) }
                input type="text" id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="10"
                    required;
                (own_password(lang, session))
                div class="actions" {
                    button type="submit" { (lang.go_on()) }
                    a class="button quiet" href="/auth/account" { (lang.cancel()) }
                }
            }
        };
        Ok(visit.page_again(went, lang.totp_set_up(), Width::Narrow, &content))
    }

    async fn authenticator_removal(&self, visit: &mut Visit<'_>, session: &Session) -> Result<Answered, Failure> {
        let lang = visit.lang();
        let (mut said, mut went) = (None, Went::Ok);
        if visit.asked.method == Method::Post {
            let people = self.people_telling(visit.asked);
            match people.remove_second_factor(session, &field(visit, "pass"), visit.from()).await? {
                Ok(()) => {
                    visit.asked.noted.done();
                    return Ok(Answered::see_other("/auth/account?done=removed"));
                }
                Err(refusal) => {
                    let (how, why) = told(lang, &refusal);
                    (went, said) = (how, note_of(why));
                }
            }
        }
        let content = html! {
            h1 { (lang.totp_remove()) }
            p class="lead" { (lang.totp_off()) }
            (note(said.as_ref()))
            form method="post" action="/auth/authenticator" {
                (visit.here.seal())
                (own_password(lang, session))
                div class="actions" {
                    button type="submit" { (lang.totp_remove()) }
                    a class="button quiet" href="/auth/account" { (lang.cancel()) }
                }
            }
        };
        Ok(visit.page_again(went, lang.totp_remove(), Width::Narrow, &content))
    }
}

/// Why a change was not made, in words.
pub(super) fn told(lang: Lang, refusal: &Refusal) -> (Went, String) {
    match refusal {
        Refusal::Wrong => (Went::Forbidden, lang.wrong_password().to_owned()),
        Refusal::WrongCode => (Went::Forbidden, lang.wrong_code().to_owned()),
        Refusal::Wait(seconds) => (Went::TooMany, lang.wait(*seconds)),
        Refusal::Weak(Weakness::Short) => (Went::BadRequest, lang.password_short().to_owned()),
        Refusal::Weak(Weakness::Long) => (Went::BadRequest, lang.password_long().to_owned()),
        Refusal::Weak(Weakness::Named) => (Went::BadRequest, lang.password_named().to_owned()),
        Refusal::Weak(Weakness::Popular) => (Went::BadRequest, lang.password_popular().to_owned()),
        Refusal::Weak(Weakness::Repeated) => (Went::BadRequest, lang.password_repeated().to_owned()),
    }
}

pub(super) fn own_password(lang: Lang, session: &Session) -> Markup {
    html! {
        @if session.user().password.is_some() {
            label for="pass" { (lang.old_password()) }
            input type="password" id="pass" name="pass" autocomplete="current-password" maxlength=(LONGEST) required;
        }
    }
}

fn password_form(visit: &Visit<'_>, said: Option<&Note>) -> Markup {
    let lang = visit.lang();
    let new = |id: &str, label: &str, hint: bool| {
        html! {
            label for=(id) { (label) }
            input type="password" id=(id) name=(id) autocomplete="new-password" maxlength=(LONGEST) required
                aria-describedby=[hint.then_some("rule")];
            @if hint { span class="hint" id="rule" { (lang.password_rule()) } }
        }
    };
    html! {
        h1 { (lang.change_password()) }
        (note(said))
        form method="post" action=(visit.here.address()) {
            (visit.here.seal())
            // Password managers look for the name beside the password.
            input type="text" name="user" value=(visit.here.user.as_ref().map_or("", |u| &u.name))
                autocomplete="username" hidden;
            label for="pass" { (lang.old_password()) }
            input type="password" id="pass" name="pass" autocomplete="current-password" maxlength=(LONGEST) required;
            (new("new", lang.new_password(), true))
            (new("again", lang.new_password_again(), false))
            div class="actions" {
                button type="submit" { (lang.change_password()) }
                a class="button quiet" href="/auth/account" { (lang.cancel()) }
            }
        }
    }
}

fn drawing(lang: Lang, address: &str) -> Markup {
    let Some((path, width)) = totp::drawing(address) else { return html! {} };
    html! {
        svg class="qr" viewBox={ "0 0 " (width) " " (width) } role="img" aria-label=(lang.totp_drawing())
            shape-rendering="crispEdges" {
            path d=(PreEscaped(path)) fill="#000" {}
        }
    }
}

fn recovery(lang: Lang, codes: &[String]) -> Markup {
    html! {
        h1 { (lang.recovery()) }
        p class="lead" { (lang.recovery_text()) }
        ul class="codes" { @for code in codes { li { code { (code) } } } }
        div class="actions" { a class="button" href="/auth/account" { (lang.recovery_done()) } }
    }
}
