//! What fits into a vault (AZURE 6): names, sizes, counts, and the versions of the interface. Constants and checks;
//! what is said to whoever exceeds them is decided elsewhere.

use std::collections::BTreeMap;

/// The longest value, in bytes: 25 KB.
const LONGEST_VALUE: usize = 25 * 1_024;
const LONGEST_CONTENT_TYPE: usize = 255;
const MOST_TAGS: usize = 15;
const LONGEST_NAME: usize = 127;
/// The most that a page of a list holds, and what it holds if nobody says so.
pub(super) const PAGE: usize = 25;
/// The versions of the interface that are no previews, the newest last.
pub(super) const VERSIONS: [&str; 9] = ["7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"];

pub(super) fn is_version(version: &str) -> bool {
    VERSIONS.contains(&version) || version.strip_suffix("-preview").is_some_and(|rest| rest.starts_with(['7', '2']))
}

fn is_word(name: &str) -> bool {
    name.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && is_word(name)
}

pub(super) fn is_vault_name(name: &str) -> bool {
    (3..=24).contains(&name.len()) && is_word(name)
}

pub(super) fn is_value(value: &str) -> bool {
    value.len() <= LONGEST_VALUE
}

pub(super) fn is_content_type(content_type: &str) -> bool {
    content_type.chars().count() <= LONGEST_CONTENT_TYPE
}

/// Whether there are few enough tags, with names and values up to `longest` characters.
pub(super) fn are_tags(tags: &BTreeMap<String, String>, longest: usize) -> bool {
    let fits = |text: &String| text.chars().count() <= longest;
    tags.len() <= MOST_TAGS && tags.iter().all(|(name, value)| !name.is_empty() && fits(name) && fits(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(count: usize, length: usize) -> BTreeMap<String, String> {
        (0..count).map(|number| (format!("{number:0>length$}"), "v".repeat(length))).collect()
    }

    /// AZURE 6: 1 to 127 of `^[0-9a-zA-Z-]+$`; vaults 3 to 24.
    #[test]
    fn names_are_short_words() {
        assert!(is_name("payments-API-2") && is_name(&"n".repeat(127)));
        for wrong in ["", "a_b", "a.b", "ä", &"n".repeat(128)] {
            assert!(!is_name(wrong), "{wrong:?}");
        }
        assert!(is_vault_name("kv-payments") && !is_vault_name("kv") && !is_vault_name(&"v".repeat(25)));
    }

    /// AZURE 6: 25 KB, 255 for the content type, 15 tags of 512 and 512; older documents say 256.
    #[test]
    fn sizes_are_bounded() {
        assert!(is_value(&"v".repeat(25_600)) && !is_value(&"v".repeat(25_601)));
        assert!(is_content_type(&"c".repeat(255)) && !is_content_type(&"c".repeat(256)));
        assert!(are_tags(&tags(15, 512), 512) && !are_tags(&tags(16, 1), 512));
        assert!(!are_tags(&tags(1, 513), 512) && are_tags(&tags(1, 256), 256) && !are_tags(&tags(1, 257), 256));
    }

    /// AZURE 6: 7.5, 7.6, 2025-07-01, 2026-04-01, and previews.
    #[test]
    fn versions_are_known_ones_or_previews() {
        assert!(["7.5", "7.6", "2025-07-01", "2026-04-01", "2026-03-01-preview"].into_iter().all(is_version));
        assert!(!["", "7", "8.0", "2026-04-02", "-preview", "preview"].into_iter().any(is_version));
    }
}
