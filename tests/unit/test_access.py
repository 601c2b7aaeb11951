"""Credentials of a single workstation: one-time tokens, sessions, the API key and its file, loopback only."""

import os
from pathlib import Path

import pytest

from models.base import AccessError, ConfigError
from rag.access import MAX_SESSIONS, SESSION_S, Access, Principal, load_api_key, require_loopback

KEY = "hg-a-key-of-the-tests"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tokens() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(tokens: list[str], clock: Clock) -> Access:
    made = Access(KEY, on_token=tokens.append, clock=clock)
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


def test_token_is_refused_before_any_was_issued() -> None:
    with pytest.raises(AccessError, match="wrong or was used already"):
        Access(KEY).sign_in("")


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


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_may_be_listened_on(host: str) -> None:
    require_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", "", "localhost.example.org"])
def test_anything_else_may_not_be_listened_on(host: str) -> None:
    with pytest.raises(ConfigError, match="only this machine may reach it"):
        require_loopback(host)
