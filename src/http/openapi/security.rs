//! How requests show that they may be made, where access control is on: a bearer token, and how SMART App Launch gives
//! one. With tokens of an outside server only the first is of use; its addresses are told by the well-known document.

use super::{BTreeMap, Named};
use crate::interaction::Endpoints;
use utoipa::openapi::RefOr;
use utoipa::openapi::security::{
    AuthorizationCode, ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes, SecurityRequirement,
    SecurityScheme,
};

const BEARER: &str = "bearer";
const SMART: &str = "smart";

/// The ways to come by a token.
pub fn schemes() -> Named<SecurityScheme> {
    // Addresses from the root of the server, whatever it is called.
    let at = Endpoints::of("");
    let scopes =
        |all: &[(&str, &str)]| all.iter().map(|(scope, what)| ((*scope).to_owned(), (*what).to_owned())).collect();
    let people: Scopes = scopes(&[
        ("launch/patient", "choose a patient"),
        ("offline_access", "a refresh token that lasts"),
        ("openid", "who signed in"),
        ("fhirUser", "the resource of who signed in"),
        ("patient/*.cruds", "everything of the chosen patient"),
        ("user/*.cruds", "everything that the person may see and do"),
    ]);
    let services: Scopes = scopes(&[("system/*.cruds", "everything that the service may see and do")]);
    let told =
        "An access token by SMART App Launch; .well-known/smart-configuration under the FHIR base says where from";
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(told)).build();
    let smart = OAuth2::with_description(
        [
            Flow::AuthorizationCode(AuthorizationCode::new(at.authorize, at.token.clone(), people)),
            Flow::ClientCredentials(ClientCredentials::new(at.token, services)),
        ],
        "SMART App Launch 2.2: apps with PKCE, backend services with signed assertions; any scope of SMART",
    );
    BTreeMap::from([
        (BEARER.to_owned(), RefOr::T(SecurityScheme::Http(bearer))),
        (SMART.to_owned(), RefOr::T(SecurityScheme::OAuth2(smart))),
    ])
}

/// What every request needs: one of them.
pub fn requirements() -> [SecurityRequirement; 2] {
    [BEARER, SMART].map(|name| SecurityRequirement::new(name, [""; 0]))
}
