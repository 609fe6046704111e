//! Places for connections, and keys that never mean another connection.

/// A place and which of its tenants is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    place: u32,
    tenant: u32,
}

impl Key {
    /// As the one number that the kernel gives back with an event.
    pub(super) fn to_token(self) -> mio::Token {
        // Sixty-four bits wherever this runs; on less, late events could meet another tenant,
        // which only makes it look for bytes that are not there.
        let wide = u64::from(self.tenant) << 32 | u64::from(self.place);
        mio::Token(usize::try_from(wide).unwrap_or(usize::MAX))
    }

    pub(super) fn of_token(token: mio::Token) -> Key {
        let wide = token.0 as u64;
        let low = |w: u64| u32::try_from(w & u64::from(u32::MAX)).unwrap_or(0);
        Key { place: low(wide), tenant: low(wide >> 32) }
    }
}

#[derive(Debug)]
struct Place<T> {
    tenant: u32,
    value: Option<T>,
}

/// The places.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Slab<T> {
        Slab { places: Vec::new(), free: Vec::new() }
    }

    /// Takes a place. `make` hears its key.
    pub(super) fn insert(&mut self, value: T) -> Key {
        if let Some(place) = self.free.pop()
            && let Some(free) = self.places.get_mut(place as usize)
        {
            free.value = Some(value);
            return Key { place, tenant: free.tenant };
        }
        // Connections are bounded far below 2^32.
        let place = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { tenant: 0, value: Some(value) });
        Key { place, tenant: 0 }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.place as usize)?;
        if place.tenant == key.tenant { place.value.as_mut() } else { None }
    }

    /// Gives a place up: its key means nothing from now on.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.place as usize)?;
        if place.tenant != key.tenant {
            return None;
        }
        let value = place.value.take()?;
        place.tenant = place.tenant.wrapping_add(1);
        self.free.push(key.place);
        Some(value)
    }

    /// How many places there are, taken or free.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Who has the place with this number.
    pub(super) fn at(&self, place: usize) -> Option<Key> {
        let tenant = self.places.get(place).filter(|p| p.value.is_some())?.tenant;
        Some(Key { place: u32::try_from(place).ok()?, tenant })
    }

    /// What has the place with this number.
    pub(super) fn value_at(&self, place: usize) -> Option<&T> {
        self.places.get(place)?.value.as_ref()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().filter_map(|p| p.value.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_one_that_left_never_means_the_next() {
        let mut slab = Slab::new();
        let first = slab.insert("first");
        let other = slab.insert("other");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(second.place, first.place, "the place is used again");
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut "second"));
        assert_eq!(slab.get_mut(other), Some(&mut "other"));
        assert_eq!(slab.at(first.place as usize), Some(second));
        assert_eq!(Key::of_token(second.to_token()), second);
    }
}
