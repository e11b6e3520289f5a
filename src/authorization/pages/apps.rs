//! "My apps": which apps may work in one's name, and how to take that back.

use super::super::Authorization;
use super::super::exchange::{Answered, Method};
use super::super::people::Session;
use super::Visit;
use super::layout::{Note, Width, note};
use crate::base::Failure;
use maud::html;

impl Authorization {
    /// `apps`
    pub(super) async fn apps_page(&self, visit: &mut Visit<'_>, session: &Session) -> Result<Answered, Failure> {
        let lang = visit.lang();
        if visit.asked.method == Method::Post {
            if let Some(client) = visit.asked.form.get("app") {
                self.revoke_app(visit.asked, &session.user().id, client).await?;
            }
            return Ok(Answered::see_other("/auth/apps?done=revoked"));
        }
        let done = visit.asked.query.get("done").map(|_| Note::Good(lang.revoked()));
        let apps = self.apps_of(&session.user().id).await?;
        let content = html! {
            h1 { (lang.apps()) }
            p class="lead" { (lang.apps_text()) }
            (note(done.as_ref()))
            @if apps.is_empty() {
                p class="note" { (lang.no_apps()) }
            } @else {
                form method="post" action="/auth/apps" {
                    (visit.here.seal())
                    ul class="rows" {
                        @for app in &apps {
                            li {
                                div {
                                    strong { (app.name) }
                                    small { (lang.since()) " " (app.since.to_instant().get(..10).unwrap_or_default()) }
                                    small { (app.scopes.join(" ")) }
                                }
                                button type="submit" name="app" value=(app.client) class="quiet"
                                    aria-label={ (lang.revoke()) ": " (app.name) } { (lang.revoke()) }
                            }
                        }
                    }
                }
            }
        };
        Ok(visit.page(lang.apps(), Width::Wide, &content))
    }
}
