//! A small mutation fuzzer that needs no special toolchain: seeds, a fixed beginning of its random numbers, and a
//! bound on time (`VESTA_FUZZ_SECONDS`, 5 for each reader). The input of a failure is printed. For the long run there
//! are the targets of cargo-fuzz in `fuzz/`, which check the same.

mod checks;
mod seeds;
mod trees;

use std::time::{Duration, Instant};
use vesta::json::Tree;

/// Random numbers that are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }
}

/// The longest input.
const LONGEST: usize = 1 << 16;
/// No input may take longer, whatever else the machine does.
const SLOWEST: Duration = Duration::from_secs(10);

/// Changes an input in one to eight ways.
fn mutate(random: &mut Random, input: &mut Vec<u8>, seeds: &[&str], words: &[&str]) {
    for _ in 0..=random.below(8) {
        let (at, other) = (random.below(input.len() + 1), random.below(input.len() + 1));
        let (from, to) = (at.min(other), at.max(other).min(at.min(other) + 64));
        match random.below(9) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.below(256) as u8,
            2 => drop(input.drain(from..to)),
            3 => {
                let piece = input[from..to].to_vec();
                input.splice(other..other, piece);
            }
            4 => input.truncate(at),
            5 => {
                let seed = seeds[random.below(seeds.len())].as_bytes();
                let start = random.below(seed.len());
                let end = (start + random.below(200)).min(seed.len());
                input.splice(at..at, seed[start..end].iter().copied());
            }
            6 if random.below(20) == 0 => {
                let times = random.below(20_000);
                let word = words[random.below(words.len())].repeat(times.min(LONGEST / 8));
                input.splice(at..at, word.into_bytes());
            }
            _ => {
                let word = words[random.below(words.len())];
                input.splice(from..to.min(from + word.len()), word.bytes());
            }
        }
    }
    input.truncate(LONGEST);
}

/// Prints the input if the check on it panics.
struct Told<'i>(&'i [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was: {:?}", String::from_utf8_lossy(self.0));
        }
    }
}

fn survives(check: fn(&[u8]), seeds: &[&str], mut next: impl FnMut(&mut Random) -> Vec<u8>) {
    let seconds = std::env::var("VESTA_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5.0);
    for seed in seeds {
        let _told = Told(seed.as_bytes());
        check(seed.as_bytes());
    }
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut random = Random(0x5EED_0F7E_5700);
    let mut inputs = 0;
    while Instant::now() < end {
        let input = next(&mut random);
        let _told = Told(&input);
        let begun = Instant::now();
        check(&input);
        assert!(begun.elapsed() < SLOWEST, "it took {:?}", begun.elapsed());
        inputs += 1;
    }
    println!("{inputs} inputs");
}

/// Inputs that are seeds with some bytes changed.
fn changed(random: &mut Random, seeds: &[&str], words: &[&str]) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].as_bytes().to_vec();
    mutate(random, &mut input, seeds, words);
    input
}

#[test]
fn json_reader_survives() {
    survives(checks::json, seeds::JSON, |random| changed(random, seeds::JSON, seeds::JSON_WORDS));
}

#[test]
fn xml_reader_survives() {
    survives(checks::xml, seeds::XML, |random| changed(random, seeds::XML, seeds::XML_WORDS));
}

#[test]
fn query_string_survives() {
    survives(checks::query, seeds::QUERY, |random| changed(random, seeds::QUERY, seeds::QUERY_WORDS));
}

/// Legal JSON with any content: XML, validation, the terms of the index, patches.
#[test]
fn rooms_behind_the_reader_survive() {
    let donors: Vec<Tree> = seeds::JSON.iter().map(|seed| Tree::parse(seed.as_bytes()).expect("JSON")).collect();
    survives(checks::json, &[], |random| {
        let mut tree = donors[random.below(donors.len())].clone();
        for _ in 0..=random.below(6) {
            trees::mutate(random, &mut tree, &donors);
        }
        tree.to_json().into_bytes()
    });
}
