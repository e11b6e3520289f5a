//! A small outside authorization server for the tests: its metadata, its keys, which can be changed and taken away, and
//! introspection. It counts what it is asked.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The server; its thread ends with the process.
pub struct Issuer {
    pub url: String,
    state: Arc<Mutex<State>>,
}

/// What it answers.
pub struct State {
    pub keys: Value,
    /// The value of Cache-Control on the keys.
    pub cache: String,
    /// Whether it answers with errors.
    pub down: bool,
    /// Whether its metadata are those of somebody else.
    pub impostor: bool,
    /// What introspection says of a token.
    pub tokens: HashMap<String, Value>,
    /// How often each path was asked for.
    pub asked: HashMap<String, u32>,
}

impl Issuer {
    pub fn start() -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = State {
            keys: json!({"keys": []}),
            cache: "max-age=3600".to_owned(),
            down: false,
            impostor: false,
            tokens: HashMap::new(),
            asked: HashMap::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let (shared, own) = (state.clone(), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(&shared, &own, stream);
            }
        });
        Issuer { url, state }
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("free"));
    }

    /// The keys that it publishes from now on.
    pub fn publish(&self, keys: &[Value]) {
        self.change(|state| state.keys = json!({ "keys": keys }));
    }

    pub fn asked(&self, path: &str) -> u32 {
        self.state.lock().expect("free").asked.get(path).copied().unwrap_or(0)
    }
}

/// This server's name and secret there.
pub const CLIENT: (&str, &str) = ("vesta at work", "s:e/c");

fn answer(state: &Mutex<State>, own: &str, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut first = String::new();
    let (mut length, mut authorization) = (0, String::new());
    reader.read_line(&mut first).expect("a request line");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().expect("a number"),
            "authorization" => authorization = value.trim().to_owned(),
            _ => {}
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let form = String::from_utf8_lossy(&body).into_owned();
    let path = first.split(' ').nth(1).unwrap_or_default();
    let mut state = state.lock().expect("free");
    *state.asked.entry(path.to_owned()).or_default() += 1;
    let found = match path {
        _ if state.down => None,
        "/.well-known/openid-configuration" => Some(json!({
            "issuer": if state.impostor { "https://somebody.example" } else { own },
            "authorization_endpoint": format!("{own}/authorize"), "token_endpoint": format!("{own}/token"),
            "jwks_uri": format!("{own}/keys"), "introspection_endpoint": format!("{own}/introspect"),
            "code_challenge_methods_supported": ["S256"], "grant_types_supported": ["authorization_code"],
            "capabilities": ["launch-standalone", "client-public", "permission-offline"], "secret_of_ours": "x",
        })),
        "/keys" => Some(state.keys.clone()),
        "/introspect" => {
            // RFC 6749 2.3.1: name and secret are encoded as in a form.
            let known = format!("Basic {}", STANDARD.encode("vesta%20at%20work:s%3Ae%2Fc"));
            let token = form.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default();
            let told = state.tokens.get(token).cloned().unwrap_or(json!({"active": false}));
            (authorization == known).then_some(told)
        }
        _ => None,
    };
    let status = if found.is_some() { "200 OK" } else { "503 Unavailable" };
    let text = found.unwrap_or(json!({"error": "unavailable"})).to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: {}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        state.cache,
        text.len()
    );
    drop(state);
    let _ = stream.write_all(format!("{head}{text}").as_bytes());
}

/// A signing key of an issuer.
pub enum Signer {
    Rsa(Box<RsaKeyPair>, &'static str),
    Elliptic(EcdsaKeyPair, &'static str),
}

impl Signer {
    /// A new key for an algorithm.
    pub fn new(algorithm: &'static str) -> Signer {
        match algorithm {
            "ES256" => {
                Signer::Elliptic(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"), algorithm)
            }
            "ES384" => {
                Signer::Elliptic(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"), algorithm)
            }
            _ => Signer::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")), algorithm),
        }
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Signer::Rsa(_, algorithm) | Signer::Elliptic(_, algorithm) => algorithm,
        }
    }

    /// The public key as a JSON Web Key.
    pub fn public(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let algorithm = self.algorithm();
        match self {
            Signer::Rsa(pair, _) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "use": "sig", "alg": algorithm, "kid": kid, "n": text(&parts.n), "e": text(&parts.e)})
            }
            Signer::Elliptic(pair, _) => {
                let point = pair.public_key().as_ref();
                let middle = 1 + (point.len() - 1) / 2;
                let curve = if algorithm == "ES256" { "P-256" } else { "P-384" };
                let (x, y) = (text(&point[1..middle]), text(&point[middle..]));
                json!({"kty": "EC", "use": "sig", "alg": algorithm, "crv": curve, "kid": kid, "x": x, "y": y})
            }
        }
    }

    /// A signed JWT of a header and claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let random = SystemRandom::new();
        let signature = match self {
            Signer::Rsa(pair, algorithm) => {
                let encoding = if *algorithm == "RS384" { &RSA_PKCS1_SHA384 } else { &RSA_PKCS1_SHA256 };
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, text.as_bytes(), &mut out).expect("signs");
                out
            }
            Signer::Elliptic(pair, _) => pair.sign(&random, text.as_bytes()).expect("signs").as_ref().to_vec(),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What a signature is made of.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
