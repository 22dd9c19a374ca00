//! Memory shared by many queues of bytes: pages, in a linked list for each queue.
//!
//! A page is freed when the reading of it is committed, and a removed queue frees all of its pages in one step. So `n`
//! queues of `bytes` in all never take more than `bytes / PAGE + 2 * n` pages: the first page of each may be read in
//! part, and the last one written in part.

/// The bytes of a page without its link. Small, since each queue has at least one page; large enough that small packets
/// fit in one page, and the longest in a few.
const PAGE: usize = 504;

#[derive(Default)]
pub(super) struct Pages {
    pages: Vec<Page>,
    /// The first of the free pages.
    free: Option<u32>,
    /// Pages that were read to their end since the last [`commit`](Self::commit).
    read: Vec<u32>,
}

struct Page {
    /// The next one of the same queue, or the next free one.
    next: Option<u32>,
    bytes: [u8; PAGE],
}

/// A position in a queue, for reading or writing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    page: u32,
    /// At most [`PAGE`]: the next page is allocated only when there is a byte for it.
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

    /// Room for `len` bytes at the end of a queue, which the caller writes; `None` if its last page has less room.
    pub(super) fn write_at_once(&mut self, end: &mut Cursor, len: usize) -> Option<&mut [u8]> {
        let start = end.offset as usize;
        let room = self.pages[end.page as usize].bytes.get_mut(start..start + len)?;
        end.offset += len as u32;
        Some(room)
    }

    /// Reads from a queue. The same bytes can be read again until [`commit`](Self::commit).
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

    /// As [`read`](Self::read), without copying the bytes.
    pub(super) fn skip(&mut self, start: &mut Cursor, len: usize) {
        start.offset += len as u32;
        while start.offset > PAGE as u32 {
            let next = self.pages[start.page as usize].next.expect("a page for what was written");
            self.read.push(start.page);
            *start = Cursor { page: next, offset: start.offset - PAGE as u32 };
        }
    }

    /// Reads two bytes, as [`read`](Self::read) does.
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

    /// A queue was read to its end: its last page is freed at the next [`commit`](Self::commit).
    pub(super) fn finish(&mut self, end: Cursor) {
        self.read.push(end.page);
    }

    /// Frees the pages that were read.
    pub(super) fn commit(&mut self) {
        for page in self.read.drain(..) {
            self.pages[page as usize].next = self.free.replace(page);
        }
    }

    /// Keeps the pages that were read since the last [`commit`](Self::commit): they will be read again.
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
            // Grows by an eighth: doubling would leave up to half of the pages unused.
            self.pages.reserve_exact((self.pages.len() / 8).max(1));
        }
        self.pages.push(Page { next: None, bytes: [0; PAGE] });
        self.pages.len() as u32 - 1
    }

    /// The bytes allocated for all pages, used or not.
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
