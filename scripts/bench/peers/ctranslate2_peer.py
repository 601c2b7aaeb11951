"""
CTranslate2 with int8 weights: ``python -m scripts.bench.peers.ctranslate2_peer MODEL THREADS``, a prompt a line.

A request holds ``ids``, the prompt, and ``new_tokens``; the model is converted first, into a folder that goes away.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ctranslate2
from ctranslate2.converters import TransformersConverter
from tokenizers import Tokenizer

from scripts.bench.peers import lines


def main(directory: str, threads: int) -> None:
    """Convert the model, load it, and answer."""
    tokenizer = Tokenizer.from_file(str(Path(directory) / "tokenizer.json"))
    with tempfile.TemporaryDirectory() as scratch:
        converted = Path(scratch) / "model"
        TransformersConverter(directory).convert(str(converted), quantization="int8")
        generator = ctranslate2.Generator(str(converted), device="cpu", compute_type="int8", intra_threads=threads)

        def answer(request: dict[str, Any]) -> dict[str, Any]:
            tokens = [tokenizer.id_to_token(one) for one in request["ids"]]
            wanted = request["new_tokens"]
            started, worked = time.perf_counter(), time.process_time()
            ids: list[int] = []
            first = first_worked = 0.0
            for step in generator.generate_tokens(tokens, max_length=wanted, min_length=wanted, sampling_topk=1):
                first = first or time.perf_counter() - started
                first_worked = first_worked or time.process_time() - worked
                ids.append(step.token_id)
            total = time.perf_counter() - started
            return {
                "text": tokenizer.decode(ids),
                "new_tokens": len(ids),
                "first_token_s": first,
                "total_s": total,
                "first_processor_s": first_worked,
                "processor_s": time.process_time() - worked,
            }

        lines.serve(answer)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
