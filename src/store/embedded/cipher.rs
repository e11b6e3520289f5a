//! Encryption at rest: AES-256-GCM under a data key that is made with the store and kept in it, wrapped by a master key
//! that never is. What is sealed is bound to the place where it stands. Nonces are counted, never drawn: every opening
//! of the store begins a new row of them, so that none is used twice, whatever is lost in a crash.
//!
//! Not hidden are the logical ids, types, times and sizes of resources, and the names of items.

use super::truth::{Fault, Look, Truth, meta};
use crate::store::{StoreError, sha256};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand::fill;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a fingerprint.
const PRINT: usize = 8;
/// What the wrapped data key is bound to.
const WRAPPED: &[u8] = b"vesta data key 1";

/// The key that opens the store. Kept elsewhere by whoever runs the server.
#[derive(Clone)]
pub struct MasterKey([u8; KEY]);

impl MasterKey {
    /// A key of 32 bytes.
    pub fn new(bytes: [u8; KEY]) -> MasterKey {
        MasterKey(bytes)
    }

    /// What it is known by; tells nothing of it.
    pub fn fingerprint(&self) -> String {
        self.print().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The same key for a backup, from which one is derived for each file.
    pub fn for_backups(&self) -> crate::store::moving::Sealing {
        crate::store::moving::Sealing { key: self.0, fingerprint: self.fingerprint() }
    }

    fn print(&self) -> [u8; PRINT] {
        let hash = sha256(&[b"vesta master key 1", &self.0]);
        let mut print = [0; PRINT];
        print.copy_from_slice(&hash[..PRINT]);
        print
    }

    fn key(&self) -> Result<LessSafeKey, StoreError> {
        key(&self.0)
    }

    /// Wraps a data key: fingerprint of this one, nonce, sealed key.
    fn wrap(&self, data: &[u8; KEY]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce).map_err(|_| failed())?;
        let mut sealed = data.to_vec();
        self.key()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(WRAPPED), &mut sealed)
            .map_err(|_| failed())?;
        Ok([&self.print()[..], &nonce, &sealed].concat())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Option<[u8; KEY]> {
        let (_, rest) = wrapped.split_first_chunk::<PRINT>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let key = self.key().ok()?;
        let opened = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(WRAPPED), &mut sealed);
        (*opened.ok()?).try_into().ok()
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.fingerprint())
    }
}

fn failed() -> StoreError {
    StoreError::Broken("encryption failed".into())
}

fn key(bytes: &[u8; KEY]) -> Result<LessSafeKey, StoreError> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| failed())?))
}

/// Seals and opens what is stored.
pub struct Cipher {
    key: LessSafeKey,
    /// The row of nonces of this opening.
    row: u32,
    next: AtomicU64,
}

impl Cipher {
    /// Seals some bytes for a place: nonce, ciphertext, tag.
    pub fn seal(&self, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        nonce[..4].copy_from_slice(&self.row.to_be_bytes());
        nonce[4..].copy_from_slice(&self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let mut out = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place),
                out.get_mut(NONCE_LEN..).unwrap_or_default(),
            )
            .map_err(|_| failed())?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what was sealed for this place; none if it was not, or was changed.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut plain = rest.to_vec();
        let opened = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(place), &mut plain);
        let length = opened.ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

/// The cipher of a store: none if it is not encrypted. A new store is encrypted if a key is given.
pub fn unlock(truth: &Truth, directory: &Path, master: Option<&MasterKey>) -> Result<Option<Cipher>, StoreError> {
    let (wrapped, row, empty) = {
        let reading = truth.read()?;
        let wrapped = reading.meta(meta::DATA_KEY)?.map(<[u8]>::to_vec);
        (wrapped, reading.meta(meta::NONCES)?.map(<[u8]>::to_vec), reading.is_empty()?)
    };
    let data = match (wrapped, master) {
        (None, Some(master)) if empty => {
            let mut data = [0; KEY];
            fill(&mut data).map_err(|_| failed())?;
            put(truth, meta::DATA_KEY, &master.wrap(&data)?)?;
            data
        }
        (wrapped, master) => match data_key(directory, wrapped, master)? {
            Some(data) => data,
            None => return Ok(None),
        },
    };
    // Durable before any nonce of the row is used.
    let row = row.and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?))).unwrap_or(0);
    let row =
        row.checked_add(1).ok_or_else(|| StoreError::Unavailable("the nonces are used up: encrypt anew".into()))?;
    put(truth, meta::NONCES, &row.to_be_bytes())?;
    Ok(Some(Cipher { key: key(&data)?, row, next: AtomicU64::new(0) }))
}

/// The cipher of a store that is only read: it must not seal, as its nonces are not counted.
pub fn unlock_to_read(
    truth: &Truth,
    directory: &Path,
    master: Option<&MasterKey>,
) -> Result<Option<Cipher>, StoreError> {
    let wrapped = truth.read()?.meta(meta::DATA_KEY)?.map(<[u8]>::to_vec);
    let Some(data) = data_key(directory, wrapped, master)? else { return Ok(None) };
    Ok(Some(Cipher { key: key(&data)?, row: 0, next: AtomicU64::new(0) }))
}

/// The data key of a store that has data; none if it is not encrypted.
fn data_key(
    directory: &Path,
    wrapped: Option<Vec<u8>>,
    master: Option<&MasterKey>,
) -> Result<Option<[u8; KEY]>, StoreError> {
    let shown = directory.display();
    let refused = |why: String| Err(StoreError::Unavailable(why));
    match (wrapped, master) {
        (None, None) => Ok(None),
        (None, Some(_)) => refused(format!(
            "the store in {shown} is not encrypted, but a key is given; encrypt it with `vesta encryption on`"
        )),
        (Some(_), None) => refused(format!("the store in {shown} is encrypted; name its key with --encryption-key")),
        (Some(wrapped), Some(master)) => match master.unwrap(&wrapped) {
            Some(data) => Ok(Some(data)),
            None => refused(wrong(directory, &wrapped, master)),
        },
    }
}

fn wrong(directory: &Path, wrapped: &[u8], master: &MasterKey) -> String {
    let shown = directory.display();
    let print: String = wrapped.iter().take(PRINT).map(|byte| format!("{byte:02x}")).collect();
    if print == master.fingerprint() {
        return format!("the data key of the store in {shown} is damaged");
    }
    let given = master.fingerprint();
    format!("the key does not open the store in {shown}: its key has the fingerprint {print}, the one given {given}")
}

/// Wraps the data key with another master key. The old one opens the store no more.
pub fn rewrap(truth: &Truth, directory: &Path, old: &MasterKey, new: &MasterKey) -> Result<(), StoreError> {
    let wrapped = truth.read()?.meta(meta::DATA_KEY)?.map(<[u8]>::to_vec);
    let Some(wrapped) = wrapped else {
        return Err(StoreError::Unavailable(format!("the store in {} is not encrypted", directory.display())));
    };
    let Some(data) = old.unwrap(&wrapped) else {
        return Err(StoreError::Unavailable(wrong(directory, &wrapped, old)));
    };
    put(truth, meta::DATA_KEY, &new.wrap(&data)?)
}

fn put(truth: &Truth, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    let write = || -> Result<(), Fault> {
        let mut writing = truth.write()?;
        writing.put_meta(key, value)?;
        writing.commit()
    };
    write().map_err(StoreError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(row: u32) -> Cipher {
        Cipher { key: key(&[7; KEY]).expect("a key"), row, next: AtomicU64::new(0) }
    }

    #[test]
    fn what_is_sealed_is_opened_in_its_place_only() {
        let cipher = cipher(1);
        let sealed = cipher.seal(b"here", b"some text").expect("sealed");
        assert_eq!(cipher.open(b"here", &sealed).as_deref(), Some(&b"some text"[..]));
        assert_eq!(cipher.open(b"there", &sealed), None);
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert_eq!(cipher.open(b"here", &changed), None);
            assert_eq!(cipher.open(b"here", &sealed[..i]), None);
        }
        assert_ne!(cipher.seal(b"here", b"some text").expect("sealed"), sealed, "no nonce is used twice");
    }

    #[test]
    fn a_data_key_is_unwrapped_by_its_master_alone() {
        let (one, two) = (MasterKey::new([1; KEY]), MasterKey::new([2; KEY]));
        let wrapped = one.wrap(&[9; KEY]).expect("wrapped");
        assert_eq!(one.unwrap(&wrapped), Some([9; KEY]));
        assert_eq!(two.unwrap(&wrapped), None);
        assert!(!format!("{one:?}").contains("0101"), "a key is not printed");
    }
}
