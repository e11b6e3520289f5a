//! `vesta import`: reads files and gives what is in them to the interactions, as a client would: transactions and
//! batches as they are, other resources by update under their id. Nothing gets around validation.

mod report;

use super::fault::Fault;
use super::settings::Settings;
use super::source::{self, Pass, Piece};
use super::wire::{self, Wired};
use crate::base::{Failure, FailureKind, TenantId};
use crate::interaction::{Context, Media, Payload, Prefer, Reply, ReplyContent, Request, Return, Service, Verb};
use crate::json::{Document, Limits, Value, minify_into};
use indicatif::{ProgressBar, ProgressStyle};
use report::Report;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Bytes that may be worked on at the same time, in units of [`UNIT`].
const IN_FLIGHT: u32 = 1024;
/// A piece takes at least one of these.
const UNIT: usize = 128 << 10;

/// How often a piece is tried where others write at the same time, or more waits than can be written soon.
const TRIES: u32 = 20;
/// The longest pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Loads the files.
pub fn run(settings: &Settings, paths: &[PathBuf]) -> Result<(), Fault> {
    let files = source::files(paths)?;
    // A file of the operator may be larger than what any client may send.
    let settings = Settings { max_entries: Some(settings.max_entries.unwrap_or(1_000_000)), ..settings.clone() };
    let Wired { service, definitions, .. } = wire::open(&settings)?;
    let base = settings.bases().pop().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Fault::Server)?;
    let import = Import {
        service,
        base,
        report: Arc::new(Mutex::new(Report::default())),
        room: Arc::new(Semaphore::new(IN_FLIGHT as usize)),
        runtime: runtime.handle().clone(),
    };
    let bar = progress(&files);
    for pass in [Pass::First, Pass::Second] {
        for file in &files {
            bar.set_message(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
            if let Err(fault) = source::read(file, pass, &definitions, &mut |piece| import.take(piece)) {
                import.report().refuse_file(&file.display().to_string(), &fault.to_string());
            }
            bar.inc(size_of(file) / 2);
        }
        import.wait();
    }
    bar.finish_and_clear();
    let report = import.report();
    println!("{report}");
    match report.refused() {
        0 => Ok(()),
        number => Err(Fault::Found(number)),
    }
}

fn size_of(file: &std::path::Path) -> u64 {
    std::fs::metadata(file).map_or(0, |m| m.len())
}

fn progress(files: &[PathBuf]) -> ProgressBar {
    let bar = ProgressBar::new(files.iter().map(|f| size_of(f) / 2 * 2).sum());
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {elapsed} elapsed, {eta} left  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// What the tasks share.
#[derive(Clone)]
struct Import {
    service: Arc<Service>,
    base: String,
    report: Arc<Mutex<Report>>,
    room: Arc<Semaphore>,
    runtime: tokio::runtime::Handle,
}

impl Import {
    fn report(&self) -> std::sync::MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to work on a piece; waits while too much is being worked on.
    fn take(&self, piece: Piece) {
        let text = match piece.text {
            Ok(text) => text,
            Err(why) => return self.report().refuse_file(&piece.origin, &why),
        };
        let units = (text.len() / UNIT + 1).min(IN_FLIGHT as usize) as u32;
        let (import, origin) = (self.clone(), piece.origin);
        let Ok(room) = self.runtime.block_on(self.room.clone().acquire_many_owned(units)) else { return };
        self.runtime.spawn(async move {
            let (worker, of) = (import.clone(), origin.clone());
            let work = import.runtime.spawn(async move { worker.load(&of, text).await });
            if work.await.is_err() {
                import.report().refuse_file(&origin, "loading it panicked; this is a defect of Vesta");
            }
            drop(room);
        });
    }

    /// Waits until nothing is being worked on.
    fn wait(&self) {
        drop(self.runtime.block_on(self.room.acquire_many(IN_FLIGHT)));
    }

    async fn load(&self, origin: &str, text: Vec<u8>) {
        let requests = match requests(text, &self.service.settings.limits) {
            Ok(requests) => requests,
            Err(why) => return self.report().refuse_file(origin, &why),
        };
        for (kinds, request) in requests {
            match self.perform(request).await {
                Ok(reply) => self.note(origin, &kinds, &reply),
                Err(failure) => self.report().refuse(origin, &kinds, &failure.to_string()),
            }
        }
    }

    /// Others write at the same time: who loses a race tries again.
    async fn perform(&self, request: Request) -> Result<Reply, Failure> {
        // What a request may cost counts for each by itself.
        let context = Context::open(TenantId::default(), &*self.base);
        let mut pause = Duration::from_millis(20);
        for _ in 1..TRIES {
            match self.service.perform(&context, request.clone()).await {
                Err(failure) if matches!(failure.kind, FailureKind::Conflict | FailureKind::Unavailable) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE);
                }
                answered => return answered,
            }
        }
        self.service.perform(&context, request).await
    }

    /// Counts what became of a request. The entries of a batch have each their own status.
    fn note(&self, origin: &str, kinds: &[String], reply: &Reply) {
        let mut report = self.report();
        let ReplyContent::Json(json) = &reply.content else { return report.accept(kinds) };
        let document = Document::parse(json, &Limits::NONE).ok();
        let responses = document.as_ref().and_then(|d| d.root().get("entry"));
        let responses: Vec<Value<'_>> = responses.into_iter().flat_map(|e| e.items()).collect();
        if responses.len() != kinds.len() {
            return report.accept(kinds);
        }
        for (kind, entry) in kinds.iter().zip(responses) {
            let response = entry.get("response");
            let status = response.and_then(|r| r.get("status")?.as_str()).unwrap_or_default();
            if status.starts_with(['4', '5']) {
                let issue = response.and_then(|r| r.get("outcome")?.get("issue")?.items().next());
                let why = issue.and_then(|i| i.get("diagnostics")?.as_str()).unwrap_or_default();
                report.refuse(origin, std::slice::from_ref(kind), &format!("{status}: {why}"));
            } else {
                report.accept(std::slice::from_ref(kind));
            }
        }
    }
}

/// The requests for one text, each with the types of what it writes.
fn requests(text: Vec<u8>, limits: &Limits) -> Result<Vec<(Vec<String>, Request)>, String> {
    let document = Document::parse(&text, limits).map_err(|e| e.to_string())?;
    let root = document.root();
    let kind = kind_of(root)?;
    if kind != "Bundle" {
        return Ok(vec![request_of(root)?]);
    }
    let bundle = root.get("type").and_then(|t| t.as_str()).unwrap_or_default();
    let entries = || root.get("entry").into_iter().flat_map(|e| e.items()).collect::<Vec<_>>();
    match bundle.as_ref() {
        "transaction" | "batch" => {
            let kinds = entries().into_iter().map(kind_of_entry).collect();
            let request = Request { body: Some(json(text)), ..Request::new(Verb::Post, "") };
            Ok(vec![(kinds, request)])
        }
        "collection" | "searchset" => entries().into_iter().filter_map(|e| e.get("resource")).map(request_of).collect(),
        // Documents, messages and histories are one thing: the Bundle itself.
        _ => Ok(vec![request_of(root)?]),
    }
}

fn kind_of(resource: Value<'_>) -> Result<String, String> {
    let kind = resource.get("resourceType").and_then(|t| t.as_str());
    kind.map(|k| k.into_owned()).ok_or_else(|| "there is no resourceType".to_owned())
}

/// The type that an entry writes; a name for those that say none.
fn kind_of_entry(entry: Value<'_>) -> String {
    let of_resource = || kind_of(entry.get("resource")?).ok();
    let of_url = || {
        let url = entry.get("request")?.get("url")?.as_str()?;
        Some(url.split(['/', '?']).next().unwrap_or_default().to_owned())
    };
    let kind = of_resource().or_else(of_url).filter(|kind| !kind.is_empty());
    kind.unwrap_or_else(|| "(without type)".to_owned())
}

/// An update under the resource's own id, or a create if it has none.
fn request_of(resource: Value<'_>) -> Result<(Vec<String>, Request), String> {
    let kind = kind_of(resource)?;
    let id = resource.get("id").and_then(|id| id.as_str());
    let mut text = String::with_capacity(resource.raw().len());
    minify_into(resource, &mut text);
    let mut request = match id {
        Some(id) => Request::new(Verb::Put, format!("{kind}/{id}")),
        None => Request::new(Verb::Post, kind.clone()),
    };
    request.body = Some(json(text.into_bytes()));
    request.prefer = Prefer { returns: Some(Return::Minimal), ..Prefer::default() };
    Ok((vec![kind], request))
}

fn json(bytes: Vec<u8>) -> Payload {
    Payload { media: Media::Json, bytes }
}
