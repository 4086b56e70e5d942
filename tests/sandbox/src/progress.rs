//! One line on standard error about something that takes minutes: the only room of the library that speaks, since
//! a test run that is silent for four minutes looks hung. On a terminal the line is updated in place; elsewhere
//! there is one line at the start and one at the end. It never says anything about things that are quick.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Says that `what` is going on until `work` is done, and how long it took.
pub(crate) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    if !terminal {
        say(&format!("{what} …\n"));
    }
    let mut second = tokio::time::interval(Duration::from_secs(1));
    tokio::pin!(work);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            _ = second.tick(), if terminal => say(&format!("\r\x1b[2K{what} … {}", spoken(begun.elapsed()))),
        }
    };
    let start_of_line = if terminal { "\r\x1b[2K" } else { "" };
    say(&format!("{start_of_line}{what}: {}\n", spoken(begun.elapsed())));
    outcome
}

/// Standard error may be closed; what is said here is a courtesy and must not fail anything.
fn say(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
