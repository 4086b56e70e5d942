//! What the demo shows: a line for each thing that is done, under the chapter that it belongs to. Colours on a
//! terminal only. It knows nothing of the story.

use std::io::{IsTerminal, Write, stdout};

use anyhow::Context;

/// Where words are folded.
const WIDTH: usize = 100;

/// Standard output, for a person or for a file.
pub(super) struct Screen {
    colours: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";

impl Screen {
    /// Colours where somebody sees them, and has not asked for none (no-color.org).
    pub(super) fn new() -> Self {
        Self { colours: stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    pub(super) fn title(&self, title: &str) -> anyhow::Result<()> {
        say(&format!("\n{}\n\n", self.paint(BOLD, title)))
    }

    /// Something is there.
    pub(super) fn done(&self, what: &str, how: &str) -> anyhow::Result<()> {
        say(&format!("  {} {what:<15} {}\n", self.paint(GREEN, "✓"), self.paint(DIM, how)))
    }

    /// Something is in the way, in a sentence.
    pub(super) fn told(&self, what: &str, sentence: &str) -> anyhow::Result<()> {
        say(&format!("  {} {what}\n{}", self.paint(RED, "!"), self.folded(sentence)))
    }

    /// Somebody does something.
    pub(super) fn chapter(&self, says: &str) -> anyhow::Result<()> {
        say(&format!("\n{} {}\n", self.paint(CYAN, "›"), self.paint(BOLD, says)))
    }

    /// The API server refuses something.
    pub(super) fn refused(&self, name: &str, answer: &str) -> anyhow::Result<()> {
        let verdict = self.paint(RED, "refused by the API server");
        say(&format!("  {name}  {verdict}\n{}", self.folded(answer)))
    }

    /// The story is told.
    pub(super) fn ending(&self, look_around: &[String], once: bool) -> anyhow::Result<()> {
        if once {
            return say(&format!("\n{} everything is as it should be\n\n", self.paint(GREEN, "✓")));
        }
        let commands: String = look_around.iter().fold(String::new(), |text, command| text + "  " + command + "\n");
        say(&format!(
            "\n{}\n\n{commands}\nCtrl-C ends it.\n",
            self.paint(BOLD, "It stays up. Look around, from another terminal:")
        ))
    }

    /// A text in lines that fit, a little to the right.
    fn folded(&self, text: &str) -> String {
        let mut lines = vec![String::new()];
        for word in text.split_whitespace() {
            let last = lines.len() - 1;
            if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > WIDTH - 6 {
                lines.push(word.to_owned());
            } else {
                let space = if lines[last].is_empty() { "" } else { " " };
                lines[last] = format!("{}{space}{word}", lines[last]);
            }
        }
        lines.iter().fold(String::new(), |text, line| text + "      " + &self.paint(DIM, line) + "\n")
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("could not write to standard output")
}
