//! The OpenAPI document and the page to browse it (Swagger UI, compiled in: nothing is loaded from elsewhere).

use super::answer;
use super::negotiate::Wanted;
use crate::base::Failure;
use crate::definitions::Definitions;
use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use bytes::Bytes;
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::Config;

/// `none` also keeps Swagger UI from sending the document to an online validator.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(
        Config::from("/openapi.json")
            .validator_url("none")
            .default_models_expand_depth(-1)
            .doc_expansion("none")
            .filter(true),
    )
});

/// `/openapi.json`
pub fn openapi(document: Bytes) -> HttpResponse {
    let mut response = HttpResponse::Ok().body(document);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A file under `/docs/`. The page loads its files relative to itself, so its address must end with a slash.
pub fn file(path: &str, file: &str) -> HttpResponse {
    if path == "/docs" {
        let mut response = HttpResponse::PermanentRedirect().finish();
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/docs/"));
        return response;
    }
    let found = utoipa_swagger_ui::serve(file.trim_start_matches('/'), CONFIG.clone());
    let Ok(Some(found)) = found else {
        return answer::failure(&Failure::not_found("there is no such page"), Wanted::JSON, &Definitions::default());
    };
    let mut response = HttpResponse::Ok().body(found.bytes.into_owned());
    let headers = response.headers_mut();
    if found.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(content_type) = HeaderValue::from_str(&found.content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
        ),
    );
    response
}
