//! What a command does beside a running server goes into the audit trail by way of that server, which alone can write
//! there: the command leaves a note in the data directory and waits until the server has recorded it. If it does not,
//! the command does not do it either. Who can leave notes has the data directory anyway. The folder is the server's, so
//! that it can take notes away whoever left them.

use super::fault::Fault;
use crate::audit::Event;
use std::collections::HashSet;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The folder of the notes, in the data directory.
const FOLDER: &str = "notes";
/// What a note is called until it is written whole, then, and when its record could not be written.
const ENDINGS: [&str; 3] = ["part", "note", "refused"];
/// How often the server looks for notes.
const LOOK: Duration = Duration::from_millis(300);
/// How long a command waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a note at most.
const LONGEST: usize = 4096;

/// Leaves a note of what leaves the data directory, and waits until it is recorded.
pub fn tell(data: &Path, what: &str) -> Result<(), Fault> {
    let folder = data.join(FOLDER);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |why| Fault::file(&path, why)
    };
    let nobody = || {
        let why =
            "nobody records this in the audit trail: what has the data directory is no server, or does not answer";
        Fault::Store(why.into())
    };
    if !folder.is_dir() {
        return Err(nobody());
    }
    let name = uuid::Uuid::new_v4().simple().to_string();
    let [part, note, refused] = ENDINGS.map(|ending| folder.join(format!("{name}.{ending}")));
    let text: String = what.chars().take(LONGEST / 4).collect();
    std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &note)).map_err(failed(&note))?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        std::thread::sleep(LOOK / 3);
        if std::fs::remove_file(&refused).is_ok() {
            return Err(Fault::Store("the server that has the data directory cannot write its audit trail".into()));
        }
        if !note.exists() {
            return Ok(());
        }
    }
    match std::fs::remove_file(&note) {
        // It was taken in the last moment.
        Err(error) if error.kind() == ErrorKind::NotFound && !refused.exists() => Ok(()),
        _ => Err(nobody()),
    }
}

/// Records what commands leave notes of in a data directory, for as long as the server runs.
pub async fn listen<R: Future<Output = Result<(), Fault>>>(data: PathBuf, record: impl Fn(Event) -> R) {
    let folder = data.join(FOLDER);
    if let Err(error) = std::fs::create_dir_all(&folder) {
        tracing::error!(%error, "without a folder for notes no command can work beside this server");
        return;
    }
    // Nobody waits any more for what was not written whole, or refused, before this start.
    let left = [ENDINGS[0], ENDINGS[2]].map(|ending| files(&folder, ending)).concat();
    left.iter().for_each(|path| drop(std::fs::remove_file(path)));
    // Those that are recorded and cannot be taken away.
    let mut stuck: HashSet<PathBuf> = HashSet::new();
    loop {
        actix_web::rt::time::sleep(LOOK).await;
        for note in files(&folder, ENDINGS[1]) {
            if stuck.contains(&note) {
                continue;
            }
            let Some(what) = read(&note) else { continue };
            let taken = match record(Event::export(&what)).await {
                Ok(()) => std::fs::remove_file(&note),
                Err(fault) => {
                    tracing::error!(%fault, "what a command does beside this server could not be recorded");
                    std::fs::rename(&note, note.with_extension(ENDINGS[2]))
                }
            };
            match taken {
                // A command that has waited long enough takes its note with it.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::error!(%error, "a note of a command cannot be taken away");
                    stuck.insert(note);
                }
                _ => {}
            }
        }
    }
}

/// What has such an ending in the folder. Mostly nothing is there.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|own| own == ending)).collect()
}

/// What a note says; none if it is none.
fn read(note: &Path) -> Option<String> {
    // Nothing else is opened: a pipe would have the server wait.
    std::fs::symlink_metadata(note).ok().filter(std::fs::Metadata::is_file)?;
    let (file, mut text) = (std::fs::File::open(note).ok()?, String::new());
    file.take(LONGEST as u64).read_to_string(&mut text).ok()?;
    Some(text)
}
