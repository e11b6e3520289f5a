//! Settings: the same ones as flags, environment variables and keys of a TOML file. A flag wins over the environment,
//! that over the file, and the file over the default. The file is judged by a JSON Schema, so that a wrong key or
//! value is named with its place; unknown keys are refused.

use super::fault::Fault;
pub use super::issuer::IssuerSettings;
use super::units::{Size, Span};
use crate::audit::Level;
use crate::authorization;
use crate::authorization::people::Lifetimes;
use crate::authorization::people::outside::Provider;
use crate::http::{Limits, Network, Options, TlsFiles};
use crate::interaction;
use crate::json;
use clap::builder::RangedU64ValueParser;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How resources are validated when they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// Not at all.
    Off,
    /// Against the base definitions.
    Structure,
    /// Against the base definitions, extensions, and every declared profile.
    Full,
}

/// Whether there is access control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Whoever asks has to have a token.
    On,
    /// Whoever asks may do everything.
    Off,
}

/// How much the audit trail records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum AuditLevel {
    /// Nothing.
    Off,
    /// Everything but reads and searches that succeed.
    Writes,
    /// Everything.
    All,
}

/// Everything that can be set. What was not set is `None`; the defaults are in the functions below.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Data")]
pub struct Settings {
    /// Directory of the data; made if it is missing [default: data]
    #[arg(long, env = "VESTA_DATA", value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,

    /// Where the data are: embedded (in --data), or the connection string of a MongoDB replica set or sharded cluster,
    /// mongodb://… or mongodb+srv://… [default: embedded]
    #[arg(long, env = "VESTA_STORE", value_name = "STORE", value_parser = store, global = true)]
    pub store: Option<String>,

    /// How resources are validated when they are written: off, structure (the base definitions), or full (also
    /// extensions, codes, declared profiles, answers of questionnaires); a client may ask for more [default: full]
    #[arg(long, env = "VESTA_VALIDATION", value_name = "POLICY", global = true)]
    pub validation: Option<Validation>,

    /// Refuse a resource that declares a profile which is not known here [default: false]
    #[arg(long, env = "VESTA_REFUSE_UNKNOWN_PROFILES", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", global = true)]
    pub refuse_unknown_profiles: Option<bool>,

    /// Base of an outside terminology server (FHIR R4); operations, searches and validation ask it about code systems and
    /// value sets that are not held here
    #[arg(long, env = "VESTA_TERMINOLOGY_SERVER", value_name = "URL", global = true)]
    pub terminology_server: Option<String>,

    /// Let a PUT create a resource under an id that was never used [default: true]
    #[arg(long, env = "VESTA_UPDATE_CREATE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", global = true)]
    pub update_create: Option<bool>,

    /// Let a conditional delete delete several resources [default: false]
    #[arg(long, env = "VESTA_DELETE_MULTIPLE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", global = true)]
    pub delete_multiple: Option<bool>,

    /// Entries of a Bundle at most, be it a batch, a transaction or one that is stored [default: 10000]
    #[arg(long, env = "VESTA_MAX_ENTRIES", value_name = "N", global = true, value_parser = number::<usize>(1, MOST))]
    pub max_entries: Option<usize>,

    /// Entries of a page where the client does not say [default: 50]
    #[arg(long, env = "VESTA_PAGE", value_name = "N", global = true, value_parser = number::<usize>(1, MOST))]
    pub page: Option<usize>,

    /// Entries of a page at most [default: 1000]
    #[arg(long, env = "VESTA_MAX_PAGE", value_name = "N", global = true, value_parser = number::<usize>(1, MOST))]
    pub max_page: Option<usize>,

    /// How long the searches of one request may take together [default: 30s]
    #[arg(long, env = "VESTA_QUERY_TIME", value_name = "TIME", global = true)]
    pub query_time: Option<Span>,

    /// Rows that the searches of one request may look at together [default: 200000000]
    #[arg(long, env = "VESTA_QUERY_ROWS", value_name = "N", global = true, value_parser = number::<u64>(1, MOST))]
    pub query_rows: Option<u64>,

    /// Levels of nesting in a resource at most, up to 500 [default: 128]
    #[arg(long, env = "VESTA_MAX_DEPTH", value_name = "N", global = true, value_parser = number::<usize>(1, json::Limits::DEEPEST as u64))]
    pub max_depth: Option<usize>,

    /// Encrypt what is stored in --data, with this key: file:PATH, env:NAME or command:COMMAND; refused with a database,
    /// whose own business that is [default: not encrypted]
    #[arg(long, env = "VESTA_ENCRYPTION_KEY", value_name = "KEY", global = true)]
    pub encryption_key: Option<String>,

    /// What the audit trail records: off, writes (all but reads that succeed), all [default: all with access control, else off]
    #[arg(long, env = "VESTA_AUDIT", value_name = "LEVEL", value_enum, global = true)]
    pub audit: Option<AuditLevel>,

    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "VESTA_BIND", value_name = "ADDRESS", global = true, help_heading = "Network")]
    pub bind: Option<SocketAddr>,

    /// Path of the FHIR base [default: /fhir]
    #[arg(long, env = "VESTA_BASE_PATH", value_name = "PATH", global = true, help_heading = "Network")]
    pub base_path: Option<String>,

    /// FHIR base as clients see it, behind a proxy, `https://fhir.example.org/r4` [default: by the Host header]
    #[arg(long, env = "VESTA_BASE_URL", value_name = "URL", global = true, help_heading = "Network")]
    pub base_url: Option<String>,

    /// A proxy in front of Vesta whose X-Forwarded-For is believed: an address or a network, 10.0.0.0/8; may be given
    /// several times [default: none]
    #[arg(
        long,
        env = "VESTA_TRUSTED_PROXY",
        value_name = "CIDR",
        value_delimiter = ',',
        global = true,
        help_heading = "Network"
    )]
    pub trusted_proxy: Option<Vec<Network>>,

    /// Access control: on, or off (whoever reaches Vesta may do everything) [default: on]
    #[arg(long, env = "VESTA_AUTH", value_name = "on|off", value_enum, global = true, help_heading = "Access")]
    pub auth: Option<Auth>,

    /// Let addresses that clients name (such as jwks_uri) lead to this machine; for development [default: false]
    #[arg(long, env = "VESTA_FETCH_FROM_LOOPBACK", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", global = true, help_heading = "Access")]
    pub fetch_from_loopback: Option<bool>,

    /// How long somebody stays signed in without doing anything [default: 30m]
    #[arg(long, env = "VESTA_SESSION_IDLE", value_name = "TIME", global = true, help_heading = "Access")]
    pub session_idle: Option<Span>,

    /// How long somebody stays signed in at most [default: 12h]
    #[arg(long, env = "VESTA_SESSION_LENGTH", value_name = "TIME", global = true, help_heading = "Access")]
    pub session_length: Option<Span>,

    /// Outside OpenID providers through which people may sign in: only in the file, as `[[provider]]`.
    #[arg(skip)]
    pub provider: Option<Vec<Provider>>,

    /// The outside authorization server whose access tokens are taken.
    #[command(flatten)]
    #[serde(flatten)]
    pub issuer: IssuerSettings,

    /// What the organisation is called whose server this is [default: Vesta]
    #[arg(long, env = "VESTA_ORGANIZATION", value_name = "NAME", global = true, help_heading = "Access")]
    pub organization: Option<String>,

    /// Listen where other machines can reach Vesta, though access control is off [default: false]
    #[arg(long, env = "VESTA_ALLOW_OPEN_ACCESS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", global = true, help_heading = "Network")]
    pub allow_open_access: Option<bool>,

    /// Certificate chain, PEM; with it Vesta speaks HTTPS only
    #[arg(long, env = "VESTA_TLS_CERT", value_name = "FILE", global = true, help_heading = "Network")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate, PEM
    #[arg(long, env = "VESTA_TLS_KEY", value_name = "FILE", global = true, help_heading = "Network")]
    pub tls_key: Option<PathBuf>,

    /// Address and port for Prometheus metrics (/metrics) [default: none]
    #[arg(long, env = "VESTA_METRICS_BIND", value_name = "ADDRESS", global = true, help_heading = "Network")]
    pub metrics_bind: Option<SocketAddr>,

    /// Worker threads for HTTP [default: one for each processor]
    #[arg(long, env = "VESTA_WORKERS", value_name = "N", global = true, help_heading = "Network", value_parser = number::<usize>(0, 1024))]
    pub workers: Option<usize>,

    /// Largest body, packed or unpacked [default: 64MB]
    #[arg(long, env = "VESTA_MAX_BODY", value_name = "SIZE", global = true, help_heading = "Limits")]
    pub max_body: Option<Size>,

    /// Most bytes of all bodies that are worked on at the same time [default: 512MB]
    #[arg(long, env = "VESTA_MAX_BODIES", value_name = "SIZE", global = true, help_heading = "Limits")]
    pub max_bodies: Option<Size>,

    /// Longest path and query of a request [default: 16kB]
    #[arg(long, env = "VESTA_MAX_URL", value_name = "SIZE", global = true, help_heading = "Limits")]
    pub max_url: Option<Size>,

    /// Time for the head of a request to arrive [default: 5s]
    #[arg(long, env = "VESTA_HEADER_TIME", value_name = "TIME", global = true, help_heading = "Limits")]
    pub header_time: Option<Span>,

    /// Time for the body of a request to arrive [default: 2m]
    #[arg(long, env = "VESTA_BODY_TIME", value_name = "TIME", global = true, help_heading = "Limits")]
    pub body_time: Option<Span>,

    /// How long an idle connection stays open [default: 75s]
    #[arg(long, env = "VESTA_KEEP_ALIVE", value_name = "TIME", global = true, help_heading = "Limits")]
    pub keep_alive: Option<Span>,

    /// How long requests may go on after SIGTERM [default: 30s]
    #[arg(long, env = "VESTA_GRACE", value_name = "TIME", global = true, help_heading = "Limits")]
    pub grace: Option<Span>,

    /// How long a job is left to a server process that does not answer before another takes it over, where several
    /// run on one database [default: 30s]
    #[arg(long, env = "VESTA_JOB_LEASE", value_name = "TIME", global = true, help_heading = "Limits")]
    pub job_lease: Option<Span>,

    /// Form of the log lines, which go to standard error [default: text]
    #[arg(long, env = "VESTA_LOG", value_name = "FORM", value_enum, global = true, help_heading = "Log")]
    pub log: Option<LogFormat>,

    /// What is logged: error, warn, info, debug, trace, also by module: warn,vesta::http=debug [default: info]
    #[arg(long, env = "VESTA_LOG_LEVEL", value_name = "LEVEL", global = true, help_heading = "Log")]
    pub log_level: Option<String>,

    /// Log a line for each request, and not only for those that failed in the server [default: true]
    #[arg(long, env = "VESTA_LOG_REQUESTS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", global = true, help_heading = "Log")]
    pub log_requests: Option<bool>,
}

/// What can be a store; the file's schema says the same.
fn store(text: &str) -> Result<String, String> {
    let of = |scheme| text.strip_prefix(scheme).is_some_and(|rest: &str| !rest.is_empty());
    match text == "embedded" || of("mongodb://") || of("mongodb+srv://") {
        true => Ok(text.to_owned()),
        false => Err("it is embedded, or begins with mongodb:// or mongodb+srv://".into()),
    }
}

/// The largest number where there is no other reason for a bound, as in the schema.
const MOST: u64 = 1_000_000_000;

/// A number within bounds, which are those of the schema: a flag is judged like the file.
fn number<N: TryFrom<u64>>(least: u64, most: u64) -> RangedU64ValueParser<N> {
    RangedU64ValueParser::new().range(least..=most)
}

/// The JSON Schema of the file.
const SCHEMA: &str = include_str!("settings.schema.json");

impl Settings {
    /// The settings of a TOML file.
    pub fn of_file(path: &Path) -> Result<Settings, Fault> {
        let text = std::fs::read_to_string(path).map_err(|e| Fault::file(path, e))?;
        Settings::of_toml(&text).map_err(|why| Fault::Settings(format!("{}: {why}", path.display())))
    }

    pub(super) fn of_toml(text: &str) -> Result<Settings, String> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
        let value = serde_json::to_value(table).map_err(|e| e.to_string())?;
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).map_err(|e| e.to_string())?;
        let validator = jsonschema::validator_for(&schema).map_err(|e| e.to_string())?;
        let faults: Vec<String> = validator
            .iter_errors(&value)
            .map(|e| match e.instance_path().to_string().trim_start_matches('/') {
                "" => e.to_string(),
                place => format!("{place}: {e}"),
            })
            .collect();
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let settings: Settings = serde_json::from_value(value).map_err(|e| e.to_string())?;
        match settings.provider.iter().flatten().find_map(Provider::fault) {
            Some(fault) => Err(fault),
            None => Ok(settings),
        }
    }

    /// These settings, and where they say nothing, the others.
    pub fn over(self, others: Settings) -> Result<Settings, Fault> {
        let object = |settings| match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(object)) => Ok(object),
            _ => Err(Fault::Settings("the settings cannot be joined".into())),
        };
        let mut joined = object(others)?;
        joined.extend(object(self)?.into_iter().filter(|(_, value)| !value.is_null()));
        serde_json::from_value(joined.into()).map_err(|e| Fault::Settings(e.to_string()))
    }

    /// The directory of the data.
    pub fn data(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new("data"))
    }

    /// The connection string of the database; none for the embedded store.
    pub fn database(&self) -> Option<&str> {
        self.store.as_deref().filter(|store| *store != "embedded")
    }

    /// Where the data are, as it may be shown: without name and password.
    pub fn place(&self) -> String {
        match self.database() {
            Some(uri) => Settings::without_password(uri),
            None => self.data().display().to_string(),
        }
    }

    /// A connection string without name, password and options.
    pub fn without_password(uri: &str) -> String {
        let (scheme, rest) = uri.split_once("://").unwrap_or(("", uri));
        let (hosts, _) = rest.split_once('?').unwrap_or((rest, ""));
        let hosts = hosts.rsplit_once('@').map_or(hosts, |(_, hosts)| hosts);
        format!("{scheme}://{hosts}")
    }

    /// The options of the HTTP server.
    pub fn http(&self) -> Options {
        let default = Options::default();
        Options {
            bind: self.bind.unwrap_or(default.bind),
            allow_open_access: self.allow_open_access.unwrap_or(false),
            base_path: self.base_path.clone().unwrap_or(default.base_path),
            base_url: self.base_url.clone(),
            // What is wrong with it was said when the settings were read.
            tls: self.tls().ok().flatten(),
            trusted_proxies: self.trusted_proxy.clone().unwrap_or_default(),
            metrics: self.metrics_bind,
            workers: self.workers.unwrap_or(0),
            limits: self.limits(),
            grace: self.grace.map_or(default.grace, |t| t.0),
            log_requests: self.log_requests.unwrap_or(true),
        }
    }

    /// The certificate and its key, wherever each of them was set. One without the other is a fault: nobody who names
    /// a certificate means to be served without it.
    pub fn tls(&self) -> Result<Option<TlsFiles>, String> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificates), Some(key)) => {
                Ok(Some(TlsFiles { certificates: certificates.clone(), key: key.clone() }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err("tls-cert is set, and tls-key is not: HTTPS needs both".into()),
            (None, Some(_)) => Err("tls-key is set, and tls-cert is not: HTTPS needs both".into()),
        }
    }

    /// How long a job belongs to a process that does not renew its lease; a tenth of a second at least.
    pub fn job_lease(&self) -> Duration {
        self.job_lease.map_or(Duration::from_secs(30), |span| span.0.max(Duration::from_millis(100)))
    }

    fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            body: self.max_body.map_or(default.body, |s| s.0),
            bodies: self.max_bodies.map_or(default.bodies, |s| s.0),
            url: self.max_url.map_or(default.url, |s| s.0),
            header_time: self.header_time.map_or(default.header_time, |t| t.0),
            body_time: self.body_time.map_or(default.body_time, |t| t.0),
            keep_alive: self.keep_alive.map_or(default.keep_alive, |t| t.0),
            ..default
        }
    }

    /// The settings of the interactions.
    pub fn interactions(&self) -> interaction::Settings {
        let mut settings = interaction::Settings::default();
        settings.validation = match self.validation {
            None => settings.validation,
            Some(Validation::Off) => interaction::Policy::Off,
            Some(Validation::Structure) => interaction::Policy::Structure,
            Some(Validation::Full) => interaction::Policy::Full,
        };
        settings.refuse_unknown_profiles = self.refuse_unknown_profiles.unwrap_or(settings.refuse_unknown_profiles);
        settings.terminology_server = self.terminology_server.clone();
        settings.update_create = self.update_create.unwrap_or(settings.update_create);
        settings.delete_multiple = self.delete_multiple.unwrap_or(settings.delete_multiple);
        settings.max_entries = self.max_entries.unwrap_or(settings.max_entries);
        settings.page = self.page.unwrap_or(settings.page);
        settings.max_page = self.max_page.unwrap_or(settings.max_page);
        settings.query_time = self.query_time.map_or(settings.query_time, |t| t.0);
        settings.query_rows = self.query_rows.unwrap_or(settings.query_rows);
        settings.smart = self.access_control();
        settings.issuer = self.issuer.token_issuer.clone();
        settings.audit = self.audit_level();
        settings.limits.depth = self.max_depth.unwrap_or(settings.limits.depth);
        settings
    }

    /// Whether there is access control.
    pub fn access_control(&self) -> bool {
        self.auth != Some(Auth::Off)
    }

    /// The settings of the authorization server.
    pub fn authorization(&self) -> authorization::Settings {
        let usual = Lifetimes::default();
        let default = authorization::Settings::default();
        let seconds = |span: Option<Span>, usual: u32| {
            span.map_or(usual, |span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX))
        };
        authorization::Settings {
            fetch_from_loopback: self.fetch_from_loopback.unwrap_or(false),
            organization: self.organization.clone().unwrap_or(default.organization),
            providers: self.provider.clone().unwrap_or_default(),
            // What is wrong with it was said when the settings were read.
            issuer: self.issuer().ok().flatten(),
            sessions: Lifetimes {
                idle: seconds(self.session_idle, usual.idle),
                absolute: seconds(self.session_length, usual.absolute),
            },
        }
    }

    /// How much the audit trail records.
    pub fn audit_level(&self) -> Level {
        match self.audit {
            None if self.access_control() => Level::All,
            None | Some(AuditLevel::Off) => Level::Off,
            Some(AuditLevel::Writes) => Level::Writes,
            Some(AuditLevel::All) => Level::All,
        }
    }

    /// The absolute addresses under which this server's resources may be referred to.
    pub fn bases(&self) -> Vec<String> {
        let options = self.http();
        let path = match options.base_path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let mut bases = vec![format!("{scheme}://{}{path}", options.bind)];
        if options.bind.ip().is_loopback() {
            bases.push(format!("{scheme}://localhost:{}{path}", options.bind.port()));
        }
        bases.extend(options.base_url.map(|url| url.trim_end_matches('/').to_owned()));
        bases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = Settings::of_toml("bind = \"127.0.0.1:1\"\nmax-body = \"1MB\"\ngrace = \"5s\"").expect("legal");
        let flags = Settings { bind: "127.0.0.1:2".parse().ok(), ..Settings::default() };
        let joined = flags.over(file).expect("joins");
        assert_eq!(joined.http().bind.port(), 2);
        assert_eq!(joined.http().limits.body, 1 << 20);
        assert_eq!(joined.http().grace.as_secs(), 5);
        let proxies = Settings::of_toml("trusted-proxy = [\"10.0.0.0/8\", \"::1\"]").expect("legal").http();
        assert!(proxies.trusted_proxies.iter().any(|network| network.contains([10, 9, 8, 7].into())));
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_place() {
        let check = |text: &str, named: &str| {
            let why = Settings::of_toml(text).expect_err(text);
            assert!(why.contains(named), "{text}: {why}");
        };
        check("bnd = \"127.0.0.1:1\"", "bnd");
        check("page = \"many\"", "page");
        check("workers = -1", "workers");
        check("max-body = \"big\"", "max-body");
        check("log = \"xml\"", "log");
        check("bind = ", "line 1");
        check("trusted-proxy = \"10.0.0.1\"", "trusted-proxy");
        check("trusted-proxy = [\"10.0.0.0/99\"]", "10.0.0.0/99");
        check("[[provider]]\nname = \"x\"", "issuer");
        let provider = "[[provider]]\nname = \"x\"\nclient-id = \"v\"\nissuer = ";
        check(&format!("{provider}\"http://login.example.org\""), "https");
        check(&format!("{provider}\"https://x.org\"\n[provider.roles]\nstaff = \"root\""), "root");
    }

    #[test]
    fn a_certificate_and_its_key_go_together_wherever_they_are_set() {
        let file = |text: &str| Settings::of_toml(text).expect("legal");
        let flags = Settings { tls_cert: Some("chain.pem".into()), ..Settings::default() };
        assert!(file("tls-cert = \"chain.pem\"").tls().expect_err("half").contains("tls-key"));
        assert!(file("tls-key = \"key.pem\"").tls().expect_err("half").contains("tls-cert"));
        assert!(flags.tls().is_err());
        let both = flags.over(file("tls-key = \"key.pem\"")).expect("joins");
        assert!(
            both.http().tls.is_some_and(|tls| tls.certificates.ends_with("chain.pem") && tls.key.ends_with("key.pem"))
        );
    }

    #[test]
    fn a_number_is_refused_alike_as_a_flag_and_in_the_file() {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            settings: Settings,
        }
        for (name, least, most) in [
            ("max-entries", 1, MOST),
            ("page", 1, MOST),
            ("max-page", 1, MOST),
            ("query-rows", 1, MOST),
            ("max-depth", 1, 500),
            ("workers", 0, 1024),
        ] {
            for (value, good) in
                [(least as i64, true), (most as i64, true), (least as i64 - 1, false), (most as i64 + 1, false)]
            {
                let flag = <Flags as clap::Parser>::try_parse_from(["vesta".into(), format!("--{name}={value}")]);
                let file = Settings::of_toml(&format!("{name} = {value}"));
                assert_eq!((flag.is_ok(), file.is_ok()), (good, good), "{name} {value}");
                assert!(!good || flag.is_ok_and(|flag| Some(flag.settings) == file.ok()), "{name} {value}");
            }
        }
    }

    #[test]
    fn where_the_data_are_is_shown_without_a_password() {
        let check = |store: Option<&str>, shown: &str| {
            assert_eq!(Settings { store: store.map(str::to_owned), ..Settings::default() }.place(), shown);
        };
        check(None, "data");
        check(Some("embedded"), "data");
        check(Some("mongodb://vesta:p@ss@a,b:2/records?replicaSet=r"), "mongodb://a,b:2/records");
        check(Some("mongodb+srv://x.example.org"), "mongodb+srv://x.example.org");
    }

    #[test]
    fn the_schema_knows_every_setting() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("JSON");
        let mut declared: Vec<&String> = schema["properties"].as_object().expect("properties").keys().collect();
        let settings = serde_json::to_value(Settings::default()).expect("JSON");
        let mut known: Vec<&String> = settings.as_object().expect("an object").keys().collect();
        declared.sort();
        known.sort();
        assert_eq!(declared, known);
    }
}
