//! Writes a segment: header, then for each type its versions and, group by group, terms, lists and column, then
//! terms of many versions in the order of dates; then the table of contents and the checksum over all of it. Of the
//! groups only one is held in memory at a time, but for what is to be put in order.

use super::super::coding::put;
use super::column::ColumnWriter;
use super::file::{HEADER, Info, MAGIC, TRAILER_MAGIC};
use super::lists::write_deltas;
use super::ordered::{self, OrderedWriter, Place};
use super::section::key_of;
use super::terms::{LONGEST, TermWriter};
use crate::index::{is_named, is_time};
use std::io::{Error, ErrorKind, Result, Write};

/// What is known of the versions of a type besides their terms.
pub struct SectionHead<'h> {
    /// Number of the type in the type table of the store.
    pub stored_type: u16,
    /// The parameter of the logical id.
    pub id_parameter: [u8; 2],
    /// The number of each version.
    pub numbers: &'h [u32],
    /// Versions that have a version of the same resource before them, and its number.
    pub previous: &'h [(u32, u32)],
    /// Versions that are deletes.
    pub deletes: &'h [u32],
}

/// Writes a segment.
pub struct SegmentWriter<W> {
    out: W,
    at: u64,
    room: u64,
    sum: crc32fast::Hasher,
    contents: Vec<u8>,
    sections: u64,
}

impl<W: Write> SegmentWriter<W> {
    /// Begins. More than `room` bytes are refused as on a full disk.
    pub fn new(out: W, info: &Info, room: u64) -> Result<SegmentWriter<W>> {
        let sum = crc32fast::Hasher::new();
        let mut writer = SegmentWriter { out, at: 0, room, sum, contents: Vec::new(), sections: 0 };
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&info.tenant.to_le_bytes());
        header.extend_from_slice(&info.mark.to_le_bytes());
        header.extend_from_slice(&info.from.to_le_bytes());
        header.extend_from_slice(&info.to.to_le_bytes());
        header.extend_from_slice(&info.schema.to_le_bytes());
        header.resize(HEADER, 0);
        writer.write(&header)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<u64> {
        let start = self.at;
        if start + bytes.len() as u64 > self.room {
            return Err(ErrorKind::StorageFull.into());
        }
        self.out.write_all(bytes)?;
        self.sum.update(bytes);
        self.at += bytes.len() as u64;
        Ok(start)
    }

    /// Writes some bytes and lists where they are.
    fn part(&mut self, bytes: &[u8]) -> Result<()> {
        let start = self.write(bytes)?;
        put(&mut self.contents, start);
        put(&mut self.contents, bytes.len() as u64);
        Ok(())
    }

    /// Writes the versions of a type. `next` gives the next term in order and its versions, until it says no.
    pub fn section(
        &mut self,
        head: &SectionHead<'_>,
        mut next: impl FnMut(&mut Vec<u8>, &mut Vec<u32>) -> bool,
    ) -> Result<()> {
        let docs = head.numbers.len() as u32;
        self.sections += 1;
        put(&mut self.contents, head.stored_type.into());
        put(&mut self.contents, docs.into());
        self.contents.extend_from_slice(&head.id_parameter);
        let mut bytes = Vec::new();
        write_deltas(head.numbers, &mut bytes);
        self.part(&bytes)?;
        bytes.clear();
        let mut last = 0;
        for (ordinal, number) in head.previous {
            put(&mut bytes, u64::from(ordinal - last));
            put(&mut bytes, u64::from(*number));
            last = *ordinal;
        }
        self.part(&bytes)?;
        bytes.clear();
        write_deltas(head.deletes, &mut bytes);
        put(&mut self.contents, head.deletes.len() as u64);
        self.part(&bytes)?;

        let (mut column, mut ordered) = (ColumnWriter::new(docs), OrderedWriter::default());
        let mut groups = 0;
        let (mut term, mut ordinals) = (Vec::new(), Vec::new());
        let mut open: Option<([u8; 3], TermWriter)> = None;
        while next(&mut term, &mut ordinals) {
            if term.len() > LONGEST {
                return Err(Error::new(ErrorKind::InvalidInput, "a term is too long for a segment"));
            }
            if ordinals.is_empty() {
                continue;
            }
            let key = key_of(&term);
            if let Some((group, terms)) = open.take_if(|(group, _)| *group != key) {
                self.group((groups, group), &terms, &mut column, &mut ordered)?;
                groups += 1;
            }
            let (_, terms) = open.get_or_insert_with(|| (key, TermWriter::default()));
            let rank = terms.count;
            let place = terms.add(&term, &ordinals, docs);
            column.add(rank, &ordinals, place);
            if let Some(place) = place.filter(|_| ordinals.len() >= ordered::LEAST && is_named(&key)) {
                ordered.list(groups, rank, ordinals.len(), &terms.lists[place..]);
            }
        }
        if let Some((group, terms)) = open {
            self.group((groups, group), &terms, &mut column, &mut ordered)?;
        }
        // No group has no terms: this ends them.
        put(&mut self.contents, 0);
        drop(column);
        ordered.finish(|place, bytes| {
            let Place { group, rank, column, ordered, several, .. } = place;
            // Nothing in order and nothing of several would end them.
            if ordered + several > 0 {
                let numbers = [ordered, several, group, rank, column];
                numbers.iter().for_each(|n| put(&mut self.contents, (*n).into()));
                self.part(bytes)?;
            }
            Ok(())
        })?;
        [0, 0].iter().for_each(|n| put(&mut self.contents, *n));
        Ok(())
    }

    fn group(
        &mut self,
        (number, key): (u32, [u8; 3]),
        terms: &TermWriter,
        column: &mut ColumnWriter,
        ordered: &mut OrderedWriter,
    ) -> Result<()> {
        put(&mut self.contents, terms.count.into());
        self.contents.extend_from_slice(&key);
        self.part(&terms.blocks)?;
        self.part(&terms.fences)?;
        self.part(&terms.lists)?;
        let mut bytes = Vec::new();
        let shape = column.finish(terms.count, &terms.lists, &mut bytes);
        self.part(&bytes)?;
        [shape.listed, shape.several, shape.length].iter().for_each(|n| put(&mut self.contents, (*n).into()));
        if shape.listed == 0 && is_time(&key) {
            ordered.column(number, terms.count, column.values());
        }
        column.clear();
        Ok(())
    }

    /// Writes the end; gives what was written to.
    pub fn finish(mut self) -> Result<W> {
        let contents = std::mem::take(&mut self.contents);
        let start = self.write(&contents)?;
        let mut trailer = Vec::new();
        trailer.extend_from_slice(&start.to_le_bytes());
        trailer.extend_from_slice(&self.sections.to_le_bytes());
        trailer.extend_from_slice(TRAILER_MAGIC);
        self.write(&trailer)?;
        let sum = self.sum.clone().finalize();
        self.write(&sum.to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }
}
