//! What was asked, by kind: a count of journal entries. It knows paths, and nothing of why they were asked.

use std::collections::{BTreeMap, HashMap};

use keywright_sandbox::{
    azure::{GRAPH, TOKEN},
    journal::{Entry, Journal},
};

/// The entries of a journal from this one on.
pub fn since(journal: &Journal, first: usize) -> Vec<Entry> {
    journal.entries().split_off(first)
}

/// What was asked of the API server, by verb and kind.
pub fn of_kubernetes(entries: &[Entry]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in entries {
        let dry = if entry.query.contains("dryRun") { " (dry run)" } else { "" };
        *counts.entry(format!("{} {}{dry}", entry.verb, kind(&entry.path))).or_insert(0) += 1;
    }
    counts
}

/// Of `/api/v1/namespaces/a/secrets/kw-x-1` this is `records`; of `…/entraappcredentials/b/status`, that of a status.
fn kind(path: &str) -> String {
    let mut parts = path.split('/').skip_while(|part| !part.starts_with('v')).skip(1);
    let parts: Vec<&str> = match (parts.next(), parts.next()) {
        (Some("namespaces"), Some(_)) => parts.collect(),
        (first, second) => first.into_iter().chain(second).chain(parts).collect(),
    };
    match parts.as_slice() {
        ["secrets", name, ..] if name.starts_with("kw-") => "secrets (record)".to_owned(),
        [kind, _, "status"] => format!("{kind}/status"),
        [kind, ..] => (*kind).to_owned(),
        [] => path.to_owned(),
    }
}

/// Whether something at the API server changes.
pub fn writes(entry: &Entry) -> bool {
    !entry.query.contains("dryRun") && ["create", "update", "patch", "delete"].contains(&entry.verb.as_str())
}

/// What Graph was asked about single applications.
#[derive(Default)]
pub struct OfGraph {
    /// The writes to each.
    pub writes: HashMap<String, usize>,
    /// The reads of each.
    pub reads: HashMap<String, usize>,
    /// The requests about all of them.
    pub rounds: usize,
    /// Token requests.
    pub sign_ins: usize,
}

impl OfGraph {
    /// Count entries of Azure's journal.
    pub fn count(entries: &[Entry]) -> Self {
        let mut counts = Self::default();
        for entry in entries {
            match (entry.service.as_str(), entry.verb.as_str()) {
                (GRAPH, "getApplication") => *counts.reads.entry(entry.path.clone()).or_insert(0) += 1,
                (GRAPH, verb @ ("addPassword" | "removePassword" | "patchApplication")) => {
                    // What is done to an application stands behind it in the path.
                    let of = entry.path.trim_end_matches(verb).trim_end_matches('/').to_owned();
                    *counts.writes.entry(of).or_insert(0) += 1;
                }
                (GRAPH, _) => counts.rounds += 1,
                (TOKEN, "signIn") => counts.sign_ins += 1,
                _ => {}
            }
        }
        counts
    }

    /// The writes to the application that has most, and to all of them.
    pub fn most_and_all(counts: &HashMap<String, usize>) -> (usize, usize) {
        (counts.values().copied().max().unwrap_or_default(), counts.values().sum())
    }
}
