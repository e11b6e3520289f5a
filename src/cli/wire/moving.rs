//! The wiring of what moves whole stores: opens both sides, each a directory or a database.

use super::{super::fault::Fault, super::key_source, super::settings::Settings, wait};
use crate::access::Caller;
use crate::audit::{Event, Origin};
use crate::base::{Clock, SystemClock};
use crate::definitions::Definitions;
use crate::index::Extractor;
use crate::store::embedded::{EmbeddedReader, EmbeddedStore, MasterKey, Options};
#[cfg(feature = "mongodb")]
use crate::store::mongodb::MongoStore;
pub use crate::store::moving::Until;
use crate::store::moving::{self, BackupReport, CopyReport, Filled, Progress, RestoreReport, Sealing};
use crate::store::{AuditRecord, CheckReport, FhirVocabulary, RawStore, RawTarget, StoreError, Vocabulary};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A side: a directory or a connection string, and where its key comes from.
pub type Side<'s> = (&'s str, Option<&'s str>);

fn failed(error: StoreError) -> Fault {
    Fault::Store(error.to_string())
}

fn is_database(place: &str) -> bool {
    place.starts_with("mongodb://") || place.starts_with("mongodb+srv://")
}

/// A side as it may be shown: without name and password.
fn shown(place: &str) -> String {
    if is_database(place) { Settings::without_password(place) } else { place.to_owned() }
}

fn key((place, source): Side<'_>) -> Result<Option<MasterKey>, Fault> {
    if source.is_some() && is_database(place) {
        return Err(Fault::Settings(super::KEY_FOR_DIRECTORIES.into()));
    }
    source.map(|source| key_source::read(source).map(MasterKey::new)).transpose()
}

/// The one vocabulary of both sides: what the source has taught it the target indexes by.
pub(super) fn vocabulary(settings: &Settings) -> Arc<FhirVocabulary> {
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), settings.bases()));
    Arc::new(FhirVocabulary::new(definitions, extractor))
}

#[cfg(feature = "mongodb")]
fn database(uri: &str, vocabulary: Arc<dyn Vocabulary>) -> Result<Arc<MongoStore>, Fault> {
    MongoStore::open_with(uri, vocabulary, Arc::new(SystemClock)).map(Arc::new).map_err(failed)
}

/// Opens a database that is there, to read it.
#[cfg(feature = "mongodb")]
fn existing(uri: &str, vocabulary: Arc<dyn Vocabulary>) -> Result<Arc<MongoStore>, Fault> {
    let opened = MongoStore::open_existing(uri, vocabulary, Arc::new(SystemClock));
    opened.map(Arc::new).map_err(|e| Fault::Store(format!("{}: {e}", shown(uri))))
}

#[cfg(not(feature = "mongodb"))]
use database as existing;

#[cfg(not(feature = "mongodb"))]
fn database(uri: &str, _: Arc<dyn Vocabulary>) -> Result<Arc<EmbeddedStore>, Fault> {
    Err(Fault::Settings(format!("this program was built without MongoDB, which {} needs", shown(uri))))
}

/// Verifies a database.
#[cfg(feature = "mongodb")]
pub(super) fn check_database(
    settings: &Settings,
    uri: &str,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Result<CheckReport, StoreError>, Fault> {
    let store = existing(uri, vocabulary(settings))?;
    wait(async { store.check(progress).await })
}

/// Without the engine.
#[cfg(not(feature = "mongodb"))]
pub(super) fn check_database(
    settings: &Settings,
    uri: &str,
    _: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Result<CheckReport, StoreError>, Fault> {
    database(uri, vocabulary(settings)).map(|_| Ok(CheckReport::default()))
}

/// Opens a side to be read; a directory also while a server has it.
fn source(side: Side<'_>, vocabulary: &Arc<FhirVocabulary>) -> Result<Arc<dyn RawStore>, Fault> {
    let key = key(side)?;
    match is_database(side.0) {
        true => Ok(existing(side.0, vocabulary.clone())?),
        false => {
            let reader = EmbeddedReader::open(Path::new(side.0), vocabulary.clone(), key.as_ref());
            Ok(Arc::new(reader.map_err(failed)?))
        }
    }
}

/// Opens a side to be filled.
fn target(side: Side<'_>, vocabulary: &Arc<FhirVocabulary>) -> Result<Arc<dyn RawTarget>, Fault> {
    let key = key(side)?;
    match is_database(side.0) {
        true => Ok(database(side.0, vocabulary.clone())?),
        false => {
            let options = Options { key, ..Options::default() };
            let (vocabulary, clock) = (vocabulary.clone(), Arc::new(SystemClock));
            let store = EmbeddedStore::open_with(Path::new(side.0), vocabulary, clock, &options, &mut |_, _| {});
            Ok(Arc::new(store.map_err(failed)?))
        }
    }
}

/// Copies a store into another.
///
/// The trail of the source is told before anything leaves; that of the target, in the commit by which it is whole.
pub fn copy(settings: &Settings, [from, to]: [Side<'_>; 2], progress: &mut Progress<'_>) -> Result<CopyReport, Fault> {
    let same = match (Path::new(from.0).canonicalize(), Path::new(to.0).canonicalize()) {
        (Ok(from), Ok(to)) => from == to,
        _ => from.0 == to.0,
    };
    if same {
        return Err(Fault::Settings("FROM and TO are the same store".into()));
    }
    let vocabulary = vocabulary(settings);
    let names = [shown(from.0), shown(to.0)];
    let leaving = at(settings, from);
    if super::filled(&leaving).is_ok() {
        super::leaving(&leaving, &format!("copy to {}", names[1]))?;
    }
    let source = source(from, &vocabulary)?;
    let target = target(to, &vocabulary)?;
    let told = told(settings, Event::administration("copy", "store", &names[0]));
    let filled = Filled { store: &*target, name: &names[1], told };
    wait(moving::copy(&*source, &names[0], filled, &*vocabulary, progress))?.map_err(failed)
}

/// The settings with a side for the store.
fn at(settings: &Settings, (place, key): Side<'_>) -> Settings {
    let (store, data) = match is_database(place) {
        true => (Some(place.to_owned()), None),
        false => (None, Some(PathBuf::from(place))),
    };
    Settings { store, data, encryption_key: key.map(str::to_owned), ..settings.clone() }
}

/// What the audit trail of a store that is filled is told of it; nothing where there shall be none.
fn told(settings: &Settings, event: Event) -> Vec<AuditRecord> {
    let definitions = Definitions::core();
    let kind = definitions.resource("AuditEvent").filter(|_| settings.audit_level().is_on());
    let base = settings.bases().pop().unwrap_or_default();
    let origin = Origin { base: &base, caller: &Caller::Open, remote: None, request_id: "", now: SystemClock.now() };
    let body = |kind| AuditRecord { kind, body: super::by_command(event).body(&origin, &definitions) };
    kind.map(body).into_iter().collect()
}

/// The side that the settings name.
fn side(settings: &Settings) -> Side<'_> {
    let place = settings.database().or(settings.data().to_str()).unwrap_or_default();
    (place, settings.encryption_key.as_deref())
}

fn sealing(key: Option<&str>) -> Result<Option<Sealing>, Fault> {
    key.map(|source| Ok(MasterKey::new(key_source::read(source)?).for_backups())).transpose()
}

/// Writes a backup into a file, under another name until it is whole.
pub fn backup(
    settings: &Settings,
    file: &Path,
    since: Option<&Path>,
    key: Option<&str>,
    progress: &mut Progress<'_>,
) -> Result<BackupReport, Fault> {
    if file.exists() {
        return Err(Fault::Settings(format!("{} is there already", file.display())));
    }
    let vocabulary = vocabulary(settings);
    let sealing = sealing(key)?;
    let base = since.map(|earlier| -> Result<_, Fault> {
        let told = |e: moving::FileError| Fault::Resource(format!("{}: {e}", earlier.display()));
        let opened = BufReader::new(File::open(earlier).map_err(|e| Fault::file(earlier, e))?);
        let mut reader = moving::BackupReader::begin(opened, sealing.as_ref()).map_err(told)?;
        moving::Summary::read(&mut reader, &*vocabulary).map_err(told)
    });
    let base = base.transpose()?;
    if let Some(earlier) = since {
        // Nothing is built on a file that could not be restored.
        moving::verify_file(earlier, sealing.as_ref(), &*vocabulary, &mut |_, _| {}).map_err(failed)?;
    }
    let source = source(side(settings), &vocabulary)?;
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let out = BufWriter::with_capacity(1 << 18, begin(&part)?);
    let now = SystemClock.now();
    let saving = moving::backup(&*source, out, sealing.as_ref(), base.as_ref(), now, &*vocabulary, progress);
    let done = wait(saving)?.map_err(failed).and_then(|(out, report)| {
        let file_of = |e: std::io::Error| Fault::file(&part, e);
        out.into_inner().map_err(|e| file_of(e.into_error()))?.sync_all().map_err(file_of)?;
        std::fs::rename(&part, file).map_err(|e| Fault::file(file, e))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| Fault::file(folder, e))?;
        Ok(report)
    });
    if done.is_err() {
        // What was written is no backup.
        let _ = std::fs::remove_file(&part);
    }
    done
}

/// Begins the file of a backup, which only its owner may read: accounts and keys are in it. One that is there is
/// somebody else's, who may still be writing.
fn begin(part: &Path) -> Result<File, Fault> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(part).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Fault::Settings(format!(
            "{} is there: another backup is being written, or one was broken off; then remove it",
            part.display()
        )),
        _ => Fault::file(part, e),
    })
}

/// Whether the store that the settings name is encrypted by Vesta.
pub fn is_encrypted(settings: &Settings) -> bool {
    settings.database().is_none() && settings.encryption_key.is_some()
}

/// Restores backups into the store that the settings name.
pub fn restore(
    settings: &Settings,
    files: &[PathBuf],
    until: Option<Until>,
    key: Option<&str>,
    progress: &mut Progress<'_>,
) -> Result<RestoreReport, Fault> {
    let vocabulary = vocabulary(settings);
    let sealing = sealing(key)?;
    for file in files {
        std::fs::metadata(file).map_err(|error| Fault::file(file, error))?;
    }
    let target = target(side(settings), &vocabulary)?;
    let name = settings.place();
    let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    let mut event = Event::administration("restore", "store", &names.join(" "));
    event = match until {
        None => event,
        Some(Until::Instant(instant)) => event.detail("until", &instant.to_instant()),
        Some(Until::Commit(number)) => event.detail("until", &number.to_string()),
    };
    let filled = Filled { store: &*target, name: &name, told: told(settings, event) };
    let restoring = moving::restore(files, sealing.as_ref(), filled, until, &*vocabulary, progress);
    wait(restoring)?.map_err(failed)
}
