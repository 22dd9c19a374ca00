//! The timer wheel: one deadline for each key, and the next due one at a cost that doesn't depend on how many there are.
//!
//! Six levels of 64 slots each. A slot of level 0 stands for one tick, one of level 1 for 64 ticks, and so on; a
//! deadline lies on the level of the highest digit (base 64) in which it differs from now. When the wheel reaches a slot
//! of a higher level, what lies in it moves to lower ones. After Varghese and Lauck, "Hashed and Hierarchical Timing
//! Wheels" (1987).
//!
//! Time is a number of ticks; what a tick is, and what time it is, the caller says.

const LEVEL_BITS: u32 = 6;
const SLOTS: usize = 1 << LEVEL_BITS;
const LEVELS: usize = 6;

/// The furthest that a deadline may lie ahead; a later one is looked at again by then. All slots of the highest level but
/// the present one, since a deadline one whole turn ahead would look as if it were due.
const HORIZON: u64 = (SLOTS as u64 - 1) << (LEVEL_BITS * (LEVELS as u32 - 1));

/// No key: the end of a list.
const NONE: u32 = u32::MAX;

/// See the module.
pub struct Wheel {
    now: u64,
    levels: [Level; LEVELS],
    /// By key.
    entries: Vec<Entry>,
    /// The list of what is due, in the order of the deadlines.
    due: List,
}

struct Level {
    /// Bit `i` is set while slot `i` isn't empty.
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
    place: Place,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Nowhere,
    Due,
    Slot { level: u8, slot: u8 },
}

const EMPTY: List = List { head: NONE, tail: NONE };
const UNUSED: Entry = Entry { deadline: 0, place: Place::Nowhere, previous: NONE, next: NONE };

impl Wheel {
    /// An empty wheel, at tick 0.
    pub fn new() -> Self {
        const LEVEL: Level = Level { occupied: 0, slots: [EMPTY; SLOTS] };
        Self { now: 0, levels: [LEVEL; LEVELS], entries: Vec::new(), due: EMPTY }
    }

    /// Sets the one deadline of `key`; one that it had is forgotten. A deadline that has passed is due at once.
    pub fn schedule(&mut self, key: u32, deadline: u64) {
        self.cancel(key);
        let index = key as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, UNUSED);
        }
        self.entries[index].deadline = deadline;
        self.place(key);
    }

    /// Forgets the deadline of `key`, if it has one.
    pub fn cancel(&mut self, key: u32) {
        if let Some(entry) = self.entries.get(key as usize)
            && entry.place != Place::Nowhere
        {
            self.unlink(key);
        }
    }

    /// Moves on to `now` and takes out one key whose deadline has come; `None` when there is no further one. Keys come
    /// in the order of their deadlines.
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
                    self.open(level, slot);
                }
                _ => {
                    self.now = self.now.max(now);
                    return None;
                }
            }
        }
    }

    /// When to call [`pop_due`](Self::pop_due) next: at the next deadline, or before it where that lies far ahead. `None`
    /// without deadlines.
    pub fn next(&self) -> Option<u64> {
        if self.due.head != NONE {
            return Some(self.now);
        }
        self.next_slot().map(|(_, _, start)| start)
    }

    /// The first occupied slot, and the tick at which it begins. Lower levels come first in time.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        self.levels.iter().enumerate().find_map(|(level, Level { occupied, .. })| {
            if *occupied == 0 {
                return None;
            }
            let shift = LEVEL_BITS * level as u32;
            let here = (self.now >> shift) as u32 % SLOTS as u32;
            // Slots in front of the present one belong to the next turn of this level.
            let distance = occupied.rotate_right(here).trailing_zeros();
            let start = ((self.now >> shift) + u64::from(distance)) << shift;
            Some((level, ((here + distance) as usize) % SLOTS, start.max(self.now)))
        })
    }

    /// Moves what lies in a slot to where it belongs now.
    fn open(&mut self, level: usize, slot: usize) {
        let list = std::mem::replace(&mut self.levels[level].slots[slot], EMPTY);
        self.levels[level].occupied &= !(1 << slot);
        let mut key = list.head;
        while key != NONE {
            let next = self.entries[key as usize].next;
            self.place(key);
            key = next;
        }
    }

    fn place(&mut self, key: u32) {
        let deadline = self.entries[key as usize].deadline;
        let place = if deadline <= self.now {
            Place::Due
        } else {
            let at = deadline.min(self.now + HORIZON);
            let level = ((at ^ self.now).ilog2() / LEVEL_BITS).min(LEVELS as u32 - 1);
            let slot = (at >> (LEVEL_BITS * level)) % SLOTS as u64;
            Place::Slot { level: level as u8, slot: slot as u8 }
        };
        let tail = self.list(place).tail;
        self.entries[key as usize] = Entry { deadline, place, previous: tail, next: NONE };
        match tail {
            NONE => self.list(place).head = key,
            tail => self.entries[tail as usize].next = key,
        }
        self.list(place).tail = key;
        if let Place::Slot { level, slot } = place {
            self.levels[level as usize].occupied |= 1 << slot;
        }
    }

    fn unlink(&mut self, key: u32) {
        let Entry { place, previous, next, .. } = self.entries[key as usize];
        match previous {
            NONE => self.list(place).head = next,
            previous => self.entries[previous as usize].next = next,
        }
        match next {
            NONE => self.list(place).tail = previous,
            next => self.entries[next as usize].previous = previous,
        }
        if let Place::Slot { level, slot } = place
            && self.list(place).head == NONE
        {
            self.levels[level as usize].occupied &= !(1 << slot);
        }
        self.entries[key as usize] = UNUSED;
    }

    fn list(&mut self, place: Place) -> &mut List {
        match place {
            Place::Slot { level, slot } => &mut self.levels[level as usize].slots[slot as usize],
            Place::Due | Place::Nowhere => &mut self.due,
        }
    }
}

#[cfg(test)]
mod tests;
