//! Private keys of certificates, which Azure knows nothing of, by those who have seen them: each with its certificate, and
//! with a piece by which it is recognised wherever it is written.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{PemObject, SectionKind};

use crate::azure::X509;
use crate::witness::Fingerprint;

/// What a line of PEM stands for, in bytes.
const LINE: usize = 48;

/// A piece of each, by the fingerprint of its certificate.
#[derive(Clone, Default)]
pub(super) struct Keys(BTreeMap<Fingerprint, String>);

impl Keys {
    /// Learns of every private key in a text whose certificate is there, too.
    pub(super) fn learn(&mut self, text: &str) {
        let sections = || <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()).filter_map(Result::ok);
        let certificates = X509::all_in(text);
        for (_, key) in sections().filter(|(kind, _)| *kind == SectionKind::PrivateKey) {
            let its = certificates.iter().find(|one| one.belongs_to(&key));
            self.0.extend(its.and_then(|one| Some((one.fingerprint(), piece(&key)?))));
        }
    }

    /// All pieces, each with the fingerprint of the certificate.
    pub(super) fn all(&self) -> impl Iterator<Item = (Fingerprint, &str)> {
        self.0.iter().map(|(fingerprint, piece)| (*fingerprint, piece.as_str()))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The line in the middle: before it are the parts that are public, and whether it stands in PEM, or the whole is one long
/// line, it looks the same.
fn piece(key: &[u8]) -> Option<String> {
    let lines = key.len() / LINE;
    let middle = lines / 2 * LINE;
    Some(STANDARD.encode(key.get(middle..middle + LINE)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::SelfSigned;

    fn made() -> SelfSigned {
        SelfSigned::for_days("payments", 90).unwrap()
    }

    #[test]
    fn a_key_is_recognised_by_a_piece_that_is_not_in_its_certificate() {
        let (made, other) = (made(), made());
        let mut keys = Keys::default();
        keys.learn(&format!("tls.crt\n{}{}tls.key\n{}", other.pem(), made.pem(), made.key_pem()));
        let [(fingerprint, piece)] = keys.all().collect::<Vec<_>>()[..] else { panic!("{keys:?}") };
        assert_eq!(fingerprint, X509::read(made.der()).unwrap().fingerprint());
        assert!(made.key_pem().lines().any(|line| line == piece));
        let in_one_line: String = made.key_pem().lines().collect();
        assert!(in_one_line.contains(piece) && !made.pem().contains(piece));
        assert!(!format!("{keys:?}").contains(piece));
    }

    #[test]
    fn without_its_certificate_a_key_is_nobody_s() {
        let mut keys = Keys::default();
        keys.learn(&made().key_pem());
        keys.learn("nothing of the kind");
        assert_eq!(keys.all().count(), 0);
    }
}
