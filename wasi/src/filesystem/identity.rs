//! Which file is which, for faces that do not show device and inode numbers (0.2, 0.3).

use super::Stat;

impl Stat {
    /// Whether both are of the same file.
    pub fn is_same_object(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// A hash in two parts. The first is of the file's identity alone, since the libraries of guests take it for its inode
    /// number, which must not change when the file does; the second changes with its size and time of modification.
    pub fn metadata_hash(&self) -> (u64, u64) {
        let identity = mix(mix(0, self.device), self.inode);
        (identity, mix(mix(identity, self.size), self.modified))
    }
}

/// Adds a word to a hash: one round of splitmix64, a permutation, so that different files of one file system have different hashes.
fn mix(hash: u64, word: u64) -> u64 {
    let word = (hash.rotate_left(32) ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::Kind;

    #[test]
    fn the_first_part_is_the_identity_and_the_second_the_version() {
        let stat = Stat {
            device: 1,
            inode: 2,
            kind: Kind::File,
            links: 1,
            size: 3,
            accessed: 4,
            modified: 5,
            changed: 6,
        };
        let other = Stat { inode: 1, device: 2, ..stat };
        let longer = Stat { size: 5, modified: 3, ..stat };
        let later = Stat { modified: 6, ..stat };
        let read = Stat { accessed: 9, links: 2, ..stat };
        assert!(stat.is_same_object(&longer) && !stat.is_same_object(&other));
        assert!(!stat.is_same_object(&Stat { device: 2, ..stat }));
        let (identity, version) = stat.metadata_hash();
        assert_ne!(other.metadata_hash().0, identity);
        assert_ne!(Stat { device: 2, ..stat }.metadata_hash().0, identity);
        assert_eq!(read.metadata_hash(), (identity, version));
        for changed in [longer, later] {
            assert_eq!(changed.metadata_hash().0, identity);
            assert_ne!(changed.metadata_hash().1, version);
        }
    }
}
