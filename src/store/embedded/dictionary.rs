//! Bodies are compressed with zstd and a dictionary for each resource type, trained on the first bodies of the type:
//! a first one early, so that few bodies go without, a better one when there are ten times as many, and one of many
//! more, spread over a time, since the first bodies of a store are often alike in what others lack. Dictionaries are
//! numbered, stored with the truth, and never taken away. When to train is decided here; storing a new dictionary
//! is the writer's work.

use crate::definitions::TypeId;
use crate::store::StoreError;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use zstd::zstd_safe::{CCtx, CDict, DCtx, DDict, compress_bound, get_frame_content_size};

/// A zstd frame begins with these bytes. They are not stored.
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Bytes of a dictionary at most.
const SIZE: usize = 48 << 10;
/// Bytes of one sample that count: long bodies would crowd out the others.
const SAMPLE: usize = 16 << 10;
/// Dictionaries that a type gets.
const ROUNDS: u32 = 3;
/// The first dictionary is trained after this part of the bodies that the others are trained on.
const EARLY: usize = 10;
/// The last one is trained on one body out of so many.
const SPREAD: usize = 10;

/// A dictionary, ready for use.
struct Dictionary {
    bytes: Vec<u8>,
    compress: OnceLock<CDict<'static>>,
    decompress: OnceLock<DDict<'static>>,
}

/// Compresses and decompresses bodies.
pub struct Codec {
    level: i32,
    /// Bodies of a type that its second and its last dictionary are trained on; 0: never trained.
    train_after: usize,
    dictionaries: RwLock<Dictionaries>,
    samples: Mutex<FxHashMap<TypeId, Sampling>>,
}

/// The bodies of a type seen so far.
#[derive(Default)]
struct Sampling {
    bodies: Vec<Vec<u8>>,
    /// How many came since the last ones were handed out.
    seen: usize,
    /// How often some were handed out.
    handed: u32,
}

#[derive(Default)]
struct Dictionaries {
    /// Number 1 is the first.
    by_number: Vec<Arc<Dictionary>>,
    by_type: FxHashMap<TypeId, Newest>,
}

/// The dictionary that new bodies of a type are compressed with.
#[derive(Clone)]
struct Newest {
    number: u32,
    /// How many the type has.
    rounds: u32,
    dictionary: Arc<Dictionary>,
}

thread_local! {
    static COMPRESSOR: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECOMPRESSOR: RefCell<(DCtx<'static>, Vec<u8>)> = RefCell::new((DCtx::create(), Vec::new()));
}

/// Bodies of one type, enough to train its dictionary.
pub struct Samples {
    /// The type.
    pub kind: TypeId,
    bodies: Vec<Vec<u8>>,
}

impl Samples {
    /// Trains a dictionary; `None` if the samples do not give one. Takes a noticeable fraction of a second.
    pub fn train(self) -> Option<Vec<u8>> {
        let mut trained = zstd::dict::from_samples(&self.bodies, SIZE).ok()?;
        // Every frame would carry the dictionary's own id, four bytes; the record names its dictionary anyway.
        trained.get_mut(4..8)?.fill(0);
        Some(trained)
    }
}

impl Codec {
    /// Without dictionaries yet.
    pub fn new(level: i32, train_after: usize) -> Codec {
        Codec { level, train_after, dictionaries: RwLock::default(), samples: Mutex::default() }
    }

    /// How many dictionaries there are: the next one gets this number plus one.
    pub fn len(&self) -> u32 {
        self.dictionaries.read().by_number.len() as u32
    }

    /// Adds a dictionary, which is stored already, and gives its number.
    pub fn add(&self, kind: TypeId, bytes: Vec<u8>) -> u32 {
        let mut dictionaries = self.dictionaries.write();
        let dictionary = Arc::new(Dictionary { bytes, compress: OnceLock::new(), decompress: OnceLock::new() });
        dictionaries.by_number.push(dictionary.clone());
        let number = dictionaries.by_number.len() as u32;
        let rounds = dictionaries.by_type.get(&kind).map_or(0, |newest| newest.rounds) + 1;
        dictionaries.by_type.insert(kind, Newest { number, rounds, dictionary });
        number
    }

    /// Compresses a body; gives the number of the dictionary (0 is none) and the bytes.
    pub fn compress(&self, kind: TypeId, body: &[u8]) -> Result<(u32, Vec<u8>), StoreError> {
        let dictionary = self.dictionaries.read().by_type.get(&kind).cloned();
        let mut out = Vec::with_capacity(compress_bound(body.len()));
        let done = COMPRESSOR.with_borrow_mut(|context| match &dictionary {
            Some(Newest { dictionary: d, .. }) => {
                let ready = d.compress.get_or_init(|| CDict::create(&d.bytes, self.level));
                context.compress_using_cdict(&mut out, body, ready)
            }
            None => context.compress(&mut out, body, self.level),
        });
        done.map_err(|code| StoreError::Broken(format!("compression: {}", zstd::zstd_safe::get_error_name(code))))?;
        out.drain(..MAGIC.len());
        out.shrink_to_fit();
        Ok((dictionary.map_or(0, |newest| newest.number), out))
    }

    /// Decompresses a body.
    pub fn decompress(&self, dictionary: u32, stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        let dictionary = match dictionary {
            0 => None,
            n => Some(
                self.dictionaries
                    .read()
                    .by_number
                    .get(n as usize - 1)
                    .cloned()
                    .ok_or_else(|| StoreError::Broken(format!("dictionary {n} is missing")))?,
            ),
        };
        DECOMPRESSOR.with_borrow_mut(|(context, frame)| {
            frame.clear();
            frame.extend_from_slice(&MAGIC);
            frame.extend_from_slice(stored);
            let failed = |what: &str| StoreError::Broken(format!("a body cannot be decompressed: {what}"));
            let size = get_frame_content_size(frame).ok().flatten().ok_or_else(|| failed("no size"))?;
            let mut out = Vec::new();
            out.try_reserve_exact(size as usize).map_err(|_| failed("too large"))?;
            let done = match &dictionary {
                Some(d) => {
                    let ready = d.decompress.get_or_init(|| DDict::create(&d.bytes));
                    context.decompress_using_ddict(&mut out, frame, ready)
                }
                None => context.decompress(&mut out, frame),
            };
            done.map_err(|code| failed(zstd::zstd_safe::get_error_name(code)))?;
            if frame.capacity() > 1 << 20 {
                frame.shrink_to(1 << 16);
            }
            Ok(out)
        })
    }

    /// Looks at a body of a type that has not all its dictionaries yet. Whenever there are enough bodies for one, they
    /// are handed out.
    pub fn sample(&self, kind: TypeId, body: &[u8]) -> Option<Samples> {
        // Those of an earlier run count.
        let rounds = self.dictionaries.read().by_type.get(&kind).map_or(0, |newest| newest.rounds);
        if self.train_after == 0 || rounds >= ROUNDS {
            return None;
        }
        let mut samples = self.samples.lock();
        let sampling = samples.entry(kind).or_default();
        let round = rounds.max(sampling.handed);
        let is_last = round + 1 == ROUNDS;
        sampling.seen += 1;
        if round >= ROUNDS || (is_last && !sampling.seen.is_multiple_of(SPREAD)) {
            return None;
        }
        sampling.bodies.push(body[..body.len().min(SAMPLE)].to_vec());
        if sampling.bodies.len() >= self.train_after {
            (sampling.seen, sampling.handed) = (0, if is_last { ROUNDS } else { ROUNDS - 1 });
            return Some(Samples { kind, bodies: std::mem::take(&mut sampling.bodies) });
        }
        let early = round == 0 && sampling.bodies.len() == self.train_after.div_ceil(EARLY);
        early.then(|| {
            sampling.handed = 1;
            Samples { kind, bodies: sampling.bodies.clone() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(i: usize) -> Vec<u8> {
        format!(
            r#"}},"status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{}-4"}}]}},"subject":{{"reference":"Patient/{i}"}},"valueQuantity":{{"value":{}.5,"unit":"mmol/L"}}}}"#,
            i % 7,
            i * 31 % 1000
        )
        .into_bytes()
    }

    #[test]
    fn bodies_come_back_and_dictionaries_make_them_small() {
        let codec = Codec::new(3, 300);
        let kind = TypeId(5);
        let plain = codec.compress(kind, &body(7)).expect("compressed");
        assert_eq!(plain.0, 0);
        let handed: Vec<(usize, Samples)> =
            (0..9_000).filter_map(|i| Some((i, codec.sample(kind, &body(i))?))).collect();
        let sizes: Vec<_> = handed.iter().map(|(at, samples)| (*at, samples.bodies.len())).collect();
        assert_eq!(sizes, [(29, 30), (299, 300), (3_299, 300)], "an early round, a second one, and one of many");
        let last = handed.into_iter().next_back().expect("the last round").1;
        assert_eq!(codec.add(kind, last.train().expect("trained")), 1);
        let small = codec.compress(kind, &body(7)).expect("compressed");
        assert_eq!(small.0, 1);
        assert!(small.1.len() * 2 < plain.1.len(), "{} and {}", small.1.len(), plain.1.len());
        assert_eq!(codec.decompress(0, &plain.1), Ok(body(7)));
        assert_eq!(codec.decompress(1, &small.1), Ok(body(7)));
        assert_eq!(codec.decompress(0, &codec.compress(TypeId(6), b"").expect("compressed").1), Ok(Vec::new()));
        assert!(codec.decompress(2, &small.1).is_err());
        assert!(codec.decompress(1, &small.1[1..]).is_err());
    }

    #[test]
    fn a_type_with_dictionaries_of_an_earlier_run_waits_for_the_others_only() {
        let early = Codec::new(3, 300);
        let kind = TypeId(5);
        let bytes = (0..30).find_map(|i| early.sample(kind, &body(i))).expect("enough").bodies.concat();
        for (rounds, expected) in [(1, vec![299, 3_299]), (2, vec![2_999]), (3, vec![])] {
            let restarted = Codec::new(3, 300);
            for _ in 0..rounds {
                restarted.add(kind, bytes.clone());
            }
            let handed: Vec<usize> = (0..9_000).filter(|i| restarted.sample(kind, &body(*i)).is_some()).collect();
            assert_eq!(handed, expected, "{rounds}");
        }
    }
}
