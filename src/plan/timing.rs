//! How long everything takes that is built in. What people can set is in `policy`.

use std::time::Duration;

/// The built-in durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the mint to the first sign-in: asked too early, a server remembers that it does not know the credential.
    pub quiet_start: Duration,
    /// The same for federated credentials, of which Entra remembers that it does not know them.
    pub quiet_exchange: Duration,
    /// From the first to the last of the sign-ins in a row, at the least.
    pub spread: Duration,
    /// Between two sign-ins after one that was refused: the first pause, and the longest.
    pub after_refusal: (Duration, Duration),
    /// How old an attempt must be before somebody else may take its record over.
    pub takeover: Duration,
    /// From the announcement of a nonce to the sending of its mint, at the most.
    pub mint_within: Duration,
    /// How long what was observed may be acted on.
    pub fresh: Duration,
    /// How long after it was sent a mint may still arrive.
    pub late_mint: Duration,
    /// Over which time reads of an application's certificates must agree before they are written.
    pub agree: Duration,
    /// Over which time reads must agree that something is absent.
    pub absence: Duration,
    /// How long the finalizer may stand on the record of a mint in flight.
    pub finalizer: Duration,
    /// What is started after a publication is certain to read what was published, by this much.
    pub settle: Duration,
    /// Between two tries of what failed with an unknown end: the first pause, and the longest.
    pub again: (Duration, Duration),
    /// Between two mints after one that came to nothing: the first pause, and the longest.
    pub mint_again: (Duration, Duration),
    /// How often the application and the vaults are looked at while nothing is to be done.
    pub drift: Duration,
    /// How often those who use a credential are looked for again while nobody is known.
    pub consumers: Duration,
    /// How often the report of when credentials were last used is read while it is waited for: the first pause after it could
    /// not be read, and how long what it says is good for. Microsoft answers it five times in ten seconds.
    pub usage: (Duration, Duration),
    /// By how much clocks that were compared may differ.
    pub margin: Duration,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Timing {
    /// As PROTOCOL has it.
    pub const REAL: Self = Self {
        quiet_start: seconds(15),
        quiet_exchange: seconds(60),
        spread: seconds(30),
        after_refusal: (seconds(5), seconds(60)),
        takeover: seconds(60),
        mint_within: seconds(10),
        fresh: seconds(30),
        late_mint: seconds(120),
        agree: seconds(20),
        absence: seconds(60),
        finalizer: seconds(600),
        settle: seconds(90),
        again: (seconds(1), seconds(300)),
        mint_again: (seconds(60), seconds(3600)),
        drift: seconds(300),
        consumers: seconds(3600),
        usage: (seconds(10), seconds(3600)),
        margin: seconds(2),
    };

    /// The same for a sandbox, in which everything takes `scale` times as long. Two that must stay apart from the time
    /// that a call takes do not shrink below it.
    #[must_use]
    pub fn scaled(scale: f64) -> Self {
        let scaled = |duration: Duration| duration.mul_f64(scale);
        let both = |(first, longest)| (scaled(first), scaled(longest));
        let real = Self::REAL;
        Self {
            quiet_start: scaled(real.quiet_start),
            quiet_exchange: scaled(real.quiet_exchange),
            spread: scaled(real.spread),
            after_refusal: both(real.after_refusal),
            takeover: scaled(real.takeover).max(seconds(6)),
            mint_within: scaled(real.mint_within).max(seconds(3)),
            fresh: scaled(real.fresh).max(seconds(5)),
            late_mint: scaled(real.late_mint).max(seconds(3)),
            agree: scaled(real.agree),
            absence: scaled(real.absence),
            finalizer: scaled(real.finalizer).max(seconds(20)),
            settle: scaled(real.settle),
            again: both(real.again),
            mint_again: both(real.mint_again),
            drift: scaled(real.drift).max(seconds(1)),
            consumers: scaled(real.consumers).max(seconds(1)),
            usage: both(real.usage),
            margin: real.margin,
        }
    }
}

/// A pause that doubles with every time, up to the longest.
#[must_use]
pub fn doubling((first, longest): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = [1, 2, 3, 8, 40].map(|times| doubling((seconds(60), seconds(3600)), times).as_secs());
        assert_eq!(pauses, [60, 120, 240, 3600, 3600]);
    }

    #[test]
    fn whoever_takes_over_waits_longer_than_anybody_may_mint() {
        for scale in [0.0, 0.001, 0.1, 1.0, 3.0] {
            let timing = Timing::scaled(scale);
            assert!(timing.takeover >= 2 * timing.mint_within, "{scale}");
        }
        assert_eq!(Timing::scaled(1.0), Timing::REAL);
    }
}
