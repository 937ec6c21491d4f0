//! Reading: bytes in, samples out. Whatever the bytes are, each line is a sample or the one error
//! that ends it, and no more than a line is held in memory.

use std::io::{BufRead, Read as _};

use serde::de::DeserializeOwned;
use serin_core::judge::{Boundary, Count, Pair, Tick};
use serin_core::time::{Timestamp, parse_time};

use super::error::short;
use super::line::{FORMAT, First, Further, Kind, Totals, VERSION};
use super::{
    Header, LONGEST_LINE, MOST_BOUNDS, MOST_REQUESTS, MOST_SAMPLES, ReadError, Sample, Wrong,
};

/// A recording that is being read. After an error nothing more comes.
#[derive(Debug)]
pub struct Reader<R> {
    lines: Lines<R>,
    header: Header,
    at: Timestamp,
    canary: Totals,
    stable: Totals,
    over: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// If the first line is none, or another version's.
    pub fn open(bytes: R) -> Result<Reader<R>, ReadError> {
        let mut lines = Lines { bytes, read: 0 };
        let first = match lines.next() {
            Ok(Some(line)) => header(&line),
            Ok(None) => Err(Wrong::Empty),
            Err(wrong) => Err(wrong),
        };
        let header = first.map_err(|wrong| ReadError { line: 1, wrong })?;
        Ok(Reader {
            lines,
            at: header.begun,
            canary: Totals::nothing(&header),
            stable: Totals::nothing(&header),
            header,
            over: false,
        })
    }

    /// Which release it is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    fn sample(&mut self) -> Result<Option<Sample>, Wrong> {
        let Some(line) = self.lines.next()? else {
            return Ok(None);
        };
        if self.lines.read > MOST_SAMPLES + 1 {
            return Err(Wrong::Endless);
        }
        let line: Further = json(&line)?;
        let at = time("at", &line.at)?;
        if at <= self.at {
            return Err(Wrong::Back {
                at: short(&line.at),
            });
        }
        let weight_bp = u16::try_from(line.weight_bp).ok();
        let weight_bp = weight_bp
            .filter(|weight| *weight <= 10_000)
            .ok_or(Wrong::Weight(line.weight_bp))?;
        let canary = self.canary.until("canary", &line.canary)?;
        let stable = self.stable.until("stable", &line.stable)?;
        (self.at, self.canary, self.stable) = (at, line.canary, line.stable);
        Ok(Some(Sample {
            weight_bp,
            tick: self.tick(&canary, &stable),
        }))
    }

    fn tick(&self, canary: &Totals, stable: &Totals) -> Tick {
        let slower = canary.slower.iter().zip(&stable.slower);
        let latency = self.header.bounds.iter().zip(slower);
        let latency = latency.map(|(bound, (of_canary, of_stable))| Boundary {
            bound: *bound,
            slower: Pair {
                canary: Count::new(canary.requests, *of_canary),
                stable: Count::new(stable.requests, *of_stable),
            },
        });
        Tick {
            at: self.at,
            errors: Pair {
                canary: Count::new(canary.requests, canary.failed),
                stable: Count::new(stable.requests, stable.failed),
            },
            latency: latency.collect(),
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Sample, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let sample = self.sample();
        self.over = !matches!(sample, Ok(Some(_)));
        let line = self.lines.read;
        sample
            .map_err(|wrong| ReadError { line, wrong })
            .transpose()
    }
}

impl Totals {
    fn nothing(header: &Header) -> Totals {
        Totals {
            slower: vec![0; header.bounds.len()],
            ..Totals::default()
        }
    }

    /// What came until `later`.
    fn until(&self, version: &'static str, later: &Totals) -> Result<Totals, Wrong> {
        let (counts, bounds) = (later.slower.len(), self.slower.len());
        if counts != bounds {
            let field = match version {
                "canary" => "canary.slower",
                _ => "stable.slower",
            };
            return Err(Wrong::Slower {
                field,
                counts,
                bounds,
            });
        }
        let requests = rise(
            || format!("{version}.requests"),
            self.requests,
            later.requests,
        )?;
        let bad = |field: &dyn Fn() -> String, before: u64, count: u64| {
            let bad = rise(field, before, count)?;
            match bad <= requests {
                true => Ok(bad),
                false => Err(Wrong::Many {
                    field: field(),
                    bad,
                    requests,
                }),
            }
        };
        let failed = bad(&|| format!("{version}.failed"), self.failed, later.failed)?;
        let slower = self.slower.iter().zip(&later.slower).enumerate();
        let slower = slower.map(|(place, (before, count))| {
            bad(&|| format!("{version}.slower[{place}]"), *before, *count)
        });
        Ok(Totals {
            requests,
            failed,
            slower: slower.collect::<Result<_, _>>()?,
        })
    }
}

/// By how much a total rose.
fn rise(field: impl Fn() -> String, before: u64, count: u64) -> Result<u64, Wrong> {
    if count > MOST_REQUESTS {
        let field = field();
        return Err(Wrong::Huge { field, count });
    }
    count.checked_sub(before).ok_or_else(|| Wrong::Fell {
        field: field(),
        count,
        before,
    })
}

fn header(line: &[u8]) -> Result<Header, Wrong> {
    let kind: Kind = json(line)?;
    if kind.format != FORMAT {
        return Err(Wrong::Format(short(&kind.format)));
    }
    if kind.version != VERSION {
        return Err(Wrong::Version(kind.version));
    }
    let first: First = json(line)?;
    let bounds = first.bounds_ms;
    let rising = bounds.is_sorted_by(|one, other| one < other);
    let numbers = bounds.iter().all(|bound| bound.is_finite() && *bound > 0.0);
    if !rising || !numbers || bounds.len() > MOST_BOUNDS {
        return Err(Wrong::Bounds(short(&format!("{bounds:?}"))));
    }
    Ok(Header {
        namespace: name("namespace", first.namespace)?,
        rollout: name("rollout", first.rollout)?,
        stable: name("stable", first.stable)?,
        canary: name("canary", first.canary)?,
        begun: time("begun", &first.begun)?,
        bounds,
    })
}

fn json<T: DeserializeOwned>(line: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(line).map_err(|why| Wrong::json(&why))
}

fn time(field: &'static str, text: &str) -> Result<Timestamp, Wrong> {
    parse_time(text).ok_or_else(|| Wrong::Time {
        field,
        text: short(text),
    })
}

/// Names are shown in terminals and pictures, so nothing else may be in them.
fn name(field: &'static str, name: String) -> Result<String, Wrong> {
    const LONGEST: usize = 253;
    let accepted = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    match !name.is_empty() && name.len() <= LONGEST && name.chars().all(accepted) {
        true => Ok(name),
        false => Err(Wrong::Name {
            field,
            name: short(&name),
        }),
    }
}

#[derive(Debug)]
struct Lines<R> {
    bytes: R,
    /// How many were read, with one that is wrong.
    read: usize,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end; none after the last.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Wrong> {
        let mut line = Vec::new();
        self.read += 1;
        let mut some = (&mut self.bytes).take(LONGEST_LINE as u64 + 1);
        let read = some.read_until(b'\n', &mut line);
        if read.map_err(Wrong::Unreadable)? == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        match line.len() > LONGEST_LINE {
            true => Err(Wrong::Long),
            false => Ok(Some(line)),
        }
    }
}
