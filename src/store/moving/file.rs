//! The form of a backup: one zstd file. It begins with a skippable frame that says what it is, then come blocks of whole
//! rows, each compressed by itself behind a skippable frame with its number, size and checksum; so that a plain backup
//! is unpacked by any zstd. Of an encrypted one each block is a skippable frame, sealed with AES-256-GCM under a key that
//! is derived for this file; the number of the block is its nonce, and the head of the file is bound to it. The last row
//! counts the others and has a hash over all of them. What is torn, changed, missing or in another place is refused by
//! name.

use crate::store::sha256;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand::fill;
use std::io::{ErrorKind, Read, Write};

/// Skippable frames (RFC 8878, 3.1.2): the head, what stands before a plain block, a sealed block.
const HEAD: u32 = 0x184D_2A50;
const PLAIN: u32 = 0x184D_2A51;
const SEALED: u32 = 0x184D_2A52;
/// Bytes of rows after which a block ends. A row is never cut.
const BLOCK: usize = 1 << 20;
/// Bytes of a block at most, as stored.
const MOST: usize = 1 << 30;
const LEVEL: i32 = 3;
/// The row that ends a backup.
pub const END: u8 = b'E';
/// Bytes of that row: tag, how many rows there were before it, hash over them.
const END_SIZE: usize = 1 + 8 + 32;

/// Why a backup cannot be written or read: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError(pub String);

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FileError {}

fn wrong<T>(why: impl Into<String>) -> Result<T, FileError> {
    Err(FileError(why.into()))
}

fn cannot(error: std::io::Error) -> FileError {
    match error.kind() {
        ErrorKind::UnexpectedEof => FileError("the file is torn: it ends in the middle of a block".into()),
        _ => FileError(error.to_string()),
    }
}

/// The key of a backup, as it is given.
#[derive(Clone)]
pub struct Sealing {
    /// 32 bytes.
    pub key: [u8; 32],
    /// What it is known by.
    pub fingerprint: String,
}

impl Sealing {
    /// The key of one file.
    fn of_file(&self, salt: &[u8]) -> Result<LessSafeKey, FileError> {
        let failed = |_| FileError("no key can be derived".into());
        let secret = Salt::new(HKDF_SHA256, salt).extract(&self.key);
        let info: &[&[u8]] = &[b"vesta backup 1"];
        let derived = secret.expand(info, &AES_256_GCM).map_err(failed)?;
        Ok(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()).collect()
}

/// What all blocks of a file have in common.
struct Binding {
    key: Option<LessSafeKey>,
    /// Hash of the head: a block belongs to its file.
    head: [u8; 32],
}

impl Binding {
    fn nonce(number: u64) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn aad(&self, number: u64) -> [u8; 40] {
        let mut aad = [0; 40];
        aad[..32].copy_from_slice(&self.head);
        aad[32..].copy_from_slice(&number.to_be_bytes());
        aad
    }

    fn checksum(&self, number: u64, packed: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.aad(number));
        hasher.update(packed);
        hasher.finalize()
    }
}

/// Writes a backup.
pub struct BackupWriter<W: Write> {
    out: W,
    binding: Binding,
    number: u64,
    block: Vec<u8>,
    rows: u64,
    hash: Context,
    written: u64,
}

impl<W: Write> BackupWriter<W> {
    /// Writes the head.
    pub fn begin(mut out: W, sealing: Option<&Sealing>) -> Result<BackupWriter<W>, FileError> {
        let (head, key) = match sealing {
            None => (serde_json::json!({ "vesta-backup": 1 }), None),
            Some(sealing) => {
                let mut salt = [0; 32];
                fill(&mut salt).map_err(|_| FileError("no random numbers".into()))?;
                let key = sealing.of_file(&salt)?;
                let fingerprint = &sealing.fingerprint;
                (serde_json::json!({ "vesta-backup": 1, "key": fingerprint, "salt": hex(&salt) }), Some(key))
            }
        };
        let head = head.to_string().into_bytes();
        out.write_all(&HEAD.to_le_bytes()).map_err(cannot)?;
        out.write_all(&(head.len() as u32).to_le_bytes()).map_err(cannot)?;
        out.write_all(&head).map_err(cannot)?;
        let binding = Binding { key, head: sha256(&[&head]) };
        let written = head.len() as u64 + 8;
        Ok(BackupWriter { out, binding, number: 0, block: Vec::new(), rows: 0, hash: Context::new(&SHA256), written })
    }

    /// Adds a row.
    pub fn row(&mut self, row: &[u8]) -> Result<(), FileError> {
        let length = u32::try_from(row.len()).map_err(|_| FileError("a row is larger than 4 GB".into()))?;
        if !self.block.is_empty() && self.block.len() + row.len() > BLOCK {
            self.flush()?;
        }
        self.hash.update(&length.to_le_bytes());
        self.hash.update(row);
        self.rows += 1;
        self.block.extend_from_slice(&length.to_le_bytes());
        self.block.extend_from_slice(row);
        Ok(())
    }

    /// Ends the file; gives what is written to, and how many bytes were.
    pub fn end(mut self) -> Result<(W, u64), FileError> {
        let mut row = vec![END];
        row.extend_from_slice(&self.rows.to_le_bytes());
        row.extend_from_slice(self.hash.clone().finish().as_ref());
        self.row(&row)?;
        self.flush()?;
        self.out.flush().map_err(cannot)?;
        Ok((self.out, self.written))
    }

    fn flush(&mut self) -> Result<(), FileError> {
        let packed = zstd::bulk::compress(&self.block, LEVEL).map_err(cannot)?;
        self.block.clear();
        let number = self.number;
        self.number += 1;
        let mut frame = Vec::with_capacity(packed.len() + 48);
        match &self.binding.key {
            None => {
                frame.extend_from_slice(&PLAIN.to_le_bytes());
                frame.extend_from_slice(&16_u32.to_le_bytes());
                frame.extend_from_slice(&number.to_le_bytes());
                frame.extend_from_slice(&(packed.len() as u32).to_le_bytes());
                frame.extend_from_slice(&self.binding.checksum(number, &packed).to_le_bytes());
                frame.extend_from_slice(&packed);
            }
            Some(key) => {
                let mut sealed = packed;
                let aad = Aad::from(self.binding.aad(number));
                let failed = |_| FileError("encryption failed".into());
                key.seal_in_place_append_tag(Binding::nonce(number), aad, &mut sealed).map_err(failed)?;
                frame.extend_from_slice(&SEALED.to_le_bytes());
                frame.extend_from_slice(&(sealed.len() as u32 + 8).to_le_bytes());
                frame.extend_from_slice(&number.to_le_bytes());
                frame.extend_from_slice(&sealed);
            }
        }
        self.written += frame.len() as u64;
        self.out.write_all(&frame).map_err(cannot)
    }
}

/// Reads a backup.
pub struct BackupReader<R: Read> {
    from: R,
    binding: Binding,
    number: u64,
    block: Vec<u8>,
    at: usize,
    rows: u64,
    hash: Context,
    ended: bool,
    /// Bytes that were read.
    pub read: u64,
}

fn number_of<const N: usize>(from: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

impl<R: Read> BackupReader<R> {
    /// Reads the head.
    pub fn begin(mut from: R, sealing: Option<&Sealing>) -> Result<BackupReader<R>, FileError> {
        const NONE: &str = "this is no backup: it does not begin like one";
        let begins = number_of::<4>(&mut from).is_ok_and(|magic| u32::from_le_bytes(magic) == HEAD);
        let length = number_of::<4>(&mut from).map_or(0, u32::from_le_bytes) as usize;
        if !begins || !(1..4096).contains(&length) {
            return wrong(NONE);
        }
        let mut head = vec![0; length];
        from.read_exact(&mut head).map_err(|_| FileError(NONE.into()))?;
        let Ok(said) = serde_json::from_slice::<serde_json::Value>(&head) else { return wrong(NONE) };
        match said.get("vesta-backup").and_then(serde_json::Value::as_u64) {
            Some(1) => {}
            Some(other) => return wrong(format!("this backup has the form {other}; this program reads the form 1")),
            None => return wrong(NONE),
        }
        let text = |name: &str| said.get(name).and_then(serde_json::Value::as_str);
        let key = match (text("salt"), sealing) {
            (None, None) => None,
            (None, Some(_)) => return wrong("this backup is not encrypted, but a key is given"),
            (Some(_), None) => {
                let print = text("key").unwrap_or_default();
                return wrong(format!("this backup is encrypted with the key with the fingerprint {print}: name it"));
            }
            (Some(salt), Some(sealing)) => {
                let print = text("key").unwrap_or_default();
                if print != sealing.fingerprint {
                    let given = &sealing.fingerprint;
                    return wrong(format!("this backup's key has the fingerprint {print}, the one given {given}"));
                }
                Some(sealing.of_file(&unhex(salt).unwrap_or_default())?)
            }
        };
        let binding = Binding { key, head: sha256(&[&head]) };
        let (hash, read) = (Context::new(&SHA256), length as u64 + 8);
        Ok(BackupReader { from, binding, number: 0, block: Vec::new(), at: 0, rows: 0, hash, ended: false, read })
    }

    /// The next row; none after the last.
    pub fn next_row(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        if self.ended {
            return Ok(None);
        }
        if self.at == self.block.len() {
            self.next_block()?;
        }
        let broken = || FileError(format!("block {} does not hold whole rows", self.number));
        let rest = self.block.get(self.at..).unwrap_or_default();
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
        let row = rest.get(..u32::from_le_bytes(*length) as usize).ok_or_else(broken)?.to_vec();
        self.at += 4 + row.len();
        if row.first() == Some(&END) {
            return self.end(&row).map(|()| None);
        }
        self.hash.update(length);
        self.hash.update(&row);
        self.rows += 1;
        Ok(Some(row))
    }

    fn end(&mut self, row: &[u8]) -> Result<(), FileError> {
        let count = row.get(1..9).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        if row.len() != END_SIZE || count != Some(self.rows) {
            return wrong(format!("rows are missing: there are {} and should be {}", self.rows, count.unwrap_or(0)));
        }
        if row.get(9..) != Some(self.hash.clone().finish().as_ref()) {
            return wrong("the hash over all rows is another than at the end: the file was changed");
        }
        if self.at != self.block.len() || number_of::<1>(&mut self.from).is_ok() {
            return wrong("there are bytes after the end");
        }
        self.ended = true;
        Ok(())
    }

    fn next_block(&mut self) -> Result<(), FileError> {
        let number = self.number;
        let Ok(magic) = number_of::<4>(&mut self.from) else {
            return wrong(format!("the file is torn: it ends after {number} blocks, before its end mark"));
        };
        let torn = |_| FileError(format!("the file is torn: it ends within block {number}"));
        let length = u32::from_le_bytes(number_of(&mut self.from).map_err(torn)?) as usize;
        let told = u64::from_le_bytes(number_of(&mut self.from).map_err(torn)?);
        let is_sealed = match u32::from_le_bytes(magic) {
            PLAIN if length == 16 => false,
            SEALED if (8..MOST).contains(&length) => true,
            _ => return wrong(format!("block {number} does not begin like one: the file was changed")),
        };
        if is_sealed != self.binding.key.is_some() {
            return wrong(format!("block {number} is of another file"));
        }
        if told != number {
            return wrong(format!("block {told} stands where block {number} should be"));
        }
        let packed = match is_sealed {
            true => {
                let mut sealed = self.bytes(length - 8).map_err(torn)?;
                let aad = Aad::from(self.binding.aad(number));
                let open = |key: &LessSafeKey| {
                    key.open_in_place(Binding::nonce(number), aad, &mut sealed).ok().map(|opened| opened.to_vec())
                };
                let Some(opened) = self.binding.key.as_ref().and_then(open) else {
                    return wrong(format!("block {number} was changed, or is of another file"));
                };
                opened
            }
            false => {
                let size = u32::from_le_bytes(number_of(&mut self.from).map_err(torn)?) as usize;
                let sum = u32::from_le_bytes(number_of(&mut self.from).map_err(torn)?);
                if size > MOST {
                    return wrong(format!("block {number} has an impossible size: the file was changed"));
                }
                let packed = self.bytes(size).map_err(torn)?;
                if sum != self.binding.checksum(number, &packed) {
                    return wrong(format!("block {number} is damaged: its checksum is wrong"));
                }
                packed
            }
        };
        self.read += packed.len() as u64 + 24;
        self.block = zstd::stream::decode_all(&packed[..])
            .map_err(|_| FileError(format!("block {number} is damaged: it cannot be unpacked")))?;
        (self.at, self.number) = (0, number + 1);
        Ok(())
    }

    /// So many bytes, of which no more are held than there are.
    fn bytes(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.from).take(count as u64).read_to_end(&mut bytes)?;
        if bytes.len() < count { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<u8>> {
        // More than one block, and a row that is larger than one.
        let mut rows: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; 60_000]).collect();
        rows.insert(7, (0..BLOCK + 9).map(|i| (i * 7) as u8).collect());
        rows
    }

    fn sealing(byte: u8) -> Sealing {
        Sealing { key: [byte; 32], fingerprint: format!("print{byte}") }
    }

    fn written(sealing: Option<&Sealing>) -> Vec<u8> {
        let mut writer = BackupWriter::begin(Vec::new(), sealing).expect("begins");
        rows().iter().for_each(|row| writer.row(row).expect("written"));
        let (file, size) = writer.end().expect("ends");
        assert_eq!(file.len() as u64, size);
        file
    }

    fn read(file: &[u8], sealing: Option<&Sealing>) -> Result<Vec<Vec<u8>>, FileError> {
        let mut reader = BackupReader::begin(file, sealing)?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row()? {
            rows.push(row);
        }
        Ok(rows)
    }

    #[test]
    fn rows_are_read_back_and_zstd_reads_a_plain_file() {
        for sealing in [None, Some(sealing(1))] {
            assert_eq!(read(&written(sealing.as_ref()), sealing.as_ref()), Ok(rows()));
        }
        let plain = zstd::stream::decode_all(&written(None)[..]).expect("a zstd file");
        assert!(plain.len() > rows().iter().map(Vec::len).sum::<usize>());
        assert_eq!(zstd::stream::decode_all(&written(Some(&sealing(1)))[..]).expect("a zstd file"), b"");
    }

    #[test]
    fn what_was_torn_or_changed_is_refused_by_name() {
        for sealing in [None, Some(sealing(1))] {
            let sealing = sealing.as_ref();
            let file = written(sealing);
            let check = |file: &[u8], named: &str| {
                let why = read(file, sealing).expect_err(named).0;
                assert!(why.contains(named), "{why} instead of {named}");
            };
            for end in (200..file.len()).step_by(97) {
                check(&file[..end], "torn");
            }
            check(&file[..20], "no backup");
            check(b"", "no backup");
            check(&[&file[..], b"x"].concat(), "bytes after the end");
            for at in (0..file.len()).step_by(61) {
                let mut changed = file.clone();
                changed[at] ^= 4;
                assert!(read(&changed, sealing).is_err(), "byte {at}");
            }
            // The second block taken out.
            let magic = if sealing.is_some() { SEALED } else { PLAIN }.to_le_bytes();
            let places: Vec<_> = (0..file.len() - 8).filter(|at| file[*at..].starts_with(&magic)).collect();
            let without = [&file[..places[1]], &file[places[2]..]].concat();
            check(&without, "block 2 stands where block 1 should be");
        }
    }

    #[test]
    fn the_key_is_asked_for_by_its_fingerprint() {
        let (plain, sealed) = (written(None), written(Some(&sealing(1))));
        let check = |file: &[u8], key: Option<&Sealing>, named: &str| {
            let why = read(file, key).expect_err(named).0;
            assert!(why.contains(named), "{why}");
        };
        check(&plain, Some(&sealing(1)), "not encrypted");
        check(&sealed, None, "fingerprint print1: name it");
        check(&sealed, Some(&sealing(2)), "print1, the one given print2");
        let same = Sealing { key: [2; 32], fingerprint: "print1".into() };
        check(&sealed, Some(&same), "block 0 was changed, or is of another file");
    }
}
