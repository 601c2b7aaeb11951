"""Files become the rows of a run: read, encoded, split; everything that is wrong with them is said at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetune import files
from finetune.config import TrainConfig
from finetune.encode import Row, encode
from finetune.examples import Example
from finetune.files import BadRow
from finetune.scores import Score
from models.base import InputError
from models.tokenizer import ChatTokenizer

logger = logging.getLogger(__name__)

LEAST_ROWS = 10
"""The gate concludes nothing from fewer held-out rows."""

LISTED = 100
"""So many bad rows are listed in a message; a file of another form would fill the screen for minutes."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    The rows of a run, and what was found in the files.

    Attributes:
        train: what is learnt.
        held_out: what is judged; at most ``gate.rows``, drawn from all that there are.
        bad: rows that were skipped.
        duplicates: places of training rows that are word for word the same.
        leaks: pairs of places, training and held out, that ask the same.
        data_sha256: of all files.
    """

    train: tuple[Row, ...]
    held_out: tuple[Row, ...]
    bad: tuple[BadRow, ...]
    duplicates: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, str], ...]
    data_sha256: str

    @property
    def rows_sha256(self) -> str:
        """SHA-256 of what is learnt and what is judged, row by row: the same only for the same split."""
        digest = hashlib.sha256()
        for rows in (self.train, self.held_out):
            for row in rows:
                digest.update(row.ids.tobytes() + row.learnt.tobytes())
            digest.update(b"|")
        return digest.hexdigest()

    @property
    def has_context(self) -> bool:
        """Whether passages were retrieved for any of the examples."""
        return any(row.example.sources is not None for row in self.train)


def prepare(
    config: TrainConfig, tokenizer: ChatTokenizer, max_length: int, score: Score | None, *, skip_bad_rows: bool
) -> Prepared:
    """
    Read and encode a run's files.

    Args:
        config: which files, and how they are split.
        tokenizer: of the base model.
        max_length: most tokens of a row.
        score: held-out answers must be such as it can score.
        skip_bad_rows: go on without the rows that cannot be used.

    Raises:
        InputError: rows cannot be used, all of them named; or too few are left.
    """
    read = files.read(config.data.train)
    train, bad = _encoded(read.usable, tokenizer, max_length)
    bad = [*read.bad, *bad]
    if config.data.eval is None:
        train, held_out = _split(train, config)
    else:
        also = files.read(config.data.eval)
        held_out, worse = _encoded(also.usable, tokenizer, max_length)
        bad += [*also.bad, *worse]
    if score:
        problems = [score.problem(row.example.answer) for row in held_out]
        bad += [BadRow(row.place, problem) for row, problem in zip(held_out, problems, strict=True) if problem]
        held_out = [row for row, problem in zip(held_out, problems, strict=True) if not problem]
    if bad and not skip_bad_rows:
        raise InputError(_listed(bad))
    if not train or not held_out:
        raise InputError(
            f"{len(train)} rows are left to train on and {len(held_out)} to judge by; both need some. "
            f"{len(bad)} could not be used."
        )
    prepared = Prepared(
        train=tuple(train),
        held_out=tuple(_sample(held_out, config)),
        bad=tuple(bad),
        duplicates=tuple(tuple(group) for group in files.duplicates([row.example for row in train])),
        leaks=tuple(files.leaks([row.example for row in train], [row.example for row in held_out])),
        data_sha256=_sha256(config),
    )
    _warn(prepared)
    return prepared


def _sha256(config: TrainConfig) -> str:
    parts = files.sha256(config.data.train) + files.sha256(config.data.eval or [])
    return hashlib.sha256(parts.encode()).hexdigest()


def _encoded(examples: Sequence[Example], tokenizer: ChatTokenizer, max_length: int) -> tuple[list[Row], list[BadRow]]:
    rows, bad = [], []
    for example in examples:
        try:
            rows.append(encode(example, tokenizer, max_length))
        except InputError as error:
            bad.append(BadRow(example.place, str(error)))
    return rows, bad


def _split(rows: Sequence[Row], config: TrainConfig) -> tuple[list[Row], list[Row]]:
    """Hold a share of the rows out; those that ask the same go to the same side."""
    wanted = min(max(round(config.data.eval_share * len(rows)), LEAST_ROWS), config.gate.rows, len(rows) // 2)
    asked = [files.asked(row.example) for row in rows]
    questions = list(dict.fromkeys(asked))
    held: set[str] = set()
    taken = 0
    for place in np.random.default_rng([config.seed, 1]).permutation(len(questions)).tolist():
        if taken >= wanted:
            break
        held.add(questions[place])
        taken += asked.count(questions[place])
    train = [row for row, question in zip(rows, asked, strict=True) if question not in held]
    return train, [row for row, question in zip(rows, asked, strict=True) if question in held]


def _sample(rows: Sequence[Row], config: TrainConfig) -> list[Row]:
    chosen = np.random.default_rng([config.seed, 2]).permutation(len(rows))[: config.gate.rows]
    return [rows[number] for number in np.sort(chosen).tolist()]


def _listed(bad: Sequence[BadRow]) -> str:
    lines = [f"{len(bad)} rows cannot be used; correct them, or leave them out with --skip-bad-rows:"]
    lines += [f"  {row}" for row in bad[:LISTED]]
    if len(bad) > LISTED:
        lines.append(f"  and {len(bad) - LISTED} more")
    return "\n".join(lines)


def _warn(prepared: Prepared) -> None:
    if prepared.bad:
        logger.warning("%d rows are skipped, for example %s", len(prepared.bad), prepared.bad[0])
    if prepared.duplicates:
        spare = sum(len(group) - 1 for group in prepared.duplicates)
        logger.warning("%d rows repeat others, for example %s", spare, " and ".join(prepared.duplicates[0]))
    if prepared.leaks:
        logger.warning(
            "%d held-out rows ask what a training row asks, so the gate sees too good a result, for example %s",
            len(prepared.leaks),
            " and ".join(prepared.leaks[0]),
        )
    if len(prepared.held_out) < LEAST_ROWS:
        logger.warning(
            "%d held-out rows are too few: the gate needs %d to conclude anything, so the adapter will not pass",
            len(prepared.held_out),
            LEAST_ROWS,
        )
    short = sum(row.left_out > 0 for row in prepared.train)
    if short:
        logger.warning("%d rows were too long and lost distractors or earlier turns", short)
