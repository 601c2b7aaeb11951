"""Answers that were computed already: a request that is the same to the last token gets the same tokens again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import RLock

from models.base import SamplingParams, Token
from models.engine import AdapterKey

MAX_ANSWERS = 64

Request = tuple[tuple[int, ...], SamplingParams, str, AdapterKey]


class Repeats:
    """
    Recent answers, those used longest ago going first; for several threads.

    The prompt holds every passage that retrieval gave, so an answer cannot outlive a change of the documents or of the
    rights to read them. As with readings, an answer belongs to its scope.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Request, tuple[Token, ...]] = OrderedDict()
        self._changing = RLock()  # a stream that is collected within gives its reading back

    @staticmethod
    def request(
        prompt: Sequence[int], params: SamplingParams, scope: str | None, adapter: AdapterKey
    ) -> Request | None:
        """Return what tells requests apart; None for one whose answer may be another the next time."""
        if scope is None or (params.temperature and params.seed is None):
            return None
        return tuple(prompt), params, scope, adapter

    def find(self, request: Request | None) -> tuple[Token, ...]:
        """Return the tokens of a request's answer; none where it was not answered yet."""
        with self._changing:
            if request is None or request not in self._kept:
                return ()
            self._kept.move_to_end(request)
            return self._kept[request]

    def keep(self, request: Request | None, tokens: Sequence[Token]) -> None:
        """Keep a whole answer."""
        if request is None:
            return
        with self._changing:
            self._kept[request] = tuple(tokens)
            while len(self._kept) > MAX_ANSWERS:
                self._kept.popitem(last=False)
