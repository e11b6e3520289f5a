//! `vesta audit verify|checkpoint|list`: what an auditor does with the trail at the command line.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::audit::{Checkpoint, CheckpointError, hex};
use crate::base::{Failure, TenantId};
use crate::interaction::{Context, Listed, Service};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};

/// What is done with the trail.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify that no record was changed, removed or put elsewhere
    ///
    /// The server must not be running on the same data directory. Ends with code 1 if anything is wrong, and says what.
    /// Records cut off at the end, with all traces of them, are found by a checkpoint that was kept elsewhere.
    Verify {
        /// File with a checkpoint that was taken earlier; may be given several times
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
    /// Print a signed checkpoint: keep it where nobody of this machine can change it
    Checkpoint,
    /// Print the newest records, one a line: number, time, outcome, action, who, what
    List {
        /// How many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
        /// Only those about a patient, by logical id
        #[arg(long, value_name = "ID")]
        patient: Option<String>,
        /// Only what did not succeed
        #[arg(long)]
        failed: bool,
        /// Whole AuditEvents as NDJSON
        #[arg(long)]
        json: bool,
    },
}

const TENANT: TenantId = TenantId(0);

fn told(failure: Failure) -> Fault {
    Fault::Store(failure.to_string())
}

/// Runs one of the commands.
pub fn run(settings: &Settings, command: &Command) -> Result<(), Fault> {
    wire::filled(settings)?;
    // First of all, because a wrong file is no reason to read the data.
    let checkpoints = match command {
        Command::Verify { checkpoint } => checkpoint.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?,
        _ => Vec::new(),
    };
    let wired = wire::open(settings)?;
    let service = &wired.service;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Server)?;
    runtime.block_on(async {
        match command {
            Command::Verify { .. } => verify(service, &checkpoints, &mut std::io::stdout()).await,
            Command::Checkpoint => {
                verify(service, &[], &mut std::io::stderr()).await?;
                let context = Context::open(TENANT, settings.bases().pop().unwrap_or_default());
                print!("{}", service.checkpoint(&context).await.map_err(told)?.to_json());
                Ok(())
            }
            Command::List { limit, patient, failed, json } => {
                let wanted = Wanted { patient: patient.as_deref(), failed: *failed, json: *json };
                list(service, *limit, &wanted).await
            }
        }
    })
}

fn read(file: &Path) -> Result<Checkpoint, Fault> {
    let text = std::fs::read_to_string(file).map_err(|e| Fault::file(file, e))?;
    Checkpoint::of_json(&text).map_err(|error| {
        let why = format!("{}: {error}", file.display());
        match error {
            CheckpointError::Unreadable(_) => Fault::Settings(why),
            CheckpointError::Forged => Fault::Resource(why),
        }
    })
}

async fn verify(service: &Service, checkpoints: &[Checkpoint], out: &mut dyn std::io::Write) -> Result<(), Fault> {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} records, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut progress = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let found = service.verify_trail(TENANT, checkpoints, &mut progress).await.map_err(told)?;
    bar.finish_and_clear();
    let mut text = match found.records {
        0 => "the audit trail is empty\n".to_owned(),
        n => format!("{n} records, the last {} of {}\n", found.head.number, found.head.last_updated.to_instant()),
    };
    if found.records > 0 {
        text.push_str(&format!("hash of the last: {}\n", hex(&found.head.hash)));
    }
    if !checkpoints.is_empty() && found.is_sound() {
        text.push_str(&format!("it holds what {} checkpoints vouch for\n", checkpoints.len()));
    }
    for fault in &found.told {
        text.push_str(&format!("  {fault}\n"));
    }
    text.push_str(if found.is_sound() { "sound\n" } else { "NOT SOUND\n" });
    let _ = out.write_all(text.as_bytes());
    if found.is_sound() { Ok(()) } else { Err(Fault::Found(found.faults)) }
}

/// Which records are listed, and how.
struct Wanted<'w> {
    patient: Option<&'w str>,
    failed: bool,
    json: bool,
}

async fn list(service: &Service, limit: usize, wanted: &Wanted<'_>) -> Result<(), Fault> {
    const CHUNK: u64 = 1000;
    let mut lines = Vec::new();
    let mut end = service.trail_length(TENANT).await.map_err(told)?;
    // From the end backwards, until there are enough.
    while end > 0 && lines.len() < limit {
        let from = end.saturating_sub(CHUNK);
        let records = service.trail_after(TENANT, from, (end - from) as usize).await.map_err(told)?;
        for record in records.iter().rev().filter(|r| r.number <= end) {
            lines.extend(line(record, wanted));
            if lines.len() == limit {
                break;
            }
        }
        end = from;
    }
    for line in lines.iter().rev() {
        println!("{line}");
    }
    Ok(())
}

/// What was administered, and how: such records name no resource.
fn administered(event: &serde_json::Value) -> Vec<String> {
    let details = event["entity"].as_array().into_iter().flatten().filter_map(|entity| entity["detail"].as_array());
    let details: Vec<_> = details.flatten().collect();
    if !details.iter().any(|detail| detail["type"] == "action") {
        return Vec::new();
    }
    let told =
        |detail: &&serde_json::Value| Some(format!("{}={}", detail["type"].as_str()?, detail["valueString"].as_str()?));
    details.iter().filter_map(told).collect()
}

/// The line of a record; none if it is not wanted.
fn line(record: &Listed, wanted: &Wanted<'_>) -> Option<String> {
    let number = record.number;
    let (time, body) = match &record.content {
        Ok(content) => content,
        Err(why) => return Some(format!("{number}\tcannot be read: {why}")),
    };
    let time = time.to_instant();
    let head = format!(
        "{{\"resourceType\":\"AuditEvent\",\"id\":\"{number}\",\"meta\":{{\"versionId\":\"1\",\"lastUpdated\":\"{time}\""
    );
    let json = head + &String::from_utf8_lossy(body);
    let Ok(event) = serde_json::from_str::<serde_json::Value>(&json) else {
        return Some(format!("{number}\tcannot be read: it is not JSON"));
    };
    let entities: Vec<&str> =
        event["entity"].as_array()?.iter().filter_map(|e| e["what"]["reference"].as_str()).collect();
    let patient = wanted.patient.is_none_or(|id| entities.iter().any(|e| e.strip_prefix("Patient/") == Some(id)));
    let outcome = event["outcome"].as_str().unwrap_or_default();
    if !patient || (wanted.failed && outcome == "0") {
        return None;
    }
    if wanted.json {
        return Some(json);
    }
    let agents = event["agent"].as_array()?;
    let name = |agent: &serde_json::Value| {
        let who = &agent["who"];
        let known = who["reference"].as_str().or(who["identifier"]["value"].as_str()).or(who["display"].as_str());
        known.unwrap_or("?").to_owned()
    };
    let who = agents.iter().filter(|a| a["requestor"] == true).map(name).collect::<Vec<_>>().join(", ");
    let what = event["subtype"][0]["display"].as_str().or(event["type"]["display"].as_str()).unwrap_or_default();
    let about: Vec<String> = entities.into_iter().map(str::to_owned).chain(administered(&event)).collect();
    Some(format!("{number}\t{time}\t{outcome}\t{what}\t{who}\t{}", about.join(" ")))
}
