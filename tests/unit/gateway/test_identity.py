"""Tokens: shown once, stored as digests, refused when wrong, revoked or of another kind."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from general_level import errors
from services.gateway import identity
from services.gateway.identity import Authenticator, Identity
from services.kit.clock import ManualClock
from tests.support.gateway import START, open_database

pytestmark = pytest.mark.usefixtures("rows")


@pytest.fixture
def database(tmp_path):
    with open_database(tmp_path) as database:
        yield database


@pytest.fixture
def connection(database):
    with database.write() as connection:
        yield connection


@pytest.fixture
def lab_id(connection):
    return identity.create_lab(connection, START, "Example Lab")


def test_a_token_tells_its_owner(connection, lab_id):
    token = identity.create_token(connection, START, "lab", lab_id=lab_id)
    found = identity.identify(connection, token.reveal())
    assert found == Identity("lab", found.token_id, lab_id, "")
    grader = identity.create_token(connection, START, "grader", modality="image")
    assert identity.identify(connection, grader.reveal()).modality == "image"


def test_the_secret_is_nowhere_in_the_database(tmp_path, rows):
    with open_database(tmp_path) as database:
        with database.write() as connection:
            token = identity.create_token(connection, START, "ranker", label="the ranker")
        secret = token.reveal().rpartition("_")[2]
    assert len(secret) == 64
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    if rows.postgres is not None:
        stored = rows.postgres.dump(rows.rows_url(tmp_path))
    assert b"the ranker" in stored
    assert secret.encode() not in stored
    assert secret not in repr(token)


def test_two_tokens_differ(connection):
    made = {identity.create_token(connection, START, "ranker").reveal() for _ in range(5)}
    assert len(made) == 5


def test_a_wrong_secret_and_an_unknown_id_are_answered_alike(connection, lab_id):
    token = identity.create_token(connection, START, "lab", lab_id=lab_id).reveal()
    other = "0" if token[-1] != "0" else "1"
    said = set()
    for wrong in (token[:-1] + other, re.sub("tok_.", "tok_z", token)):
        with pytest.raises(errors.NotAuthenticated) as caught:
            identity.identify(connection, wrong)
        said.add((str(caught.value), str(caught.value.metadata)))
    assert len(said) == 1


@pytest.mark.parametrize(
    "text",
    ["", "glt_", "glt__", "Bearer x", "glt_tok_1_2", "x" * 10_000, "glt_' or 1=1 --", "☀"],
    ids=lambda text: text[:12],
)
def test_what_is_no_token_is_refused(connection, text):
    with pytest.raises(errors.NotAuthenticated):
        identity.identify(connection, text)


@pytest.mark.parametrize("spoil", [str.upper, lambda t: t + "\n", lambda t: t + "0"])
def test_a_token_is_taken_only_letter_for_letter(connection, spoil):
    token = identity.create_token(connection, START, "ranker").reveal()
    with pytest.raises(errors.NotAuthenticated):
        identity.identify(connection, spoil(token))


def test_a_revoked_token_ends_at_once_and_only_it(connection):
    ended, kept = (identity.create_token(connection, START, "ranker").reveal() for _ in range(2))
    token_id = identity.identify(connection, ended).token_id
    identity.revoke_token(connection, START + timedelta(days=1), token_id)
    with pytest.raises(errors.NotAuthenticated, match="revoked"):
        identity.identify(connection, ended)
    assert identity.identify(connection, kept).kind == "ranker"


def test_only_a_live_token_can_be_revoked(connection):
    token = identity.create_token(connection, START, "ranker").reveal()
    token_id = identity.identify(connection, token).token_id
    identity.revoke_token(connection, START, token_id)
    for gone in (token_id, "tok_none"):
        with pytest.raises(errors.NotFound):
            identity.revoke_token(connection, START, gone)


def test_the_list_tells_all_but_the_secret(connection, lab_id):
    identity.create_token(connection, START, "lab", lab_id=lab_id, label="first")
    later = START + timedelta(hours=1)
    identity.create_token(connection, later, "grader", modality="3d", label="second")
    first, second = identity.list_tokens(connection)
    assert (first.kind, first.lab_name, first.label) == ("lab", "Example Lab", "first")
    assert (second.kind, second.modality, second.lab_name) == ("grader", "3d", "")
    assert (first.create_time, second.create_time) == (START, later)
    assert first.revoke_time is None


def test_a_labs_name_is_taken_once(connection, lab_id):
    with pytest.raises(errors.AlreadyExists):
        identity.create_lab(connection, START, "Example Lab")
    assert identity.find_lab(connection, "Example Lab") == lab_id
    with pytest.raises(errors.NotFound):
        identity.find_lab(connection, "Another Lab")


class Call:
    """What of a gRPC call the authenticator reads."""

    def __init__(self, *metadata: tuple[str, str | bytes]) -> None:
        self._metadata = metadata

    def invocation_metadata(self):
        return self._metadata or None


@pytest.fixture
def token(database):
    with database.write() as connection:
        return identity.create_token(connection, START, "ranker").reveal()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_is_read_from_the_authorization_metadata(database, token, scheme):
    call = Call(("x-other", "1"), ("authorization", f"{scheme} {token}"))
    assert (
        await Authenticator(database, ManualClock(START)).require(call, "ranker")
    ).kind == "ranker"


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("x-other", "1"),),
        (("authorization", ""),),
        (("authorization", "Bearer"),),
        (("authorization", "Basic dXNlcjpwYXNz"),),
        (("authorization", b"Bearer \xff\xfe"),),
    ],
)
async def test_a_call_without_a_usable_token_is_refused(database, metadata):
    with pytest.raises(errors.NotAuthenticated):
        await Authenticator(database, ManualClock(START)).require(Call(*metadata), "lab")


async def test_a_token_of_another_kind_is_refused_without_its_id(database, token):
    call = Call(("authorization", f"Bearer {token}"))
    with pytest.raises(errors.NotPermitted) as caught:
        await Authenticator(database, ManualClock(START)).require(call, "lab")
    assert token.split("_")[2] not in f"{caught.value}{caught.value.metadata}"
