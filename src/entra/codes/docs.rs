//! The page that is printed from the table.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use super::{
    CODES, Class, Code,
    table::{
        CLIENT_NOT_ALLOWED, CLIENT_REFUSED, IN_TROUBLE, NO_WORD_FOR, NOT_ENTRA, REQUEST_REFUSED, SCOPE_REFUSED, WAIT,
    },
};

const INTRODUCTION: &str = "\
# What Entra's codes mean

<!-- Printed from src/entra/codes: UPDATE_DOCS=1 cargo test --lib entra::codes -->

When Entra refuses a sign-in it gives a code, `AADSTS` and a number. This page says what Keywright makes of each: the
reason that it reports, and what to do. The same words are in the condition of the resource, with the trace ID,
correlation ID and time that Microsoft's support asks for.

Microsoft does not promise that codes stay as they are, so Keywright concludes nothing about a credential from one that is
not on this page.
";

/// What a class means for whoever waits for a credential to be proven, or fears for one in use.
fn explained(class: Class) -> (&'static str, &'static str) {
    match class {
        Class::Wrong => (
            "The credential is not accepted",
            "Unknown, wrong, removed, or not known to every server yet: Entra answers the same to all of these. In the \
             minutes after a change it may accept and refuse by turns.",
        ),
        Class::Expired => ("The credential is over", "Only a new one helps."),
        Class::Blocked => (
            "The credential is accepted, the sign-in is not",
            "A policy blocks it. This is never silently taken for a proof.",
        ),
        Class::Misasked => (
            "The question was wrong",
            "The scope, the application, the tenant or its service principal. It says nothing about the credential.",
        ),
        Class::Ours => (
            "Our request was wrong",
            "A mistake of Keywright's, or in how it is set up. It says nothing about the credential.",
        ),
        Class::Throttled => ("We are to wait", "No verdict: it is asked again when the time that Entra gave is over."),
        Class::Unavailable => ("Entra is in trouble", "No verdict: it is asked again."),
        Class::Unknown => ("No verdict", "Nothing is concluded from what nobody has a word for."),
    }
}

/// What is answered without a code that is known.
const OTHERWISE: [(&str, &Code); 8] = [
    ("`invalid_client` alone", &CLIENT_REFUSED),
    ("`unauthorized_client` alone", &CLIENT_NOT_ALLOWED),
    ("`invalid_scope`, `invalid_resource` or `invalid_target` alone", &SCOPE_REFUSED),
    ("`invalid_request` or `unsupported_grant_type` alone", &REQUEST_REFUSED),
    ("HTTP 429", &WAIT),
    ("HTTP 408 or 5xx, `temporarily_unavailable`, `server_error`", &IN_TROUBLE),
    ("any other code or word", &NO_WORD_FOR),
    ("no answer of Entra's", &NOT_ENTRA),
];

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for class in Class::ALL {
        let (title, explanation) = explained(class);
        let coded = CODES.iter().filter(|code| code.class == class).map(|code| {
            let numbers: Vec<String> = code.numbers.iter().map(|number| format!("`AADSTS{number}`")).collect();
            (numbers.join(" "), code)
        });
        let otherwise = OTHERWISE.iter().filter(|(_, code)| code.class == class);
        let otherwise = otherwise.map(|(when, code)| ((*when).to_owned(), *code));
        let head = "| Answer | Reason | What it means | What to do |\n|---|---|---|---|";
        writeln!(page, "\n## {title}\n\n{explanation}\n\n{head}").unwrap();
        for (answer, Code { reason, meaning, remedy, .. }) in coded.chain(otherwise) {
            let link = format!("[{reason}](what-can-go-wrong.md#{})", reason.as_str().to_lowercase());
            writeln!(page, "| {answer} | {link} | {meaning}. | {remedy}. |").unwrap();
        }
    }
    page
}

#[test]
fn the_page_says_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/entra-codes.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/entra-codes.md is stale: UPDATE_DOCS=1 cargo test --lib entra::codes writes it anew"
    );
}

#[test]
fn no_code_stands_in_two_places() {
    let mut seen = BTreeSet::new();
    for number in CODES.iter().flat_map(|code| code.numbers) {
        assert!(seen.insert(number), "{number}");
    }
}

#[test]
fn every_sentence_can_stand_in_a_message() {
    for Code { meaning, remedy, numbers, .. } in CODES.iter().chain(OTHERWISE.iter().map(|(_, code)| *code)) {
        for text in [meaning, remedy] {
            assert!(!text.ends_with('.') && !text.contains(['|', '\n']) && !text.contains("  "), "{numbers:?}: {text}");
        }
    }
}
