//! Links of a pyramid: whose tokens read or write whose memories.

/// Link from the tokens of one bank to the memories of another. A step reads along some links and writes along others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// A patch and the patches: it reads its neighbours, and writes to itself.
    PatchPatch,
    /// A patch and the coarse cell that it lies in.
    PatchCoarse,
    /// A patch and all hubs.
    PatchHub,
    /// A coarse cell and the coarse cells: it reads its neighbours, and writes to itself.
    CoarseCoarse,
    /// A coarse cell and all hubs.
    CoarseHub,
}

impl Link {
    /// All links.
    pub const ALL: [Self; 5] = [
        Self::PatchPatch,
        Self::PatchCoarse,
        Self::PatchHub,
        Self::CoarseCoarse,
        Self::CoarseHub,
    ];

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Set of links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Links(u8);

impl Links {
    /// No links.
    pub fn none() -> Self {
        Self::default()
    }

    /// All links.
    pub fn all() -> Self {
        Link::ALL.into_iter().collect()
    }

    /// Whether a link is in the set.
    pub fn has(self, link: Link) -> bool {
        self.0 & link.bit() != 0
    }

    /// The set with a link.
    pub fn with(self, link: Link) -> Self {
        Self(self.0 | link.bit())
    }

    /// The set without a link.
    pub fn without(self, link: Link) -> Self {
        Self(self.0 & !link.bit())
    }

    /// The links of the set, in the order of [`Link::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Link> {
        Link::ALL.into_iter().filter(move |&link| self.has(link))
    }
}

impl FromIterator<Link> for Links {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        links.into_iter().fold(Self::none(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_links_that_were_put_in() {
        assert_eq!(Links::all().iter().collect::<Vec<_>>(), Link::ALL);
        for link in Link::ALL {
            assert!(!Links::none().has(link) && Links::none().with(link).has(link));
            let others: Vec<_> = Links::all().without(link).iter().collect();
            assert_eq!(others.len(), 4);
            assert!(!others.contains(&link));
        }
    }
}
