"""How many threads read a token, by what tokens took."""

from models.pace import LONGEST, SLOW, SPELL, Pace


def told(pace: Pace, tokens: int, together: float, alone: float) -> list[int]:
    """Let tokens take so many seconds by four threads and by one; return how many threads read each."""
    found = []
    for _ in range(tokens):
        found.append(pace.threads)
        pace.took(alone if pace.threads == 1 else together)
    return found


def test_all_threads_read_as_long_as_they_are_sooner() -> None:
    assert set(told(Pace(4, 2.0), 100, together=1.0, alone=2.0)) == {4}


def test_a_single_slow_token_changes_nothing() -> None:
    pace = Pace(4, 2.0)
    for seconds in (1.0, 9.0, 1.0, 9.0, 1.0):
        pace.took(seconds)
    assert pace.threads == 4


def test_one_reads_on_alone_after_all_took_longer_and_ever_longer_after_vain_trials() -> None:
    pace = Pace(4, 2.0)
    expected = [4] * SLOW + [1] * SPELL + [4] + [1] * 2 * SPELL + [4] + [1] * LONGEST + [4] + [1] * LONGEST + [4]
    assert told(pace, len(expected), together=9.0, alone=2.0) == expected


def test_all_read_again_after_the_others_are_gone() -> None:
    pace = Pace(4, 2.0)
    told(pace, 200, together=9.0, alone=2.0)
    assert 4 in told(pace, 200, together=1.0, alone=2.0)
    assert set(told(pace, 50, together=1.0, alone=2.0)) == {4}
    assert told(pace, SLOW + 1, together=9.0, alone=2.0) == [4] * SLOW + [1]
    assert told(pace, SPELL, together=1.0, alone=2.0)[-1] == 4  # the spell is a short one again


def test_longer_conversations_are_not_taken_for_others_programs() -> None:
    pace = Pace(4, 2.0)
    assert told(pace, 50, together=3.0, alone=6.0) == [4] * SLOW + [1] + [4] * (49 - SLOW)


def test_one_thread_is_all_there_is() -> None:
    assert set(told(Pace(1, 2.0), 50, together=3.0, alone=3.0)) == {1}
