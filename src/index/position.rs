//! Places on the earth: their terms follow a space-filling curve, so that a circle is a few ranges of terms, and each
//! term in them is tested by its true distance on the sphere. Degrees in, metres out; units of length are the
//! searcher's.

use super::encode::{self, after, head};
use super::{Condition, Range, Test};
use crate::definitions::SearchParameter;

/// Mean radius of the earth, in metres.
const RADIUS: f64 = 6_371_008.8;
/// Ranges that a circle becomes at most.
const MOST_RANGES: usize = 32;

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl Position {
    /// A place, if these are degrees of one.
    pub fn new(latitude: f64, longitude: f64) -> Option<Position> {
        ((-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude))
            .then_some(Position { latitude, longitude })
    }

    /// Metres to another place, along the sphere.
    pub fn distance(self, other: Position) -> f64 {
        let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
        let (north, east) = (half(self.latitude, other.latitude), half(self.longitude, other.longitude));
        let h = north + self.latitude.to_radians().cos() * other.latitude.to_radians().cos() * east;
        2.0 * RADIUS * h.sqrt().min(1.0).asin()
    }

    /// Appends its cell, then itself.
    pub(super) fn push(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&cell(self).to_be_bytes());
        out.extend_from_slice(&self.latitude.to_be_bytes());
        out.extend_from_slice(&self.longitude.to_be_bytes());
    }

    /// The place in bytes that [`Position::push`] wrote.
    pub(super) fn read(bytes: &[u8]) -> Option<Position> {
        let number = |at: usize| Some(f64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Position { latitude: number(8)?, longitude: number(16)? })
    }
}

/// That a place is not farther from the centre than so many metres.
pub(super) fn near(parameter: &SearchParameter, centre: Position, metres: f64) -> Condition {
    let head = head(parameter.number, encode::POSITION);
    let test = Test::Near { skip: head.len(), centre, metres };
    let ranges = cover(centre, metres).into_iter().map(|(from, last)| Range {
        from: [&head[..], &from.to_be_bytes()].concat().into(),
        to: after(&[&head[..], &last.to_be_bytes()].concat()),
        test: Some(test.clone()),
    });
    Condition::any(ranges.map(Condition::Range))
}

/// Degrees as parts of the whole, in 32 bits.
fn part(degrees: f64, from: f64, width: f64) -> u32 {
    ((degrees - from) / width * 4_294_967_296.0).clamp(0.0, 4_294_967_295.0) as u32
}

/// The bits of latitude and longitude, taken in turns.
fn cell(at: Position) -> u64 {
    spread(part(at.latitude, -90.0, 180.0)) << 1 | spread(part(at.longitude, -180.0, 360.0))
}

/// Bits with a zero before each.
fn spread(bits: u32) -> u64 {
    let mut x = u64::from(bits);
    for (shift, mask) in [
        (16, 0x0000_FFFF_0000_FFFF_u64),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        x = (x | x << shift) & mask;
    }
    x
}

/// A box of parts: latitude from and to, longitude from and to, all in.
type Parts = [u32; 4];

/// The cells, from and to (both in), that hold every place within the circle; some may lie outside.
fn cover(centre: Position, metres: f64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    for wanted in boxes(centre, metres) {
        let mut open = vec![(0_u64, 0_u32, [0, u32::MAX, 0, u32::MAX])];
        // Squares are cut into four until they lie inside or there are enough of them.
        while let Some(at) = open.iter().position(|(_, _, square)| !inside(square, &wanted)) {
            if open.len() + 3 > MOST_RANGES / 2 {
                break;
            }
            let (prefix, level, square) = open.remove(at);
            if level == 32 {
                open.push((prefix, level, square));
                break;
            }
            open.extend(quarters(prefix, level, square).into_iter().filter(|(_, _, q)| touches(q, &wanted)));
            // The largest are cut first.
            open.sort_by_key(|(_, level, _)| *level);
        }
        found.extend(open.into_iter().map(|(prefix, level, _)| {
            let rest = 64 - 2 * level;
            let low = if rest == 64 { 0 } else { prefix << rest };
            (low, low | if rest == 64 { u64::MAX } else { (1_u64 << rest) - 1 })
        }));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Boxes that hold the circle: two where it lies across the date line.
fn boxes(centre: Position, metres: f64) -> Vec<Parts> {
    // A little more than needed, so that rounding cuts nothing away.
    let angle = (metres / RADIUS).to_degrees() * 1.000_001 + 1e-7;
    let (south, north) = (centre.latitude - angle, centre.latitude + angle);
    let latitudes = [part(south, -90.0, 180.0), part(north, -90.0, 180.0)];
    let longitudes = |from: f64, to: f64| {
        let [a, b] = latitudes;
        [a, b, part(from, -180.0, 360.0), part(to, -180.0, 360.0)]
    };
    if south <= -90.0 || north >= 90.0 {
        return vec![longitudes(-180.0, 180.0)];
    }
    let ratio = angle.to_radians().sin() / centre.latitude.to_radians().cos();
    if ratio >= 1.0 {
        return vec![longitudes(-180.0, 180.0)];
    }
    let width = ratio.asin().to_degrees() * 1.000_001 + 1e-7;
    let (west, east) = (centre.longitude - width, centre.longitude + width);
    if west < -180.0 {
        vec![longitudes(-180.0, east), longitudes(west + 360.0, 180.0)]
    } else if east > 180.0 {
        vec![longitudes(west, 180.0), longitudes(-180.0, east - 360.0)]
    } else {
        vec![longitudes(west, east)]
    }
}

fn inside(square: &Parts, wanted: &Parts) -> bool {
    square[0] >= wanted[0] && square[1] <= wanted[1] && square[2] >= wanted[2] && square[3] <= wanted[3]
}

fn touches(square: &Parts, wanted: &Parts) -> bool {
    square[0] <= wanted[1] && square[1] >= wanted[0] && square[2] <= wanted[3] && square[3] >= wanted[2]
}

fn quarters(prefix: u64, level: u32, [south, north, west, east]: Parts) -> Vec<(u64, u32, Parts)> {
    let (middle, centre) = (south + (north - south) / 2, west + (east - west) / 2);
    let half = |upper: bool, low: u32, mid: u32, high: u32| if upper { (mid + 1, high) } else { (low, mid) };
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(up, right)| {
            let ((a, b), (c, d)) = (half(up, south, middle, north), half(right, west, centre, east));
            (prefix << 2 | u64::from(up) << 1 | u64::from(right), level + 1, [a, b, c, d])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: f64, longitude: f64) -> Position {
        Position::new(latitude, longitude).expect("degrees")
    }

    #[test]
    fn distances_are_those_of_the_sphere() {
        // A degree of latitude, Paris to New York, half round the earth, and a metre.
        for (a, b, metres, within) in [
            (at(0.0, 0.0), at(1.0, 0.0), 111_195.0, 1.0),
            (at(48.8566, 2.3522), at(40.7128, -74.0060), 5_837_000.0, 1_500.0),
            (at(90.0, 0.0), at(-90.0, 77.0), 20_015_114.0, 10.0),
            (at(0.0, 179.9), at(0.0, -179.9), 22_239.0, 1.0),
            (at(50.0, 8.0), at(50.000_009, 8.0), 1.0, 0.01),
        ] {
            assert!((a.distance(b) - metres).abs() < within, "{a:?} {b:?} {}", a.distance(b));
        }
    }

    #[test]
    fn what_is_in_the_circle_is_in_the_ranges() {
        let mut seed = 7_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1_u64 << 53) as f64
        };
        for metres in [0.5, 30.0, 1_000.0, 50_000.0, 3_000_000.0, 21_000_000.0] {
            for round in 0..400 {
                let centre = at(random() * 180.0 - 90.0, random() * 360.0 - 180.0);
                let ranges = cover(centre, metres);
                assert!(ranges.len() <= MOST_RANGES, "{}", ranges.len());
                let reach = metres / 111_000.0;
                let latitude = (centre.latitude + (random() * 2.0 - 1.0) * reach).clamp(-90.0, 90.0);
                let spread = reach / centre.latitude.to_radians().cos().max(0.01);
                let longitude = centre.longitude + (random() * 2.0 - 1.0) * spread.min(180.0);
                let other = at(latitude, (longitude + 540.0).rem_euclid(360.0) - 180.0);
                let covered = ranges.iter().any(|(from, to)| (*from..=*to).contains(&cell(other)));
                assert!(covered || centre.distance(other) > metres, "round {round}: {centre:?} {other:?} {metres}");
            }
        }
    }
}
