//! What is said about a tenant.

use super::*;

fn tenant_seen(spec: &serde_json::Value) -> TenantObservation {
    let object = json!({"metadata": {"name": "default", "generation": 2}, "spec": spec});
    TenantObservation { tenant: serde_json::from_value(object).unwrap(), reached: None, care: None, braked: None }
}

#[test]
fn a_tenant_that_was_not_tried_yet_says_so() {
    let report = tenant::report(&tenant_seen(&json!({"tenantId": OTHER})), MORNING);
    let ready = crate::api::conditions::find(&report.status.conditions, READY).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("Unknown", "Idle"));
}

#[test]
fn a_tenant_whose_defaults_nobody_may_use_is_refused() {
    let seen = tenant_seen(&json!({"tenantId": OTHER, "defaults": {"validity": "200d"}}));
    assert_eq!(tenant::report(&seen, MORNING).events[0].reason, Reason::InvalidPolicy);
    let raised = json!({"tenantId": OTHER, "defaults": {"validity": "200d"}, "limits": {"maxValidity": "200d"}});
    assert_eq!(tenant::report(&tenant_seen(&raised), MORNING).events[0].reason, Reason::Idle);
}

#[test]
fn a_tenant_from_another_version_says_so() {
    let seen = tenant_seen(&json!({"tenantId": OTHER, "cloud": "Moon"}));
    assert_eq!(tenant::report(&seen, MORNING).events[0].reason, Reason::SpecUndecodable);
}

#[test]
fn a_tenant_tells_what_is_cared_for_in_it_and_until_when_it_is_left_alone() {
    let mut seen = tenant_seen(&json!({"tenantId": OTHER}));
    seen.care = Some(Care { applications: 3, credentials: 2, nearest_expiry: Some(MORNING) });
    let told = tenant::report(&seen, MORNING).status;
    assert_eq!(
        (told.applications, told.credentials, told.nearest_expiry.clone().map(|time| time.0)),
        (Some(3), Some(2), Some(MORNING))
    );
    let asked = Trouble {
        retry_after: Some(Duration::from_secs(150)),
        ..Trouble::unsent(Service::Graph, Reason::Throttled, "too many".into(), "wait")
    };
    seen.tenant.status = Some(told);
    (seen.care, seen.reached) = (None, Some(Looked { at: MORNING, found: Err(asked) }));
    let told = tenant::report(&seen, MORNING).status;
    assert_eq!(
        (told.applications, told.credentials, told.nearest_expiry.map(|time| time.0)),
        (Some(3), Some(2), Some(MORNING)),
        "an operator that does not see all of it says nothing else"
    );
    assert_eq!(told.throttled_until.unwrap().0, MORNING + SignedDuration::from_secs(150));
}

#[test]
fn a_tenant_whose_default_window_never_opens_says_so_itself() {
    let windows = json!([{"schedule": "0 2 30 2 *", "duration": "1h"}]);
    let seen = tenant_seen(&json!({"tenantId": OTHER, "defaults": {"windows": windows}}));
    let told = &tenant::report(&seen, MORNING).events[0];
    assert_eq!(told.reason, Reason::InvalidPolicy);
    assert!(told.note.contains("spec.defaults.windows[0].schedule"), "{}", told.note);
}
