"""The text side of decoding: choosing, detokenising and stopping, without a model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from models.base import SamplingParams
from models.decoding import Detokenizer, StopStrings, choose, choose_opening

_LOGITS = np.log(np.array([0.1, 0.5, 0.15, 0.25], dtype=np.float32))


def _bytes(ids: Sequence[int]) -> str:
    """Decode as a byte-level tokenizer does."""
    return bytes(ids).decode(errors="replace")


def _draws(params: SamplingParams, count: int = 2000) -> np.ndarray:
    source = np.random.default_rng(params.seed)
    chosen = [choose(_LOGITS, params, source)[0] for _ in range(count)]
    return np.bincount(chosen, minlength=4) / count


def test_choose_takes_the_likeliest_when_greedy() -> None:
    chosen, logprob = choose(_LOGITS, SamplingParams(), np.random.default_rng())
    assert chosen == 1
    assert logprob == pytest.approx(math.log(0.5))


def test_choose_draws_by_probability() -> None:
    assert _draws(SamplingParams(temperature=1.0, seed=1)) == pytest.approx([0.1, 0.5, 0.15, 0.25], abs=0.04)


def test_choose_sharpens_with_a_low_temperature() -> None:
    squared = np.array([0.1, 0.5, 0.15, 0.25]) ** 2
    assert _draws(SamplingParams(temperature=0.5, seed=1)) == pytest.approx(squared / squared.sum(), abs=0.04)


def test_choose_is_greedy_at_a_vanishing_temperature() -> None:
    assert _draws(SamplingParams(temperature=1e-300, seed=1), count=20) == pytest.approx([0, 1, 0, 0])


def test_choose_draws_from_the_nucleus_only() -> None:
    assert _draws(SamplingParams(temperature=1.0, top_p=0.7, seed=1)) == pytest.approx([0, 2 / 3, 0, 1 / 3], abs=0.04)


def test_choose_keeps_the_best_token_at_a_vanishing_top_p() -> None:
    assert _draws(SamplingParams(temperature=1.0, top_p=1e-9, seed=1), count=20) == pytest.approx([0, 1, 0, 0])


def test_choose_reports_the_probability_before_temperature() -> None:
    params = SamplingParams(temperature=3.0, top_p=0.9, seed=4)
    chosen, logprob = choose(_LOGITS, params, np.random.default_rng(4))
    assert logprob == pytest.approx(float(_LOGITS[chosen]))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_opening_is_taken_from_its_threshold_on_and_never_below(temperature: float) -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))

    def chosen(opening: int, threshold: float | None) -> set[int]:
        params = SamplingParams(temperature=temperature, opening_from=threshold)
        draws = [choose_opening(logits, params, np.random.default_rng(seed), opening) for seed in range(50)]
        assert all(likely == pytest.approx(float(logits[opening])) for *_, likely in draws)
        assert all(probability == pytest.approx(float(logits[token])) for token, probability, _ in draws)
        return {token for token, *_ in draws}

    assert chosen(2, 0.19) == {2}
    assert chosen(0, 0.51) == ({1, 2} if temperature else {1})
    assert chosen(1, None) == ({0, 1, 2} if temperature else {0})


def test_choose_reports_a_value_that_is_not_a_number() -> None:
    broken = np.array([0.0, np.nan, 1.0], dtype=np.float32)
    assert math.isnan(choose(broken, SamplingParams(), np.random.default_rng())[1])


@given(st.text())
def test_detokenizer_never_shows_half_a_character(text: str) -> None:
    detokenizer = Detokenizer(_bytes)
    pieces = [detokenizer.push(byte) for byte in text.encode()]
    assert all(piece == "" or piece in text for piece in pieces)
    assert "".join(pieces) + detokenizer.flush() == text


@given(st.binary())
def test_detokenizer_pieces_join_to_the_whole_decoding(data: bytes) -> None:
    detokenizer = Detokenizer(_bytes)
    assert "".join(map(detokenizer.push, data)) + detokenizer.flush() == _bytes(data)


def test_detokenizer_shows_a_character_that_never_came_at_the_end() -> None:
    detokenizer = Detokenizer(_bytes)
    assert [detokenizer.push(byte) for byte in "é".encode()[:1]] == [""]
    assert detokenizer.flush() == "\ufffd"


@pytest.fixture(scope="module")
def byte_fallback() -> Tokenizer:
    """A tokenizer of the SentencePiece kind: spaces as part of words, rare characters as bytes, control tokens."""
    table = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abc", "▁a", "▁ab", "abc", "▁▁"]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(table)}, [], byte_fallback=True))
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


@given(words=st.lists(st.one_of(st.just(1), st.integers(258, 265), st.characters(codec="utf-8"))))
def test_detokenizer_joins_to_the_whole_decoding_with_byte_fallback(
    byte_fallback: Tokenizer, words: list[int | str]
) -> None:
    ids = [i for word in words for i in ([word] if isinstance(word, int) else [2 + byte for byte in word.encode()])]
    detokenizer = Detokenizer(lambda some: byte_fallback.decode(list(some)))
    pieces = [detokenizer.push(i) for i in ids]
    assert "".join(pieces) + detokenizer.flush() == byte_fallback.decode(ids)


_LETTERS = st.text(alphabet="ab", max_size=12)


@given(pieces=st.lists(_LETTERS), stops=st.lists(_LETTERS.filter(bool), max_size=3))
def test_stop_strings_do_not_depend_on_how_the_text_is_cut(pieces: list[str], stops: list[str]) -> None:
    def shown(parts: Sequence[str]) -> tuple[str, bool]:
        filtered, text = StopStrings(stops), ""
        for part in parts:
            text += filtered.push(part)
            if filtered.found:
                return text, True
        return text + filtered.flush(), False

    whole = "".join(pieces)
    text, found = shown(pieces)
    assert (text, found) == shown(list(whole))
    assert whole.startswith(text)
    assert found == any(stop in whole for stop in stops)
    assert not any(stop in text for stop in stops)


def test_stop_strings_hold_back_only_a_possible_beginning() -> None:
    stops = StopStrings(["END"])
    assert [stops.push(piece) for piece in ("the E", "N", "d EN", "D more")] == ["the ", "", "ENd ", ""]
    assert stops.found


def test_stop_strings_refuse_an_empty_one() -> None:
    with pytest.raises(ValueError, match="a stop string is empty"):
        StopStrings(["a", ""])
