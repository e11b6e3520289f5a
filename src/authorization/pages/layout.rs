//! The frame of every page: language, title, one inline stylesheet that the Content-Security-Policy names by its
//! hash, and nothing from elsewhere. Everything that is put in is escaped by `maud`.

use super::super::people::{User, secret};
use super::words::Lang;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::sync::LazyLock;

const STYLE: &str = include_str!("style.css");
/// The one script, for passkeys, which there are no other means to ask for. No page needs it that has another way.
const SCRIPT: &str = include_str!("passkey.js");

/// The Content-Security-Policy of the pages. It has no `form-action`: browsers hold the redirect after a form to it,
/// and consent ends in a redirect to the app. What forms hold is ours alone, since everything is escaped.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

/// Where a page stands, for its own links.
#[derive(Clone, Debug)]
pub struct Here {
    /// The language.
    pub lang: Lang,
    /// Path of the page, from the root.
    pub path: String,
    /// Its query without the language, encoded, without `?`.
    pub query: String,
    /// What the cookie of this visit holds; forms carry its hash.
    pub visit: String,
    /// Who is signed in.
    pub user: Option<User>,
}

impl Here {
    /// What a form carries, so that no other site can send it.
    pub fn form_secret(&self) -> String {
        secret::hashed("form", &self.visit)
    }

    /// The hidden field with it.
    pub fn seal(&self) -> Markup {
        html! { input type="hidden" name="seal" value=(self.form_secret()); }
    }

    /// The address of this page, for forms.
    pub fn address(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    fn in_language(&self, lang: Lang) -> String {
        let join = if self.query.is_empty() { "" } else { "&" };
        format!("{}?{}{join}lang={}", self.path, self.query, lang.code())
    }
}

/// How a page looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// A short form.
    Narrow,
    /// Lists and many choices.
    Wide,
}

/// A whole page.
pub fn page(here: &Here, title: &str, width: Width, content: &Markup) -> String {
    let lang = here.lang;
    let (other, name) = match lang {
        Lang::English => (Lang::French, "Français"),
        Lang::French => (Lang::English, "English"),
    };
    let class = if width == Width::Wide { "wide" } else { "" };
    html! {
        (DOCTYPE)
        html lang=(lang.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " – Vesta" }
                style { (PreEscaped(STYLE)) }
            }
            body class=(class) {
                a class="skip" href="#content" { (lang.skip()) }
                header {
                    span class="mark" { (mark()) "Vesta" }
                    a href=(here.in_language(other)) lang=(other.code()) hreflang=(other.code()) { (name) }
                }
                main id="content" { (content) }
                footer { (foot(here)) }
            }
        }
    }
    .into_string()
}

/// The script, at the end of what it works on.
pub fn script() -> Markup {
    html! { script { (PreEscaped(SCRIPT)) } }
}

/// A flame over a hearth: the name's.
fn mark() -> Markup {
    html! {
        svg width="26" height="26" viewBox="0 0 26 26" aria-hidden="true" {
            path fill="#0b5563" d="M13 1.5c.6 4.2 5.9 6 5.9 11.6a5.9 5.9 0 0 1-11.8 0c0-3 1.7-4.6 2.6-6.9.6 1.3.9 2 1.6 2.7C12.7 7 13.3 4.600 13 1.500z" {}
            rect fill="#0b5563" x="4" y="21.500" width="18" height="2.800" rx="1.400" {}
        }
    }
}

fn foot(here: &Here) -> Markup {
    let lang = here.lang;
    let Some(user) = &here.user else { return html! {} };
    html! {
        span { (lang.signed_in_as()) " " strong { (user.shown()) } }
        nav aria-label="Vesta" {
            a href="/auth/account" { (lang.account()) }
            a href="/auth/apps" { (lang.apps()) }
            @if user.role == crate::access::Role::Administrator {
                a href="/auth/admin" { (lang.administration()) }
            }
            a href="/auth/sign-out" { (lang.sign_out()) }
        }
    }
}

/// What a page has to say before all else.
#[derive(Clone, Debug)]
pub enum Note {
    /// Something went wrong.
    Bad(String),
    /// Something was done.
    Good(&'static str),
    /// Something to know.
    Plain(&'static str),
}

/// A note; a wrong is read aloud at once.
pub fn note(note: Option<&Note>) -> Markup {
    match note {
        None => html! {},
        Some(Note::Bad(text)) => html! { p class="note bad" role="alert" id="note" { (text) } },
        Some(Note::Good(text)) => html! { p class="note good" role="status" { (text) } },
        Some(Note::Plain(text)) => html! { p class="note" { (text) } },
    }
}

/// The page for what cannot be done.
pub fn problem(here: &Here, title: &str, text: &str) -> String {
    let content = html! {
        h1 { (title) }
        p { (text) }
    };
    page(here, title, Width::Narrow, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_escaped_and_nothing_comes_from_elsewhere() {
        let here = Here {
            lang: Lang::French,
            path: "/auth/sign-in".into(),
            query: "request=a%22b".into(),
            visit: "v".into(),
            user: None,
        };
        let text = problem(&here, "<script>", "\"><img src=x>");
        assert!(!text.contains("<script") && !text.contains("<img"), "{text}");
        assert!(text.contains("<html lang=\"fr\">"));
        assert!(text.contains("href=\"/auth/sign-in?request=a%22b&amp;lang=en\""));
        for outside in ["http:", "https:", "url(", "@import", "style=\""] {
            assert!(!text.contains(outside), "{outside}");
        }
        assert!(POLICY.starts_with("default-src 'none'; style-src 'sha256-"));
    }
}
