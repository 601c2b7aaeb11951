"""Counters for Prometheus. Labels are route templates and statuses: never a name, a question or a text."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rag.types import Timings

_FIRST_TOKEN_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """
    The counters of one server, in a registry of their own.

    Args:
        waiting: tells how many requests wait for the generator.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "homeground_requests",
            "Requests by route template and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        queue = Gauge("homeground_queue_length", "Requests that wait for the generator.", registry=self._registry)
        queue.set_function(waiting)
        self._queued = Histogram(
            "homeground_queued_seconds",
            "Seconds that a request waited for the generator.",
            buckets=_FIRST_TOKEN_BUCKETS_S,
            registry=self._registry,
        )
        self._first_token = Histogram(
            "homeground_first_token_seconds",
            "Seconds from a request's turn to its first token, retrieval included.",
            buckets=_FIRST_TOKEN_BUCKETS_S,
            registry=self._registry,
        )
        self._prompt_tokens = Counter("homeground_prompt_tokens", "Tokens read.", registry=self._registry)
        self._new_tokens = Counter("homeground_new_tokens", "Tokens written.", registry=self._registry)

    def count_request(self, method: str, route: str, status: int) -> None:
        """Count an answered request under its route's template."""
        self._requests.labels(method, route, str(status)).inc()

    def count_answer(self, timings: Timings, queued_s: float) -> None:
        """Count an answer's tokens and times; an answer for which the model was not asked has no first token."""
        self._queued.observe(queued_s)
        if timings.new_tokens:
            self._first_token.observe(timings.first_token_s)
            self._prompt_tokens.inc(timings.prompt_tokens)
            self._new_tokens.inc(timings.new_tokens)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
