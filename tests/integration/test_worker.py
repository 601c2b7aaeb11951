"""The generation queue: bounded, fair, cancellable between two tokens, and finished in order at the end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from rag.answer import AnswerStream
from rag.types import Answer, Timings
from rag.worker import DrainingError, GenerationWorker, GivenUpError, Job, QueueFullError, Waiting

PATIENCE_S = 20


def answer(text: str) -> Answer:
    return Answer(text, False, (), (), Timings(), "scripted", None, None, "script")


class Script:
    """Streams that note who made and who closed them, and wait for a gate before each piece but the first."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun: list[str] = []
        self.closed: list[str] = []
        self.threads: set[str] = set()

    def make(self, name: str) -> Callable[[], AnswerStream]:
        def begin() -> AnswerStream:
            self.begun.append(name)
            return self._say(name)

        return begin

    def _say(self, name: str) -> AnswerStream:
        self.threads.add(threading.current_thread().name)
        try:
            yield f"{name} begins"
            for number in range(3):
                assert self.gate.wait(PATIENCE_S)
                yield f" {number}"
            yield answer(name)
        except GeneratorExit:
            self.closed.append(name)
            raise


@asynccontextmanager
async def working(length: int = 8, slots: int = 1) -> AsyncIterator[GenerationWorker]:
    worker = GenerationWorker(length)
    worker.start(slots)
    try:
        yield worker
    finally:
        await worker.drain(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


async def rest(job: Job) -> list[str | Answer]:
    """Return what is left of a job, without its places."""
    found: list[str | Answer] = []
    while not found or isinstance(found[-1], str):
        outcome = await job.next()
        if not isinstance(outcome, Waiting):
            found.append(outcome)
    return found


async def running(job: Job) -> None:
    """Wait until a job has said its first piece."""
    while not isinstance(await job.next(), str):
        pass


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_job_streams_pieces_and_then_the_answer() -> None:
    async def test() -> None:
        script = Script()
        script.gate.set()
        async with working() as worker:
            job = worker.submit("a", script.make("x"))
            assert await rest(job) == ["x begins", " 0", " 1", " 2", answer("x")]
            assert job.queued_s > 0
        assert script.threads == {"generation-0"}

    run(test)


def test_jobs_of_one_principal_come_in_order_and_principals_take_turns() -> None:
    async def test() -> None:
        script = Script()
        async with working() as worker:
            first = worker.submit("hog", script.make("h0"))
            await running(first)
            jobs = [worker.submit("hog", script.make(f"h{n}")) for n in (1, 2, 3)]
            jobs += [worker.submit("b", script.make("b1")), worker.submit("c", script.make("c1"))]
            jobs += [worker.submit("b", script.make("b2"))]
            script.gate.set()
            for job in jobs:
                await rest(job)
        assert script.begun == ["h0", "h1", "b1", "c1", "h2", "b2", "h3"]

    run(test)


def test_slots_run_several_jobs_at_a_time() -> None:
    async def test() -> None:
        script = Script()
        async with working(slots=2) as worker:
            first, second = worker.submit("a", script.make("x")), worker.submit("a", script.make("y"))
            await running(first)
            await running(second)
            third = worker.submit("a", script.make("z"))
            assert await third.next() == Waiting(2)
            script.gate.set()
            assert [(await rest(job))[-1] for job in (first, second, third)] == [answer("x"), answer("y"), answer("z")]
        assert script.threads == {"generation-0", "generation-1"}

    run(test)


def test_waiting_jobs_are_told_their_place() -> None:
    async def test() -> None:
        script = Script()
        async with working() as worker:
            first = worker.submit("hog", script.make("h0"))
            await running(first)
            second, third = worker.submit("hog", script.make("h1")), worker.submit("hog", script.make("h2"))
            other = worker.submit("b", script.make("b1"))
            assert await second.next() == Waiting(1)
            assert [await third.next(), await third.next()] == [Waiting(2), Waiting(3)]  # the other goes before it
            assert await other.next() == Waiting(2)
            second.cancel()
            assert await third.next() == Waiting(1)
            script.gate.set()

    run(test)


def test_queue_that_is_full_refuses_but_lets_everyone_in_once() -> None:
    async def test() -> None:
        script = Script()
        async with working(length=2) as worker:
            await running(worker.submit("hog", script.make("h0")))
            for number in (1, 2):
                worker.submit("hog", script.make(f"h{number}"))
            with pytest.raises(QueueFullError, match="all places in the queue are taken") as full:
                worker.submit("hog", script.make("h3"))
            assert 1 <= full.value.retry_after_s <= 60
            worker.submit("b", script.make("b1"))
            with pytest.raises(QueueFullError, match="try again"):
                worker.submit("b", script.make("b2"))
            assert worker.waiting == 3
            script.gate.set()

    run(test)


@pytest.mark.parametrize("slots", [1, 2])
def test_requests_that_come_at_once_are_not_refused_before_the_slots_have_taken_theirs(slots: int) -> None:
    async def test() -> None:
        script = Script()
        async with working(length=2, slots=slots) as worker:
            for number in range(slots + 2):
                worker.submit("a", script.make(f"x{number}"))
            with pytest.raises(QueueFullError):
                worker.submit("a", script.make("refused"))
            script.gate.set()

    run(test)


def test_cancelled_job_in_the_queue_is_never_begun_and_frees_its_place() -> None:
    async def test() -> None:
        script = Script()
        async with working(length=1) as worker:
            await running(worker.submit("a", script.make("x")))
            waiting = worker.submit("a", script.make("never"))
            waiting.cancel()
            with pytest.raises(GivenUpError):
                await rest(waiting)
            last = worker.submit("a", script.make("z"))
            script.gate.set()
            await rest(last)
        assert script.begun == ["x", "z"]

    run(test)


def test_cancelled_job_that_runs_is_closed_before_its_next_piece() -> None:
    async def test() -> None:
        script = Script()
        async with working() as worker:
            job = worker.submit("a", script.make("x"))
            await running(job)
            job.cancel()
            script.gate.set()
            with pytest.raises(GivenUpError):
                await rest(job)
            await rest(worker.submit("a", script.make("y")))
        assert script.closed == ["x"]

    run(test)


@pytest.mark.parametrize("late", [False, True])
def test_error_of_a_stream_reaches_its_listener_and_the_next_job_runs(late: bool) -> None:
    def broken() -> AnswerStream:
        if not late:
            raise OSError("early")
        return fails()

    def fails() -> AnswerStream:
        yield "a word"
        raise OSError("late")

    async def test() -> None:
        script = Script()
        script.gate.set()
        async with working() as worker:
            with pytest.raises(OSError, match="late" if late else "early"):
                await rest(worker.submit("a", broken))
            assert (await rest(worker.submit("a", script.make("y"))))[-1] == answer("y")

    run(test)


def test_stream_without_an_answer_is_an_error() -> None:
    def stream() -> AnswerStream:
        yield from ("half", "an answer")

    async def test() -> None:
        async with working() as worker:
            with pytest.raises(ValueError, match="ended without an Answer"):
                await rest(worker.submit("a", stream))

    run(test)


def test_drain_finishes_what_was_accepted_and_refuses_the_rest() -> None:
    async def test() -> None:
        script = Script()
        worker = GenerationWorker(8)
        worker.start()
        first, second = worker.submit("a", script.make("x")), worker.submit("a", script.make("y"))
        await running(first)
        draining = asyncio.create_task(worker.drain(PATIENCE_S))
        await asyncio.sleep(0)
        with pytest.raises(DrainingError, match="shutting down"):
            worker.submit("a", script.make("z"))
        script.gate.set()
        assert (await rest(first))[-1] == answer("x")
        assert (await rest(second))[-1] == answer("y")
        await draining

    run(test)


def test_drain_gives_up_what_is_not_finished_in_time() -> None:
    async def test() -> None:
        script = Script()
        worker = GenerationWorker(8)
        worker.start()
        first, second = worker.submit("a", script.make("x")), worker.submit("a", script.make("never"))
        await running(first)
        draining = asyncio.create_task(worker.drain(0.01))
        with pytest.raises(DrainingError, match="shutting down"):
            await rest(second)
        script.gate.set()
        with pytest.raises(DrainingError, match="shutting down"):
            await rest(first)
        await draining
        assert script.begun == script.closed == ["x"]

    run(test)


def test_hurry_ends_a_drain_at_once() -> None:
    async def test() -> None:
        script = Script()
        worker = GenerationWorker(8)
        worker.start()
        job = worker.submit("a", script.make("x"))
        await running(job)
        draining = asyncio.create_task(worker.drain(3600))
        await asyncio.sleep(0.05)
        worker.hurry()
        await asyncio.sleep(0.05)
        script.gate.set()
        with pytest.raises(DrainingError, match="shutting down"):
            await rest(job)
        await draining

    run(test)


def test_drain_before_any_start_ends() -> None:
    run(lambda: GenerationWorker(1).drain(1))


def test_closed_loop_frees_the_worker() -> None:
    script = Script()
    worker = GenerationWorker(8)
    worker.start()

    async def leave() -> None:
        await running(worker.submit("a", script.make("x")))

    asyncio.run(leave())
    script.gate.set()

    async def come() -> None:
        assert (await rest(worker.submit("a", script.make("y"))))[-1] == answer("y")
        await worker.drain(PATIENCE_S)

    asyncio.run(come())
    assert script.closed == ["x"]
