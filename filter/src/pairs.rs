//! A header map as the ABI encodes it in, its names and values out: the number of pairs, then two
//! sizes for each, then for each the name and the value, a zero byte behind both.

const WORD: usize = 4;

/// The pairs of a map, read in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairs<'a> {
    sizes: &'a [u8],
    data: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// `None` for a buffer that does not hold what its sizes say. No request is without headers, so
    /// an empty buffer is one that the host has nothing to put in.
    pub(crate) fn parse(buffer: &'a [u8]) -> Option<Self> {
        let (count, rest) = word(buffer)?;
        let (sizes, data) = rest.split_at_checked(count.checked_mul(2 * WORD)?)?;
        let mut pairs = Pairs { sizes, data };
        if pairs.by_ref().count() != count {
            return None;
        }
        Some(Pairs { sizes, data })
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name_size, sizes) = word(self.sizes)?;
        let (value_size, sizes) = word(sizes)?;
        let (name, data) = terminated(self.data, name_size)?;
        let (value, data) = terminated(data, value_size)?;
        *self = Pairs { sizes, data };
        Some((name, value))
    }
}

fn word(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<WORD>()?;
    let word = usize::try_from(u32::from_le_bytes(*word)).ok()?;
    Some((word, rest))
}

fn terminated(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(size)?;
    let (_, rest) = rest.split_first()?;
    Some((text, rest))
}
