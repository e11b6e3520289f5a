//! Numbers as bytes: groups of seven bits for what is read in order, packed bits for what is looked up by place.
//! Reading never panics, whatever the bytes are.

/// Appends a number in groups of seven bits, lowest first.
pub fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// What is left to read.
#[derive(Clone, Copy)]
pub struct Reader<'b>(pub &'b [u8]);

impl<'b> Reader<'b> {
    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next number that [`put`] wrote.
    pub fn number(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    /// The next number, if it is a small one.
    pub fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    /// The next number as a size.
    pub fn size(&mut self) -> Option<usize> {
        self.number()?.try_into().ok()
    }

    /// The next bytes.
    pub fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next bytes, as many as the type says.
    pub fn chunk<const N: usize>(&mut self) -> Option<&'b [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(taken)
    }
}

/// Bits that a number up to and including `most` takes.
pub fn width(most: u32) -> u8 {
    (32 - most.leading_zeros()) as u8
}

/// Appends numbers, each in so many bits, and room behind them, so that each is read with one look.
pub fn pack(numbers: impl Iterator<Item = u32>, width: u8, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut held, mut bits) = (0_u64, 0);
    for number in numbers {
        held |= u64::from(number) << bits;
        bits += u32::from(width);
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    out.push(held as u8);
    out.extend_from_slice(&[0; 8]);
}

/// Bytes that [`pack`] writes.
pub fn packed_length(count: usize, width: u8) -> usize {
    if width == 0 { 0 } else { count.saturating_mul(width.into()) / 8 + 9 }
}

/// The number at a place among packed ones; 0 where there is none.
#[inline]
pub fn packed(bytes: &[u8], width: u8, at: usize) -> u32 {
    let bit = at * usize::from(width);
    let Some(eight) = bytes.get(bit / 8..).and_then(|b| b.first_chunk::<8>()) else { return 0 };
    let held = u64::from_le_bytes(*eight) >> (bit % 8);
    (held & ((1_u64 << width.min(32)) - 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let mut bytes = Vec::new();
        numbers.iter().for_each(|n| put(&mut bytes, *n));
        let mut reader = Reader(&bytes);
        assert_eq!(numbers.map(|_| reader.number()), numbers.map(Some));
        assert_eq!(reader.number(), None);
        assert_eq!(Reader(&[0xFF; 20]).number(), None);
    }

    #[test]
    fn packed_numbers_are_read_back() {
        for most in [1, 2, 3, 100, 255, 256, 70_000, u32::MAX] {
            let numbers: Vec<u32> = (0..100).map(|i: u32| i.wrapping_mul(0x9E37_79B9) % most).chain([most]).collect();
            let mut bytes = Vec::new();
            pack(numbers.iter().copied(), width(most), &mut bytes);
            assert!(bytes.len() == packed_length(numbers.len(), width(most)), "{most}");
            let read: Vec<_> = (0..numbers.len()).map(|i| packed(&bytes, width(most), i)).collect();
            assert_eq!(read, numbers);
            assert_eq!(packed(&bytes, width(most), 100_000), 0);
        }
        assert_eq!((width(0), packed(&[], 0, 7)), (0, 0));
    }
}
