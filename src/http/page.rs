//! The page at `/`: what this is and what to try, with a token where access control is on. Without script and without
//! anything from elsewhere.

use super::site::Site;
use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};

/// Commands to try, one after the other, in lines that fit: `$TOKEN` is an access token, where one is needed.
pub fn commands(base: &str, guarded: bool) -> String {
    let (more, last) = match guarded {
        true => ("     -H \"Authorization: Bearer $TOKEN\" \\\n", " \\\n     -H \"Authorization: Bearer $TOKEN\""),
        false => ("", ""),
    };
    format!(
        r#"curl '{base}/metadata?_pretty=true'
curl -X POST '{base}/Patient' \
{more}     -H 'Content-Type: application/fhir+json' \
     -d '{{"resourceType":"Patient","birthDate":"1987-02-20",
          "name":[{{"family":"Shaw","given":["Amy"]}}]}}'
curl '{base}/Patient?name=shaw&_pretty=true'{last}"#
    )
}

/// The page of a server whose FHIR base is `base`.
pub fn page(site: &Site, base: &str) -> HttpResponse {
    let guarded = site.authorization.is_some();
    // Quotes need no escape in text, and the commands are read more easily without.
    let commands = commands(base, guarded).replace('&', "&amp;").replace('<', "&lt;");
    let base = escape(base);
    let access = match (guarded, &site.service.settings.issuer) {
        (false, _) => String::new(),
        (true, None) => SIGN_IN.to_owned(),
        (true, Some(issuer)) => {
            format!("<p>Access control is on: requests need an access token of <code>{}</code>.</p>\n", escape(issuer))
        }
    };
    // A browser that follows a link brings no token.
    let patients = match guarded {
        true => String::new(),
        false => format!("<li><a href=\"{base}/Patient?_format=json&amp;_pretty=true\">Patients</a></li>\n"),
    };
    let text = format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Vesta</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}}
code,pre{{background:#f3f3f0;border-radius:4px;padding:.1em .3em}}pre{{padding:.8em;overflow:auto}}</style></head>
<body><h1>Vesta</h1>
<p>A FHIR R4 (4.0.1) server, version {version}. The FHIR base is <a href="{base}/metadata?_format=json&amp;_pretty=true"><code>{base}</code></a>.</p>
{access}<h2>Try it</h2>
<pre>{commands}</pre>
<h2>Read on</h2>
<ul><li><a href="/docs/">All addresses, to browse and to try</a> (<a href="/openapi.json">OpenAPI</a>)</li>
<li><a href="{base}/metadata?_format=json&amp;_pretty=true">CapabilityStatement</a>: what this server does</li>
{patients}<li>Health: <a href="/health/live">live</a>, <a href="/health/ready">ready</a></li></ul>
</body></html>
"#,
        version = env!("CARGO_PKG_VERSION")
    );
    let mut response = HttpResponse::Ok().body(text);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    );
    response
}

/// What is said where this server itself issues the tokens.
const SIGN_IN: &str = "\
<p>Access control is on: requests need an access token. Apps get theirs by SMART App Launch; the first start printed one
to begin with, and <code>TOKEN=$(vesta token NAME)</code> makes another while the server is stopped.
People <a href=\"/auth/sign-in\">sign in</a> to see their account and their apps.</p>
";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// `/health/live`: the process answers. `/health/ready`: it also takes requests, and the store takes writes.
pub fn health(site: &Site, ready: bool) -> HttpResponse {
    let mut response = if ready && site.is_stopping() {
        HttpResponse::ServiceUnavailable().body("{\"status\":\"stopping\"}\n")
    } else if ready && !site.service.can_write() {
        HttpResponse::ServiceUnavailable().body("{\"status\":\"the store takes no writes\"}\n")
    } else {
        HttpResponse::Ok().body("{\"status\":\"ok\"}\n")
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
