//! The addresses of the authorization server, below `/auth/`: the one table. Each line leads to the file that answers.

use super::Authorization;
use super::exchange::{Answered, Asked, Content, Method, Readers, Went};
use super::pages::is_page;
use super::refusal::{Code, Refusal};
use Method::{Delete, Get, Post, Put};

/// Addresses whose answers every page may read.
const PUBLIC: &[&str] = &["jwks.json", "style.json", "brands.json"];

/// Addresses that the pages of registered apps may call.
const CALLED: &[&str] = &["token", "revoke", "introspect", "register"];

/// The methods of an address below `/auth/`, as `Allow` names them; none if there is no such address.
pub fn allowed(path: &str) -> Option<&'static str> {
    Some(match path {
        "token" | "introspect" | "revoke" | "register" | "launch" => "POST, OPTIONS",
        "jwks.json" | "style.json" | "brands.json" => "GET, HEAD, OPTIONS",
        _ if path.starts_with("register/") => "GET, HEAD, PUT, DELETE, OPTIONS",
        _ if path == "authorize" || is_page(path) => "GET, HEAD, POST, OPTIONS",
        _ => return None,
    })
}

impl Authorization {
    /// Answers a request to an address below `/auth/`.
    pub async fn answer(&self, asked: Asked) -> Answered {
        if let Some(page) = self.visit(&asked).await {
            return page;
        }
        match (asked.path.as_str(), asked.method) {
            ("authorize", Get | Post) => self.authorize(&asked).await,
            ("token", Post) => self.token_endpoint(&asked).await,
            ("introspect", Post) => self.introspect(&asked).await,
            ("revoke", Post) => self.revoke(&asked).await,
            ("register", Post) => self.register(&asked).await,
            ("launch", Post) => self.launch_endpoint(&asked).await,
            ("jwks.json", Get) => match self.jwks().await {
                Ok(keys) => Answered::json(keys).public(300),
                Err(failure) => Refusal::from(failure).answer(false),
            },
            ("style.json", Get) => Answered::json(super::discovery::style()).public(3600),
            ("brands.json", Get) => Answered::json(self.brands(&asked.base)).public(3600),
            (path, Get | Put | Delete) if path.starts_with("register/") => {
                self.manage(&asked, path.strip_prefix("register/").unwrap_or_default()).await
            }
            (path, _) if allowed(path).is_some() => Answered::new(Went::NotAllowed, Content::Nothing),
            _ => Refusal::new(Code::NotFound, "there is no such address").answer(false),
        }
    }

    /// Answers a request to a well-known address under the FHIR base; `None` if it is none of those.
    pub async fn well_known(&self, name: &str, base: &str) -> Option<Answered> {
        if let Some(issuer) = &self.issuer {
            return issuer.well_known(name).await;
        }
        let document = match name {
            "smart-configuration" => self.smart_configuration(base),
            "openid-configuration" => self.openid_configuration(base),
            _ => return None,
        };
        Some(Answered::json(document).public(300))
    }

    /// Whether pages of other origins may call an address below `/auth/`, for the answer to a preflight request.
    pub async fn readers(&self, path: &str, origin: &str) -> Readers {
        if PUBLIC.contains(&path) {
            return Readers::Everybody;
        }
        if !CALLED.contains(&path) || origin == "null" {
            return Readers::Nobody;
        }
        let registered = self.all_clients().await.is_ok_and(|all| all.iter().any(|client| client.is_at(origin)));
        if registered { Readers::Origin(origin.to_owned()) } else { Readers::Nobody }
    }
}
