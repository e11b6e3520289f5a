//! The administrator's page: users, apps and signing keys of the running server. What takes more than a press of a
//! button (adding users and apps) is the command line's.

use super::super::Authorization;
use super::super::client::ClientState;
use super::super::exchange::{Answered, Method, Went};
use super::super::keys::Algorithm;
use super::super::people::{Session, User, secret};
use super::Visit;
use super::layout::{Note, Width, note};
use super::words::Lang;
use crate::access::Role;
use crate::base::Failure;
use crate::interaction::Records;
use maud::{Markup, html};

/// What can be done here, as forms and the audit trail name it: the action, and to what sort of thing.
pub(in crate::authorization) fn action(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "approve-client" => ("approve", "client"),
        "disable-client" => ("disable", "client"),
        "disable-user" => ("disable", "account"),
        "enable-user" => ("enable", "account"),
        "set-password" => ("set-password", "account"),
        "reset-second-factor" => ("reset-second-factor", "account"),
        "rotate-key" => ("rotate", "key"),
        _ => return None,
    })
}

/// What came of it.
enum Done {
    /// It is done.
    Yes,
    /// It is done; this is the new password of the user, which is shown once.
    Password(String, String),
    /// There is no such thing, or it may not be done.
    No(&'static str),
}

impl Authorization {
    /// `admin`
    pub(super) async fn admin_page(&self, visit: &mut Visit<'_>, session: &Session) -> Result<Answered, Failure> {
        let lang = visit.lang();
        if session.user().role != Role::Administrator {
            return Ok(visit.refused(Went::Forbidden, lang.for_administrators()));
        }
        if visit.asked.method == Method::Get {
            let done = visit.asked.query.get("done").map(|_| Note::Good(lang.done()));
            let content = self.administration(visit, done.as_ref(), None).await?;
            return Ok(visit.page(lang.administration(), Width::Wide, &content));
        }
        let (name, which) = (visit.asked.form.get("action"), visit.asked.form.get("which").unwrap_or_default());
        let records = self.telling(visit.asked);
        match self.administer(&records, session, name.unwrap_or_default(), which, lang).await? {
            Done::Yes => {
                visit.asked.noted.done();
                Ok(Answered::see_other("/auth/admin?done=yes"))
            }
            Done::No(why) => {
                let content = self.administration(visit, Some(&Note::Bad(why.to_owned())), None).await?;
                Ok(visit.page_again(Went::BadRequest, lang.administration(), Width::Wide, &content))
            }
            Done::Password(user, password) => {
                let content = self.administration(visit, None, Some((&user, &password))).await?;
                Ok(visit.page(lang.administration(), Width::Wide, &content))
            }
        }
    }

    async fn administer(
        &self,
        records: &Records,
        session: &Session,
        name: &str,
        which: &str,
        lang: Lang,
    ) -> Result<Done, Failure> {
        let done = match name {
            "approve-client" => self.set_state(records, which, ClientState::Active, lang).await?,
            "disable-client" => self.set_state(records, which, ClientState::Disabled, lang).await?,
            "rotate-key" => {
                let Some(algorithm) = [Algorithm::RS256, Algorithm::ES256].into_iter().find(|a| a.name() == which)
                else {
                    return Ok(Done::No(lang.not_there()));
                };
                self.rotate_key_in(records, algorithm).await?;
                Done::Yes
            }
            "disable-user" | "enable-user" | "set-password" | "reset-second-factor" => {
                let Some(user) = self.people.named(which).await? else { return Ok(Done::No(lang.not_there())) };
                // Nobody locks themselves out; the own password and second factor have pages of their own.
                if user.id == session.user().id {
                    return Ok(Done::No(lang.not_yourself()));
                }
                self.change_user(records, name, &user).await?
            }
            _ => return Ok(Done::No(lang.not_there())),
        };
        // What was granted to them is judged anew from now on.
        self.forget_what_was_read();
        Ok(done)
    }

    async fn change_user(&self, records: &Records, name: &str, user: &User) -> Result<Done, Failure> {
        let people = self.people.telling(records);
        match name {
            "set-password" => {
                let password = secret::readable_password()?;
                people.set_password(user, &password, true).await?;
                return Ok(Done::Password(user.name.clone(), password));
            }
            "reset-second-factor" => people.reset_second_factor(user).await?,
            _ => people.set_disabled(user, name == "disable-user").await?,
        };
        Ok(Done::Yes)
    }

    async fn set_state(&self, records: &Records, id: &str, state: ClientState, lang: Lang) -> Result<Done, Failure> {
        let changed = self.change_client_in(records, id, |client| client.state = state).await?;
        Ok(if changed.is_some() { Done::Yes } else { Done::No(lang.not_there()) })
    }

    async fn administration(
        &self,
        visit: &Visit<'_>,
        said: Option<&Note>,
        password: Option<(&str, &str)>,
    ) -> Result<Markup, Failure> {
        let lang = visit.lang();
        let (users, mut clients) = (self.people.all().await?, self.all_clients().await?);
        let keys = self.signing_keys().await?;
        // Those that wait for somebody come first.
        clients.sort_by_key(|client| client.state != ClientState::Waiting);
        let button = |action: &str, which: &str, words: &str| {
            html! {
                form method="post" action="/auth/admin" {
                    (visit.here.seal())
                    input type="hidden" name="which" value=(which);
                    button type="submit" name="action" value=(action) class="quiet" aria-label={ (words) ": " (which) } { (words) }
                }
            }
        };
        Ok(html! {
            h1 { (lang.administration()) }
            (note(said))
            @if let Some((name, password)) = password {
                p class="note good" role="status" { (lang.new_password_of()) " " strong { (name) } ": " code { (password) } }
            }
            h2 { (lang.apps_and_services()) }
            ul class="rows" {
                @for client in &clients {
                    li {
                        div {
                            strong { (client.name) }
                            small { (client.id) " · " (state(lang, client.state)) }
                            small { (client.redirect_uris.join(" ")) }
                            small { (client.scopes.join(" ")) }
                            small { (client.grants().join(" ")) }
                        }
                        @match client.state {
                            ClientState::Active => (button("disable-client", &client.id, lang.disable())),
                            ClientState::Disabled => (button("approve-client", &client.id, lang.enable())),
                            ClientState::Waiting => {
                                (button("approve-client", &client.id, lang.approve()))
                                (button("disable-client", &client.id, lang.disable()))
                            }
                        }
                    }
                }
            }
            h2 { (lang.users()) }
            ul class="rows" {
                @for user in &users {
                    li {
                        div {
                            strong { (user.name) }
                            small {
                                (lang.role_name(user.role.code()))
                                @if user.disabled { " · " (lang.disabled()) }
                            }
                        }
                        @if visit.here.user.as_ref().is_some_and(|own| own.id == user.id) {
                            // The own password and second factor have pages of their own.
                        } @else if user.disabled {
                            (button("enable-user", &user.name, lang.enable()))
                        } @else {
                            (button("disable-user", &user.name, lang.disable()))
                            @if user.password.is_some() { (button("set-password", &user.name, lang.new_password_for())) }
                            @if user.has_second_factor() || !user.passkeys.is_empty() {
                                (button("reset-second-factor", &user.name, lang.totp_remove()))
                            }
                        }
                    }
                }
            }
            h2 { (lang.signing_keys()) }
            ul class="rows" {
                @for key in keys.iter().filter(|key| !key.replaced) {
                    li {
                        div {
                            strong { (key.algorithm.name()) }
                            small { (lang.since()) " " (key.made.to_instant().get(..10).unwrap_or_default()) }
                        }
                        (button("rotate-key", key.algorithm.name(), lang.rotate()))
                    }
                }
            }
        })
    }
}

fn state(lang: Lang, state: ClientState) -> &'static str {
    match state {
        ClientState::Active => lang.active(),
        ClientState::Waiting => lang.waiting(),
        ClientState::Disabled => lang.disabled(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_done_has_a_name_in_the_trail() {
        assert_eq!(action("disable-user"), Some(("disable", "account")));
        assert_eq!(action("delete-everything"), None);
    }
}
