//! Which user sends the next request.

/// How many users there are.
pub(crate) const USERS: usize = 1_000;

/// An endless sequence of users, each as likely as any other (SplitMix64); the seed decides all.
#[derive(Clone, Debug)]
pub struct Users {
    state: u64,
}

impl Users {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Users {
        Users { state: seed }
    }

    /// What the user of this number is called: `user-0042`.
    pub fn name(number: usize) -> String {
        format!("user-{number:04}")
    }
}

impl Iterator for Users {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The high part of the product is below USERS, and as even as 64 bits allow.
        usize::try_from((u128::from(z) * USERS as u128) >> 64).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_users_again_and_another_seed_others() {
        let first = |seed| Users::new(seed).take(50).collect::<Vec<_>>();
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }

    #[test]
    fn every_user_comes_about_as_often() {
        let mut seen = [0_u32; USERS];
        for user in Users::new(1).take(100 * USERS) {
            seen[user] += 1;
        }
        // A user is expected 100 times with a deviation of 10; six of those either way.
        assert!(seen.iter().all(|count| (40..=160).contains(count)));
    }

    #[test]
    fn users_are_named_by_four_digits() {
        assert_eq!(Users::name(42), "user-0042");
    }
}
