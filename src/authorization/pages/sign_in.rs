//! The pages to sign in, to give the second factor, and to sign out.

use super::super::Authorization;
use super::super::exchange::{Answered, Method, Went};
use super::super::people::{Entrance, Session, SignedIn};
use super::layout::{Note, Width, note};
use super::{Aim, Visit, note_of};
use crate::audit::Severity;
use crate::base::Failure;
use maud::{Markup, html};

impl Authorization {
    /// `sign-in`
    pub(super) async fn sign_in_page(&self, visit: &mut Visit<'_>) -> Result<Answered, Failure> {
        let aim = Aim::of(visit.asked);
        let app = match &aim.request {
            Some(id) => Some(self.question(id).await?.client.name.clone()),
            None => None,
        };
        if visit.asked.method == Method::Get {
            if let Some(session) = &visit.session
                && self.is_enough(&aim, session).await?
            {
                return Ok(Answered::see_other(self.onward(&aim, session).await?));
            }
            // Who is asked to sign in is not shown as signed in.
            visit.here.user = None;
            let said = visit.asked.query.get("outside").and_then(|_| note_of(visit.lang().outside_failed()));
            let content = self.form(visit, &aim, app.as_deref(), "", said.as_ref());
            return Ok(visit.page(visit.lang().sign_in(), Width::Narrow, &content));
        }
        let (name, password) = (field(visit, "user"), field(visit, "pass"));
        let came = self.people.sign_in(&name, &password, visit.from()).await?;
        let (went, why) = match came {
            SignedIn::Known(entrance) => match self.enter(visit, &aim, *entrance).await? {
                Some(answered) => return Ok(answered),
                None => (Went::Forbidden, visit.lang().wrong().to_owned()),
            },
            SignedIn::Wrong(user) => {
                would_be(visit, user.as_deref());
                (Went::Forbidden, visit.lang().wrong().to_owned())
            }
            SignedIn::Wait(seconds) => (Went::TooMany, visit.lang().wait(seconds)),
        };
        visit.here.user = None;
        let content = self.form(visit, &aim, app.as_deref(), &name, note_of(why).as_ref());
        Ok(visit.page_again(went, visit.lang().sign_in(), Width::Narrow, &content))
    }

    /// `second-factor`
    pub(super) async fn second_factor_page(&self, visit: &mut Visit<'_>) -> Result<Answered, Failure> {
        let aim = Aim::of(visit.asked);
        let token = visit.asked.cookie(&super::cookie_name(visit.asked, "session")).unwrap_or_default();
        let Some(halfway) = self.people.halfway(token).await? else {
            visit.asked.noted.refused(Severity::Minor, "nobody has given a password before");
            return Ok(Answered::see_other(aim.at("sign-in")));
        };
        visit.asked.noted.user(&halfway.user().name);
        let lang = visit.lang();
        if visit.asked.method == Method::Get {
            return Ok(visit.page(lang.second_factor(), Width::Narrow, &code_form(visit, None)));
        }
        let (went, why) = match self.people.second_factor(&halfway, &field(visit, "code")).await? {
            SignedIn::Known(entrance) => match self.enter(visit, &aim, *entrance).await? {
                Some(answered) => return Ok(answered),
                None => (Went::Forbidden, lang.wrong_code().to_owned()),
            },
            SignedIn::Wait(seconds) => (Went::TooMany, lang.wait(seconds)),
            SignedIn::Wrong(_) => (Went::Forbidden, lang.wrong_code().to_owned()),
        };
        let content = code_form(visit, note_of(why).as_ref());
        Ok(visit.page_again(went, lang.second_factor(), Width::Narrow, &content))
    }

    /// `sign-out`
    pub(super) async fn sign_out_page(&self, visit: &mut Visit<'_>) -> Result<Answered, Failure> {
        let lang = visit.lang();
        if visit.asked.method == Method::Get {
            let content = html! {
                h1 { (lang.sign_out()) }
                p { (lang.sign_out_question()) }
                form method="post" action="/auth/sign-out" {
                    (visit.here.seal())
                    div class="actions" {
                        button type="submit" { (lang.sign_out()) }
                        a class="button quiet" href="/auth/account" { (lang.cancel()) }
                    }
                }
            };
            return Ok(visit.page(lang.sign_out(), Width::Narrow, &content));
        }
        if let Some(session) = &visit.session {
            self.people_telling(visit.asked).sign_out(session).await?;
        }
        visit.asked.noted.done();
        visit.end_session();
        Ok(Answered::see_other("/auth/signed-out"))
    }

    fn form(&self, visit: &Visit<'_>, aim: &Aim, app: Option<&str>, name: &str, said: Option<&Note>) -> Markup {
        let lang = visit.lang();
        let described = said.map(|_| "note");
        let passkeys = super::passkey::are_possible(visit.asked);
        html! {
            h1 { (lang.sign_in()) }
            @if let Some(app) = app {
                p class="lead" { (lang.sign_in_for()) " " strong { (app) } }
            }
            (note(said))
            form method="post" action=(aim.at("sign-in")) {
                (visit.here.seal())
                label for="user" { (lang.user_name()) }
                input type="text" id="user" name="user" value=(name) autocomplete="username" autocapitalize="none"
                    spellcheck="false" maxlength="100" required autofocus[name.is_empty()] aria-describedby=[described];
                label for="pass" { (lang.password()) }
                input type="password" id="pass" name="pass" autocomplete="current-password" maxlength="256" required
                    autofocus[!name.is_empty()] aria-describedby=[described];
                button type="submit" class="full" { (lang.sign_in()) }
            }
            @if passkeys || !self.people.providers().is_empty() { p class="or" { (lang.or()) } }
            @if passkeys {
                form method="post" action=(aim.at("passkey")) {
                    (visit.here.seal())
                    button type="submit" name="do" value="begin" class="quiet full" { (lang.with_passkey()) }
                }
            }
            @if !self.people.providers().is_empty() {
                form method="post" action=(aim.at("outside")) class="stack" {
                    (visit.here.seal())
                    @for provider in self.people.providers() {
                        button type="submit" name="provider" value=(provider.name) class="quiet full" {
                            (lang.with()) " " (provider.shown())
                        }
                    }
                }
            }
        }
    }

    /// Lets somebody in, in the place of the session before; that it was done is in the same commit. None if another
    /// request has used what was used for it.
    pub(super) async fn enter(
        &self,
        visit: &mut Visit<'_>,
        aim: &Aim,
        entrance: Entrance,
    ) -> Result<Option<Answered>, Failure> {
        let (noted, halfway) = (&visit.asked.noted, entrance.is_halfway());
        noted.user(&entrance.user().name);
        if halfway {
            noted.refused(Severity::Minor, "the password is right; the second factor is still to come");
        } else {
            noted.done();
        }
        // Who still has to give the second factor takes nobody's place.
        let before = visit.session.as_ref().filter(|_| !halfway);
        let Some(token) = self.people_telling(visit.asked).let_in(entrance, before).await? else {
            noted.refused(Severity::Serious, "another request used the same at the same moment");
            return Ok(None);
        };
        visit.set_session(&token);
        if halfway {
            return Ok(Some(Answered::see_other(aim.at("second-factor"))));
        }
        Ok(Some(match self.people.session(&token).await? {
            Some(session) => Answered::see_other(self.onward(aim, &session).await?),
            None => Answered::see_other(aim.at("sign-in")),
        }))
    }

    /// Whether a session is enough for what its user aims at: an app may want the user to sign in anew.
    pub(super) async fn is_enough(&self, aim: &Aim, session: &Session) -> Result<bool, Failure> {
        match &aim.request {
            Some(id) => Ok(!self.pending(id).await?.wants_sign_in_after(session.began())),
            None => Ok(true),
        }
    }

    /// Where somebody who has signed in goes next.
    pub(super) async fn onward(&self, aim: &Aim, session: &Session) -> Result<String, Failure> {
        if session.user().must_change {
            return Ok(aim.at("password"));
        }
        match &aim.request {
            Some(id) => {
                let wanted = self.wants_patient(&self.question(id).await?, session.user()).await?;
                Ok(aim.at(if wanted { "patient" } else { "consent" }))
            }
            None => Ok(format!("/auth/{}", aim.page.unwrap_or("account"))),
        }
    }
}

/// `signed-out`
pub(super) fn signed_out(visit: &mut Visit<'_>) -> Answered {
    let lang = visit.lang();
    visit.here.user = None;
    let content = html! {
        h1 { (lang.signed_out()) }
        p { (lang.signed_out_text()) }
        p { a href="/auth/sign-in" { (lang.sign_in_again()) } }
    };
    visit.page(lang.signed_out(), Width::Narrow, &content)
}

/// Notes who would have been let in, for the trail alone: the answer is the same whether there is such a user or not.
pub(super) fn would_be(visit: &Visit<'_>, user: Option<&str>) {
    if let Some(name) = user {
        visit.asked.noted.user(name);
    }
}

/// A field of the form as it was sent: an empty password is a password.
pub(super) fn field(visit: &Visit<'_>, name: &str) -> String {
    visit.asked.form.get(name).unwrap_or_default().to_owned()
}

fn code_form(visit: &Visit<'_>, said: Option<&Note>) -> Markup {
    let lang = visit.lang();
    html! {
        h1 { (lang.second_factor()) }
        p class="lead" { (lang.second_factor_text()) }
        (note(said))
        form method="post" action=(visit.here.address()) {
            (visit.here.seal())
            label for="code" { (lang.one_code()) }
            input type="text" id="code" name="code" autocomplete="one-time-code" autocapitalize="none"
                spellcheck="false" maxlength="32" required autofocus;
            button type="submit" class="full" { (lang.go_on()) }
        }
    }
}
