"""Answers of the same length: a generator of ours that does not stop by itself, as its peers are kept from it."""

from models.base import Generator
from models.generator import LocalGenerator


def endless(generator: Generator) -> LocalGenerator:
    """
    Let no token end an answer, so that every one has as many as were asked for.

    Raises:
        TypeError: another machine runs the model.
    """
    if not isinstance(generator, LocalGenerator):
        raise TypeError(f"{generator.name} is not run here")
    generator._tokenizer.end_ids = frozenset()
    return generator
