//! Memory for many queues of bytes that grow and shrink at each other's expense: pages, in a linked list for each queue.
//!
//! A page is free again as soon as it was read, and a queue that is given up frees all of its pages in one step. So `n`
//! queues of `bytes` in all never take more than `bytes / PAGE + 2 * n` pages: the first page of each may be read in part,
//! and the last one written in part.

/// The bytes of a page beside its link. Small, since each queue has at least one page; large enough that small packets
/// lie in one, and the longest in few.
const PAGE: usize = 504;

#[derive(Default)]
pub(super) struct Pages {
    pages: Vec<Page>,
    /// The first of the free pages.
    free: Option<u32>,
    /// Pages that were read since the last [`commit`](Self::commit), and hold nothing else.
    read: Vec<u32>,
}

struct Page {
    /// The next one of the same queue, or the next free one.
    next: Option<u32>,
    bytes: [u8; PAGE],
}

/// Where a queue is read, or written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    page: u32,
    /// At most [`PAGE`]: the next page is not there before there is a byte for it.
    offset: u32,
}

impl Pages {
    /// The beginning of a new queue.
    pub(super) fn begin(&mut self) -> Cursor {
        Cursor { page: self.allocate(), offset: 0 }
    }

    /// Writes at the end of a queue.
    #[inline]
    pub(super) fn write(&mut self, end: &mut Cursor, mut bytes: &[u8]) {
        loop {
            let room = &mut self.pages[end.page as usize].bytes[end.offset as usize..];
            if let Some(room) = room.get_mut(..bytes.len()) {
                room.copy_from_slice(bytes);
                end.offset += bytes.len() as u32;
                return;
            }
            let (piece, more) = bytes.split_at(room.len());
            room.copy_from_slice(piece);
            bytes = more;
            let next = self.allocate();
            self.pages[end.page as usize].next = Some(next);
            *end = Cursor { page: next, offset: 0 };
        }
    }

    /// Room at the end of a queue for so many bytes, which the caller writes; `None` if its last page hasn't as much.
    pub(super) fn write_at_once(&mut self, end: &mut Cursor, len: usize) -> Option<&mut [u8]> {
        let start = end.offset as usize;
        let room = self.pages[end.page as usize].bytes.get_mut(start..start + len)?;
        end.offset += len as u32;
        Some(room)
    }

    /// Reads from a queue. What was read can be read again until [`commit`](Self::commit).
    pub(super) fn read(&mut self, start: &mut Cursor, mut bytes: &mut [u8]) {
        loop {
            let page = &self.pages[start.page as usize];
            let rest = &page.bytes[start.offset as usize..];
            if let Some(rest) = rest.get(..bytes.len()) {
                bytes.copy_from_slice(rest);
                start.offset += bytes.len() as u32;
                return;
            }
            let (piece, more) = bytes.split_at_mut(rest.len());
            piece.copy_from_slice(rest);
            bytes = more;
            self.read.push(start.page);
            *start = Cursor { page: page.next.expect("a page for what was written"), offset: 0 };
        }
    }

    /// As [`read`](Self::read), without a look at the bytes.
    pub(super) fn skip(&mut self, start: &mut Cursor, len: usize) {
        start.offset += len as u32;
        while start.offset > PAGE as u32 {
            let next = self.pages[start.page as usize].next.expect("a page for what was written");
            self.read.push(start.page);
            *start = Cursor { page: next, offset: start.offset - PAGE as u32 };
        }
    }

    /// As [`read`](Self::read), for two bytes.
    pub(super) fn read_pair(&mut self, start: &mut Cursor) -> [u8; 2] {
        let page = &self.pages[start.page as usize].bytes;
        if let Some(pair) = page[start.offset as usize..].first_chunk() {
            start.offset += 2;
            return *pair;
        }
        let mut pair = [0; 2];
        self.read(start, &mut pair);
        pair
    }

    /// A queue was read to its end and is no more.
    pub(super) fn finish(&mut self, end: Cursor) {
        self.read.push(end.page);
    }

    /// Frees what was read.
    pub(super) fn commit(&mut self) {
        for page in self.read.drain(..) {
            self.pages[page as usize].next = self.free.replace(page);
        }
    }

    /// What was read since the last [`commit`](Self::commit) will be read once more.
    pub(super) fn roll_back(&mut self) {
        self.read.clear();
    }

    /// Frees a whole queue.
    pub(super) fn free(&mut self, start: Cursor, end: Cursor) {
        self.pages[end.page as usize].next = self.free.replace(start.page);
    }

    fn allocate(&mut self) -> u32 {
        if let Some(page) = self.free {
            self.free = self.pages[page as usize].next.take();
            return page;
        }
        if self.pages.len() == self.pages.capacity() {
            // An eighth more: doubling would leave up to half of them unused.
            self.pages.reserve_exact((self.pages.len() / 8).max(1));
        }
        self.pages.push(Page { next: None, bytes: [0; PAGE] });
        self.pages.len() as u32 - 1
    }

    /// The bytes that all pages take, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.pages.capacity() * size_of::<Page>() + self.read.capacity() * size_of::<u32>()
    }

    /// The pages that belong to queues.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        let free = std::iter::successors(self.free, |page| self.pages[*page as usize].next);
        self.pages.len() - free.count()
    }
}
