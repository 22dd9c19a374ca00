//! The timer wheel: one deadline per key. Finding the next due key costs the same for any number of keys.
//!
//! There are six levels of 64 slots each. A slot of level 0 stands for one tick, a slot of level 1 for 64 ticks, and so
//! on. The level of a deadline is that of the highest digit (base 64) in which it differs from the current tick. When
//! the wheel reaches a slot of a higher level, the keys in it move to lower levels. The design is that of Varghese and
//! Lauck, "Hashed and Hierarchical Timing Wheels" (1987).
//!
//! Time is a number of ticks. The caller passes the current tick, and decides how long a tick is.

const LEVEL_BITS: u32 = 6;
const SLOTS: usize = 1 << LEVEL_BITS;
const LEVELS: usize = 6;

/// The largest distance of a deadline that the wheel can store. A later deadline is stored at this distance first, and
/// stored again when that time is reached. The distance covers all slots of the highest level except the current one: a
/// deadline one full turn ahead would be in the current slot and seem to be due.
const HORIZON: u64 = (SLOTS as u64 - 1) << (LEVEL_BITS * (LEVELS as u32 - 1));

/// Stands for no key: the end of a list.
const NONE: u32 = u32::MAX;

/// See the module.
pub struct Wheel {
    now: u64,
    levels: [Level; LEVELS],
    /// Indexed by key.
    entries: Vec<Entry>,
    /// The keys that are due, in the order in which they became due.
    due: List,
}

struct Level {
    /// Bit `i` is set while slot `i` is not empty.
    occupied: u64,
    slots: [List; SLOTS],
}

/// A doubly linked list through `Wheel::entries`.
#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    deadline: u64,
    location: Location,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Location {
    Unscheduled,
    Due,
    Slot { level: u8, slot: u8 },
}

const EMPTY: List = List { head: NONE, tail: NONE };
const UNUSED: Entry = Entry { deadline: 0, location: Location::Unscheduled, previous: NONE, next: NONE };

impl Wheel {
    /// An empty wheel, at tick 0.
    pub fn new() -> Self {
        const LEVEL: Level = Level { occupied: 0, slots: [EMPTY; SLOTS] };
        Self { now: 0, levels: [LEVEL; LEVELS], entries: Vec::new(), due: EMPTY }
    }

    /// Sets the deadline of `key`, and replaces the one it had. A deadline that has passed is due at once.
    pub fn schedule(&mut self, key: u32, deadline: u64) {
        self.cancel(key);
        let index = key as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, UNUSED);
        }
        self.entries[index].deadline = deadline;
        self.link(key);
    }

    /// The deadline of `key`, if it has one.
    pub fn deadline(&self, key: u32) -> Option<u64> {
        let entry = self.entries.get(key as usize)?;
        (entry.location != Location::Unscheduled).then_some(entry.deadline)
    }

    /// Removes the deadline of `key`, if it has one.
    pub fn cancel(&mut self, key: u32) {
        if let Some(entry) = self.entries.get(key as usize)
            && entry.location != Location::Unscheduled
        {
            self.unlink(key);
        }
    }

    /// Advances the wheel to `now`, and removes and returns one key whose deadline has been reached; `None` if there
    /// are no more. Keys are returned in the order of their deadlines; a deadline that has already passed when it is
    /// set counts as due at that time.
    pub fn pop_due(&mut self, now: u64) -> Option<u32> {
        loop {
            if self.due.head != NONE {
                let key = self.due.head;
                self.unlink(key);
                return Some(key);
            }
            match self.next_slot() {
                Some((level, slot, start)) if start <= now => {
                    self.now = self.now.max(start);
                    self.cascade(level, slot);
                }
                _ => {
                    self.now = self.now.max(now);
                    return None;
                }
            }
        }
    }

    /// When to call [`pop_due`](Self::pop_due) next: at the next deadline, or earlier if that is far ahead. `None` if
    /// there are no deadlines.
    pub fn next(&self) -> Option<u64> {
        if self.due.head != NONE {
            return Some(self.now);
        }
        self.next_slot().map(|(_, _, start)| start)
    }

    /// The first occupied slot, and the tick at which it starts. Slots of lower levels come first.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        self.levels.iter().enumerate().find_map(|(level, Level { occupied, .. })| {
            if *occupied == 0 {
                return None;
            }
            let shift = LEVEL_BITS * level as u32;
            let current = (self.now >> shift) as u32 % SLOTS as u32;
            // Slots before the current one belong to the next turn of this level.
            let distance = occupied.rotate_right(current).trailing_zeros();
            let start = ((self.now >> shift) + u64::from(distance)) << shift;
            Some((level, ((current + distance) as usize) % SLOTS, start.max(self.now)))
        })
    }

    /// Moves all keys of a slot to where they belong now: a slot of a lower level, or the list of due keys.
    fn cascade(&mut self, level: usize, slot: usize) {
        let list = std::mem::replace(&mut self.levels[level].slots[slot], EMPTY);
        self.levels[level].occupied &= !(1 << slot);
        let mut key = list.head;
        while key != NONE {
            let next = self.entries[key as usize].next;
            self.link(key);
            key = next;
        }
    }

    fn link(&mut self, key: u32) {
        let deadline = self.entries[key as usize].deadline;
        let location = if deadline <= self.now {
            Location::Due
        } else {
            let at = deadline.min(self.now + HORIZON);
            let level = ((at ^ self.now).ilog2() / LEVEL_BITS).min(LEVELS as u32 - 1);
            let slot = (at >> (LEVEL_BITS * level)) % SLOTS as u64;
            Location::Slot { level: level as u8, slot: slot as u8 }
        };
        let tail = self.list(location).tail;
        self.entries[key as usize] = Entry { deadline, location, previous: tail, next: NONE };
        match tail {
            NONE => self.list(location).head = key,
            tail => self.entries[tail as usize].next = key,
        }
        self.list(location).tail = key;
        if let Location::Slot { level, slot } = location {
            self.levels[level as usize].occupied |= 1 << slot;
        }
    }

    fn unlink(&mut self, key: u32) {
        let Entry { location, previous, next, .. } = self.entries[key as usize];
        match previous {
            NONE => self.list(location).head = next,
            previous => self.entries[previous as usize].next = next,
        }
        match next {
            NONE => self.list(location).tail = previous,
            next => self.entries[next as usize].previous = previous,
        }
        if let Location::Slot { level, slot } = location
            && self.list(location).head == NONE
        {
            self.levels[level as usize].occupied &= !(1 << slot);
        }
        self.entries[key as usize] = UNUSED;
    }

    fn list(&mut self, location: Location) -> &mut List {
        match location {
            Location::Slot { level, slot } => &mut self.levels[level as usize].slots[slot as usize],
            Location::Due | Location::Unscheduled => &mut self.due,
        }
    }
}

#[cfg(test)]
mod tests;
