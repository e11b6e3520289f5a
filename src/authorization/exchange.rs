//! What the authorization server is asked and what it answers, free of HTTP types: `http` maps both. Decides nothing.

use super::noted::Noted;
use serde_json::Value;
use std::net::IpAddr;

/// The method of a request.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// The parameters of a query string or a form, decoded, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(pub Vec<(String, String)>);

impl Parameters {
    /// Reads `a=1&b=2`. What is not UTF-8 is read as if it were not there: no parameter of ours needs it.
    pub fn read(text: &str) -> Parameters {
        let decode = |part: &str| {
            let part = part.replace('+', " ");
            percent_encoding::percent_decode_str(&part).decode_utf8().map(|t| t.into_owned()).ok()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        Parameters(pairs.collect())
    }

    /// The first value of a parameter; an empty one counts as none (RFC 6749 3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A parameter that is there more than once, which OAuth forbids.
    pub fn repeated(&self) -> Option<&str> {
        let names = || self.0.iter().map(|(name, _)| name.as_str());
        names().enumerate().find(|(i, name)| names().take(*i).any(|earlier| earlier == *name)).map(|(_, name)| name)
    }
}

/// A request to an address of the authorization server.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method; HEAD is GET.
    pub method: Method,
    /// Path below `/auth/`, decoded, without a slash at either end.
    pub path: String,
    /// The query string.
    pub query: Parameters,
    /// The body, if it is a form.
    pub form: Parameters,
    /// The body, whatever it is.
    pub body: Vec<u8>,
    /// The header Authorization.
    pub authorization: Option<String>,
    /// The header Cookie.
    pub cookies: Option<String>,
    /// The header Origin.
    pub origin: Option<String>,
    /// The header Accept-Language.
    pub languages: Option<String>,
    /// The header User-Agent.
    pub agent: Option<String>,
    /// Where it comes from.
    pub remote: Option<IpAddr>,
    /// The FHIR base by a name that is known to be ours (never what some Host header says).
    pub base: String,
    /// The id of the request.
    pub request_id: String,
    /// What is noted for the audit trail while it is answered.
    pub noted: Noted,
}

impl Asked {
    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.cookies.as_deref()?.split(';');
        cookies.filter_map(|pair| pair.trim().split_once('=')).find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The token of `Authorization: Bearer …`.
    pub fn bearer(&self) -> Option<&str> {
        bearer(self.authorization.as_deref()?)
    }

    /// Whether the connection that the client sees is TLS.
    pub fn is_secure(&self) -> bool {
        self.base.starts_with("https://")
    }
}

/// The token in the value of an Authorization header.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// How an answer went; `http` knows the status of each.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    Ok,
    Created,
    NoContent,
    /// The browser goes on by GET to the address in the content.
    SeeOther,
    BadRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    NotAllowed,
    TooLarge,
    TooMany,
    Internal,
    Unavailable,
}

/// What an answer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(Value),
    /// A whole HTML page.
    Page(String),
    /// An address to go to.
    Address(String),
}

/// Which pages of other origins may read an answer.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Readers {
    /// None.
    #[default]
    Nobody,
    /// Those of this origin.
    Origin(String),
    /// All: there is nothing in it that is not public.
    Everybody,
}

/// An answer. Unless it says otherwise it is not stored by anybody (`Cache-Control: no-store`).
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// How it went.
    pub went: Went,
    /// What it holds.
    pub content: Content,
    /// Values of `Set-Cookie` headers.
    pub cookies: Vec<String>,
    /// The value of a `WWW-Authenticate` header.
    pub challenge: Option<String>,
    /// Seconds that anybody may keep it.
    pub keep: Option<u32>,
    /// Who may read it.
    pub readers: Readers,
}

impl Answered {
    /// An answer of this kind.
    pub fn new(went: Went, content: Content) -> Answered {
        Answered { went, content, cookies: Vec::new(), challenge: None, keep: None, readers: Readers::Nobody }
    }

    /// JSON that went well.
    pub fn json(value: Value) -> Answered {
        Answered::new(Went::Ok, Content::Json(value))
    }

    /// A page that went well.
    pub fn page(html: String) -> Answered {
        Answered::new(Went::Ok, Content::Page(html))
    }

    /// The browser shall go there.
    pub fn see_other(address: impl Into<String>) -> Answered {
        Answered::new(Went::SeeOther, Content::Address(address.into()))
    }

    /// The same answer, public, which may be kept for some seconds.
    pub fn public(self, seconds: u32) -> Answered {
        Answered { keep: Some(seconds), readers: Readers::Everybody, ..self }
    }

    /// The same answer with a cookie.
    pub fn with_cookie(mut self, cookie: String) -> Answered {
        self.cookies.push(cookie);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_repeats_are_found() {
        let read = Parameters::read("a=1+2&b=%C3%A9&c&a=3&d=%FF");
        assert_eq!(read.get("a"), Some("1 2"));
        assert_eq!(read.get("b"), Some("é"));
        assert_eq!(read.get("c"), None);
        assert_eq!(read.get("d"), None);
        assert_eq!(read.all("a").collect::<Vec<_>>(), ["1 2", "3"]);
        assert_eq!(read.repeated(), Some("a"));
        assert_eq!(Parameters::read("a=1&b=1").repeated(), None);
    }

    #[test]
    fn bearer_tokens_and_cookies() {
        assert_eq!(bearer("bearer abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
    }
}
