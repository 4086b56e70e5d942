//! How the certificates of an application are written: all at once, by whoever writes last (AZURE 1.4). They are a part of
//! the application, and become known with it. Pure: time is an argument.

use jiff::Timestamp;
use uuid::Uuid;

use super::Tenant;
use crate::azure::applications::{Application, Refusal};
use crate::azure::certificates::{Certificate, CertificateEntry, replaced};
use crate::azure::log::What;

impl Tenant {
    /// Puts a list in the place of an application's certificates, and tells what changes by that. It is not written yet.
    pub(crate) fn certify(
        &mut self,
        application: &mut Application,
        list: Vec<CertificateEntry>,
        now: Timestamp,
    ) -> Result<Vec<What>, Refusal> {
        let seen = self.read(application.object_id, now).ok_or(Refusal::NoSuchObject)?;
        let old = std::mem::take(&mut application.certificates);
        let new = replaced(&old, &seen.certificates, list, self.policies, now, &mut self.dice)?;
        let among = |list: &[Certificate], one: &Certificate| list.iter().any(|other| other.key_id == one.key_id);
        let removed = old.iter().filter(|one| !among(&new, one)).map(|one| What::Removed(one.key_id));
        let added = new.iter().filter(|one| !among(&old, one)).map(|one| What::Certified(one.clone()));
        let changes: Vec<What> = removed.chain(added).collect();
        application.certificates = new;
        if application.is_too_large() && changes.iter().any(|what| matches!(what, What::Certified(_))) {
            return Err(Refusal::TooLarge);
        }
        Ok(changes)
    }

    /// Every certificate that the application ever had.
    pub(crate) fn certified(&self, client_id: Uuid) -> impl Iterator<Item = &Certificate> {
        let of_it = self.log.iter().filter(move |change| change.client_id == client_id);
        of_it.filter_map(|change| match &change.what {
            What::Certified(certificate) => Some(certificate),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::tests::{CLIENT, OPERATOR, PAYMENTS, at, tenant};
    use super::*;
    use crate::azure::SelfSigned;
    use crate::azure::certificates::Unsound;

    /// As everybody writes a list: what was read, and one more.
    fn patch(tenant: &mut Tenant, kept: &[Uuid], new: &SelfSigned, second: i64) -> Result<Uuid, Refusal> {
        let mut application = Application::clone(&*tenant.claim(PAYMENTS, at(second))?);
        let kept = kept.iter().map(|id| CertificateEntry { key_id: Some(*id), ..CertificateEntry::default() });
        let changes = tenant.certify(&mut application, kept.chain([new.entry("new")]).collect(), at(second))?;
        let added = application.certificates.last().map(|one| one.key_id);
        tenant.write_all(application, OPERATOR, changes, at(second));
        Ok(added.unwrap())
    }

    fn made() -> SelfSigned {
        SelfSigned::new("payments", at(0), at(0) + SignedDuration::from_hours(24)).unwrap()
    }

    fn seen(tenant: &mut Tenant, second: i64) -> Vec<Uuid> {
        tenant.read(PAYMENTS, at(second)).unwrap().certificates.iter().map(|one| one.key_id).collect()
    }

    /// AZURE 1.4: two who read before either wrote; AZURE 3: reads and sign-ins lag.
    #[test]
    fn the_last_writer_has_the_last_word_and_an_update_is_lost() {
        let mut tenant = tenant();
        let (old, ours, theirs) = (made(), made(), made());
        let old = patch(&mut tenant, &[], &old, 0).unwrap();
        assert!(seen(&mut tenant, 3).is_empty());
        assert_eq!(patch(&mut tenant, &[old], &ours, 3), Err(Refusal::Unsound(Unsound::NoKey)));
        let ours = patch(&mut tenant, &[old], &ours, 20).unwrap();
        assert_eq!(patch(&mut tenant, &[old], &theirs, 20), Err(Refusal::Concurrency));
        let new = patch(&mut tenant, &[old], &theirs, 40).unwrap();
        assert_eq!(seen(&mut tenant, 60), [old, new]);
        assert_eq!(tenant.for_sign_in(CLIENT, at(60)).unwrap().certificates.len(), 2);
        let told: Vec<&What> = tenant.log.iter().skip(1).map(|change| &change.what).collect();
        let [What::Certified(_), What::Certified(_), What::Removed(lost), What::Certified(added)] = told[..] else {
            panic!("{told:?}")
        };
        assert_eq!((*lost, added.key_id), (ours, new));
    }

    /// AZURE 1.2: a thousand entries in all collections; who only takes some away may do so.
    #[test]
    fn an_application_that_is_full_takes_no_more() {
        let mut tenant = tenant();
        let made = made();
        let mut application = Application::clone(&tenant.truth(PAYMENTS).unwrap());
        application.properties.insert("tags".into(), vec!["tag"; 999].into());
        let list = |count: usize| (0..count).map(|_| made.entry("new")).collect::<Vec<_>>();
        assert_eq!(tenant.certify(&mut application.clone(), list(1), at(0)).unwrap().len(), 1);
        assert_eq!(tenant.certify(&mut application, list(2), at(0)).unwrap_err(), Refusal::TooLarge);
    }
}
