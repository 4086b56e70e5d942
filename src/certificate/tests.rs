use secrecy::ExposeSecret;

use super::{made::Wish, *};

fn wish() -> Wish {
    Wish {
        common_name: "payments-api".into(),
        bits: 2048,
        begins: "2026-11-21T08:00:00Z".parse().unwrap(),
        ends: "2027-02-19T08:00:00Z".parse().unwrap(),
    }
}

fn made() -> Bundle {
    made::make(&wish()).unwrap()
}

fn why(text: &str) -> Unsuited {
    Bundle::read(text).unwrap_err()
}

#[test]
fn a_new_one_is_as_it_was_wished_and_no_two_are_alike() {
    let (one, other) = (made(), made());
    assert_eq!((one.begins(), one.ends()), (wish().begins, wish().ends));
    assert_eq!(one.signer().public_modulus_len(), 256);
    assert_ne!(one.thumbprint(), other.thumbprint());
    let (_, read) = parse_x509_certificate(one.der()).unwrap();
    assert_eq!(read.subject().to_string(), "CN=payments-api");
}

#[test]
fn sizes_are_those_that_can_be_declared() {
    let bytes = |bits| made::make(&Wish { bits, ..wish() }).unwrap().signer().public_modulus_len();
    assert_eq!([3072, 4096].map(bytes), [384, 512]);
}

/// What is published is read by others: key first, each part a block of its own, in lines of 64.
#[test]
fn what_is_written_is_read_again() {
    let one = made();
    let text = one.pem();
    let text = text.expose_secret();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"), "the key comes first");
    assert_eq!(text.matches("-----BEGIN CERTIFICATE-----").count(), 1);
    assert!(text.lines().all(|line| line.len() <= 64) && text.ends_with("-----END CERTIFICATE-----\n"));
    let again = Bundle::read(text).unwrap();
    assert_eq!((again.thumbprint(), again.pem().expose_secret()), (one.thumbprint(), text));
    let apart = format!("{}{}", one.certificates(), one.key().expose_secret());
    assert_eq!(Bundle::read(&apart).unwrap().pem().expose_secret(), text, "in any order");
}

#[test]
fn thumbprints_are_those_of_the_certificate() {
    let one = made();
    assert_eq!(one.thumbprint().as_str(), HEXLOWER.encode(&one.sha256()));
    assert_eq!((one.thumbprint().as_str().len(), one.sha1().len()), (64, 40));
}

#[test]
fn the_certificate_of_the_key_is_found_among_others_which_are_left_out_if_they_vouch_for_nobody() {
    let (stranger, one) = (made(), made());
    let text = format!("{}{}", stranger.certificates(), one.pem().expose_secret());
    let read = Bundle::read(&text).unwrap();
    assert_eq!(read.pem().expose_secret(), one.pem().expose_secret());
}

#[test]
fn those_that_vouch_for_it_follow_each_after_the_one_it_vouches_for() {
    let [leaf, middle, root] = chained();
    let parts = |text: &str| -> Vec<Vec<u8>> {
        CertificateDer::pem_slice_iter(text.as_bytes()).map(|one| one.unwrap().to_vec()).collect()
    };
    let shuffled = format!("{}{}{}", root.0, leaf.0, middle.0);
    let read = Bundle::read(&format!("{shuffled}{}", leaf.1)).unwrap();
    assert_eq!(parts(&read.certificates()), parts(&format!("{}{}{}", leaf.0, middle.0, root.0)));
}

/// Three certificates with their keys, each signed by the next, the last by itself.
fn chained() -> [(String, String); 3] {
    use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let key = || KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let [leaf, middle, root] = [key(), key(), key()];
    let root_made = params("root").self_signed(&root).unwrap();
    let middle_made = params("middle").signed_by(&middle, &Issuer::from_params(&params("root"), &root)).unwrap();
    let leaf_made = params("leaf").signed_by(&leaf, &Issuer::from_params(&params("middle"), &middle)).unwrap();
    [(leaf_made, leaf), (middle_made, middle), (root_made, root)].map(|(made, key)| (made.pem(), key.serialize_pem()))
}

#[test]
fn a_key_in_the_older_form_is_read_and_written_in_the_newer() {
    let one = made();
    let key = one.key();
    let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).unwrap() else {
        panic!()
    };
    // PKCS#8 wraps PKCS#1, which begins with the second long SEQUENCE and ends where it does.
    let der = key.secret_pkcs8_der();
    let (inner, _) = der.windows(2).enumerate().filter(|(_, two)| *two == [0x30, 0x82]).nth(1).unwrap();
    let older = armored("RSA PRIVATE KEY", der[inner..].to_vec());
    let read = Bundle::read(&format!("{}{}", one.certificates(), older.as_str())).unwrap();
    assert_eq!(read.pem().expose_secret(), one.pem().expose_secret());
}

#[test]
fn what_is_not_suited_is_told_apart() {
    let (one, other) = (made(), made());
    let (certificate, key) = (one.certificates(), one.key().expose_secret().to_owned());
    let block = |label: &str| armored(label, b"x".to_vec()).to_string();
    assert_eq!(why(&key), Unsuited::NoCertificate);
    assert_eq!(why(&certificate), Unsuited::NoKey);
    assert_eq!(why(&format!("{certificate}{}", block("EC PRIVATE KEY"))), Unsuited::NotRsa);
    assert_eq!(why(&format!("{certificate}{}", block("PRIVATE KEY"))), Unsuited::NotRsa);
    assert_eq!(why(&format!("{}{key}", other.certificates())), Unsuited::AnotherKey);
    let public = one.signer().public_key().as_ref();
    let pretended = armored("CERTIFICATE", [b"before", public, b"after"].concat());
    assert_eq!(why(&format!("{}{key}", pretended.as_str())), Unsuited::NotX509);
}

#[test]
fn whoever_prints_it_sees_no_key() {
    let one = made();
    assert_eq!(format!("{one:?}"), format!("Bundle({}, until 2027-02-19T08:00:00Z)", one.thumbprint()));
}
