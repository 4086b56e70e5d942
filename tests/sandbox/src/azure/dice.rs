//! Chance, from a seed: identifiers, values of secrets, delays, which replica answers. A run with the same seed and the
//! same order of requests is the same run. It is no source of real secrets.

use fastrand::Rng;
use jiff::SignedDuration;
use uuid::{Builder, Uuid};

/// What Entra makes secrets of (AZURE 5).
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~.-";

/// A seeded source of chance.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// Dice for something with a name of its own, so that what happens to it does not depend on others.
    pub(crate) fn of(seed: u64, name: Uuid) -> Self {
        let (high, low) = name.as_u64_pair();
        Self::new(seed ^ high ^ low.rotate_left(1))
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        Builder::from_random_bytes(self.0.u128(..).to_be_bytes()).into_uuid()
    }

    /// The value of a client secret: 40 characters, of which the fourth to the sixth are a digit and `Q~`.
    pub(crate) fn secret(&mut self) -> String {
        let mut letter = || self.0.choice(LETTERS).map_or('x', |&letter| char::from(letter));
        let (first, rest): (String, String) = ((0..3).map(|_| letter()).collect(), (0..34).map(|_| letter()).collect());
        format!("{first}8Q~{rest}")
    }

    /// Whether something of this probability happens.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0.f64() < probability
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.0.usize(..count.max(1))
    }

    pub(crate) fn between(&mut self, least: SignedDuration, most: SignedDuration) -> SignedDuration {
        let span = most.saturating_sub(least).max(SignedDuration::ZERO);
        least.saturating_add(span.mul_f64(self.0.f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AZURE 5: the pattern that secret scanners look for.
    #[test]
    fn a_secret_looks_like_one_of_entra() {
        let secret = Dice::new(7).secret();
        assert_eq!((secret.len(), &secret[3..6]), (40, "8Q~"));
        assert!(secret.bytes().all(|letter| LETTERS.contains(&letter)), "{secret}");
    }

    #[test]
    fn the_same_seed_throws_the_same() {
        let (mut one, mut two) = (Dice::new(7), Dice::new(7));
        assert_eq!((one.uuid(), one.secret(), one.below(3)), (two.uuid(), two.secret(), two.below(3)));
        let name = Uuid::from_u128(1 << 100);
        assert_ne!(Dice::of(7, name).uuid(), Dice::new(7).uuid());
    }

    #[test]
    fn delays_stay_between_their_bounds() {
        let (mut dice, least, most) = (Dice::new(1), SignedDuration::from_secs(4), SignedDuration::from_secs(18));
        assert!((0..1_000).map(|_| dice.between(least, most)).all(|delay| delay >= least && delay <= most));
        assert_eq!(dice.between(most, most), most);
    }
}
