//! The page that a browser gets where an authorization request cannot be led back to an app: the address to go to is
//! not to be trusted then. Static; says what is wrong to the person and to the developer.

use super::exchange::{Answered, Content, Went};
use super::refusal::Refusal;

/// The page for a refusal.
pub(super) fn refused(refusal: &Refusal) -> Answered {
    let text = format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>This does not work</title>
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}}
code{{background:#f3f3f0;border-radius:4px;padding:.1em .3em}}</style></head>
<body><main><h1>This does not work</h1>
<p>An app wanted to connect, but its request cannot be used. Nothing was shared with it.</p>
<p lang="fr">Une application a voulu se connecter, mais sa demande n’est pas utilisable. Rien ne lui a été transmis.</p>
<p>For its developer: <code>{}</code>: {}</p></main></body></html>
"#,
        refusal.code.text(),
        escape(&refusal.description)
    );
    Answered::new(Went::BadRequest, Content::Page(text))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
