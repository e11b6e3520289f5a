//! What a command does beside a running server goes into the audit trail by way of that server, which alone can write
//! there: the command leaves a note in the data directory and waits until the server has recorded it. If it does not,
//! the command does not do it either. Who can leave notes has the data directory anyway.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::audit::Event;
use crate::interaction::Service;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
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
        _ => Err(Fault::Store(
            "nobody records this in the audit trail: whatever has the data directory is no server, or is not answering"
                .into(),
        )),
    }
}

/// Records what commands leave notes of, for as long as the server runs.
pub async fn listen(service: Arc<Service>, settings: Settings) {
    let folder = settings.data().join(FOLDER);
    loop {
        actix_web::rt::time::sleep(LOOK).await;
        for note in notes(&folder) {
            let Some(what) = read(&note) else { continue };
            let taken = match wire::record(&service, &settings, Event::export(&what)).await {
                Ok(()) => std::fs::remove_file(&note),
                Err(fault) => {
                    tracing::error!(%fault, "what a command does beside this server could not be recorded");
                    std::fs::rename(&note, note.with_extension(ENDINGS[2]))
                }
            };
            if let Err(error) = taken {
                tracing::error!(%error, "a note of a command cannot be taken away: notes are not read any more");
                return;
            }
        }
    }
}

/// The notes that are there. Mostly there is not even a folder.
fn notes(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == ENDINGS[1])).collect()
}

/// What a note says; none if it is none.
fn read(note: &Path) -> Option<String> {
    let is_file = std::fs::symlink_metadata(note).is_ok_and(|metadata| metadata.is_file());
    let mut text = String::new();
    let file = std::fs::File::open(note).ok().filter(|_| is_file)?;
    file.take(LONGEST as u64).read_to_string(&mut text).ok()?;
    Some(text)
}
