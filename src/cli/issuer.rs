//! The settings that name an outside authorization server whose access tokens are taken (`--token-…`).

use super::settings::Settings;
use super::units::Span;
use crate::access::Role;
use crate::authorization::issuer::{Trusted, Verified};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// What can be set about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case", default)]
pub struct IssuerSettings {
    /// Take access tokens of this outside authorization server, named as its tokens name it (iss) [default: none]
    #[arg(long, env = "VESTA_TOKEN_ISSUER", value_name = "URL", global = true, help_heading = "Outside tokens")]
    pub token_issuer: Option<String>,

    /// What its tokens have to name as their audience (aud) [default: the --base-url]
    #[arg(long, env = "VESTA_TOKEN_AUDIENCE", value_name = "NAME", global = true, help_heading = "Outside tokens")]
    pub token_audience: Option<String>,

    /// Where its keys are (JWKS), for tokens that are signed [default: where its metadata say]
    #[arg(long, env = "VESTA_TOKEN_KEYS", value_name = "URL", global = true, help_heading = "Outside tokens")]
    pub token_keys: Option<String>,

    /// Ask it about each token (RFC 7662) instead of verifying signatures: at this address, or discover [default: no]
    #[arg(long, env = "VESTA_TOKEN_INTROSPECTION", value_name = "URL", global = true, help_heading = "Outside tokens")]
    pub token_introspection: Option<String>,

    /// This server's client_id there, for introspection
    #[arg(long, env = "VESTA_TOKEN_CLIENT_ID", value_name = "ID", global = true, help_heading = "Outside tokens")]
    pub token_client_id: Option<String>,

    /// File with this server's client secret there, for introspection
    #[arg(
        long,
        env = "VESTA_TOKEN_CLIENT_SECRET_FILE",
        value_name = "FILE",
        global = true,
        help_heading = "Outside tokens"
    )]
    pub token_client_secret_file: Option<PathBuf>,

    /// The claim that tells the role, such as groups or realm_access.roles
    #[arg(long, env = "VESTA_TOKEN_ROLE_CLAIM", value_name = "CLAIM", global = true, help_heading = "Outside tokens")]
    pub token_role_claim: Option<String>,

    /// Which value of that claim is which role: medics=doctor,nurses=nurse
    #[arg(
        long,
        env = "VESTA_TOKEN_ROLES",
        value_name = "VALUE=ROLE",
        value_delimiter = ',',
        global = true,
        help_heading = "Outside tokens"
    )]
    pub token_roles: Option<Vec<String>>,

    /// The claim that tells the resource that stands for the user [default: fhirUser]
    #[arg(long, env = "VESTA_TOKEN_USER_CLAIM", value_name = "CLAIM", global = true, help_heading = "Outside tokens")]
    pub token_user_claim: Option<String>,

    /// The claim that tells the patient of the launch context [default: patient]
    #[arg(
        long,
        env = "VESTA_TOKEN_PATIENT_CLAIM",
        value_name = "CLAIM",
        global = true,
        help_heading = "Outside tokens"
    )]
    pub token_patient_claim: Option<String>,

    /// How often it is asked again at most because of an unknown key, or while it does not answer [default: 10s]
    #[arg(long, env = "VESTA_TOKEN_PAUSE", value_name = "TIME", global = true, help_heading = "Outside tokens")]
    pub token_pause: Option<Span>,
}

impl Settings {
    /// The outside authorization server, if one is named; or what is wrong with it.
    pub fn issuer(&self) -> Result<Option<Trusted>, String> {
        let set = &self.issuer;
        let Some(issuer) = set.token_issuer.clone() else {
            return match *set == IssuerSettings::default() {
                true => Ok(None),
                false => Err("there are --token settings without a --token-issuer".into()),
            };
        };
        let base = self.base_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let audience = set.token_audience.clone().or(base);
        let audience = audience.ok_or("name this server in the tokens with --token-audience (or --base-url)")?;
        let verified = match (&set.token_introspection, &set.token_keys) {
            (Some(_), Some(_)) => return Err("--token-keys and --token-introspection exclude each other".into()),
            (None, keys) => Verified::Keys(keys.clone()),
            (Some(url), None) => Verified::Introspection {
                url: Some(url.clone()).filter(|url| url != "discover"),
                client: set.token_client_id.clone().ok_or("introspection needs --token-client-id")?,
                secret: set.token_client_secret_file.clone().ok_or("introspection needs --token-client-secret-file")?,
            },
        };
        let mut bases = self.bases();
        bases.push(audience.clone());
        let trusted = Trusted {
            issuer,
            audience,
            verified,
            role_claim: set.token_role_claim.clone(),
            roles: set.token_roles.iter().flatten().map(|text| role(text)).collect::<Result<_, _>>()?,
            user_claim: set.token_user_claim.clone().unwrap_or_else(|| "fhirUser".into()),
            patient_claim: set.token_patient_claim.clone().unwrap_or_else(|| "patient".into()),
            bases,
            pause: set.token_pause.map_or(Duration::from_secs(10), |pause| pause.0),
        };
        match trusted.fault() {
            Some(fault) => Err(fault),
            None => Ok(Some(trusted)),
        }
    }
}

fn role(text: &str) -> Result<(String, Role), String> {
    let (value, code) = text.rsplit_once('=').ok_or_else(|| format!("--token-roles takes VALUE=ROLE, not '{text}'"))?;
    let role = Role::from_code(code.trim()).ok_or_else(|| format!("--token-roles: there is no role '{code}'"))?;
    Ok((value.trim().to_owned(), role))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Trusted>, String> {
        Settings::of_toml(text)?.issuer()
    }

    #[test]
    fn the_issuer_is_read_from_the_settings() {
        assert_eq!(of(""), Ok(None));
        let set = of("base-url = \"https://h/fhir/\"\ntoken-issuer = \"https://i\"\ntoken-roles = [\"a=doctor\"]");
        let trusted = set.expect("right").expect("set");
        assert_eq!((trusted.audience.as_str(), &trusted.verified), ("https://h/fhir", &Verified::Keys(None)));
        assert_eq!(trusted.roles, [("a".to_owned(), Role::Doctor)]);
        let asks = "token-issuer = \"https://i\"\ntoken-audience = \"v\"\ntoken-introspection = \"discover\"\n\
                    token-client-id = \"v\"\ntoken-client-secret-file = \"s\"";
        let trusted = of(asks).expect("right").expect("set");
        assert!(matches!(trusted.verified, Verified::Introspection { url: None, .. }), "{trusted:?}");
    }

    #[test]
    fn what_is_wrong_with_it_is_named() {
        let issuer = "token-issuer = \"https://i\"\ntoken-audience = \"v\"\n";
        let wrong = |text: &str, named: &str| {
            let why = of(text).expect_err(text);
            assert!(why.contains(named), "{text}: {why}");
        };
        wrong("token-audience = \"v\"", "--token-issuer");
        wrong("token-issuer = \"https://i\"", "--token-audience");
        wrong("token-issuer = \"http://i.example\"\ntoken-audience = \"v\"", "https");
        wrong(&format!("{issuer}token-keys = \"http://i.example/k\""), "https");
        wrong(&format!("{issuer}token-keys = \"https://i/k\"\ntoken-introspection = \"discover\""), "exclude");
        wrong(&format!("{issuer}token-introspection = \"discover\""), "--token-client-id");
        wrong(&format!("{issuer}token-roles = [\"a=root\"]"), "root");
        wrong(&format!("{issuer}token-roles = [\"a\"]"), "VALUE=ROLE");
    }
}
