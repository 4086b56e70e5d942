//! Federated credentials: whom an application lets in without a secret of its own, and what may be written of one (AZURE
//! 1.5). Values and rules; what replicas know of them, and who may write, is decided by others.

use serde::Serialize;
use uuid::Uuid;

/// AZURE 1.5: an application has no more.
const MOST: usize = 20;
/// AZURE 6: what tokens for the public cloud are for.
const PUBLIC_AUDIENCE: &str = "api://AzureADTokenExchange";
/// AZURE 1.5: the bounds of a name.
const NAME: std::ops::RangeInclusive<usize> = 3..=120;
/// AZURE 1.5: the most characters of issuer, subject, audience and description.
const LONGEST: usize = 600;

/// A federated credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Federated {
    /// Its ID.
    pub id: Uuid,
    /// Its name, which never changes.
    pub name: String,
    /// Who issues the tokens that it lets in.
    pub issuer: String,
    /// For whom. None has what others made in beta with an expression instead.
    pub subject: Option<String>,
    /// For which audience: exactly one.
    pub audience: String,
    /// What somebody says of it.
    pub description: Option<String>,
}

/// What somebody wants of a new federated credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFederated {
    /// Its name.
    pub name: String,
    /// Who issues the tokens.
    pub issuer: String,
    /// For whom; none as if it had been made in beta.
    pub subject: Option<String>,
    /// For which audience; by default that of the public cloud.
    pub audience: String,
    /// What shall be said of it.
    pub description: Option<String>,
}

/// By what a federated credential is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// By its ID or its name.
    Either(String),
    /// By its name: `(name='…')`.
    Name(String),
}

/// Why a federated credential cannot be as somebody wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// No name is like this.
    Name(String),
    /// Something that it has to have is empty.
    Empty,
    /// This is too long.
    TooLong(&'static str),
    /// Another of the application has this name.
    NameTaken(String),
    /// Another of the application has this issuer and subject.
    IdentityTaken {
        /// The issuer.
        issuer: String,
        /// The subject.
        subject: String,
    },
    /// Its name would be another.
    Renamed,
    /// It has an expression, which excludes a subject.
    HasExpression,
    /// The application has as many as it can have.
    TooMany,
}

/// Whom a token of an issuer names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Presented {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audiences: Vec<String>,
}

/// Why no federated credential lets somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// There are none.
    NoneKnown,
    /// None is for this issuer.
    Issuer,
    /// None is for this issuer and subject.
    Subject,
    /// One would be, if case made no difference.
    SubjectCase,
    /// The one for this issuer and subject is for another audience.
    Audience,
}

/// The one that lets somebody in, if there is one. All is compared letter by letter (AZURE 1.5); expressions are not
/// evaluated.
pub(crate) fn matching<'a>(all: &'a [Federated], presented: &Presented) -> Result<&'a Federated, Mismatch> {
    let Presented { issuer, subject, audiences } = presented;
    if all.is_empty() {
        return Err(Mismatch::NoneKnown);
    }
    let of_issuer = || all.iter().filter(|one| one.issuer == *issuer);
    if of_issuer().next().is_none() {
        return Err(Mismatch::Issuer);
    }
    let Some(found) = of_issuer().find(|one| one.subject.as_ref() == Some(subject)) else {
        let but_for_case = |one: &Federated| one.subject.as_ref().is_some_and(|one| one.eq_ignore_ascii_case(subject));
        return Err(if of_issuer().any(but_for_case) { Mismatch::SubjectCase } else { Mismatch::Subject });
    };
    if audiences.contains(&found.audience) { Ok(found) } else { Err(Mismatch::Audience) }
}

impl Default for NewFederated {
    fn default() -> Self {
        let [name, issuer] = [String::new(), String::new()];
        Self { name, issuer, subject: None, audience: PUBLIC_AUDIENCE.to_owned(), description: None }
    }
}

impl Key {
    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Either(text) | Self::Name(text) => text,
        }
    }

    /// Whether this one is meant.
    pub(crate) fn is(&self, one: &Federated) -> bool {
        match self {
            Self::Either(text) => one.name == *text || Uuid::try_parse(text).is_ok_and(|id| id == one.id),
            Self::Name(name) => one.name == *name,
        }
    }
}

impl NewFederated {
    /// The federated credential that it is to become.
    pub(crate) fn with_id(self, id: Uuid) -> Federated {
        let Self { name, issuer, subject, audience, description } = self;
        Federated { id, name, issuer, subject, audience, description }
    }
}

impl Federated {
    /// Whether it may stand beside the others of its application.
    pub(crate) fn fits(&self, application: &[Self]) -> Result<(), Unfit> {
        self.is_whole()?;
        let others = || application.iter().filter(|other| other.id != self.id);
        if others().any(|other| other.name == self.name) {
            return Err(Unfit::NameTaken(self.name.clone()));
        }
        if let Some(subject) = &self.subject
            && others().any(|other| other.issuer == self.issuer && other.subject.as_ref() == Some(subject))
        {
            return Err(Unfit::IdentityTaken { issuer: self.issuer.clone(), subject: subject.clone() });
        }
        if others().count() >= MOST { Err(Unfit::TooMany) } else { Ok(()) }
    }

    fn is_whole(&self) -> Result<(), Unfit> {
        let letters = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let begins = self.name.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !begins || !self.name.chars().all(letters) || !NAME.contains(&self.name.len()) {
            return Err(Unfit::Name(self.name.clone()));
        }
        let parts = [
            ("issuer", Some(&self.issuer)),
            ("subject", self.subject.as_ref()),
            ("audiences", Some(&self.audience)),
            ("description", self.description.as_ref()),
        ];
        for (part, text) in parts.into_iter().filter_map(|(part, text)| Some((part, text?))) {
            if text.is_empty() && part != "description" {
                return Err(Unfit::Empty);
            }
            if text.chars().count() > LONGEST {
                return Err(Unfit::TooLong(part));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: u128) -> Federated {
        let subject = Some(format!("system:serviceaccount:shop:web-{id}"));
        let (name, issuer) = (format!("web-{id}"), "https://issuer.example".into());
        NewFederated { name, issuer, subject, ..NewFederated::default() }.with_id(Uuid::from_u128(id))
    }

    fn named(name: &str) -> Result<(), Unfit> {
        Federated { name: name.into(), ..one(1) }.fits(&[])
    }

    /// AZURE 1.5: 3 to 120 of `[A-Za-z0-9_-]`, the first alphanumeric.
    #[test]
    fn a_name_has_its_letters_and_its_length() {
        for good in ["kw1", "Web_0-1", "0ab", "a".repeat(120).as_str()] {
            assert_eq!(named(good), Ok(()), "{good}");
        }
        for bad in ["ab", "-ab", "_ab", "a b", "a.b", "käse", "a".repeat(121).as_str(), ""] {
            assert_eq!(named(bad), Err(Unfit::Name(bad.into())), "{bad}");
        }
    }

    /// AZURE 1.5: 600 characters each; only the description may be empty.
    #[test]
    fn parts_are_neither_empty_nor_too_long() {
        let long = "ö".repeat(600);
        let whole = Federated { issuer: long.clone(), subject: Some(long.clone()), audience: long.clone(), ..one(1) };
        assert_eq!(Federated { description: Some(long.clone()), ..whole }.fits(&[]), Ok(()), "characters, not bytes");
        let too_long = format!("{long}o");
        assert_eq!(Federated { issuer: too_long.clone(), ..one(1) }.fits(&[]), Err(Unfit::TooLong("issuer")));
        let subject = Federated { subject: Some(too_long.clone()), ..one(1) };
        assert_eq!(subject.fits(&[]), Err(Unfit::TooLong("subject")));
        assert_eq!(Federated { audience: too_long.clone(), ..one(1) }.fits(&[]), Err(Unfit::TooLong("audiences")));
        let description = Federated { description: Some(too_long), ..one(1) };
        assert_eq!(description.fits(&[]), Err(Unfit::TooLong("description")));
        assert_eq!(Federated { description: Some(String::new()), ..one(1) }.fits(&[]), Ok(()));
        assert_eq!(Federated { subject: Some(String::new()), ..one(1) }.fits(&[]), Err(Unfit::Empty));
    }

    /// AZURE 1.5: the name, and issuer with subject, are unique in an application, and compared letter by letter.
    #[test]
    fn names_and_identities_are_unique_in_an_application() {
        let others = [one(2)];
        let renamed = Federated { name: "web-2".into(), ..one(1) };
        assert_eq!(renamed.fits(&others), Err(Unfit::NameTaken("web-2".into())));
        let same = Federated { subject: one(2).subject, ..one(1) };
        assert!(matches!(same.fits(&others), Err(Unfit::IdentityTaken { .. })));
        let elsewhere = Federated { issuer: "https://issuer.example/".into(), ..same.clone() };
        assert_eq!(elsewhere.fits(&others), Ok(()), "a slash is a letter");
        let case = Federated { subject: same.subject.map(|subject| subject.to_uppercase()), ..one(1) };
        assert_eq!(case.fits(&others), Ok(()));
        assert_eq!(one(2).fits(&others), Ok(()), "it does not stand in its own way");
        let expression = |id| Federated { subject: None, ..one(id) };
        assert_eq!(expression(1).fits(&[expression(2)]), Ok(()), "others can have several with expressions");
    }

    /// AZURE 1.5.
    #[test]
    fn an_application_has_at_most_twenty() {
        let twenty: Vec<Federated> = (1..=20).map(one).collect();
        assert_eq!(one(20).fits(&twenty[..19]), Ok(()));
        assert_eq!(one(21).fits(&twenty), Err(Unfit::TooMany));
        assert_eq!(one(20).fits(&twenty), Ok(()), "one that is there already may be written");
    }

    /// AZURE 4.3: 70021, 700211, 700213, 7002138, 700212; AZURE 1.5: all is compared letter by letter.
    #[test]
    fn whoever_is_not_let_in_is_told_why() {
        let presented = |issuer: &str, subject: &str, audience: &str| Presented {
            issuer: issuer.into(),
            subject: subject.into(),
            audiences: vec!["another".into(), audience.into()],
        };
        let (issuer, subject) = ("https://issuer.example", "system:serviceaccount:shop:web-1");
        let right = presented(issuer, subject, PUBLIC_AUDIENCE);
        let flexible = Federated { subject: None, ..one(2) };
        let all = [flexible, one(1)];
        assert_eq!(matching(&all, &right).map(|found| found.id), Ok(Uuid::from_u128(1)));
        let told = |presented: &Presented| matching(&all, presented).unwrap_err();
        assert_eq!(matching(&[], &right).unwrap_err(), Mismatch::NoneKnown);
        for other in ["https://issuer.example/", "https://Issuer.example", "issuer.example"] {
            assert_eq!(told(&presented(other, subject, PUBLIC_AUDIENCE)), Mismatch::Issuer, "{other}");
        }
        assert_eq!(told(&presented(issuer, "system:serviceaccount:shop:web", PUBLIC_AUDIENCE)), Mismatch::Subject);
        assert_eq!(
            told(&presented(issuer, "system:serviceaccount:Shop:web-1", PUBLIC_AUDIENCE)),
            Mismatch::SubjectCase
        );
        assert_eq!(told(&presented(issuer, subject, "api://azureadtokenexchange")), Mismatch::Audience);
    }

    /// AZURE 1.5: `{ficId or name}` and `(name='…')`.
    #[test]
    fn one_is_found_by_id_or_by_name() {
        let is = |key: Key| key.is(&one(1));
        assert!(is(Key::Either("web-1".into())) && is(Key::Either(Uuid::from_u128(1).to_string())));
        assert!(is(Key::Name("web-1".into())) && !is(Key::Name(Uuid::from_u128(1).to_string())));
        assert!(!is(Key::Either("web-2".into())));
    }
}
