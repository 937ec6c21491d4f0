use std::io::BufReader;

use proptest::prelude::*;
use serin_core::judge::{Boundary, Count, Pair};

use super::*;

const HEADER: &str = r#"{"format":"serin-recording","version":1,"namespace":"default","rollout":"shop","stable":"shop-1","canary":"shop-2","begun":"2026-11-30T12:00:00.000Z","boundsMs":[50.0,100.0]}"#;
const FIRST: &str = r#"{"at":"2026-11-30T12:00:05.000Z","weightBp":1000,"canary":{"requests":50,"failed":1,"slower":[9,2]},"stable":{"requests":450,"failed":0,"slower":[80,20]}}"#;
const SECOND: &str = r#"{"at":"2026-11-30T12:00:10.250Z","weightBp":2000,"canary":{"requests":150,"failed":4,"slower":[19,2]},"stable":{"requests":850,"failed":1,"slower":[150,41]}}"#;

fn read(bytes: &[u8]) -> Result<(Header, Vec<Sample>), ReadError> {
    let reader = Reader::open(BufReader::new(bytes))?;
    let header = reader.header().clone();
    Ok((header, reader.collect::<Result<_, _>>()?))
}

fn written(header: &Header, samples: &[Sample]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, header).unwrap();
    for sample in samples {
        writer.write(sample).unwrap();
    }
    bytes
}

#[test]
fn totals_are_read_as_what_came_since_the_line_before() {
    let text = [HEADER, FIRST, SECOND].join("\n");
    let (header, samples) = read(text.as_bytes()).unwrap();
    assert_eq!(header.canary, "shop-2");
    assert_eq!(header.bounds, [50.0, 100.0]);
    let [_, second] = samples.as_slice() else {
        panic!("{samples:?}")
    };
    assert_eq!(second.weight_bp, 2000);
    let tick = &second.tick;
    assert_eq!(tick.at.since(header.begun).as_millis(), 10_250);
    assert_eq!(tick.errors.canary, Count::new(100, 3));
    assert_eq!(tick.errors.stable, Count::new(400, 1));
    assert_eq!(tick.latency[1].slower.stable, Count::new(400, 21));
    assert_eq!(written(&header, &samples), format!("{text}\n").as_bytes());
}

/// What is said of a recording whose first sample is this.
fn refused(sample: &str) -> String {
    let text = [HEADER, FIRST, sample].join("\n");
    read(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_sample_that_cannot_be_is_refused_with_its_line() {
    for (from, to, said) in [
        (
            "10.250Z",
            "05.000Z",
            "at is \"2026-11-30T12:00:05.000Z\", expected a time after that",
        ),
        ("10.250Z", "04.000Z", "at is "),
        (
            "2026-11-30T12:00:10.250Z",
            "noon",
            "at is \"noon\", expected a time such as",
        ),
        (":2000", ":10001", "weightBp is 10001, expected 0 to 10000"),
        (
            ":150,\"f",
            ":49,\"f",
            "canary.requests is 49, expected at least the 50 of",
        ),
        (
            ":850",
            ":9007199254740993",
            "stable.requests is 9007199254740993, expected",
        ),
        (":850", ":NaN", "expected value, at byte "),
        (
            ":850",
            ":1e300",
            "invalid type: floating point `1e+300`, expected u64",
        ),
        (":850", ":-1", "invalid value: integer `-1`, expected u64"),
        (
            ":850",
            ":99999999999999999999",
            "invalid type: floating point",
        ),
        (
            ":4,",
            ":102,",
            "canary.failed rose by 101 and requests by 100",
        ),
        (
            "[19,2]",
            "[19,1]",
            "canary.slower[1] is 1, expected at least the 2 of",
        ),
        (
            "[150,41]",
            "[150]",
            "stable.slower has 1 counts, expected one for each of the 2",
        ),
        (
            "{\"at\"",
            "{\"\\u001b[31m\":1,\"at\"",
            "unknown field `\\u{1b}[31m`, expected one of",
        ),
        ("}}", "}", "EOF while parsing an object"),
        ("}}", "}} {}", "trailing characters"),
        (
            "{\"at\"",
            "{\"at\":1,\"at\"",
            "invalid type: integer `1`, expected a string",
        ),
    ] {
        assert!(SECOND.contains(from), "{from}");
        let error = refused(&SECOND.replacen(from, to, 1));
        let expected = format!("line 3: {said}");
        assert!(error.starts_with(&expected), "{error} is not {expected}");
        assert!(error.len() < 250, "{error}");
    }
}

#[test]
fn a_header_that_is_none_is_refused() {
    for (from, to, said) in [
        (HEADER, "", "is missing: the file is empty"),
        (HEADER, "\n", "EOF while parsing a value"),
        ("serin-recording", "pcap", "format is \"pcap\", expected"),
        (
            "\"version\":1",
            "\"version\":2,\"more\":0",
            "version is 2, expected 1",
        ),
        (
            "\"version\":1",
            "\"version\":1,\"more\":0",
            "unknown field `more`",
        ),
        ("shop-2", "<b>", "canary is \"<b>\", expected letters"),
        ("\"shop\"", "\"\"", "rollout is \"\", expected"),
        (
            "12:00:00.000Z",
            "25:00:00Z",
            "begun is \"2026-11-30T25:00:00Z\"",
        ),
        (
            "[50.0,100.0]",
            "[100,50]",
            "boundsMs is [100.0, 50.0], expected",
        ),
        ("[50.0,100.0]", "[0,50]", "boundsMs is "),
        ("[50.0,100.0]", "[1e999]", "number out of range"),
    ] {
        let error = read(HEADER.replacen(from, to, 1).as_bytes()).unwrap_err();
        let (error, expected) = (error.to_string(), format!("line 1: {said}"));
        assert!(error.starts_with(&expected), "{error} is not {expected}");
    }
}

/// Bytes without an end, as of a file that fits in no memory.
fn endless(bytes: &'static [u8]) -> impl std::io::BufRead {
    struct Again(&'static [u8], usize);
    impl std::io::Read for Again {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            for byte in buffer.iter_mut() {
                *byte = self.0[self.1 % self.0.len()];
                self.1 += 1;
            }
            Ok(buffer.len())
        }
    }
    BufReader::new(Again(bytes, 0))
}

#[test]
fn neither_a_long_line_nor_a_long_file_is_read_to_its_end() {
    let error = Reader::open(endless(b"x")).err().unwrap().to_string();
    assert_eq!(error, "line 1: is longer than 65536 bytes");

    let rising = (1..).map(|second| {
        let at = Timestamp(1_800_000_000_000 + second * 1000);
        Sample {
            weight_bp: 0,
            tick: Tick {
                at,
                ..Tick::default()
            },
        }
    });
    let header = Header {
        begun: Timestamp(0),
        bounds: Vec::new(),
        ..header()
    };
    let samples: Vec<Sample> = rising.take(MOST_SAMPLES + 10).collect();
    let error = read(&written(&header, &samples)).unwrap_err().to_string();
    assert_eq!(
        error,
        "line 50002: is one too many, expected 50000 after the header at most"
    );
}

#[test]
fn nothing_comes_after_an_error() {
    let text = [HEADER, "{}", FIRST].join("\n");
    let mut reader = Reader::open(text.as_bytes()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap_err().line, 2);
    assert!(reader.next().is_none());
}

fn header() -> Header {
    read(HEADER.as_bytes()).unwrap().0
}

prop_compose! {
    fn count()(requests in 0..2_000_u64, bad in 0..2_000_u64) -> Count {
        Count::new(requests, bad)
    }
}

prop_compose! {
    fn sample()(
        after in 1..100_000_i64,
        weight_bp in 0..=10_000_u16,
        canary in count(),
        stable in count(),
        slow in prop::array::uniform4(0..2_000_u64),
    ) -> (i64, Sample) {
        let [a, b, c, d] = slow;
        let bound = |bound, one, other| Boundary {
            bound,
            slower: Pair {
                canary: Count::new(canary.requests, one),
                stable: Count::new(stable.requests, other),
            },
        };
        let tick = Tick {
            at: Timestamp(0),
            errors: Pair { canary, stable },
            latency: vec![bound(50.0, a, b), bound(100.0, c, d)],
        };
        (after, Sample { weight_bp, tick })
    }
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    prop::collection::vec(sample(), 0..20).prop_map(|samples| {
        let mut at = header().begun.0;
        let later = samples.into_iter().map(|(after, mut sample)| {
            at += after;
            sample.tick.at = Timestamp(at);
            sample
        });
        later.collect()
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read(samples in samples()) {
        let header = header();
        prop_assert_eq!(read(&written(&header, &samples)).unwrap(), (header, samples));
    }

    #[test]
    fn whatever_the_bytes_are_an_error_names_a_line_of_theirs(
        samples in samples(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..6),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = written(&header(), &samples);
        for (place, byte, change) in changes {
            let place = place.index(bytes.len());
            match change {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => bytes[place] = b"0129-.eE\",:{}[]\n"[usize::from(byte) % 16],
            }
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let lines = bytes.split(|byte| *byte == b'\n').count();
        if let Err(error) = read(&bytes) {
            prop_assert!((1..=lines).contains(&error.line), "{error} of {lines} lines");
            prop_assert!(!error.to_string().contains(|c: char| c.is_control()), "{error:?}");
        }
    }

    #[test]
    fn bytes_of_no_kind_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        prop_assert_eq!(read(&bytes).unwrap_err().line, 1);
    }
}
