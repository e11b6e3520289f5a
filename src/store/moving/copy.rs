//! Copying a store into another: the moment is taken, its items are written, then the logs up to it, then both sides are
//! read again and compared. What a copy that was ended had written is kept if it is the beginning of the same store.

use super::batch::Batch;
use super::rows::{ItemSum, LogSum, mark};
use super::{Filled, Progress, RawStore, RawTarget, note};
use crate::base::TenantId;
use crate::store::{RawItem, RawVersion, Still, StoreError, Vocabulary};

/// What was copied and compared.
#[derive(Clone, Debug, Default)]
pub struct CopyReport {
    /// Versions of resources, deletes included.
    pub versions: u64,
    /// Records of audit trails.
    pub records: u64,
    /// Items: accounts, clients, keys, sessions, packages and what else is no resource.
    pub items: u64,
    /// Of the versions and records those that an earlier, unfinished copy had brought.
    pub kept: u64,
}

/// A moment: the end of each log, and the sum of the items.
pub(super) struct Moment {
    pub ends: Vec<(TenantId, RawVersion)>,
    pub items: Vec<RawItem>,
    pub sum: ItemSum,
    pub note: Option<String>,
}

/// Takes the moment of a store.
pub(super) async fn moment(store: &dyn RawStore) -> Result<Moment, StoreError> {
    let mut found = Moment { ends: Vec::new(), items: Vec::new(), sum: ItemSum::NONE, note: None };
    let mut take = |part: Still| {
        match part {
            Still::End(log, last) => found.ends.push((log, last)),
            Still::Item(item) => match note::read(&item) {
                Some(from) => found.note = Some(from),
                None => {
                    found.sum.add(&item);
                    found.items.push(item);
                }
            },
        }
        Ok(())
    };
    store.still(&mut take).await?;
    found.ends.sort_by_key(|(log, _)| *log);
    Ok(found)
}

/// Shows the vocabulary what says which terms resources have, before any are indexed.
pub(super) fn learn(item: &RawItem, vocabulary: &dyn Vocabulary) {
    if item.tenant == TenantId::default()
        && vocabulary.defined_by() == Some((item.collection.as_str(), item.item.key.as_str()))
    {
        vocabulary.learn(&item.item.value);
    }
}

fn refused<T>(why: String) -> Result<T, StoreError> {
    Err(StoreError::Unavailable(why))
}

/// Copies everything of one store into another, which is empty or an unfinished copy of the same. `name` is that of the
/// one that is copied, for messages and the note.
pub async fn copy(
    from: &dyn RawStore,
    name: &str,
    Filled { store: to, name: other, told }: Filled<'_>,
    vocabulary: &dyn Vocabulary,
    progress: &mut Progress<'_>,
) -> Result<CopyReport, StoreError> {
    let names = (name, other);
    let source = moment(from).await?;
    if let Some(note) = &source.note {
        return refused(format!("{} is an unfinished copy of {note} itself: finish that first", names.0));
    }
    if source.ends.is_empty() && source.items.is_empty() {
        return refused(format!("there is nothing in {}", names.0));
    }
    source.items.iter().for_each(|item| learn(item, vocabulary));
    let reached = reached(from, to, &source, names, vocabulary).await?;
    note::put(to, names.0).await?;
    to.clear_items(None).await?;
    let mut report = CopyReport { items: source.items.len() as u64, ..CopyReport::default() };
    let mut batch = Batch::default();
    for item in source.items {
        batch.item(item, to).await?;
    }
    batch.flush(to).await?;
    let all: u64 = source.ends.iter().map(|(_, last)| last.number).sum();
    let mut done = 0;
    for (log, last) in &source.ends {
        let mut after = reached.iter().find(|(known, _)| known == log).map_or(0, |(_, number)| *number);
        report.kept += after;
        while after < last.number {
            for raw in from.raw_versions(*log, after, last.number).await? {
                after = raw.number;
                batch.version(*log, raw, to).await?;
            }
            batch.flush(to).await?;
            progress("copied", done + after, all);
        }
        done += last.number;
        match log.is_trail() {
            true => report.records += last.number,
            false => report.versions += last.number,
        }
    }
    let mut compared = 0;
    for (log, last) in &source.ends {
        let mut further = |more| {
            compared += more;
            progress("compared", compared, 2 * all);
        };
        let ours = sum(from, *log, last.number, vocabulary, &mut further).await?;
        let theirs = sum(to, *log, last.number, vocabulary, &mut further).await?;
        if ours != theirs {
            return Err(StoreError::Broken(format!("log {} is not the same in {} as in {}", log.0, names.1, names.0)));
        }
    }
    let target = moment(to).await?;
    let ends = |moment: &[(TenantId, RawVersion)]| moment.iter().map(|(log, v)| (*log, v.number)).collect::<Vec<_>>();
    if target.sum != source.sum || ends(&target.ends) != ends(&source.ends) {
        return Err(StoreError::Broken(format!("{} does not hold the same as {}", names.1, names.0)));
    }
    note::remove(to, told).await?;
    Ok(report)
}

/// Whether a store may be filled from another: where its logs end already.
async fn reached(
    from: &dyn RawStore,
    to: &dyn RawTarget,
    source: &Moment,
    names: (&str, &str),
    vocabulary: &dyn Vocabulary,
) -> Result<Vec<(TenantId, u64)>, StoreError> {
    let target = moment(to).await?;
    let Some(note) = target.note else {
        return match target.ends.is_empty() && target.items.is_empty() {
            true => Ok(Vec::new()),
            false => refused(format!(
                "{} is not empty and no unfinished copy: copy into a new directory or database",
                names.1
            )),
        };
    };
    let other = || {
        refused(format!(
            "{} is an unfinished copy of {note}, which is not the same store as {}: go on with that, or remove it and \
             copy into a new directory or database",
            names.1, names.0
        ))
    };
    for (log, last) in &target.ends {
        let there = source.ends.iter().any(|(known, end)| known == log && end.number >= last.number);
        if !there {
            return other();
        }
        let same = from.raw_versions(*log, last.number - 1, last.number).await?;
        if same.first().map(|raw| mark(*log, raw, vocabulary)) != Some(mark(*log, last, vocabulary)) {
            return other();
        }
    }
    Ok(target.ends.into_iter().map(|(log, last)| (log, last.number)).collect())
}

/// The checksum of a log up to a number.
pub(super) async fn sum(
    store: &dyn RawStore,
    log: TenantId,
    up_to: u64,
    vocabulary: &dyn Vocabulary,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<LogSum, StoreError> {
    let mut sum = LogSum::NONE;
    while sum.count < up_to {
        let some = store.raw_versions(log, sum.count, up_to).await?;
        some.iter().for_each(|raw| sum.add(log, raw, vocabulary));
        progress(some.len() as u64);
    }
    Ok(sum)
}
