"""Credentials: one-time tokens, sessions, passwords, keys and the terminal's key file; where may be listened."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.base import AccessError, ConfigError, InputError
from rag.access import SESSION_S, Access, Level, Principal, load_api_key
from rag.access.attempts import MOST_FAILURES, WINDOW_S, Rate
from rag.access.credentials import MAX_SESSIONS, new_key
from rag.access.passwords import hashed, matches
from rag.access.reach import require_safe
from rag.config import ServerSettings
from rag.store import Store
from rag.store.people import People

KEY = "hg-a-key-of-the-tests"


class Clock:
    def __init__(self) -> None:
        self.now = time.time() + 60

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tokens() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    store = Store(tmp_path / "store")
    yield store.people
    store.close()


@pytest.fixture
def access(tokens: list[str], clock: Clock, people: People) -> Access:
    made = Access(KEY, people, on_token=tokens.append, clock=clock)
    made.issue_token()
    return made


def test_token_signs_in_once_and_the_next_is_announced(access: Access, tokens: list[str]) -> None:
    session = access.sign_in(tokens[0])
    assert access.authenticate(None, session) == Principal("page", by_cookie=True)
    assert len(tokens) == 2
    with pytest.raises(AccessError, match="wrong or was used already"):
        access.sign_in(tokens[0])
    assert access.sign_in(tokens[1]) != session


@pytest.mark.parametrize("token", ["", "x", "é", "\udc80", "0" * 500])
def test_token_that_is_wrong_is_refused_and_uses_nothing_up(access: Access, tokens: list[str], token: str) -> None:
    with pytest.raises(AccessError, match="open the newest one"):
        access.sign_in(token)
    assert len(tokens) == 1
    assert access.sign_in(tokens[0])


def test_token_is_refused_before_any_was_issued(people: People) -> None:
    with pytest.raises(AccessError, match="wrong or was used already"):
        Access(KEY, people).sign_in("")


def test_session_ends_with_sign_out(access: Access, tokens: list[str]) -> None:
    first, second = access.sign_in(tokens[0]), access.sign_in(tokens[1])
    access.sign_out(first)
    assert access.authenticate(None, first) is None
    assert access.authenticate(None, second)


def test_session_ends_with_its_time(access: Access, tokens: list[str], clock: Clock) -> None:
    session = access.sign_in(tokens[0])
    clock.now += SESSION_S - 1
    assert access.authenticate(None, session)
    clock.now += 1
    assert access.authenticate(None, session) is None


def test_sessions_are_bounded_and_the_oldest_goes(access: Access, tokens: list[str], clock: Clock) -> None:
    sessions = []
    for _ in range(MAX_SESSIONS + 1):
        clock.now += 1
        sessions.append(access.sign_in(tokens[-1]))
    assert access.authenticate(None, sessions[0]) is None
    assert all(access.authenticate(None, session) for session in sessions[1:])


def test_key_names_a_program(access: Access) -> None:
    assert access.authenticate(f"Bearer {KEY}", None) == Principal("program", by_cookie=False)
    assert access.authenticate(f"bearer {KEY}", None)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer x{KEY}", KEY])
def test_authorization_that_is_wrong_is_refused_even_beside_a_session(
    access: Access, tokens: list[str], header: str
) -> None:
    session = access.sign_in(tokens[0])
    assert access.authenticate(header, session) is None


def test_nothing_sent_is_nobody(access: Access) -> None:
    assert access.authenticate(None, None) is None
    assert access.authenticate(None, "made-up") is None


def test_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    key, is_new = load_api_key(tmp_path, None)
    assert is_new
    assert len(key) > 40
    assert load_api_key(tmp_path, None) == (key, False)
    if os.name == "posix":
        assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600


def test_key_of_the_environment_wins_and_is_not_stored(tmp_path: Path) -> None:
    assert load_api_key(tmp_path, "a-key-from-outside") == ("a-key-from-outside", False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["", "short", "x" * 513, "with\nline break inside", "schlüssel-schlüssel"])
def test_key_that_is_unfit_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=r"HOMEGROUND_API_KEY has \d+ characters; expected 16 to 512"):
        load_api_key(tmp_path, key)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has these rights")
def test_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_api_key(tmp_path, None)
    (tmp_path / "api-key").chmod(0o644)
    with pytest.raises(ConfigError, match=r"others on this machine can read it \(-rw-r--r--\); delete it"):
        load_api_key(tmp_path, None)


PASSWORD = "correct horse battery"


def test_password_is_kept_as_a_hash_and_found_again() -> None:
    known = hashed(PASSWORD)
    assert known.startswith("$argon2id$")
    assert PASSWORD not in known
    assert matches(PASSWORD, known)
    assert not matches(PASSWORD + "x", known)
    assert not matches(PASSWORD, None)
    assert not matches("", "")


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_password_of_another_length_is_refused(password: str) -> None:
    with pytest.raises(InputError, match="10 to 1024 characters"):
        hashed(password)


def test_user_signs_in_and_is_read_again_at_each_request(access: Access, people: People) -> None:
    people.add_user("ann", hashed(PASSWORD), is_admin=False)
    session = access.sign_in_user("ann", PASSWORD, "10.0.0.1")
    found = access.authenticate(None, session)
    assert found is not None
    assert (found.name, found.shown, found.by_cookie, found.is_admin) == ("user:ann", "ann", True, False)
    people.change_user("ann", is_admin=True)
    assert (again := access.again(found))
    assert again.is_admin
    people.change_user("ann", is_suspended=True)
    assert access.authenticate(None, session) is None
    assert access.again(found) is None


@pytest.mark.parametrize("change", [{"is_suspended": True}, {"password": "$argon2id$other"}, None])
def test_session_ends_with_what_it_was_begun_by(
    access: Access, people: People, clock: Clock, change: dict[str, Any] | None
) -> None:
    people.add_user("ann", hashed(PASSWORD), is_admin=False)
    clock.now = time.time()
    session = access.sign_in_user("ann", PASSWORD, "10.0.0.1")
    assert access.authenticate(None, session)
    if change is None:
        people.remove_user("ann")
    else:
        people.change_user("ann", **change)
    assert access.authenticate(None, session) is None
    if change == {"is_suspended": True}:
        people.change_user("ann", is_suspended=False)
        assert access.authenticate(None, session) is None


def test_wrong_passwords_are_refused_alike_and_after_ten_for_a_while(
    access: Access, people: People, clock: Clock
) -> None:
    people.add_user("ann", hashed(PASSWORD), is_admin=False)
    people.add_user("bob", "", is_admin=False)
    for name in ("ann", "nobody", "bob"):
        with pytest.raises(AccessError, match="the name or the password is wrong"):
            access.sign_in_user(name, "wrong", "10.0.0.1")
    for number in range(MOST_FAILURES - 1):
        with pytest.raises(AccessError, match="the name or the password is wrong"):
            access.sign_in_user("ann", "wrong", f"10.0.1.{number}")
    with pytest.raises(AccessError, match="wait five minutes"):
        access.sign_in_user("ann", PASSWORD, "10.0.2.1")
    clock.now += WINDOW_S + 1
    assert access.sign_in_user("ann", PASSWORD, "10.0.2.1")


def test_key_limits_its_user_and_ends_when_it_is_taken_back(access: Access, people: People, clock: Clock) -> None:
    people.add_user("ann", "", is_admin=True)
    key, digest = new_key()
    kept = people.add_key("ann", digest, "scripts", Level.READ, ["handbook"], clock.now + 60)
    found = access.authenticate(f"Bearer {key}", None)
    assert found is not None
    assert (found.shown, found.level, found.collections) == ("ann", Level.READ, frozenset({"handbook"}))
    assert not found.is_admin
    clock.now += 60
    assert access.authenticate(f"Bearer {key}", None) is None
    clock.now -= 1
    people.remove_key(kept.id)
    assert access.again(found) is None


def test_requests_are_counted_for_each_principal_apart() -> None:
    clock = Clock()
    rate = Rate(60, clock)
    assert [rate.take("a") for _ in range(60)] == [0.0] * 60
    assert rate.take("a") == pytest.approx(1.0)
    assert rate.take("b") == 0
    clock.now += 1
    assert rate.take("a") == 0
    assert rate.take("a") > 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_may_be_listened_on(host: str) -> None:
    require_safe(ServerSettings(host=host), has_users=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", "", "localhost.example.org"])
def test_anything_else_may_be_listened_on_with_users_and_encryption_only(host: str) -> None:
    with pytest.raises(ConfigError, match="there are no users, so only this machine may reach it"):
        require_safe(ServerSettings(host=host), has_users=False)
    with pytest.raises(ConfigError, match="without encryption"):
        require_safe(ServerSettings(host=host), has_users=True)
    require_safe(ServerSettings(host=host, plain_http=True), has_users=True)
    require_safe(ServerSettings(host=host, certificate=Path("c"), private_key=Path("k")), has_users=True)


def test_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="belong together"):
        require_safe(ServerSettings(certificate=Path("c")), has_users=True)
