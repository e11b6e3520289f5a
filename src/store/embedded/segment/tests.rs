//! Segments are read back as they were written, and damage never leads to a panic or outside the file.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Terms = BTreeMap<Vec<u8>, Vec<u32>>;

const INFO: Info = Info { tenant: 7, from: 11, to: 13, mark: 99, schema: 5 };

/// Writes a segment with one section of versions that have these terms, and some that are deletes.
fn written(documents: &[Vec<Vec<u8>>]) -> (Vec<u8>, Terms, Info) {
    let mut terms = Terms::new();
    for (ordinal, own) in documents.iter().enumerate() {
        for term in own {
            let list = terms.entry(term.clone()).or_default();
            if list.last() != Some(&(ordinal as u32)) {
                list.push(ordinal as u32);
            }
        }
    }
    let docs = documents.len() as u32;
    let numbers: Vec<u32> = (0..docs).map(|o| 11 + o).collect();
    let previous: Vec<_> = (1..docs).step_by(3).map(|o| (o, 10 + o)).collect();
    let deletes: Vec<u32> = (0..docs).filter(|o| documents[*o as usize].is_empty()).collect();
    let info = Info { to: 10 + u64::from(docs), ..INFO };
    let head =
        SectionHead { stored_type: 3, id_parameter: [0, 1], numbers: &numbers, previous: &previous, deletes: &deletes };
    let mut writer = SegmentWriter::new(Vec::new(), &info, u64::MAX).expect("begun");
    let mut rows = terms.iter();
    let next = |term: &mut Vec<u8>, ordinals: &mut Vec<u32>| {
        let Some((own, list)) = rows.next() else { return false };
        (*term, *ordinals) = (own.clone(), list.clone());
        true
    };
    writer.section(&head, next).expect("written");
    (writer.finish().expect("finished"), terms, info)
}

fn opened(bytes: Vec<u8>) -> Result<Segment, Unfit> {
    Segment::of(Bytes::Held(bytes))
}

fn all(stored: Option<Stored<'_>>) -> Vec<u32> {
    let mut found = Vec::new();
    stored.inspect(|s| s.for_each(|o| found.push(o)));
    found
}

/// Everything that can be asked of a section.
fn compare(section: &Section, documents: &[Vec<Vec<u8>>], terms: &Terms) {
    let none: &[u8] = &[];
    let far: &[u8] = &[0xFF; 9];
    for (term, list) in terms {
        assert_eq!(all(section.find(term)), *list, "{term:?}");
        let longer = [term, &[0][..]].concat();
        assert_eq!(section.find(&longer).is_some(), terms.contains_key(&longer));
    }
    for descending in [false, true] {
        let mut stream = Stream::new(section.runs(none, far), descending);
        let mut read = Vec::new();
        while stream.advance() {
            read.push((stream.term().to_vec(), all(stream.stored())));
        }
        if descending {
            read.reverse();
        }
        assert_eq!(read, terms.clone().into_iter().collect::<Vec<_>>());
    }
    let bounds: Vec<&[u8]> = terms.keys().map(Vec::as_slice).step_by(terms.len() / 7 + 1).chain([none, far]).collect();
    for (from, to) in bounds.iter().flat_map(|a| bounds.iter().map(move |b| (*a, *b))) {
        let runs = section.runs(from, to);
        let within = if from < to { terms.range(from.to_vec()..to.to_vec()).count() } else { 0 };
        assert_eq!(runs.iter().map(Run::len).sum::<usize>(), within);
        for (ordinal, own) in documents.iter().enumerate() {
            let expected: std::collections::BTreeSet<_> =
                own.iter().filter(|t| from <= &***t && &***t < to).cloned().collect();
            assert_eq!(runs.iter().any(|r| r.holds(ordinal as u32)), !expected.is_empty());
            let mut read = Vec::new();
            runs.iter().for_each(|r| {
                r.terms_of(ordinal as u32, &mut |t: &[u8]| {
                    read.push(t.to_vec());
                    true
                });
            });
            assert_eq!(read, expected.into_iter().collect::<Vec<_>>());
        }
    }
}

/// Asks everything, without caring for the answers.
fn exercise(segment: &Segment) {
    for (_, section) in &segment.sections {
        let _ = (section.numbers(), section.deletes(), section.previous().count());
        for descending in [false, true] {
            let mut stream = Stream::new(section.runs(&[], &[0xFF; 9]), descending);
            let mut terms = 0;
            while stream.advance() && terms < 200 {
                terms += 1;
                let term = stream.term().to_vec();
                let _ = section.find(&term).map(|s| s.open().seek(1));
                let _ = section.runs(&term, &[0xFF; 4]).iter().any(|r| r.holds(terms));
                all(stream.stored()).iter().for_each(|o| assert!(*o < section.docs));
            }
        }
        for run in section.runs(&[], &[0xFF; 9]) {
            if let Some(ordered) = section.ordered(b"\0\x14\x01code-1\0http://loinc.org", 1_000, &run) {
                let _ = (ordered.count(&[0..3, 5..7]), ordered.len().min(99).checked_sub(1).map(|i| ordered.term(i)));
                ordered.several().for_each(|o| assert!(o < section.docs));
            }
        }
        for ordinal in [0, 1, section.docs / 2, section.docs.saturating_sub(1), section.docs, u32::MAX] {
            section.terms_of(ordinal, &mut |_| true);
        }
    }
}

/// Makes the checksum right again.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.len().checked_sub(4) {
        let sum = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

fn world(number: usize) -> Vec<Vec<Vec<u8>>> {
    let plain = |o: u32| -> Vec<Vec<u8>> {
        let id = format!("\0\x01r{o}").into_bytes();
        let code = format!("\0\x14code-{}\0http://loinc.org", o % 13).into_bytes();
        let value = format!("\0\x15val{:06}\0mmol/L", o.wrapping_mul(7919) % 1_000).into_bytes();
        let few = o.is_multiple_of(50).then(|| format!("\0\x20{}", o % 4).into_bytes());
        let dates = (0..o % 3).map(|i| [&[0, 0x30, 4][..], &(o / 2 + i).to_be_bytes()].concat());
        [id, code, value].into_iter().chain(few).chain(dates).collect()
    };
    let with_gaps = |o: u32| if o % 11 == 5 { Vec::new() } else { plain(o) };
    let short = |o: u32| vec![vec![o as u8 % 3], vec![0, o as u8 % 5], vec![0, 1, 2, o as u8]];
    match number {
        0 => (0..400).map(plain).collect(),
        1 => (0..70).map(with_gaps).collect(),
        2 => (0..40).map(short).collect(),
        3 => (0..3_000).map(plain).collect(),
        4 => (0..2_000).map(dated).collect(),
        _ => vec![vec![]],
    }
}

#[test]
fn segments_are_read_back() {
    for documents in (0..6).map(world) {
        let (bytes, terms, info) = written(&documents);
        let segment = opened(bytes).expect("opened");
        assert_eq!(segment.info, info);
        let (stored_type, section) = &segment.sections[0];
        assert_eq!((*stored_type, section.docs as usize), (3, documents.len()));
        assert_eq!(section.numbers(), (0..section.docs).map(|o| 11 + o).collect::<Vec<_>>());
        let expected: Vec<_> = (1..section.docs).step_by(3).map(|o| (o, 10 + o)).collect();
        assert_eq!(section.previous().collect::<Vec<_>>(), expected);
        let gone = (0..section.docs).filter(|o| documents[*o as usize].is_empty());
        assert_eq!(section.deletes(), gone.collect::<Vec<_>>());
        let asked = &documents[..documents.len().min(150)];
        compare(section, asked, &terms);
        for (ordinal, own) in asked.iter().enumerate() {
            let mut read = Vec::new();
            section.terms_of(ordinal as u32, &mut |t: &[u8]| {
                read.push(t.to_vec());
                true
            });
            let own: std::collections::BTreeSet<_> = own.iter().cloned().collect();
            assert_eq!(read, own.into_iter().collect::<Vec<_>>());
        }
    }
}

/// Terms of many versions, with a date each, some with several and some with none.
fn dated(o: u32) -> Vec<Vec<u8>> {
    let id = format!("\0\x01\x0dr{o}").into_bytes();
    let code = format!("\0\x14\x01code-{}\0http://loinc.org", o % 3).into_bytes();
    let patient = format!("\0\x15\x09p{}\0Patient", o % 40).into_bytes();
    let date = |n: u32| {
        let start = u64::from(n.wrapping_mul(7919) % 1_000) * 60_000_000;
        let class = u8::from(n % 9 == 4);
        [&[0, 0x30, 4, class][..], &start.to_be_bytes(), &(start + 60_000_000).to_be_bytes()].concat()
    };
    let dates = if o % 50 == 7 {
        vec![date(o), date(o + 1)]
    } else if o % 31 == 3 {
        vec![]
    } else {
        vec![date(o)]
    };
    [id, code, patient].into_iter().chain(dates).collect()
}

#[test]
fn versions_of_terms_of_many_are_in_the_order_of_their_dates() {
    let documents: Vec<_> = (0..4_000).map(dated).collect();
    let (bytes, terms, _) = written(&documents);
    let segment = opened(bytes).expect("opened");
    let section = &segment.sections[0].1;
    let (from, to): (&[u8], &[u8]) = (&[0, 0x30, 4], &[0, 0x30, 5]);
    let runs = section.runs(from, to);
    let [run] = &*runs else { panic!("one run") };
    let mut asked = 0;
    for (term, list) in terms.iter().filter(|(term, _)| term[1] < 0x30) {
        let Some(ordered) = section.ordered(term, list.len(), run) else {
            assert!(list.len() < 512, "{term:?}");
            continue;
        };
        asked += 1;
        let of = |o: u32| documents[o as usize].iter().filter(|t| t[1] == 0x30).collect::<Vec<_>>();
        let mut expected: Vec<_> =
            list.iter().filter(|o| of(**o).len() == 1).map(|o| (of(*o)[0].clone(), *o)).collect();
        expected.sort();
        let read: Vec<_> = (0..ordered.len()).map(|i| (ordered.term(i).expect("a date"), ordered.ordinal(i))).collect();
        assert_eq!(read, expected);
        let several: Vec<_> = list.iter().copied().filter(|o| of(*o).len() > 1).collect();
        assert_eq!(all(Some(ordered.several())), several);
        for (low, high) in [(0, 0), (0, 5), (3, 400), (400, run.ranks().end), (0, run.ranks().end)] {
            let date = |rank| run.term(rank).unwrap_or(vec![0xFF]);
            let within = |o: &&u32| of(**o).iter().any(|t| (date(low)..date(high)).contains(*t));
            assert_eq!(
                ordered.count(std::slice::from_ref(&(low..high))),
                list.iter().filter(within).count(),
                "{low}..{high}"
            );
        }
        let halves = [0..run.ranks().end / 3, run.ranks().end / 2..run.ranks().end];
        assert!(ordered.count(&halves) <= list.len());
    }
    assert_eq!(asked, 3, "the codes");
    assert!(section.orders_are_right());
    let pieces = run.alike(4).expect("few");
    assert_eq!(pieces.len(), 2);
    for (class, piece) in pieces.into_iter().enumerate() {
        assert!(piece.into_iter().all(|rank| run.term(rank).expect("a date")[3] == class as u8));
    }
    let odd = run.passing(|term| term[3] == 1).expect("not many");
    assert!(odd.len() == 1 && odd[0].end == run.ranks().end);
}

#[test]
fn a_damaged_file_is_not_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("s");
    let (bytes, ..) = written(&world(1));
    let store = |bytes: &[u8]| std::fs::write(&path, bytes).expect("written");
    store(&bytes);
    assert!(Segment::open(&path).is_ok());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        store(&damaged);
        assert!(Segment::open(&path).is_err(), "a bit of byte {at}");
        store(&bytes[..at]);
        assert!(Segment::open(&path).is_err(), "torn at {at}");
    }
    store(&[&bytes[..], &[0]].concat());
    assert!(Segment::open(&path).is_err(), "longer");
    assert!(Segment::open(&directory.path().join("missing")).is_err());
}

#[test]
fn a_file_that_may_not_be_so_large_is_given_up() {
    let writer = SegmentWriter::new(Vec::new(), &INFO, 10);
    assert_eq!(writer.err().map(|e| e.kind()), Some(std::io::ErrorKind::StorageFull));
}

#[test]
fn names_are_read_back() {
    assert_eq!(info_of_name(&file_name(&INFO)), Some((7, 11, 13)));
    for name in ["x.segment", "00000007-13-11.segment", "00000007-11-13.part", "00000007-0-3.segment"] {
        assert_eq!(info_of_name(name), None, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the bytes: with a right checksum the reader neither panics nor looks outside.
    #[test]
    fn damage_with_a_right_checksum_does_no_harm(
        world_number in prop::sample::select(vec![0_usize, 1, 2, 4]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let documents = &world(world_number);
        let (mut bytes, ..) = written(documents);
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(segment) = opened(resealed(bytes)) {
            exercise(&segment);
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (whole, ..) = written(&world(2));
        // Arbitrary, but with a header that is read on.
        let bytes = [&whole[..64], &body[..], &whole[whole.len() - 24..]].concat();
        if let Ok(segment) = opened(resealed(bytes)) {
            exercise(&segment);
        }
        let _ = opened(body).map(|s| exercise(&s));
    }

    #[test]
    fn arbitrary_terms_are_read_back(
        documents in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..7), 0..6), 1..60),
    ) {
        let (bytes, terms, _) = written(&documents);
        let segment = opened(bytes).expect("opened");
        compare(&segment.sections[0].1, &documents, &terms);
    }
}
