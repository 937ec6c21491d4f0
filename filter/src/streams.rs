//! The requests in flight, by their context's number.

use serin_core::wire::MAX_STREAMS;

/// What is known of a request between its callbacks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream {
    /// Its context; 0 is a free place.
    context: u32,
    /// The root context it belongs to.
    pub(crate) root: u32,
    /// The series it will be counted in; none before the filter has seen its headers.
    pub(crate) series: Option<u32>,
    /// The rule by which it went to stable, where Istio counts too, and the generation that it is of.
    pub(crate) stable: Option<(u32, u64)>,
    /// When it began; none if the clock failed.
    pub(crate) started: Option<u64>,
}

/// A table with a place for each request at its number modulo the size, or a little behind. The
/// host numbers contexts one after the other, so requests hardly ever meet.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    places: Vec<Stream>,
}

/// The size at the first request; doubled while requests meet.
const FIRST_SIZE: usize = 1_024;

/// How far behind its own place a request is looked for.
const REACH: usize = 8;

impl Streams {
    /// Takes a request in. Says whether another one, the oldest around, had to go for it.
    pub(crate) fn insert(&mut self, context: u32, root: u32) -> bool {
        let stream = Stream {
            context,
            root,
            ..Stream::default()
        };
        while !self.place(stream) {
            if self.places.len() >= MAX_STREAMS {
                return self.replace_oldest(stream);
            }
            self.grow();
        }
        false
    }

    /// The request of a context.
    pub(crate) fn find(&mut self, context: u32) -> Option<&mut Stream> {
        let found = |stream: &&mut Stream| stream.context == context;
        self.around(context).find(found)
    }

    /// Takes the request of a context out.
    pub(crate) fn take(&mut self, context: u32) -> Option<Stream> {
        self.find(context).map(std::mem::take)
    }

    fn place(&mut self, stream: Stream) -> bool {
        match self.around(stream.context).find(|place| place.context == 0) {
            Some(free) => {
                *free = stream;
                true
            }
            None => false,
        }
    }

    fn replace_oldest(&mut self, stream: Stream) -> bool {
        let around = self.around(stream.context);
        if let Some(oldest) = around.min_by_key(|place| place.context) {
            *oldest = stream;
        }
        true
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).max(FIRST_SIZE);
        let old = std::mem::replace(&mut self.places, vec![Stream::default(); size]);
        for stream in old.into_iter().filter(|stream| stream.context != 0) {
            if !self.place(stream) {
                self.replace_oldest(stream);
            }
        }
    }

    /// The places where a context may be. The table's size is a power of two.
    fn around(&mut self, context: u32) -> impl Iterator<Item = &mut Stream> {
        let start = context as usize & self.places.len().wrapping_sub(1);
        let end = (start + REACH).min(self.places.len());
        self.places
            .get_mut(start..end)
            .unwrap_or_default()
            .iter_mut()
    }
}
