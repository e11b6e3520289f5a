//! Postings: which documents have a term, as ascending ordinals; and bit sets over ordinals for large results.

/// Ascending ordinals. Only ever added to. Many terms stand in one document only, so that one costs no allocation.
#[derive(Clone, Debug)]
pub enum Postings {
    /// One document.
    One(u32),
    /// Several.
    Many(Vec<u32>),
    /// So many of all that bits are worth their room: sets of this size are mostly joined with others.
    Dense(Box<(Vec<u32>, Bits)>),
}

/// Terms that stand in one of so many documents are dense,
const DENSE: usize = 32;
/// if they stand in so many.
const DENSE_FROM: usize = 1024;

impl Default for Postings {
    fn default() -> Postings {
        Postings::Many(Vec::new())
    }
}

impl Postings {
    /// Adds an ordinal, which is greater than all before.
    pub fn push(&mut self, ordinal: u32) {
        match self {
            Postings::Many(none) if none.is_empty() => *self = Postings::One(ordinal),
            Postings::One(first) => *self = Postings::Many(vec![*first, ordinal]),
            Postings::Many(all) => {
                all.push(ordinal);
                let looked_at = all.len() >= DENSE_FROM && all.len().is_power_of_two();
                if looked_at && all.len() * DENSE > ordinal as usize {
                    let bits = all.iter().copied().collect();
                    *self = Postings::Dense(Box::new((std::mem::take(all), bits)));
                }
            }
            Postings::Dense(both) => {
                both.0.push(ordinal);
                both.1.insert(ordinal);
            }
        }
    }

    /// The ordinals as bits, where they are kept.
    pub fn bits(&self) -> Option<&Bits> {
        match self {
            Postings::Dense(both) => Some(&both.1),
            _ => None,
        }
    }

    /// The ordinals.
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Postings::One(one) => std::slice::from_ref(one),
            Postings::Many(all) => all,
            Postings::Dense(both) => &both.0,
        }
    }
}

/// The index of the first ordinal that is not below `target`, searched from `at` on in steps that double: cheap where
/// it is near.
pub fn gallop(list: &[u32], at: usize, target: u32) -> usize {
    if list.get(at).is_none_or(|o| *o >= target) {
        return at;
    }
    let mut step = 1;
    let mut low = at;
    while low + step < list.len() && list[low + step] < target {
        low += step;
        step *= 2;
    }
    let high = (low + step).min(list.len());
    low + list[low..high].partition_point(|o| *o < target)
}

/// A set of ordinals, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// An empty set with room for ordinals below a bound.
    pub fn below(bound: u32) -> Bits {
        Bits { words: vec![0; (bound as usize).div_ceil(64)] }
    }

    /// Adds an ordinal, making room for it.
    pub fn insert(&mut self, ordinal: u32) {
        let word = ordinal as usize / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (ordinal % 64);
    }

    /// The 64 ordinals from one on, as they are in the set.
    pub fn window(&self, from: u32) -> u64 {
        let (word, shift) = (from as usize / 64, from % 64);
        let low = self.words.get(word).copied().unwrap_or(0) >> shift;
        let high = if shift == 0 { 0 } else { self.words.get(word + 1).copied().unwrap_or(0) << (64 - shift) };
        low | high
    }

    /// Adds some of the 64 ordinals from one on.
    pub fn insert_window(&mut self, from: u32, window: u64) {
        let (word, shift) = (from as usize / 64, from % 64);
        let high = if shift == 0 { 0 } else { window >> (64 - shift) };
        let needed = word + if high != 0 { 2 } else { usize::from(window != 0) };
        if needed > self.words.len() {
            self.words.resize(needed, 0);
        }
        if let Some(low) = self.words.get_mut(word) {
            *low |= window << shift;
        }
        if high != 0 {
            self.words[word + 1] |= high;
        }
    }

    /// Takes an ordinal out.
    pub fn remove(&mut self, ordinal: u32) {
        if let Some(word) = self.words.get_mut(ordinal as usize / 64) {
            *word &= !(1 << (ordinal % 64));
        }
    }

    /// Takes an ordinal out; whether it was in.
    pub fn take(&mut self, ordinal: u32) -> bool {
        let was = self.contains(ordinal);
        if was {
            self.remove(ordinal);
        }
        was
    }

    /// Whether it is in.
    pub fn contains(&self, ordinal: u32) -> bool {
        self.words.get(ordinal as usize / 64).is_some_and(|w| w >> (ordinal % 64) & 1 == 1)
    }

    /// The first ordinal in the set that is not below `from`.
    pub fn seek(&self, from: u32) -> Option<u32> {
        let mut at = from as usize / 64;
        let mut word = self.words.get(at)? & (!0 << (from % 64));
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some(at as u32 * 64 + word.trailing_zeros())
    }

    /// How many are in.
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// How many are in both.
    pub fn len_in(&self, other: &Bits) -> usize {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    /// Keeps what is in the other set too.
    pub fn intersect(&mut self, other: &Bits) {
        self.words.truncate(other.words.len());
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Adds what is in the other set.
    pub fn unite(&mut self, other: &Bits) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Removes what is in the other set.
    pub fn subtract(&mut self, other: &Bits) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Removes all below a bound.
    pub fn remove_below(&mut self, bound: u32) {
        let words = self.words.len();
        self.words[..words.min(bound as usize / 64)].fill(0);
        if let Some(word) = self.words.get_mut(bound as usize / 64) {
            *word &= !0 << (bound % 64);
        }
    }

    /// Removes all that are not below a bound.
    pub fn truncate(&mut self, bound: u32) {
        self.words.truncate((bound as usize).div_ceil(64));
        if !bound.is_multiple_of(64)
            && self.words.len() == (bound as usize).div_ceil(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << (bound % 64)) - 1;
        }
    }

    /// The ordinals, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let found = self.seek(next)?;
            next = found + 1;
            Some(found)
        })
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(ordinals: I) -> Bits {
        let mut bits = Bits::default();
        ordinals.into_iter().for_each(|o| bits.insert(o));
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_postings_say_the_same_twice() {
        let mut postings = Postings::One(0);
        let mut expected = vec![0];
        for ordinal in (3..20_000).step_by(3) {
            postings.push(ordinal);
            expected.push(ordinal);
        }
        assert_eq!(postings.as_slice(), expected);
        assert_eq!(postings.bits().map(|b| b.iter().collect::<Vec<_>>()), Some(expected));
        let mut sparse = Postings::One(0);
        (1..3_000).for_each(|i| sparse.push(i * 100));
        assert!(sparse.bits().is_none());
    }

    #[test]
    fn galloping_finds_the_first_not_below() {
        let list: Vec<u32> = (0..200).map(|i| i * 3).collect();
        for at in [0, 1, 7, 150, 199, 200] {
            for target in 0..620 {
                let plain = at + list[at..].partition_point(|o| *o < target);
                assert_eq!(gallop(&list, at, target), plain, "from {at} to {target}");
            }
        }
    }

    #[test]
    fn bits() {
        let bits: Bits = [3, 64, 200, 127].into_iter().collect();
        assert_eq!(bits.iter().collect::<Vec<_>>(), [3, 64, 127, 200]);
        assert_eq!((bits.len(), bits.seek(65), bits.seek(201)), (4, Some(127), None));
        let mut other = bits.clone();
        other.remove(64);
        assert!(bits.contains(64) && !other.contains(64) && !other.contains(1000));
        other.truncate(127);
        assert_eq!(other.iter().collect::<Vec<_>>(), [3]);
        let mut rest = bits.clone();
        rest.remove_below(64);
        assert_eq!(rest.iter().collect::<Vec<_>>(), [64, 127, 200]);
        rest.remove_below(128);
        assert!(rest.take(200) && !rest.take(200) && !rest.take(1000));
        rest.remove_below(1000);
        rest.subtract(&bits);
        assert_eq!(rest.len(), 0);
        other.intersect(&Bits::default());
        assert_eq!(other.len(), 0);
    }
}
