//! The pages that people see: sign-in, second step, patient picker, consent, account, apps. Server-rendered, without
//! any script, in English and French. This file knows cookies, languages and the guard of the forms, and leads each
//! address to its page; what is true about people is `people`, what an answer at consent leads to is oauth's side.

mod account;
pub(super) mod admin;
mod apps;
mod consent;
mod layout;
mod outside;
mod passkey;
mod patient;
mod request;
mod sign_in;
mod words;

pub use layout::POLICY;
pub use words::Lang;

use super::Authorization;
use super::exchange::{Answered, Asked, Content, Method, Parameters, Went};
use super::people::{Session, secret};
use crate::audit::Severity;
use crate::base::{Failure, FailureKind};
use layout::{Here, Note, Width};
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::net::{IpAddr, Ipv4Addr};

/// A visit to a page: what was asked, by whom, in which language.
pub(crate) struct Visit<'a> {
    pub(crate) asked: &'a Asked,
    pub(crate) here: Here,
    pub(crate) session: Option<Session>,
    cookies: Vec<String>,
}

/// What is escaped in a query: all but what never has to be (RFC 3986 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where somebody who signs in wants to go; never an address of somebody else's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aim {
    /// The request of an app that is to be answered.
    pub(crate) request: Option<String>,
    /// One of our own pages.
    pub(crate) page: Option<&'static str>,
}

impl Aim {
    fn of(asked: &Asked) -> Aim {
        Aim::read(&asked.query)
    }

    fn read(query: &Parameters) -> Aim {
        let request = query.get("request").filter(|id| id.len() <= 128).map(str::to_owned);
        let page = query.get("next").and_then(|next| ["account", "admin", "apps"].into_iter().find(|p| *p == next));
        Aim { request, page }
    }

    /// As a query, without `?`.
    fn query(&self) -> String {
        match (&self.request, self.page) {
            (Some(id), _) => format!("request={}", utf8_percent_encode(id, ESCAPED)),
            (None, Some(page)) => format!("next={page}"),
            (None, None) => String::new(),
        }
    }

    /// The address of a page that keeps the aim.
    pub(crate) fn at(&self, page: &str) -> String {
        let query = self.query();
        if query.is_empty() { format!("/auth/{page}") } else { format!("/auth/{page}?{query}") }
    }
}

/// Whether there is a page at an address below `/auth/`.
pub(super) fn is_page(path: &str) -> bool {
    matches!(
        path,
        "" | "sign-in"
            | "second-factor"
            | "sign-out"
            | "signed-out"
            | "patient"
            | "consent"
            | "account"
            | "password"
            | "authenticator"
            | "admin"
            | "apps"
            | "passkeys"
            | "passkey"
            | "outside"
            | "outside/return"
    )
}

impl Authorization {
    /// Answers a visit to a page; `None` if there is no such page.
    pub(crate) async fn visit(&self, asked: &Asked) -> Option<Answered> {
        if !is_page(&asked.path) || !matches!(asked.method, Method::Get | Method::Post) {
            return None;
        }
        let mut visit = match self.receive(asked).await {
            Ok(visit) => visit,
            Err(failure) => return Some(plain_failure(asked, &failure)),
        };
        let answered = if asked.method == Method::Post && !visit.is_sealed() {
            Ok(visit.refused(Went::Forbidden, visit.here.lang.form_over()))
        } else {
            self.lead(&mut visit).await
        };
        let mut answered = answered.unwrap_or_else(|failure| visit.failed(&failure));
        answered.cookies.append(&mut visit.cookies);
        Some(answered)
    }

    async fn lead(&self, visit: &mut Visit<'_>) -> Result<Answered, Failure> {
        match visit.asked.path.as_str() {
            "sign-in" => self.sign_in_page(visit).await,
            "second-factor" => self.second_factor_page(visit).await,
            "passkey" => self.passkey_page(visit).await,
            "outside" => self.outside_page(visit).await,
            "outside/return" => self.outside_return(visit).await,
            "sign-out" => self.sign_out_page(visit).await,
            "signed-out" => Ok(sign_in::signed_out(visit)),
            page => {
                let Some(session) = visit.session.clone() else {
                    let mut aim = Aim::of(visit.asked);
                    let own = ["admin", "apps"].into_iter().find(|own| *own == page);
                    aim.page = aim.page.or(own.or(Some("account")));
                    visit.asked.noted.refused(Severity::Serious, "nobody is signed in");
                    return Ok(Answered::see_other(aim.at("sign-in")));
                };
                if session.user().must_change && page != "password" {
                    visit.asked.noted.refused(Severity::Minor, "the user has to choose another password first");
                    return Ok(Answered::see_other(Aim::of(visit.asked).at("password")));
                }
                match page {
                    "patient" => self.patient_page(visit, &session).await,
                    "consent" => self.consent_page(visit, &session).await,
                    "password" => self.password_page(visit, &session).await,
                    "authenticator" => self.authenticator_page(visit, &session).await,
                    "passkeys" => self.passkeys_page(visit, &session).await,
                    "admin" => self.admin_page(visit, &session).await,
                    "apps" => self.apps_page(visit, &session).await,
                    _ => Ok(self.account_page(visit, &session)),
                }
            }
        }
    }

    async fn receive<'a>(&self, asked: &'a Asked) -> Result<Visit<'a>, Failure> {
        let mut cookies = Vec::new();
        let chosen = asked.query.get("lang").and_then(Lang::of);
        if let Some(lang) = chosen {
            cookies.push(cookie(asked, "lang", lang.code(), Some(31_536_000)));
        }
        let lang = chosen
            .or_else(|| asked.cookie(&cookie_name(asked, "lang")).and_then(Lang::of))
            .or_else(|| asked.languages.as_deref().and_then(Lang::accepted))
            .unwrap_or_default();
        let session = self.session_of(asked).await?;
        let visit = match asked.cookie(&cookie_name(asked, "visit")).filter(|v| v.len() == 43) {
            Some(visit) => visit.to_owned(),
            None => {
                let visit = secret::token()?;
                cookies.push(cookie(asked, "visit", &visit, None));
                visit
            }
        };
        let here = Here {
            lang,
            path: format!("/auth/{}", asked.path),
            query: query_without_language(asked),
            visit,
            user: session.as_ref().map(|s| s.user().clone()),
        };
        Ok(Visit { asked, here, session, cookies })
    }

    /// The session of the browser that asks, if somebody is signed in there.
    pub(crate) async fn session_of(&self, asked: &Asked) -> Result<Option<Session>, Failure> {
        match asked.cookie(&cookie_name(asked, "session")) {
            Some(token) => self.people.session(token).await,
            None => Ok(None),
        }
    }
}

impl Visit<'_> {
    /// Whether a form comes from a page of ours that this browser has been shown.
    fn is_sealed(&self) -> bool {
        let seal = self.asked.form.get("seal").unwrap_or_default();
        secret::same(seal, &self.here.form_secret())
    }

    /// The words.
    fn lang(&self) -> Lang {
        self.here.lang
    }

    /// Where the visitor comes from, as far as it is known.
    fn from(&self) -> IpAddr {
        self.asked.remote.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// From now on this browser is in this session.
    fn set_session(&mut self, token: &str) {
        self.cookies.push(cookie(self.asked, "session", token, None));
    }

    fn end_session(&mut self) {
        self.cookies.push(cookie(self.asked, "session", "", Some(0)));
    }

    /// A page.
    fn page(&self, title: &str, width: Width, content: &Markup) -> Answered {
        Answered::page(layout::page(&self.here, title, width, content))
    }

    /// A page again, because what was sent is no good.
    fn page_again(&self, went: Went, title: &str, width: Width, content: &Markup) -> Answered {
        Answered::new(went, Content::Page(layout::page(&self.here, title, width, content)))
    }

    /// A page that says why not.
    fn refused(&self, went: Went, why: &str) -> Answered {
        Answered::new(went, Content::Page(layout::problem(&self.here, self.lang().problem(), why)))
    }

    fn failed(&self, failure: &Failure) -> Answered {
        let lang = self.lang();
        match failure.kind {
            FailureKind::NotFound | FailureKind::Gone => self.refused(Went::BadRequest, lang.request_over()),
            FailureKind::Forbidden => self.refused(Went::Forbidden, lang.not_that_patient()),
            FailureKind::Malformed | FailureKind::Unprocessable => self.refused(Went::BadRequest, lang.request_over()),
            FailureKind::Conflict => self.refused(Went::BadRequest, lang.form_over()),
            FailureKind::Unavailable | FailureKind::StoreFull => {
                self.refused(Went::Unavailable, lang.try_again_later())
            }
            _ => self.refused(Went::Internal, lang.try_again_later()),
        }
    }
}

fn plain_failure(asked: &Asked, failure: &Failure) -> Answered {
    let lang = asked.languages.as_deref().and_then(Lang::accepted).unwrap_or_default();
    let here = Here { lang, path: "/auth/account".into(), query: String::new(), visit: String::new(), user: None };
    let went = if failure.kind == FailureKind::Unavailable { Went::Unavailable } else { Went::Internal };
    Answered::new(went, Content::Page(layout::problem(&here, lang.problem(), lang.try_again_later())))
}

/// A page that says why an app's request cannot be used, before anybody has signed in. `why` is for its developer.
pub(super) fn unusable(asked: &Asked, code: &str, why: &str) -> Answered {
    let lang = asked.languages.as_deref().and_then(Lang::accepted).unwrap_or_default();
    let here = Here { lang, path: "/auth/account".into(), query: String::new(), visit: String::new(), user: None };
    let content = html! {
        h1 { (lang.unusable()) }
        p { (lang.unusable_text()) }
        p { (lang.for_the_developer()) " " code { (code) } ": " (why) }
    };
    Answered::new(Went::BadRequest, Content::Page(layout::page(&here, lang.unusable(), Width::Narrow, &content)))
}

fn note_of(text: impl Into<String>) -> Option<Note> {
    Some(Note::Bad(text.into()))
}

/// `__Host-` binds a cookie to this host and to TLS, where there is TLS.
fn cookie_name(asked: &Asked, name: &str) -> String {
    let prefix = if asked.is_secure() { "__Host-" } else { "" };
    format!("{prefix}vesta-{name}")
}

fn cookie(asked: &Asked, name: &str, value: &str, age: Option<u32>) -> String {
    let name = cookie_name(asked, name);
    let secure = if asked.is_secure() { "; Secure" } else { "" };
    let age = age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")
}

fn query_without_language(asked: &Asked) -> String {
    let coded = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let pairs = asked.query.0.iter().filter(|(name, _)| !["lang", "done", "outside"].contains(&name.as_str()));
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{}={}", coded(name), coded(value))).collect();
    pairs.join("&")
}
