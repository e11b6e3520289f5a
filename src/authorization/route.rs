//! The addresses of the authorization server, below `/auth/`: the one table. Each line leads to the file that answers.

use super::Authorization;
use super::exchange::{Answered, Asked, Method, Readers};
use super::refusal::{Code, Refusal};
use Method::Get;

impl Authorization {
    /// Answers a request to an address below `/auth/`.
    pub async fn answer(&self, asked: Asked) -> Answered {
        if let Some(page) = self.visit(&asked).await {
            return page;
        }
        let answered = match (asked.path.as_str(), asked.method) {
            ("jwks.json", Get) => self.jwks().await.map(|keys| Answered::json(keys).public(300)).map_err(Refusal::from),
            ("style.json", Get) => Ok(Answered::json(super::discovery::style()).public(3600)),
            _ => Err(Refusal::new(Code::NotFound, "there is no such address")),
        };
        answered.unwrap_or_else(|refusal| refusal.answer(false))
    }

    /// Answers a request to a well-known address under the FHIR base; `None` if it is none of those.
    pub fn well_known(&self, name: &str, base: &str) -> Option<Answered> {
        let document = match name {
            "smart-configuration" => self.smart_configuration(base),
            "openid-configuration" => self.openid_configuration(base),
            _ => return None,
        };
        Some(Answered::json(document).public(300))
    }

    /// Whether pages of other origins may call an address below `/auth/`, for the answer to a preflight request.
    pub async fn readers(&self, path: &str, origin: &str) -> Readers {
        let open = ["jwks.json", "style.json", "brands.json"];
        let called = ["token", "revoke", "introspect", "register"];
        if open.contains(&path) {
            return Readers::Everybody;
        }
        if !called.contains(&path) || origin == "null" {
            return Readers::Nobody;
        }
        let registered = self.all_clients().await.is_ok_and(|all| all.iter().any(|client| client.is_at(origin)));
        if registered { Readers::Origin(origin.to_owned()) } else { Readers::Nobody }
    }
}
