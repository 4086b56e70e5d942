//! What a request is about: which of a vault's collections, and what is wanted of it. From this follow what one must be
//! allowed to do, and how the journal and the rules call it. It knows paths, and answers nothing.

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::access::Action;

/// What a vault keeps. A certificate has a secret and a key of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    Secrets,
    Certificates,
    Keys,
}

impl Collection {
    /// How paths and messages call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Certificates => "certificates",
            Self::Keys => "keys",
        }
    }

    /// One of it, as error codes and messages begin.
    pub(super) const fn one(self) -> &'static str {
        match self {
            Self::Secrets => "Secret",
            Self::Certificates => "Certificate",
            Self::Keys => "Key",
        }
    }
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) of: Collection,
    pub(super) wish: Wish,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    List,
    Versions(String),
    Get(String, Option<String>),
    /// A new version: a secret is set, a certificate imported.
    Put(String),
    Edit(String, Option<String>),
    Delete(String),
    ListDeleted,
    GetDeleted(String),
    Purge(String),
    Recover(String),
}

impl Asked {
    /// By the method and the path of a request.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let decoded = percent_decode_str(path).decode_utf8().ok()?;
        let segments: Vec<&str> = decoded.split('/').filter(|segment| !segment.is_empty()).collect();
        let (first, rest) = segments.split_first()?;
        let (of, is_deleted) = match *first {
            "secrets" => (Collection::Secrets, false),
            "deletedsecrets" => (Collection::Secrets, true),
            "certificates" => (Collection::Certificates, false),
            "deletedcertificates" => (Collection::Certificates, true),
            "keys" => (Collection::Keys, false),
            _ => return None,
        };
        let wish = if is_deleted { wish_of_deleted(method, rest) } else { wish(of, method, rest) };
        Some(Self { of, wish: wish? })
    }

    /// The name of what is meant; none for a list of all.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.wish {
            Wish::List | Wish::ListDeleted => None,
            Wish::Versions(name)
            | Wish::Get(name, _)
            | Wish::Put(name)
            | Wish::Edit(name, _)
            | Wish::Delete(name)
            | Wish::GetDeleted(name)
            | Wish::Purge(name)
            | Wish::Recover(name) => Some(name),
        }
    }

    /// What one must be allowed to do.
    pub(super) const fn action(&self) -> Action {
        let (secret, certificate) = match &self.wish {
            Wish::List | Wish::Versions(_) | Wish::ListDeleted => (Action::List, Action::ListCertificates),
            Wish::GetDeleted(_) => (Action::List, Action::GetCertificate),
            Wish::Get(..) => (Action::Get, Action::GetCertificate),
            Wish::Put(_) => (Action::Set, Action::ImportCertificate),
            Wish::Edit(..) => (Action::Update, Action::UpdateCertificate),
            Wish::Delete(_) => (Action::Delete, Action::DeleteCertificate),
            Wish::Purge(_) => (Action::Purge, Action::PurgeCertificate),
            Wish::Recover(_) => (Action::Recover, Action::RecoverCertificate),
        };
        match self.of {
            Collection::Secrets => secret,
            Collection::Certificates => certificate,
            Collection::Keys => Action::GetKey,
        }
    }

    fn verb(&self) -> &'static str {
        let (secret, certificate) = match &self.wish {
            Wish::List => ("listSecrets", "listCertificates"),
            Wish::Versions(_) => ("listSecretVersions", "listCertificateVersions"),
            Wish::Get(..) => ("getSecret", "getCertificate"),
            Wish::Put(_) => ("setSecret", "importCertificate"),
            Wish::Edit(..) => ("updateSecret", "updateCertificate"),
            Wish::Delete(_) => ("deleteSecret", "deleteCertificate"),
            Wish::ListDeleted => ("listDeletedSecrets", "listDeletedCertificates"),
            Wish::GetDeleted(_) => ("getDeletedSecret", "getDeletedCertificate"),
            Wish::Purge(_) => ("purgeDeletedSecret", "purgeDeletedCertificate"),
            Wish::Recover(_) => ("recoverDeletedSecret", "recoverDeletedCertificate"),
        };
        match self.of {
            Collection::Secrets => secret,
            Collection::Certificates => certificate,
            Collection::Keys => "getKey",
        }
    }
}

fn wish(of: Collection, method: &Method, segments: &[&str]) -> Option<Wish> {
    let owned = |text: &str| text.to_owned();
    Some(match (of, method.as_str(), segments) {
        (_, "GET", [name]) => Wish::Get(owned(name), None),
        (Collection::Secrets | Collection::Certificates, "GET", [name, "versions"]) => Wish::Versions(owned(name)),
        // Certificates that a vault makes itself are not modelled, nor policies on their own.
        (Collection::Certificates, "GET", [_, "policy" | "pending"]) => return None,
        (_, "GET", [name, version]) => Wish::Get(owned(name), Some(owned(version))),
        // Keys are there only as parts of certificates.
        (Collection::Keys, _, _) => return None,
        (_, "GET", []) => Wish::List,
        (Collection::Secrets, "PUT", [name]) | (Collection::Certificates, "POST", [name, "import"]) => {
            Wish::Put(owned(name))
        }
        (_, "PATCH", [name]) => Wish::Edit(owned(name), None),
        (_, "PATCH", [name, version]) => Wish::Edit(owned(name), Some(owned(version))),
        (_, "DELETE", [name]) => Wish::Delete(owned(name)),
        _ => return None,
    })
}

fn wish_of_deleted(method: &Method, segments: &[&str]) -> Option<Wish> {
    let owned = |text: &str| text.to_owned();
    Some(match (method.as_str(), segments) {
        ("GET", []) => Wish::ListDeleted,
        ("GET", [name]) => Wish::GetDeleted(owned(name)),
        ("DELETE", [name]) => Wish::Purge(owned(name)),
        ("POST", [name, "recover"]) => Wish::Recover(owned(name)),
        _ => return None,
    })
}

/// How the journal and the rules call a request.
pub(in crate::azure) fn verb(method: &Method, path: &str) -> &'static str {
    Asked::of(method, path).map_or("unknown", |asked| asked.verb())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AZURE 6: the routes; a slash at the end is the latest version, as Microsoft's SDKs ask for it.
    #[test]
    fn paths_have_verbs() {
        let get = |path| verb(&Method::GET, path);
        assert_eq!(get("/secrets"), "listSecrets");
        assert_eq!(get("/secrets/a/versions"), "listSecretVersions");
        assert_eq!([get("/secrets/a"), get("/secrets/a/"), get("/secrets/a/8f3c")], ["getSecret"; 3]);
        assert_eq!(verb(&Method::PUT, "/secrets/a"), "setSecret");
        assert_eq!(verb(&Method::PATCH, "/secrets/a/8f3c"), "updateSecret");
        assert_eq!(verb(&Method::DELETE, "/secrets/a"), "deleteSecret");
        assert_eq!(get("/deletedsecrets"), "listDeletedSecrets");
        assert_eq!(get("/deletedsecrets/a"), "getDeletedSecret");
        assert_eq!(verb(&Method::DELETE, "/deletedsecrets/a"), "purgeDeletedSecret");
        assert_eq!(verb(&Method::POST, "/deletedsecrets/a/recover"), "recoverDeletedSecret");
        assert_eq!([verb(&Method::DELETE, "/secrets/a/8f3c"), get("/")], ["unknown"; 2]);
    }

    /// AZURE 6: a certificate is imported by POST, and comes with a key that can be read.
    #[test]
    fn paths_of_certificates_have_verbs() {
        let get = |path| verb(&Method::GET, path);
        assert_eq!(get("/certificates"), "listCertificates");
        assert_eq!(
            [get("/certificates/a"), get("/certificates/a/"), get("/certificates/a/8f3c")],
            ["getCertificate"; 3]
        );
        assert_eq!(get("/certificates/a/versions"), "listCertificateVersions");
        assert_eq!(verb(&Method::POST, "/certificates/a/import"), "importCertificate");
        assert_eq!(verb(&Method::PATCH, "/certificates/a/8f3c"), "updateCertificate");
        assert_eq!(verb(&Method::DELETE, "/certificates/a"), "deleteCertificate");
        assert_eq!(get("/deletedcertificates/a"), "getDeletedCertificate");
        assert_eq!(verb(&Method::DELETE, "/deletedcertificates/a"), "purgeDeletedCertificate");
        assert_eq!(verb(&Method::POST, "/deletedcertificates/a/recover"), "recoverDeletedCertificate");
        assert_eq!([get("/keys/a"), get("/keys/a/8f3c")], ["getKey"; 2]);
        let odd = [verb(&Method::PUT, "/certificates/a"), verb(&Method::POST, "/secrets/a/import"), get("/keys")];
        assert_eq!(odd, ["unknown"; 3]);
        assert_eq!([get("/certificates/a/policy"), verb(&Method::DELETE, "/keys/a")], ["unknown"; 2]);
    }
}
