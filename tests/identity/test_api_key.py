"""Gateway keys: recognised by form, checked against a digest, refused with the reason that the owner needs."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.identity.api_key import (
    ALPHABET,
    KEY_LENGTH,
    PREFIX,
    ApiKeyAuthenticator,
    KeyRecord,
    digest,
    key_id_of,
    mint_key,
)
from mcpgov.models import CallerScope, Headers, PrincipalKind, RequestHead

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HEADERS = ("authorization", "x-api-key")


def chooser(seed: int) -> random.Random:
    return random.Random(seed)


KEY_ID, SECRET = mint_key(chooser(1).choice)
KEY = SECRET.reveal()
OTHER_KEY = mint_key(chooser(2).choice)[1].reveal()


class MemoryKeys:
    """A KeyStore of a few records, which counts how often it is asked."""

    def __init__(self, *records: KeyRecord, broken: bool = False) -> None:
        self.records = {record.id: record for record in records}
        self.broken = broken
        self.asked: list[str] = []

    async def find(self, key_id: str) -> KeyRecord | None:
        self.asked.append(key_id)
        if self.broken:
            raise StoreUnavailable("the disk is gone")
        return self.records.get(key_id)

    async def create(self, record: KeyRecord) -> None:
        self.records[record.id] = record

    async def list(self) -> Sequence[KeyRecord]:
        return list(self.records.values())

    async def revoke(self, key_id: str, at: datetime) -> bool:
        return key_id in self.records and at > NOW

    async def rotate(self, key_id: str, new: KeyRecord, until: datetime) -> bool:
        return key_id in self.records and until > new.created_at

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        self.asked += uses


class Noted:
    """Uses that are noted in a list."""

    def __init__(self) -> None:
        self.uses: list[tuple[str, datetime]] = []

    def note(self, key_id: str, at: datetime) -> None:
        self.uses.append((key_id, at))


KEPT = KeyRecord(KEY_ID, digest(KEY), "ci-agent", "payments", NOW)


def record(**changes: Any) -> KeyRecord:
    return replace(KEPT, **changes)


def head(*fields: tuple[str, str]) -> RequestHead:
    return RequestHead("POST", "github", Headers(fields), "127.0.0.1", "127.0.0.1", NOW, "c1")


def authenticator(keys: MemoryKeys) -> ApiKeyAuthenticator:
    return ApiKeyAuthenticator(keys, HEADERS, lambda: NOW)


async def refusal(keys: MemoryKeys, *fields: tuple[str, str]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await authenticator(keys).authenticate(head(*fields))
    return caught.value


def test_a_new_key_carries_its_id_and_a_checksum_and_never_prints() -> None:
    assert KEY.startswith(PREFIX + KEY_ID)
    assert len(KEY) == KEY_LENGTH
    assert key_id_of(KEY) == KEY_ID
    assert KEY not in repr(SECRET) + str(SECRET) + f"{SECRET}"


@given(st.integers(len(PREFIX), KEY_LENGTH - 1), st.sampled_from(ALPHABET))
def test_a_key_with_one_wrong_character_is_known_for_a_typing_error(position: int, character: str) -> None:
    mistyped = KEY[:position] + character + KEY[position + 1 :]
    assert (key_id_of(mistyped) is None) == (mistyped != KEY)


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_a_key_is_accepted_in_either_header(header: str) -> None:
    value = f"Bearer {KEY}" if header == "authorization" else KEY
    principal = await authenticator(MemoryKeys(record())).authenticate(head((header, value)))
    assert (principal.id, principal.kind) == (f"key:{KEY_ID}", PrincipalKind.KEY)
    assert (principal.name, principal.project) == ("ci-agent", "payments")
    assert KEY not in repr(principal)


def test_a_gateway_key_is_recognised_by_its_form_without_asking_the_store() -> None:
    keys = MemoryKeys(record())
    assert not authenticator(keys).recognises(head())
    assert not authenticator(keys).recognises(head(("authorization", "Bearer eyJhbGciOi")))
    assert not authenticator(keys).recognises(head(("x-other", KEY)))
    assert not authenticator(keys).recognises(head(("authorization", f"Basic {KEY}")))
    assert authenticator(keys).recognises(head(("authorization", f"Bearer {OTHER_KEY}")))
    assert authenticator(keys).recognises(head(("x-api-key", "mcpgov_nonsense")))
    assert keys.asked == []


async def test_nothing_is_never_a_valid_key() -> None:
    assert (await refusal(MemoryKeys(record()))).reason is Reason.CREDENTIAL_INVALID


async def test_the_principal_has_the_scope_of_its_key() -> None:
    scope = CallerScope(("github", "team-*"), ("get_*",))
    principal = await authenticator(MemoryKeys(record(scope=scope))).authenticate(head(("x-api-key", KEY)))
    assert principal.scope == scope


async def test_a_use_is_noted_of_a_key_that_holds_and_of_no_other() -> None:
    noted = Noted()
    good = ApiKeyAuthenticator(MemoryKeys(record()), HEADERS, lambda: NOW, noted)
    await good.authenticate(head(("x-api-key", KEY)))
    for bad in (MemoryKeys(), MemoryKeys(record(revoked_at=NOW)), MemoryKeys(record(expires_at=NOW))):
        with pytest.raises(Refusal):
            await ApiKeyAuthenticator(bad, HEADERS, lambda: NOW, noted).authenticate(head(("x-api-key", KEY)))
    assert noted.uses == [(KEY_ID, NOW)]


@pytest.mark.parametrize(
    ("changes", "can"),
    [({}, True), ({"revoked_at": NOW}, False), ({"expires_at": NOW}, False), ({"replaced_by": "k2"}, False)],
)
def test_only_a_key_in_force_that_no_other_stands_for_can_be_rotated(changes: dict[str, Any], *, can: bool) -> None:
    assert record(**changes).can_be_rotated(NOW) is can


async def test_a_mistyped_key_is_refused_without_asking_the_store() -> None:
    keys = MemoryKeys(record())
    refused = await refusal(keys, ("x-api-key", KEY[:-1] + ("0" if KEY[-1] != "0" else "1")))
    assert refused.reason is Reason.CREDENTIAL_INVALID
    assert keys.asked == []


async def test_an_unknown_key_and_a_wrong_secret_are_refused_alike() -> None:
    unknown = await refusal(MemoryKeys(), ("x-api-key", KEY))
    wrong = await refusal(MemoryKeys(record(digest=digest(OTHER_KEY))), ("x-api-key", KEY))
    assert unknown.reason is wrong.reason is Reason.CREDENTIAL_INVALID
    assert unknown.message == wrong.message


async def test_the_same_key_twice_is_one_key_and_two_keys_are_ambiguous() -> None:
    both = (("authorization", f"bearer {KEY}"), ("x-api-key", KEY))
    assert (await authenticator(MemoryKeys(record())).authenticate(head(*both))).id == f"key:{KEY_ID}"
    refused = await refusal(MemoryKeys(record()), ("authorization", f"Bearer {KEY}"), ("x-api-key", OTHER_KEY))
    assert refused.reason is Reason.CREDENTIAL_AMBIGUOUS


async def test_a_revoked_key_is_refused_as_revoked() -> None:
    refused = await refusal(MemoryKeys(record(revoked_at=NOW)), ("x-api-key", KEY))
    assert refused.reason is Reason.CREDENTIAL_REVOKED


async def test_a_key_ends_at_its_expiry_and_not_before() -> None:
    soon = record(expires_at=NOW + timedelta(microseconds=1))
    assert (await authenticator(MemoryKeys(soon)).authenticate(head(("x-api-key", KEY)))).name == "ci-agent"
    refused = await refusal(MemoryKeys(record(expires_at=NOW)), ("x-api-key", KEY))
    assert refused.reason is Reason.CREDENTIAL_EXPIRED


async def test_a_store_that_is_down_refuses_rather_than_guesses() -> None:
    refused = await refusal(MemoryKeys(broken=True), ("x-api-key", KEY))
    assert refused.reason is Reason.KEYS_UNAVAILABLE
    assert "disk" not in refused.message


def test_what_is_not_of_a_keys_length_or_script_never_was_a_key() -> None:
    assert key_id_of(KEY[:-1]) is None
    assert key_id_of("ä" + KEY[1:]) is None
