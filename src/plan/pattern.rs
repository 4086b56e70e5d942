//! Patterns in grants: `*` stands for any characters, everything else for itself.

/// Whether all of `text` is what `pattern` describes.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty(); // no star at all
    };
    for piece in pieces {
        // The leftmost place is always right: it leaves the most for the pieces after it.
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("payments-api", "payments-api", true),
            ("payments-api", "payments-api-2", false),
            ("payments-*", "payments-api", true),
            ("payments-*", "payments-", true),
            ("payments-*", "payments", false),
            ("*-api", "payments-api", true),
            ("repo:contoso/*:environment:prod", "repo:contoso/pay:environment:prod", true),
            ("repo:contoso/*:environment:prod", "repo:contoso/pay:environment:test", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false), // one character cannot be both ends
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} against {text}");
        }
    }

    /// The definition, slow and plain: either the star takes a character, or it ends.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => by_definition(rest, text) || (!text.is_empty() && by_definition(pattern, &text[1..])),
            Some((c, rest)) => text.first() == Some(c) && by_definition(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), by_definition(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
