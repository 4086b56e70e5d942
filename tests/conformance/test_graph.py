"""Applications and their secrets by the calls that Graph documents, sent through the pipeline that all of Microsoft's
clients share: bearer tokens by azure-identity, retries, and errors read as they read them."""

import re
import time
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
from azure.core import PipelineClient
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential

GRAPH = "https://graph.microsoft.com"
OWNED, ALL = "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"
ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Graph:
    """Graph, as one application is let in."""

    def __init__(self, application, base=GRAPH, retries=0, **options):
        password = application.password()
        credential = ClientSecretCredential(application.tenant.id, application.client_id, password.value, **options)
        bearer = BearerTokenCredentialPolicy(credential, f"{base}/.default")
        self.base = f"{base}/v1.0"
        self.client = PipelineClient(base, policies=[RetryPolicy(retry_total=retries), bearer])

    def send(self, method, path, body=None, headers=None, **parameters):
        url = path if path.startswith("https:") else self.base + path
        request = HttpRequest(method, url, json=body, headers=headers, params=parameters)
        answer = self.client.send_request(request)
        answer.raise_for_status()
        return answer

    def get(self, path, **parameters):
        return self.send("GET", path, **parameters).json()

    def add_password(self, application, body=None):
        return self.send("POST", f"/applications/{application.object_id}/addPassword", body).json()

    def remove_password(self, application, key_id):
        return self.send("POST", f"/applications/{application.object_id}/removePassword", {"keyId": key_id})


def signs_in(application, secret) -> bool:
    """By a client that has no token yet."""
    try:
        ClientSecretCredential(application.tenant.id, application.client_id, secret).get_token(f"{GRAPH}/.default")
    except ClientAuthenticationError as refused:
        assert "AADSTS7000215" in refused.message
        return False
    return True


def refusal(refused) -> tuple[int, str]:
    return refused.value.status_code, refused.value.error.code


@pytest.fixture
def operator(calm):
    return calm.operator(OWNED)


@pytest.fixture
def payments(calm, operator):
    """An application that the operator owns."""
    return calm.application(owners=[operator.principal])


@pytest.fixture
def graph(operator):
    return Graph(operator)


# Reading


def test_the_list_has_the_whole_tenant(graph, operator, payments):
    """AZURE 1.1: also what the operator does not own."""
    stranger = payments.tenant.application("stranger")
    listed = graph.get("/applications")
    assert listed["@odata.context"] == f"{GRAPH}/v1.0/$metadata#applications"
    known = {one["id"]: one["appId"] for one in listed["value"]}
    assert known == {one.object_id: one.client_id for one in (operator, payments, stranger)}


def test_an_application_is_found_by_its_client_id(graph, payments):
    found = graph.get("/applications", **{"$filter": f"appId eq '{payments.client_id}'"})["value"]
    assert [one["id"] for one in found] == [payments.object_id]
    none = graph.get("/applications", **{"$filter": f"appId eq '{uuid4()}'"})
    assert none["value"] == []


def test_only_what_is_selected_is_told(graph, payments):
    wanted = {"$filter": f"appId eq '{payments.client_id}'", "$select": "id,appId,passwordCredentials"}
    (found,) = graph.get("/applications", **wanted)["value"]
    assert found == {"id": payments.object_id, "appId": payments.client_id, "passwordCredentials": []}


def test_pages_follow_each_other_by_their_links(graph, payments):
    """The link is followed as it is, whatever is in it."""
    others = [payments.tenant.application(f"other-{number}") for number in range(5)]
    pages = [graph.get("/applications", **{"$top": 3, "$select": "id"})]
    while link := pages[-1].get("@odata.nextLink"):
        pages.append(graph.get(link))
    ids = [one["id"] for page in pages for one in page["value"]]
    assert [len(page["value"]) for page in pages] == [3, 3, 1]
    assert len(set(ids)) == 7 and {one.object_id for one in others} < set(ids)
    assert all(set(one) == {"id"} for page in pages for one in page["value"])


def test_one_application_has_two_addresses(graph, payments):
    """AZURE 1.1: the object ID, and the client ID in brackets."""
    old = payments.password(displayName="of old")
    by_object = graph.get(f"/applications/{payments.object_id}")
    by_client = graph.get(f"/applications(appId='{payments.client_id}')")
    assert by_object == by_client
    (known,) = by_object["passwordCredentials"]
    assert (known["keyId"], known["displayName"], known["secretText"]) == (old.key_id, "of old", None)
    assert known["hint"] == old.value[:3]


def test_applications_are_read_with_no_permission_but_their_own(calm):
    """AZURE 1.1: an application may read itself, and nothing else."""
    payments, other = calm.application(), calm.application("other")
    graph = Graph(payments)
    assert graph.get(f"/applications/{payments.object_id}")["appId"] == payments.client_id
    for path in ("/applications", f"/applications/{other.object_id}"):
        with pytest.raises(HttpResponseError) as refused:
            graph.get(path)
        assert refusal(refused) == (403, "Authorization_RequestDenied")


# Secrets


def test_a_secret_without_wishes_lives_two_years(graph, payments):
    """AZURE 1.2: the body may be missing, empty, or null; start is now; seven fractional digits."""
    for body in (None, {}, {"passwordCredential": None}, {"passwordCredential": {}}):
        added = graph.add_password(payments, body)
        assert added["@odata.context"].endswith("$metadata#microsoft.graph.passwordCredential")
        assert (added["displayName"], added["customKeyIdentifier"]) == (None, None)
        assert re.fullmatch(r"[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}", added["secretText"])
        assert added["hint"] == added["secretText"][:3]
        start, end = (datetime.fromisoformat(added[name]) for name in ("startDateTime", "endDateTime"))
        assert abs(datetime.now(timezone.utc) - start) < timedelta(seconds=30)
        assert end - start in (timedelta(days=730), timedelta(days=731))
        assert re.search(r"\.\d{7}Z$", added["startDateTime"])


def test_a_secret_has_the_name_and_the_end_that_were_wanted(graph, payments):
    """AZURE 1.2: and its value is told but once."""
    wanted = {"displayName": "Password friendly name", "endDateTime": "2099-12-01T00:00:00Z"}
    added = graph.add_password(payments, {"passwordCredential": wanted})
    assert {name: added[name] for name in wanted} == wanted
    (known,) = graph.get(f"/applications/{payments.object_id}")["passwordCredentials"]
    told = {name: value for name, value in added.items() if not name.startswith("@")}
    assert known == {**told, "secretText": None}


def test_a_secret_is_added_by_the_client_id_as_well(graph, payments):
    added = graph.send("POST", f"/applications(appId='{payments.client_id}')/addPassword", {}).json()
    assert signs_in(payments, added["secretText"])


def test_a_new_secret_signs_in_once_replicas_know_it(tenant, until):
    """AZURE 3: in time, whatever is asked in between; so does a removed one cease to."""
    tenant.edit(writeWindow=0)
    operator = tenant.operator(OWNED)
    graph, payments = Graph(operator), tenant.application(owners=[operator.principal])
    added = graph.add_password(payments)
    until(lambda: signs_in(payments, added["secretText"]))
    # A replica of Graph that has not heard of the secret knows none to remove.
    until(lambda: removed(graph, payments, added["keyId"]))
    until(lambda: not signs_in(payments, added["secretText"]))


def test_what_no_replica_knows_has_not_happened_yet(graph, payments):
    """AZURE 3: a new secret is refused, a removed one is accepted."""
    old = graph.add_password(payments)
    payments.tenant.edit(lag=[60_000, 60_000])
    new = graph.add_password(payments)
    graph.remove_password(payments, old["keyId"])
    assert (signs_in(payments, new["secretText"]), signs_in(payments, old["secretText"])) == (False, True)
    known = graph.get(f"/applications/{payments.object_id}")["passwordCredentials"]
    assert [one["keyId"] for one in known] == [old["keyId"]]


def removed(graph, application, key_id) -> bool:
    try:
        return graph.remove_password(application, key_id).status_code == 204
    except HttpResponseError as refused:
        assert (refused.status_code, refused.error.code) == (400, "Request_BadRequest")
        return False


def test_a_removed_secret_is_gone(graph, payments):
    """AZURE 1.2: 204 without a body, and only once."""
    added, kept = graph.add_password(payments), graph.add_password(payments)
    answer = graph.remove_password(payments, added["keyId"])
    assert (answer.status_code, answer.content) == (204, b"")
    known = graph.get(f"/applications/{payments.object_id}")["passwordCredentials"]
    assert [one["keyId"] for one in known] == [kept["keyId"]]
    assert (signs_in(payments, added["secretText"]), signs_in(payments, kept["secretText"])) == (False, True)
    with pytest.raises(HttpResponseError, match="No password credential found with keyId") as refused:
        graph.remove_password(payments, added["keyId"])
    assert refusal(refused) == (400, "Request_BadRequest")


# Refusals


def test_only_owners_write(graph, payments):
    """AZURE 1.1: with OwnedBy, the service principal must own the application; with All, it need not."""
    stranger = payments.tenant.application("stranger")
    password = stranger.password()
    for write in (graph.add_password, lambda one: graph.remove_password(one, password.key_id)):
        with pytest.raises(HttpResponseError, match="Insufficient privileges to complete the operation.") as refused:
            write(stranger)
        assert refusal(refused) == (403, "Authorization_RequestDenied")
    assert Graph(payments.tenant.operator(ALL)).add_password(stranger)["secretText"]


def test_what_is_not_there_is_not_found(graph, payments):
    payments.administer("DELETE")
    for name in (f"/{uuid4()}", f"(appId='{uuid4()}')", f"/{payments.object_id}"):
        with pytest.raises(HttpResponseError, match="does not exist or one of its queried reference") as refused:
            graph.get(f"/applications{name}")
        assert refusal(refused) == (404, "Request_ResourceNotFound")
    with pytest.raises(HttpResponseError) as refused:
        graph.add_password(payments)
    assert refusal(refused) == (404, "Request_ResourceNotFound")


def test_every_error_has_the_same_envelope(graph):
    """AZURE 1.1: code, message, and what support asks for, which is in the headers as well."""
    asked = str(uuid4())
    with pytest.raises(HttpResponseError) as refused:
        graph.send("GET", f"/applications/{uuid4()}", headers={"client-request-id": asked})
    answer = refused.value.response
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "innerError"}
    inner = error["innerError"]
    assert set(inner) == {"date", "request-id", "client-request-id"}
    assert ID.fullmatch(inner["request-id"]) and inner["request-id"] == answer.headers["request-id"]
    assert asked == inner["client-request-id"] == answer.headers["client-request-id"]
    date = datetime.fromisoformat(inner["date"]).replace(tzinfo=timezone.utc)
    assert abs(datetime.now(timezone.utc) - date) < timedelta(seconds=30)
    assert (refused.value.error.code, refused.value.error.message) == (error["code"], error["message"])


def test_a_token_for_another_audience_is_not_let_in(operator, calm):
    password = operator.password()
    credential = ClientSecretCredential(calm.id, operator.client_id, password.value)
    bearer = BearerTokenCredentialPolicy(credential, "https://vault.azure.net/.default")
    answer = PipelineClient(GRAPH, policies=[bearer]).send_request(HttpRequest("GET", f"{GRAPH}/v1.0/applications"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")


def test_secrets_are_not_patched(graph, payments):
    """AZURE 1.2: only addPassword and removePassword change them."""
    old = payments.password()
    with pytest.raises(HttpResponseError) as refused:
        graph.send("PATCH", f"/applications/{payments.object_id}", {"passwordCredentials": []})
    assert refused.value.status_code == 400
    assert signs_in(payments, old.value)
    answer = graph.send("PATCH", f"/applications/{payments.object_id}", {"notes": "rotated by keywright"})
    assert answer.status_code == 204


def test_writes_that_follow_each_other_at_once_meet(graph, payments):
    """AZURE 1.2: 409 Directory_ConcurrencyViolation."""
    payments.tenant.edit(writeWindow=60_000)
    added = graph.add_password(payments)
    with pytest.raises(HttpResponseError, match="concurrent requests") as refused:
        graph.remove_password(payments, added["keyId"])
    assert refusal(refused) == (409, "Directory_ConcurrencyViolation")


def test_personal_accounts_allow_two_secrets(graph, operator):
    """AZURE 1.2."""
    wanted = {"owners": [operator.principal], "audience": "AzureADandPersonalMicrosoftAccount"}
    payments = operator.tenant.application(**wanted)
    for _ in range(2):
        graph.add_password(payments)
    with pytest.raises(HttpResponseError, match="maximum of 2 passwords") as refused:
        graph.add_password(payments)
    assert refused.value.status_code == 400


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"passwordsBanned": True}, "CredentialTypeNotAllowedAsPerAppPolicy"),
        ({"longestLife": 3600}, "CredentialInvalidLifetimeAsPerAppPolicy"),
    ],
)
def test_policies_speak_when_a_secret_is_added(graph, payments, policy, code):
    """AZURE 1.8: what is there already goes on working."""
    old = payments.password()
    payments.tenant.edit(**policy)
    with pytest.raises(HttpResponseError) as refused:
        graph.add_password(payments)
    assert refusal(refused) == (400, code)
    assert signs_in(payments, old.value)


def test_a_throttled_call_is_repeated_when_it_may_be(operator, payments):
    """AZURE 2: 429 with Retry-After, which the pipeline obeys."""
    graph, path = Graph(operator, retries=1), f"/v1.0/applications/{payments.object_id}"
    graph.get("/applications")
    action = {"answer": {"status": 429, "retryAfter": 1}}
    with payments.tenant.azure.fault("graph", "getApplication", path, action, times=1):
        began = time.monotonic()
        assert graph.get(f"/applications/{payments.object_id}")["appId"] == payments.client_id
    assert time.monotonic() - began >= 1
    asked = payments.tenant.azure.journal("graph", "getApplication", payments.object_id)
    assert [one["status"] for one in asked] == [429, 200]


# Changes


def test_a_delta_tells_what_has_changed_since(calm):
    """AZURE 1.6: everything first, then what became of it; told twice is allowed, not told is not."""
    graph, payments = Graph(calm.operator(ALL)), calm.application()
    quiet = calm.application("quiet")
    told, link = delta(graph, "/applications/delta?$select=id,appId,passwordCredentials")
    assert {payments.object_id, quiet.object_id} < set(told)
    assert told[payments.object_id]["appId"] == payments.client_id

    added = graph.add_password(payments)
    told, link = delta(graph, link)
    assert [one["keyId"] for one in told[payments.object_id]["passwordCredentials"]] == [added["keyId"]]
    assert "displayName" not in told[payments.object_id], "the link remembers what was selected"

    payments.administer("DELETE")
    told, link = delta(graph, link)
    assert told[payments.object_id]["@removed"]["reason"] in ("changed", "deleted")
    assert delta(graph, link)[0].keys() <= {payments.object_id}


def test_a_delta_may_begin_now(calm):
    graph, payments = Graph(calm.operator(ALL)), calm.application()
    told, link = delta(graph, "/applications/delta?$deltatoken=latest")
    assert told == {}
    graph.add_password(payments)
    assert set(delta(graph, link)[0]) == {payments.object_id}


def test_a_delta_that_is_too_old_begins_anew(calm):
    graph = Graph(calm.operator(ALL))
    _, link = delta(graph, "/applications/delta")
    calm.azure.administer("POST", f"/tenants/{calm.id}/expireDeltaTokens")
    with pytest.raises(HttpResponseError) as refused:
        delta(graph, link)
    assert refused.value.status_code == 410
    assert refused.value.error.code in ("syncStateNotFound", "resyncRequired")


def delta(graph, link):
    """What is told, the latest of each, and where to go on."""
    told = {}
    while True:
        page = graph.get(link)
        told.update({one["id"]: one for one in page["value"]})
        if following := page.get("@odata.deltaLink"):
            return told, following
        link = page["@odata.nextLink"]


# Elsewhere


def test_a_custom_cloud_has_the_same_graph(azure, operator, payments):
    """Through the free endpoints; the links lead back to where one came from."""
    options = {"authority": azure.authority, "disable_instance_discovery": True}
    graph = Graph(operator, base=azure.graph, **options)
    assert graph.add_password(payments)["hint"]
    page = graph.get("/applications", **{"$top": 1})
    assert page["@odata.nextLink"].startswith(f"{azure.graph}/v1.0/applications?")
    assert len(graph.get(page["@odata.nextLink"])["value"]) == 1
