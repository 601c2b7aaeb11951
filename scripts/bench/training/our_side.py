"""One run of ours: ``our_side.py ROWS STEPS BATCH CHECKPOINTING``; prints one JSON object."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from finetune import files
from finetune.config import TrainConfig
from finetune.encode import encode
from finetune.fit import fit
from models.store import locate
from models.tokenizer import ChatTokenizer


def main() -> None:
    """Train, and say how fast; the first steps count, too."""
    rows_file, steps, batch, checkpointing = sys.argv[1:5]
    model = locate("smollm2-135m-instruct", "generator")
    tokenizer = ChatTokenizer(model)
    rows = [encode(example, tokenizer, 512) for example in files.read([Path(rows_file)]).usable]
    config = TrainConfig.model_validate(
        {
            "base": model.name,
            "name": "speed",
            "data": {"train": rows_file},
            "steps": int(steps),
            "batch_size": int(batch),
            "learning_rate": 5e-4,
            "kl_weight": 0,  # the other side has nothing of the kind
            "max_length": 512,
            "eval_every": 10**6,
            "gradient_checkpointing": checkpointing == "1",
            "device": "cpu",
        }
    )
    with tempfile.TemporaryDirectory() as scratch:
        fitted = fit(config, model, rows, rows[:1], tokenizer=tokenizer, directory=Path(scratch), resume=None)
    told = {"tokens": fitted.tokens, "seconds": fitted.seconds, "peak_mib": fitted.peak_mib}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
