//! Keywright's mark, by which the ledger knows what is Keywright's: `kw1:<owner>.<sequence>.<nonce> <namespace>/<name>`.

/// What of a name nobody shortens.
const KEPT: usize = 50;

/// Whether a text is a mark as a whole.
pub(super) fn is_mark(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(head, resource)| is_head(head) && resource.contains('/'))
}

/// Whether a name that may have been shortened begins with what decides in a mark.
pub(super) fn begins_with_mark(name: &str) -> bool {
    let kept: String = name.chars().take(KEPT).collect();
    is_head(kept.split(' ').next().unwrap_or_default())
}

fn is_head(head: &str) -> bool {
    let base32 = |text: &str| {
        text.len() == 16 && text.bytes().all(|letter| matches!(letter, b'a'..=b'z' | b'A'..=b'Z' | b'2'..=b'7'))
    };
    let Some(head) = head.strip_prefix("kw1:") else { return false };
    let [owner, sequence, nonce] = head.split('.').collect::<Vec<_>>()[..] else { return false };
    base32(owner) && base32(nonce) && sequence.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_known_by_its_grammar() {
        let mark = "kw1:abcdefghijklmnop.12.abcdefghijkl2345 shop/payments";
        assert!(is_mark(mark) && begins_with_mark(mark));
        for odd in [
            "kw1:",
            "kw1:abcdefghijklmnop.x.abcdefghijkl2345 shop/payments",
            "kw1:abcdefghijklmno.12.abcdefghijkl2345 shop/payments",
            "kw1:abcdefghijklmnop.12.abcdefghijkl2349 shop/payments",
            "kw2:abcdefghijklmnop.12.abcdefghijkl2345 shop/payments",
            "abcdefghijklmnop.12.abcdefghijkl2345 shop/payments",
        ] {
            assert!(!is_mark(odd) && !begins_with_mark(odd), "{odd}");
        }
    }

    #[test]
    fn what_comes_after_the_nonce_may_be_cut() {
        let cut = "kw1:abcdefghijklmnop.12.abcdefghijkl2345";
        for name in [cut, &format!("{cut} "), &format!("{cut} a-namespace-that-is-lo")] {
            assert!(begins_with_mark(name) && !is_mark(name), "{name}");
        }
        assert!(!begins_with_mark(&cut[..cut.len() - 1]));
        let late = "kw1:abcdefghijklmnop.123456789012345.abcdefghijkl2345 shop/payments";
        assert!(!begins_with_mark(late), "its nonce does not end within what is kept");
    }
}
