//! Cuts the stream into the messages it is made of, however it was split on the way.

/// Keeps the beginning of a message until the rest has come. Whole messages never pass through it.
#[derive(Default)]
pub(super) struct Inbox {
    /// The message begun: at most one packet, 2050 bytes. Or the one that was handed out last, while `whole`.
    partial: Vec<u8>,
    whole: bool,
    /// Whether `partial` was needed since the last [`shrink`](Self::shrink).
    used: bool,
}

impl Inbox {
    /// Takes the next message off the input, or `None` when the rest of it is still to come; the input is then used up.
    /// A message that lies in one piece is handed out where it lies.
    ///
    /// `message_len` tells the length of the message that some bytes begin with, or `None` while there are too few of
    /// them to tell.
    pub(super) fn next<'a, 'i: 'a, E>(
        &'a mut self,
        input: &mut &'i mut [u8],
        message_len: impl Fn(&[u8]) -> Result<Option<usize>, E>,
    ) -> Result<Option<&'a mut [u8]>, E> {
        if self.whole {
            self.partial.clear();
            self.whole = false;
        }
        if self.partial.is_empty()
            && let Some(len) = message_len(input)?
            && len <= input.len()
        {
            return Ok(Some(take(input, len)));
        }
        loop {
            let missing = match message_len(&self.partial)? {
                // The length itself isn't known yet; the next byte may tell.
                None => 1,
                Some(len) => len - self.partial.len(),
            };
            if missing == 0 {
                self.whole = true;
                return Ok(Some(&mut self.partial));
            }
            if input.is_empty() {
                return Ok(None);
            }
            self.used = true;
            let piece = take(input, missing.min(input.len()));
            self.partial.extend_from_slice(piece);
        }
    }

    /// What has come of a message whose rest has not.
    pub(super) fn partial(&self) -> &[u8] {
        if self.whole { &[] } else { &self.partial }
    }

    /// The bytes that the message begun still lacks; `None` while it has too few to tell, or none.
    pub(super) fn missing<E>(
        &self,
        message_len: impl Fn(&[u8]) -> Result<Option<usize>, E>,
    ) -> Option<usize> {
        let partial = self.partial();
        message_len(partial).ok()?.map(|len| len - partial.len())
    }

    /// Gives memory back that wasn't needed since the last call.
    pub(super) fn shrink(&mut self) {
        if !std::mem::take(&mut self.used) && (self.partial.is_empty() || self.whole) {
            *self = Self::default();
        }
    }

    /// The bytes that it holds, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.partial.capacity()
    }
}

fn take<'a>(input: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let (head, tail) = std::mem::take(input).split_at_mut(len);
    *input = tail;
    head
}
