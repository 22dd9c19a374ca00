//! Splits a stream into messages, however the transport has split its bytes.

/// Keeps the beginning of a message until the rest has arrived. A message that arrives in one piece is not copied, so
/// most deframers have nothing to keep and are small.
#[derive(Default)]
pub(crate) struct Deframer {
    begun: Option<Box<Begun>>,
}

#[derive(Default)]
struct Begun {
    /// The incomplete message, and no byte after it; or, while `whole`, the message that was returned last.
    partial: Vec<u8>,
    whole: bool,
    /// Whether `partial` was needed since the last [`shrink`](Deframer::shrink).
    used: bool,
}

impl Deframer {
    /// Takes the next message off the input. Returns `None` if it is incomplete; the input is then used up. Takes no
    /// byte that does not belong to the message.
    ///
    /// `message_len` returns the length of the message that begins with the given bytes, or `None` while there are too
    /// few of them to know it.
    pub(crate) fn next<'a, 'i: 'a, E>(
        &'a mut self,
        input: &mut &'i mut [u8],
        message_len: impl Fn(&[u8]) -> Result<Option<usize>, E>,
    ) -> Result<Option<&'a mut [u8]>, E> {
        if let Some(begun) = &mut self.begun
            && std::mem::take(&mut begun.whole)
        {
            begun.partial.clear();
        }
        if self.partial().is_empty() {
            match message_len(input)? {
                Some(len) if len <= input.len() => return Ok(Some(take(input, len))),
                _ if input.is_empty() => return Ok(None),
                _ => {}
            }
        }
        let begun = self.begun.get_or_insert_default();
        loop {
            let missing = match message_len(&begun.partial)? {
                // The length is not known yet; the next byte may show it.
                None => 1,
                Some(len) => len - begun.partial.len(),
            };
            if missing == 0 {
                begun.whole = true;
                return Ok(Some(&mut begun.partial));
            }
            if input.is_empty() {
                return Ok(None);
            }
            begun.used = true;
            let piece = take(input, missing.min(input.len()));
            begun.partial.extend_from_slice(piece);
        }
    }

    /// The bytes of the incomplete message.
    pub(crate) fn partial(&self) -> &[u8] {
        self.begun.as_ref().filter(|begun| !begun.whole).map_or(&[], |begun| &begun.partial)
    }

    /// How many bytes are missing from the incomplete message; `None` while its length is not known.
    pub(crate) fn missing<E>(
        &self,
        message_len: impl Fn(&[u8]) -> Result<Option<usize>, E>,
    ) -> Option<usize> {
        let partial = self.partial();
        message_len(partial).ok()?.map(|len| len - partial.len())
    }

    /// Frees the buffer if it was not needed since the last call and contains no incomplete message.
    pub(crate) fn shrink(&mut self) {
        let is_unneeded = |begun: &mut Box<Begun>| {
            !std::mem::take(&mut begun.used) && (begun.partial.is_empty() || begun.whole)
        };
        self.begun.take_if(is_unneeded);
    }

    /// The bytes allocated for the buffer, used or not.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| size_of::<Begun>() + begun.partial.capacity())
    }
}

/// Splits the first `len` bytes off the input.
pub(crate) fn take<'a>(input: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let (head, tail) = std::mem::take(input).split_at_mut(len);
    *input = tail;
    head
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A message is one byte with a length, and then that many bytes.
    fn message_len(bytes: &[u8]) -> Result<Option<usize>, Infallible> {
        Ok(bytes.first().map(|&len| 1 + usize::from(len)))
    }

    #[test]
    fn messages_are_returned_whole_however_they_are_split() {
        let stream = [2, 10, 11, 0, 3, 20, 21, 22, 1, 30];
        for split in 1..=stream.len() {
            let mut deframer = Deframer::default();
            let mut messages = Vec::new();
            for piece in stream.chunks(split) {
                let mut piece = piece.to_vec();
                let mut input = &mut piece[..];
                while let Ok(Some(message)) = deframer.next(&mut input, message_len) {
                    messages.push(message.to_vec());
                }
                assert!(input.is_empty());
            }
            assert_eq!(messages, [&[2, 10, 11][..], &[0], &[3, 20, 21, 22], &[1, 30]], "pieces of {split}");
            assert!(deframer.partial().is_empty());
        }
    }

    #[test]
    fn bytes_after_a_message_stay_in_the_input() {
        let (mut begun, mut rest) = ([2, 10], [11, 7, 8]);
        let mut deframer = Deframer::default();
        assert_eq!(deframer.next(&mut &mut begun[..], message_len), Ok(None));
        assert_eq!((deframer.partial(), deframer.missing(message_len)), (&[2, 10][..], Some(1)));
        let mut input = &mut rest[..];
        assert_eq!(deframer.next(&mut input, message_len), Ok(Some(&mut [2, 10, 11][..])));
        assert_eq!(input, [7, 8]);
    }

    #[test]
    fn an_error_in_the_length_is_returned() {
        let mut deframer = Deframer::default();
        assert_eq!(deframer.next(&mut &mut [1, 2, 3][..], |_| Err::<_, ()>(())), Err(()));
    }

    #[test]
    fn memory_is_freed_once_it_is_not_needed() {
        let mut deframer = Deframer::default();
        assert_eq!(deframer.next(&mut &mut [1][..], message_len), Ok(None));
        deframer.shrink();
        deframer.shrink();
        assert!(deframer.memory() > 0, "a message has begun");
        assert_eq!(deframer.next(&mut &mut [9][..], message_len), Ok(Some(&mut [1, 9][..])));
        deframer.shrink();
        assert!(deframer.memory() > 0, "it was used just now");
        deframer.shrink();
        assert_eq!(deframer.memory(), 0);
    }
}
