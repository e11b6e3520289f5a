//! `vesta launch`: begins an EHR launch at a running server, as the user of an access token, and prints the opaque
//! word that the app has to bring (or the whole address to open).

use super::client::print;
use super::fault::Fault;
use crate::authorization::fetch;
use crate::interaction::Endpoints;
use clap::Args;
use serde_json::{Value, json};

/// A launch.
#[derive(Debug, Args)]
pub struct Launched {
    /// The FHIR base of the running server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/fhir")]
    at: String,
    /// The user's access token
    // Tokens are random: one in sixty-four begins with a hyphen.
    #[arg(long, env = "VESTA_TOKEN", hide_env_values = true, allow_hyphen_values = true)]
    token: String,
    /// The app; only it can use the launch then
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// Id of the patient in context
    #[arg(long, value_name = "ID")]
    patient: Option<String>,
    /// Id of the encounter in context
    #[arg(long, value_name = "ID")]
    encounter: Option<String>,
    /// What the user wants to do
    #[arg(long)]
    intent: Option<String>,
    /// Print the address to open instead of the word alone (needs --client)
    #[arg(long, requires = "client")]
    url: bool,
}

/// Runs the command.
pub fn run(launched: &Launched) -> Result<(), Fault> {
    let mut body = json!({});
    for (name, value) in [
        ("client_id", &launched.client),
        ("patient", &launched.patient),
        ("encounter", &launched.encounter),
        ("intent", &launched.intent),
    ] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    let address = Endpoints::of(&launched.at).launch;
    let failed = |why: String| Fault::Server(std::io::Error::other(format!("{address}: {why}")));
    let (status, text) = fetch::post(&address, &launched.token, &body.to_string()).map_err(failed)?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    let wanted = if launched.url { "url" } else { "launch" };
    match answer[wanted].as_str() {
        Some(found) => print(found),
        None => {
            let why = answer["error_description"].as_str().unwrap_or("the answer is not one of Vesta's");
            Err(Fault::Server(std::io::Error::other(format!("{status}: {why}"))))
        }
    }
}
