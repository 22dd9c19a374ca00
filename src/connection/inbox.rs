//! Cuts the stream into the messages it is made of, however it was split on the way.

/// Keeps the beginning of a message until the rest has come. Whole messages never pass through it, so most connections
/// have nothing here.
#[derive(Default)]
pub(super) struct Inbox {
    begun: Option<Box<Begun>>,
}

#[derive(Default)]
struct Begun {
    /// The message begun: at most one packet, 2050 bytes. Or the one that was handed out last, while `whole`.
    partial: Vec<u8>,
    whole: bool,
    /// Whether `partial` was needed since the last [`shrink`](Inbox::shrink).
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
        if let Some(begun) = &mut self.begun
            && std::mem::take(&mut begun.whole)
        {
            begun.partial.clear();
        }
        if self.begun.as_ref().is_none_or(|begun| begun.partial.is_empty()) {
            match message_len(input)? {
                Some(len) if len <= input.len() => return Ok(Some(take(input, len))),
                _ if input.is_empty() => return Ok(None),
                _ => {}
            }
        }
        let begun = self.begun.get_or_insert_default();
        loop {
            let missing = match message_len(&begun.partial)? {
                // The length itself isn't known yet; the next byte may tell.
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

    /// What has come of a message whose rest has not.
    pub(super) fn partial(&self) -> &[u8] {
        self.begun.as_ref().filter(|begun| !begun.whole).map_or(&[], |begun| &begun.partial)
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
        let unused = |begun: &mut Box<Begun>| {
            !std::mem::take(&mut begun.used) && (begun.partial.is_empty() || begun.whole)
        };
        self.begun.take_if(unused);
    }

    /// The bytes that it holds, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| size_of::<Begun>() + begun.partial.capacity())
    }
}

fn take<'a>(input: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let (head, tail) = std::mem::take(input).split_at_mut(len);
    *input = tail;
    head
}
