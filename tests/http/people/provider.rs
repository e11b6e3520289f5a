//! A small OpenID provider for the tests: discovery, keys and the token endpoint. The test plays the browser between.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The provider; its thread ends with the process.
pub struct Fake {
    pub issuer: String,
    state: Arc<State>,
}

struct State {
    issuer: String,
    key: EcdsaKeyPair,
    /// By code: the PKCE challenge and the id_token.
    codes: Mutex<HashMap<String, (String, String)>>,
}

/// What differs from an honest id_token.
#[derive(Clone, Copy, Default)]
pub struct Forged {
    pub other_key: bool,
    pub none: bool,
}

impl Fake {
    pub fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let key = new_key();
        let state = Arc::new(State { issuer: issuer.clone(), key, codes: Mutex::default() });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(&shared, stream);
            }
        });
        Fake { issuer, state }
    }

    /// A code for somebody with these claims, as the provider would send it back with the browser. `asked` is the
    /// address to which Vesta sent the browser.
    pub fn code(&self, asked: &HashMap<String, String>, claims: Value, forged: Forged) -> String {
        let mut all = json!({
            "iss": self.issuer, "aud": asked["client_id"], "nonce": asked["nonce"], "iat": 1_700_000_000_u64, "exp": 4_000_000_000_u64,
        });
        all.as_object_mut().expect("an object").extend(claims.as_object().expect("an object").clone());
        let algorithm = if forged.none { "none" } else { "ES256" };
        let coded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", coded(&json!({"alg": algorithm, "kid": "k1"})), coded(&all));
        let other = new_key();
        let key = if forged.other_key { &other } else { &self.state.key };
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).expect("signs");
        let signature = if forged.none { String::new() } else { URL_SAFE_NO_PAD.encode(signature) };
        let code = format!("code-{}", self.state.codes.lock().expect("free").len());
        let entry = (asked["code_challenge"].clone(), format!("{signed}.{signature}"));
        self.state.codes.lock().expect("free").insert(code.clone(), entry);
        code
    }
}

fn new_key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")
}

fn answer(state: &State, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut first = String::new();
    let mut length = 0;
    reader.read_line(&mut first).expect("a request line");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let form = pairs(&String::from_utf8_lossy(&body));
    let path = first.split(' ').nth(1).unwrap_or_default();
    let found = match path {
        "/.well-known/openid-configuration" => Some(json!({
            "issuer": state.issuer, "authorization_endpoint": format!("{}/authorize", state.issuer),
            "token_endpoint": format!("{}/token", state.issuer), "jwks_uri": format!("{}/keys", state.issuer),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })),
        "/keys" => {
            let point = state.key.public_key().as_ref();
            let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
            Some(
                json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": x, "y": y}]}),
            )
        }
        "/token" => state.codes.lock().expect("free").remove(&form["code"]).and_then(|(challenge, id_token)| {
            let verifier = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
            (verifier == challenge)
                .then(|| json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token, "expires_in": 60}))
        }),
        _ => None,
    };
    let status = if found.is_some() { "200 OK" } else { "400 Bad Request" };
    let text = found.unwrap_or(json!({"error": "invalid_grant"})).to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    let _ = stream.write_all(format!("{head}{text}").as_bytes());
}

/// The parameters of a query or form.
pub fn pairs(text: &str) -> HashMap<String, String> {
    let decode = |t: &str| percent_encoding::percent_decode_str(&t.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (decode(n), decode(v))).collect()
}
