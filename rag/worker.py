"""
The generation queue: slots that run the model, one answer after another, and share it fairly.

Parallel decoding buys little where prefill fills all cores, so a CPU has one slot by default, behind a bounded queue:
round robin over principals, first come first served within one, and a request is counted before any work is done for
it. Several slots are for engines that read for all of them at once. Answers travel to the event loop piece by piece;
whoever stops listening frees the slot before the model's next token.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, zip_longest

from rag.answer import AnswerStream
from rag.types import Answer

logger = logging.getLogger(__name__)

_FIRST_GUESS_S = 5.0
_MEMORY = 0.8
_LONGEST_RETRY_S = 60
_LAST_TOKEN_S = 5.0


class QueueFullError(Exception):
    """
    No further request fits in; nothing was done for it.

    Attributes:
        retry_after_s: when a place is likely to be free, whole seconds.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"all places in the queue are taken; try again in about {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class DrainingError(Exception):
    """The server is shutting down: it takes no further request, or gave one up."""

    def __init__(self) -> None:
        super().__init__("the server is shutting down; ask again when it is back.")


class GivenUpError(Exception):
    """Nobody waits for this answer any more."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many requests will be served before this one, running ones included."""

    ahead: int


class Job:
    """
    A request for an answer, in the queue or running; made by :meth:`GenerationWorker.submit`.

    Attributes:
        principal: whose it is.
        queued_s: seconds that it waited for its turn; 0 before.
    """

    def __init__(self, principal: str, make: Callable[[], AnswerStream], worker: GenerationWorker) -> None:
        self.principal = principal
        self.queued_s = 0.0
        self._make = make
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._outcomes: asyncio.Queue[Waiting | str | Answer | Exception] = asyncio.Queue()
        self._submitted = time.perf_counter()
        self._given_up: Exception | None = None

    @property
    def age_s(self) -> float:
        """Seconds since it was asked for."""
        return time.perf_counter() - self._submitted

    async def next(self) -> Waiting | str | Answer:
        """
        Return what comes next: places in the queue, then pieces of text, at last the Answer.

        Raises:
            DrainingError: the server gave the request up.
            Exception: whatever making the answer raised.
        """
        outcome = await self._outcomes.get()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def cancel(self) -> None:
        """Give the request up: a waiting one leaves the queue at once, a running one stops before its next token."""
        self._worker.give_up(self, GivenUpError())

    def stop(self, reason: Exception) -> None:
        """Make the worker stop before the next token; the listener, if there is one, gets ``reason``."""
        self._given_up = self._given_up or reason

    def tell(self, outcome: Waiting | str | Answer | Exception) -> None:
        """Hand something to the event loop, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._outcomes.put_nowait, outcome)
        except RuntimeError:  # the loop is closed, so nobody listens
            self.stop(GivenUpError())

    def run(self) -> None:
        """Make the answer; called by a thread of the worker, which both creates and iterates the stream."""
        self.queued_s = time.perf_counter() - self._submitted
        try:
            if self._given_up is None:
                self._stream()
            if self._given_up is not None:
                self.tell(self._given_up)
        except Exception as error:
            self.tell(error)

    def _stream(self) -> None:
        outcome: str | Answer = ""
        with closing(self._make()) as stream:
            for outcome in stream:
                if self._given_up is not None:
                    return
                self.tell(outcome)
        if not isinstance(outcome, Answer):
            raise ValueError("the stream ended without an Answer")


class GenerationWorker:
    """
    One thread for each slot, and the queue in front of them.

    Args:
        length: how many requests may wait while every slot is taken. Beyond it a principal that has none waiting gets
            one in, so that nobody can shut the others out.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._changed = threading.Condition()
        self._queues: dict[str, deque[Job]] = {}
        self._running: list[Job] = []
        self._draining = False
        self._hurrying = False
        self._stopped = False
        self._seconds = _FIRST_GUESS_S
        self._threads: list[threading.Thread] = []

    def start(self, slots: int = 1) -> None:
        """
        Start the threads.

        Args:
            slots: how many answers are made at a time.
        """
        for slot in range(slots):
            thread = threading.Thread(target=self._work, name=f"generation-{slot}", daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def waiting(self) -> int:
        """How many requests wait, running ones not counted."""
        return sum(len(queue) for queue in list(self._queues.values()))

    def jobs(self) -> list[tuple[str, bool, float]]:
        """Return whose requests run and wait, in the order in which they are served, and since how many seconds."""
        with self._changed:
            rounds = zip_longest(*self._queues.values())
            waiting = [job for job in chain.from_iterable(rounds) if job is not None]
            return [(job.principal, True, job.age_s) for job in self._running] + [
                (job.principal, False, job.age_s) for job in waiting
            ]

    def submit(self, principal: str, make: Callable[[], AnswerStream]) -> Job:
        """
        Queue a request; call it on the event loop.

        Args:
            principal: whose request it is.
            make: begins the answer; called, and its stream iterated, in one of the worker's threads.

        Raises:
            QueueFullError: there is no place for it.
            DrainingError: the server is shutting down.
        """
        with self._changed:
            if self._draining:
                raise DrainingError
            idle = len(self._threads) - len(self._running)  # these take a request each as soon as they wake
            if self.waiting >= self._length + idle and principal in self._queues:
                raise QueueFullError(min(_LONGEST_RETRY_S, math.ceil(self._seconds)))
            job = Job(principal, make, self)
            self._queues.setdefault(principal, deque()).append(job)
            self._tell_places()
            self._changed.notify_all()
        return job

    def give_up(self, job: Job, reason: Exception) -> None:
        """Take a request out of the queue, or stop it if it runs."""
        with self._changed:
            job.stop(reason)
            queue = self._queues.get(job.principal)
            if queue and job in queue:
                queue.remove(job)
                if not queue:
                    del self._queues[job.principal]
                job.tell(reason)
                self._tell_places()
                self._changed.notify_all()

    async def drain(self, timeout_s: float) -> None:
        """
        Accept nothing more, finish what was accepted, and stop the threads.

        Args:
            timeout_s: after this time, what is not finished gets :class:`DrainingError`.
        """
        with self._changed:
            self._draining = True
        await asyncio.to_thread(self._finish, timeout_s)

    def hurry(self) -> None:
        """End a running :meth:`drain` now: what is not finished gets :class:`DrainingError`."""
        with self._changed:
            self._hurrying = True
            self._changed.notify_all()

    def _finish(self, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._hurrying or not (self._running or self._queues), timeout_s)
            left = [*chain.from_iterable(self._queues.values()), *self._running]
            for job in left:
                self.give_up(job, DrainingError())
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_LAST_TOKEN_S)
        logger.info("generation stopped, %d requests given up", len(left))

    def _work(self) -> None:
        while (job := self._next()) is not None:
            started = time.perf_counter()
            job.run()
            took = time.perf_counter() - started
            with self._changed:
                self._seconds = _MEMORY * self._seconds + (1 - _MEMORY) * took
                self._running.remove(job)
                self._changed.notify_all()

    def _next(self) -> Job | None:
        """Wait for work and take the next request of the principal whose turn it is; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queues or self._stopped)
            if not self._queues:
                return None
            principal = next(iter(self._queues))
            queue = self._queues.pop(principal)
            job = queue.popleft()
            if queue:
                self._queues[principal] = queue  # again at the end: the others come first
            self._running.append(job)
            self._tell_places()
        return job

    def _tell_places(self) -> None:
        """Tell every waiting request how many are served before it."""
        rounds = zip_longest(*self._queues.values())
        order = [job for job in chain.from_iterable(rounds) if job is not None]
        for place, job in enumerate(order):
            job.tell(Waiting(place + len(self._running)))
