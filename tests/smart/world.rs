//! What the SMART tests stand on: a server with access control on, people who answer, apps that ask, and keys.

use crate::support::{Answer, TestServer};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA384, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use vesta::access::Role;
use vesta::authorization::Authorization;
use vesta::authorization::client::{Client as App, ClientKind};
use vesta::authorization::consent::{Answer as Consent, Person};
use vesta::authorization::people::{NewUser, User};
use vesta::base::{Clock, SystemClock};
use vesta::cli::settings::{Auth, Settings, Validation};

/// Where the app of the tests is led back to.
pub const BACK: &str = "https://app.example/cb";
/// A PKCE verifier and its challenge (RFC 7636, appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server with access control, and people.
pub struct World {
    pub server: TestServer,
    pub base: String,
    pub administrator: Person,
    pub doctor: Person,
    /// A patient as a user.
    pub amy: Person,
}

impl World {
    pub fn start() -> World {
        World::with(Settings::default())
    }

    pub fn with(settings: Settings) -> World {
        World::of(TestServer::with(Settings { auth: Some(Auth::On), validation: Some(Validation::Off), ..settings }))
    }

    /// A server whose authorization server has a clock of the test's.
    pub fn at(clock: Arc<dyn Clock>) -> World {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let data = tempfile::tempdir().expect("a directory");
        let settings = Settings {
            data: Some(data.path().to_owned()),
            bind: "127.0.0.1:0".parse().ok(),
            workers: Some(2),
            log_requests: Some(false),
            auth: Some(Auth::On),
            validation: Some(Validation::Off),
            ..Settings::default()
        };
        World::of(TestServer::over(settings.http(), data, move || {
            let wired = vesta::cli::wire::open(&settings).expect("the store opens");
            let authorization = Authorization::new(wired.service.clone(), clock, settings.authorization());
            (wired.service, Some(Arc::new(authorization)), wired.definitions)
        }))
    }

    /// People at a server.
    pub fn of(server: TestServer) -> World {
        let base = server.base.clone();
        let people = &server.authorization.as_ref().expect("access control is on").people;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let person = |name: &str, role: Role, resource: Option<&str>| {
            let new = NewUser { resource: resource.map(str::to_owned), ..NewUser::new(name, role) };
            signed_in(runtime.block_on(people.add(new)).expect("a new user"), role)
        };
        let administrator = person("operator", Role::Administrator, None);
        let doctor = person("doctor", Role::Doctor, Some("Practitioner/doc"));
        let amy = person("amy", Role::Patient, Some("Patient/amy"));
        World { base, administrator, doctor, amy, server }
    }

    pub fn authorization(&self) -> &Arc<Authorization> {
        self.server.authorization.as_ref().expect("access control is on")
    }

    /// Runs what is asynchronous.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work)
    }

    /// Registers an app with everything that an app can have.
    pub fn app(&self, id: &str, kind: ClientKind, change: impl FnOnce(&mut App)) -> Option<String> {
        let mut app = App::new(id, format!("The app {id}"), kind);
        app.redirect_uris = vec![BACK.to_owned()];
        app.launch_uri = Some("https://app.example/launch".to_owned());
        app.scopes = "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access \
                      patient/*.cruds user/*.cruds"
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect();
        let made = (kind == ClientKind::Symmetric).then(|| app.make_secret());
        change(&mut app);
        self.wait(self.authorization().add_client(&app)).expect("a new client");
        made
    }

    /// Begins an EHR launch as a user.
    pub fn launch(&self, person: &Person, wanted: &Value) -> Answer {
        let token = self.wait(self.authorization().token_for(person, &["user/*.rs"], &self.base, 600));
        let token = format!("Bearer {}", token.expect("a token"));
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        self.server.send("POST", "/auth/launch", &headers, Some(wanted.to_string().as_bytes()))
    }

    /// An administrator's token.
    pub fn operator(&self) -> String {
        let token = self.authorization().token_for(&self.administrator, &["user/*.cruds"], &self.base, 600);
        self.wait(token).expect("a token")
    }

    pub fn authorize(&self, parameters: &[(&str, &str)]) -> Answer {
        self.server.get(&format!("/auth/authorize?{}", form(parameters)))
    }

    /// An authorization request that is all right, as its parameters.
    pub fn request<'a>(&'a self, app: &'a str, scope: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("response_type", "code"),
            ("client_id", app),
            ("redirect_uri", BACK),
            ("scope", scope),
            ("state", "s t&te"),
            ("aud", &self.base),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
    }

    /// Asks as an app and answers as a user: the address that the browser is led back to.
    pub fn led_back(&self, app: &str, scope: &str, person: &Person, consent: Option<Consent>) -> String {
        self.answered(&self.request(app, scope), person, consent)
    }

    /// The same for any parameters.
    pub fn answered(&self, parameters: &[(&str, &str)], person: &Person, consent: Option<Consent>) -> String {
        let answer = self.authorize(parameters);
        answer.is(303);
        let id = query_of(answer.header("location"), "request").expect("a request");
        let all = parameters.iter().find(|(name, _)| *name == "scope").map(|(_, s)| *s).unwrap_or_default();
        let everything = Consent { scopes: all.split(' ').map(str::to_owned).collect(), ..Consent::default() };
        let approved = self.authorization().approve_request(&id, person, consent.unwrap_or(everything));
        self.wait(approved).expect("an answer")
    }

    /// A code for an app.
    pub fn code(&self, app: &str, scope: &str, person: &Person) -> String {
        let back = self.led_back(app, scope, person, None);
        query_of(&back, "code").unwrap_or_else(|| panic!("no code in {back}"))
    }

    pub fn token(&self, parameters: &[(&str, &str)]) -> Answer {
        self.token_with(parameters, &[])
    }

    pub fn token_with(&self, parameters: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        self.post("/auth/token", parameters, headers)
    }

    pub fn post(&self, path: &str, parameters: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.server.send("POST", path, &all, Some(form(parameters).as_bytes()))
    }

    /// Exchanges a code of a public app.
    pub fn exchange(&self, app: &str, code: &str) -> Answer {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("client_id", app),
            ("code_verifier", VERIFIER),
        ])
    }

    /// The token response of a public app's whole way.
    pub fn tokens(&self, app: &str, scope: &str, person: &Person) -> Value {
        let code = self.code(app, scope, person);
        let answer = self.exchange(app, &code);
        answer.is(200);
        answer.json()
    }

    pub fn refresh(&self, app: &str, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", app)])
    }

    /// A request to the FHIR API with a token.
    pub fn fhir(&self, path: &str, token: &str) -> Answer {
        self.server.get_with(path, &[("authorization", &format!("Bearer {token}"))])
    }

    /// Creates a resource as an administrator.
    pub fn put(&self, path: &str, resource: &Value) {
        let token = format!("Bearer {}", self.operator());
        let headers = [("authorization", token.as_str()), ("content-type", "application/fhir+json")];
        let body = serde_json::to_vec(resource).expect("JSON");
        let answer = self.server.send("PUT", path, &headers, Some(&body));
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
    }

    /// A patient that people can be and see.
    pub fn patient(&self, id: &str) {
        self.put(&format!("Patient/{id}"), &json!({"resourceType": "Patient", "id": id}));
    }
}

/// Asserts an error of OAuth.
#[track_caller]
pub fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["error"], error, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
}

pub fn now() -> i64 {
    SystemClock.now().0 / 1_000_000
}

/// Parameters as a form or query.
pub fn form(parameters: &[(&str, &str)]) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    parameters.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect::<Vec<_>>().join("&")
}

/// A parameter of an address, decoded.
pub fn query_of(address: &str, name: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
    Some(percent_encoding::percent_decode_str(value).decode_utf8().expect("UTF-8").into_owned())
}

pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// A key of a client.
pub enum Key {
    Rsa(Box<RsaKeyPair>),
    Elliptic(EcdsaKeyPair),
}

impl Key {
    pub fn rsa() -> Key {
        Key::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")))
    }

    pub fn elliptic() -> Key {
        Key::Elliptic(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Key::Rsa(_) => "RS384",
            Key::Elliptic(_) => "ES384",
        }
    }

    pub fn public(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Key::Rsa(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "use": "sig", "alg": "RS384", "kid": kid, "n": text(&parts.n), "e": text(&parts.e)})
            }
            Key::Elliptic(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (text(&point[1..49]), text(&point[49..97]));
                json!({"kty": "EC", "use": "sig", "alg": "ES384", "crv": "P-384", "kid": kid, "x": x, "y": y})
            }
        }
    }

    pub fn set(&self, kid: &str) -> Value {
        json!({"keys": [self.public(kid)]})
    }

    /// A signed JWT of a header and claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// The same of any texts.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let text = format!("{}.{}", part(header), part(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Key::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA384, &random, text.as_bytes(), &mut out).expect("signs");
                out
            }
            Key::Elliptic(pair) => pair.sign(&random, text.as_bytes()).expect("signs").as_ref().to_vec(),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// An assertion that is all right, changed.
    pub fn assertion(&self, world: &World, client: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let mut header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": "k1"});
        let mut claims = json!({
            "iss": client,
            "sub": client,
            "aud": format!("{}/auth/token", world.base.strip_suffix("/fhir").expect("a base")),
            "exp": now() + 240,
            "jti": uuid::Uuid::new_v4().to_string(),
        });
        change(&mut header, &mut claims);
        self.sign(&header, &claims)
    }
}

/// The type of a client assertion.
pub const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl World {
    /// Asks for a token as a backend service.
    pub fn backend(&self, assertion: &str, scope: &str) -> Answer {
        self.token(&[
            ("grant_type", "client_credentials"),
            ("scope", scope),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", assertion),
        ])
    }

    /// Registers a backend service with a key.
    pub fn service(&self, id: &str, key: &Key) {
        self.app(id, ClientKind::Asymmetric, |app| {
            app.redirect_uris.clear();
            app.launch_uri = None;
            app.scopes = vec!["system/*.cruds".to_owned()];
            app.jwks = Some(key.set("k1"));
        });
    }
}

/// What is kept of a secret.
pub fn digest_of(secret: &str) -> String {
    vesta::authorization::secret::digest(secret)
}

/// A user who has just signed in.
fn signed_in(user: User, role: Role) -> Person {
    Person {
        subject: user.id,
        name: user.name,
        role: role.code().to_owned(),
        user: user.resource,
        session: None,
        authenticated: SystemClock.now(),
    }
}

/// A person with a role, and a token of theirs.
pub fn person(world: &World, name: &str, role: Role, resource: Option<&str>) -> (Person, String) {
    let new = NewUser { resource: resource.map(str::to_owned), ..NewUser::new(name, role) };
    let person = signed_in(world.wait(world.authorization().people.add(new)).expect("a new user"), role);
    let token = world.wait(world.authorization().token_for(&person, &["user/*.cruds"], &world.base, 600));
    (person, token.expect("a token"))
}
