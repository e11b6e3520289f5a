//! The first start: an app to try, registered for pages on this machine, and a token to begin with. Nothing here is a
//! secret that is the same anywhere else.

use super::Authorization;
use super::client::{Client, ClientKind};
use super::consent::Person;
use super::people;
use crate::audit::Event;
use crate::base::{Failure, TenantId};
use crate::interaction::{Context, Records};

/// The client_id of the app.
pub const SAMPLE: &str = "smart-app";

/// How long the token holds, in seconds.
const TOKEN: i64 = 3_600;

/// What the first start makes, to be shown once.
pub struct First {
    /// The name of the administrator.
    pub name: String,
    /// Its password.
    pub password: String,
    /// A token to begin with.
    pub token: String,
}

impl Authorization {
    /// Makes what a server begins with if there are no users: an administrator, an app to try, a token. The audit trail
    /// is told of each in its own commit.
    pub async fn first_start(&self, base: &str) -> Result<Option<First>, Failure> {
        let context = Context::open(TenantId::default(), base);
        let telling = |event: Event| self.service.records_telling(&context, event.detail("by", "first start"));
        let account = telling(Event::administration("create", "account", people::FIRST));
        let Some((name, password)) = self.people.telling(&account).first().await? else { return Ok(None) };
        self.add_sample_app(&telling(Event::administration("create", "client", SAMPLE))).await?;
        let records = telling(Event::token("", "first start").user(&name));
        let token = self.first_token_in(&records, &name, base).await?.unwrap_or_default();
        Ok(Some(First { name, password, token }))
    }

    /// Registers the sample app if nothing is registered. It is a public client on localhost: PKCE ties it together.
    async fn add_sample_app(&self, records: &Records) -> Result<bool, Failure> {
        if !self.all_clients().await?.is_empty() {
            return Ok(false);
        }
        let mut app = Client::new(SAMPLE, "Sample SMART app", ClientKind::Public);
        app.redirect_uris = [
            "http://localhost:9123/app.html",
            "http://localhost:8000/",
            "http://localhost:8000/index.html",
            "http://localhost:8000/smart-app.html",
        ]
        .map(str::to_owned)
        .to_vec();
        app.launch_uri = Some("http://localhost:9123/launch.html".to_owned());
        app.created = self.clock.now().0 / 1_000_000;
        app.scopes = [
            "openid",
            "fhirUser",
            "profile",
            "launch",
            "launch/patient",
            "launch/encounter",
            "offline_access",
            "online_access",
            "patient/*.cruds",
            "user/*.cruds",
        ]
        .map(str::to_owned)
        .to_vec();
        self.add_client_in(records, &app).await?;
        Ok(true)
    }

    /// A token for a user to begin with, by its name.
    pub async fn first_token(&self, name: &str, base: &str) -> Result<Option<String>, Failure> {
        self.first_token_in(&self.records, name, base).await
    }

    async fn first_token_in(&self, records: &Records, name: &str, base: &str) -> Result<Option<String>, Failure> {
        let Some(user) = self.people.named(name).await? else { return Ok(None) };
        let person = Person {
            subject: user.id.clone(),
            name: user.shown().to_owned(),
            role: user.role.code().to_owned(),
            user: user.resource.clone(),
            session: None,
            authenticated: self.clock.now(),
        };
        self.token_for_in(records, &person, &["user/*.cruds"], base, TOKEN).await.map(Some)
    }

    /// Takes away what is over (codes, tokens, sessions), a part at a time.
    pub async fn sweep(&self) -> Result<usize, Failure> {
        self.records.sweep(1_000).await
    }
}
