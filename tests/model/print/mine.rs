//! What a process remembers of what it has done.

use keywright::facts::{Failing, Fate, Mine, OwnAttempt, Proof, Verdict, Work};

use super::Print;
use crate::world::key_of;

impl Print {
    pub(super) fn mine(&mut self, mine: &Mine) {
        self.each(&mine.attempts, Self::attempt);
        self.maybe(mine.proof.as_ref(), Self::proof);
        self.each(&mine.removed, |this, (key, at)| {
            this.byte(key_of(*key));
            this.time(*at);
        });
        self.maybe(mine.missing.as_ref(), |this, missing| {
            this.byte(key_of(missing.key_id));
            this.time(missing.since);
            this.byte(missing.reads.min(3));
            this.time(missing.read_at);
            this.byte(missing.refusals.min(8));
            this.maybe(missing.tried_at, Self::time);
        });
        self.each(&mine.tried, |this, (target, tried)| {
            this.target(target);
            this.byte(key_of(tried.key_id));
            this.time(tried.at);
            this.flag(tried.verdict == Verdict::Accepted);
        });
        self.each(&mine.rolled, |this, (workload, rolled)| {
            this.text(&workload.name);
            this.text(&rolled.mark);
            this.time(rolled.since);
        });
        self.each(&mine.disabled, |this, (target, before)| {
            this.target(target);
            this.byte(before.0);
        });
        self.maybe(mine.slot, Self::flag);
        self.maybe(mine.usage.as_ref(), |this, looked| {
            this.time(looked.at);
            this.each(&looked.found.0, |this, (key, at)| {
                this.byte(key_of(*key));
                this.time(*at);
            });
        });
        self.each(&mine.failing, |this, (work, failing)| this.failing(work, failing));
    }

    fn attempt(&mut self, own: &OwnAttempt) {
        self.byte(own.sequence.0);
        self.text(own.nonce.as_str());
        self.time(own.begun_at);
        match &own.fate {
            Fate::Announced => self.byte(0),
            Fate::Rehearsed => self.byte(1),
            Fate::Nothing => self.byte(2),
            Fate::Kept => self.byte(3),
            Fate::Unknown { sent_at } => {
                self.byte(4);
                self.time(*sent_at);
            }
            Fate::Held { kept, unsettled, in_doubt } => {
                self.byte(5);
                self.kept(kept);
                self.flag(*unsettled);
                self.flag(*in_doubt);
            }
            Fate::Lost { key_id } => {
                self.byte(6);
                self.byte(key_of(*key_id));
            }
        }
    }

    fn proof(&mut self, proof: &Proof) {
        self.byte(key_of(proof.key_id));
        self.time(proof.since);
        self.byte(proof.successes.min(3));
        self.maybe(proof.first_success_at, Self::time);
        self.time(proof.last_at);
        self.byte(proof.misses.min(4));
        self.byte(match &proof.last {
            Verdict::Accepted => 0,
            Verdict::Blocked(_) => 1,
            _ => 2,
        });
    }

    fn failing(&mut self, work: &Work, failing: &Failing) {
        self.text(&format!("{work}"));
        self.byte(failing.times.min(4));
        self.time(failing.last_at);
        self.byte(failing.trouble.effect as u8);
        self.byte(failing.trouble.reason as u8);
    }
}
