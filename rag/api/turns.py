"""
Turns of the page as jobs of the server: they survive a reload, and end when nobody has listened for a while.

A running turn keeps its numbered events, so that whoever comes back gets what it missed; every second what there is of
the text is written to the store, which also gets the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from models.base import HomegroundError
from rag.access import Principal
from rag.answer import AnswerStream
from rag.api.answers import HEARTBEAT_S, outcomes
from rag.api.errors import as_api_error
from rag.api.search import answer_object
from rag.api.service import Service
from rag.store.records import StoredTurn
from rag.types import Answer
from rag.worker import DrainingError, GivenUpError, Job, Waiting

LINGER_S = 15.0
"""So long a turn goes on after its last listener left: a reload takes a second, a lost connection several."""

WRITE_EVERY_S = 1.0

Event = dict[str, Any]


class RunningTurn:
    """
    A turn that is being answered; it belongs to the event loop.

    Attributes:
        text: the answer as far as it is there.
        ending: the state that it ends in when its job is given up; empty while nobody has asked for that.
    """

    def __init__(self, turn_id: int, job: Job, linger_s: float) -> None:
        self.id = turn_id
        self.job = job
        self.text = ""
        self.ending = ""
        self._events: list[Event] = []
        self._followers: set[asyncio.Queue[Event]] = set()
        self._linger_s = linger_s
        self._loop = asyncio.get_running_loop()
        self._leaving = self._loop.call_later(linger_s, self.give_up, "left")

    def emit(self, kind: str, **more: object) -> None:
        """Keep an event under its number, and give it to every follower."""
        event = {"turn": self.id, "n": len(self._events) + 1, "type": kind, **more}
        self._events.append(event)
        for follower in self._followers:
            follower.put_nowait(event)

    def follow(self, queue: asyncio.Queue[Event], after: int) -> None:
        """Put what was missed since event number ``after`` into a queue, and from now on what happens."""
        self._leaving.cancel()
        for event in self._events[after:]:
            queue.put_nowait(event)
        self._followers.add(queue)

    def leave(self, queue: asyncio.Queue[Event]) -> None:
        """Stop following; after the last follower the turn goes on for a while."""
        self._followers.discard(queue)
        if not self._followers:
            self._leaving.cancel()
            self._leaving = self._loop.call_later(self._linger_s, self.give_up, "left")

    def give_up(self, state: str) -> None:
        """Make the turn end in ``state`` before the model's next token."""
        self.ending = self.ending or state
        self.job.cancel()

    def done(self) -> None:
        """Nothing comes any more."""
        self._leaving.cancel()


class Turns:
    """
    The running turns of one server; to be used on its event loop.

    Args:
        service: the server's state.
        linger_s: how long a turn goes on without a listener.
    """

    def __init__(self, service: Service, linger_s: float = LINGER_S) -> None:
        self.linger_s = linger_s
        self._service = service
        self._running: dict[int, RunningTurn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self, turn_id: int, principal: Principal, collection: str | None, make: Callable[[], AnswerStream]
    ) -> None:
        """
        Begin to answer a stored turn; see :meth:`rag.api.service.Service.submit`.

        Raises:
            QueueFullError: there is no place for it.
            DrainingError: the server is shutting down.
        """
        turn = RunningTurn(turn_id, self._service.submit(principal, collection, make), self.linger_s)
        self._running[turn_id] = turn
        task = asyncio.get_running_loop().create_task(self._carry(turn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, turn_id: int) -> None:
        """End a turn, if it runs; what has come of it is kept."""
        if turn_id in self._running:
            self._running[turn_id].give_up("stopped")

    async def settle(self) -> None:
        """Wait until every turn's end is written; the worker is drained."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def follow(self, scope: str, wanted: Mapping[int, int]) -> AsyncGenerator[Event | None, None]:
        """
        Yield the events of turns, and None at first and after each five seconds of silence.

        Args:
            scope: whose turns they are; it has been checked.
            wanted: for each turn the number of the last event that is known.
        """
        queue: asyncio.Queue[Event] = asyncio.Queue()
        followed = [self._running[turn_id] for turn_id in wanted if turn_id in self._running]
        left = len(wanted)
        for turn in followed:
            turn.follow(queue, wanted[turn.id])
        running = {turn.id for turn in followed}
        try:
            yield None  # at once, so that the client knows that it is connected
            for turn_id in wanted.keys() - running:
                left -= 1
                yield {"turn": turn_id, "n": 0, "type": "ended", "end": await self._end(scope, turn_id)}
            while left:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        event = await queue.get()
                except TimeoutError:
                    yield None
                    continue
                left -= event["type"] == "ended"
                yield event
        finally:
            for turn in followed:
                turn.leave(queue)

    async def _carry(self, turn: RunningTurn) -> None:
        """Take a job's outcomes to the followers and into the store."""
        state, result = "done", None
        try:
            result = await self._answer(turn)
        except GivenUpError:
            state = turn.ending or "interrupted"
        except DrainingError:
            state = "interrupted"
        except Exception as error:
            state, result = "failed", as_api_error(error).as_object()
        turn.done()
        try:
            await self._write(turn, state, result)
        except Exception as error:  # the followers learn of it; the next start calls the turn interrupted
            result = as_api_error(error).as_object()
            end = {"id": turn.id, "state": "failed", "text": turn.text, "result": result}
        else:
            end = await self._end(turn.job.principal, turn.id)
        del self._running[turn.id]
        turn.emit("ended", end=end)

    async def _end(self, scope: str, turn_id: int) -> dict[str, Any]:
        """Return a turn as it is stored; one that was removed meanwhile is nobody's any more."""
        try:
            return turn_object(
                await run_in_threadpool(self._service.workspace.store.conversations.turn, scope, turn_id)
            )
        except HomegroundError as error:
            return {"id": turn_id, "state": "failed", "text": "", "result": as_api_error(error).as_object()}

    async def _answer(self, turn: RunningTurn) -> Mapping[str, Any]:
        written = time.monotonic()
        async with aclosing(outcomes(self._service, turn.job)) as stream:
            async for outcome in stream:
                match outcome:
                    case None:
                        pass
                    case Waiting():
                        turn.emit("queued", ahead=outcome.ahead)
                    case Answer():
                        turn.text = outcome.text
                        return answer_object(outcome, turn.job, prompt=True)
                    case piece:
                        turn.text += piece
                        turn.emit("token", text=piece)
                if turn.text and time.monotonic() - written > WRITE_EVERY_S:
                    written = time.monotonic()
                    await self._write(turn, "running", None)
        raise ValueError("the job ended without an Answer")

    async def _write(self, turn: RunningTurn, state: str, result: Mapping[str, Any] | None) -> None:
        conversations = self._service.workspace.store.conversations
        await run_in_threadpool(conversations.write_turn, turn.id, state, turn.text, result)


def turn_object(turn: StoredTurn, *, prompt: bool = False) -> dict[str, Any]:
    """Return a turn as JSON; the prompt, which is long, only if asked for."""
    shown = asdict(turn)
    if turn.result is not None and not prompt:
        shown["result"] = {name: value for name, value in turn.result.items() if name != "prompt"}
    return shown


def _turns(request: Request) -> Turns:
    turns: Turns = request.app.state.turns
    return turns


TurnsDep = Annotated[Turns, Depends(_turns)]
