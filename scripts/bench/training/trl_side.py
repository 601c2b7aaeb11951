"""
One TRL run, in TRL's own environment: ``trl_side.py MODEL ROWS STEPS BATCH CHECKPOINTING``; prints one JSON object.

The rows are conversations of prompt and completion with the turns that our prompts have, so both sides read the same
tokens and learn the same ones. Nothing else is set but what makes the runs comparable.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from typing import Any

import datasets
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer


class Clock(TrainerCallback):  # type: ignore[misc]
    """Times the steps behind the first two."""

    def __init__(self) -> None:
        self.steps = 0

    def on_step_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Count a step."""
        self.steps += 1
        if self.steps == WARM_UP:
            self.started = time.perf_counter()
            COUNT["tokens"] = 0
        self.ended = time.perf_counter()


WARM_UP = 2
COUNT = {"tokens": 0}


def main() -> None:
    """Train, and say how fast."""
    model, rows, steps, batch, checkpointing = sys.argv[1:6]
    scratch = tempfile.mkdtemp()
    with open(rows, encoding="utf-8") as file:
        data = datasets.Dataset.from_list([json.loads(line) for line in file])
    clock = Clock()
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(model, dtype="float32", local_files_only=True),
        SFTConfig(
            output_dir=scratch, max_steps=int(steps) + WARM_UP, per_device_train_batch_size=int(batch),
            learning_rate=5e-4, max_length=512, use_cpu=True, bf16=False, report_to=[], save_strategy="no",
            gradient_checkpointing=checkpointing == "1", disable_tqdm=True, logging_steps=1000,
            dataloader_pin_memory=False,
        ),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(model, local_files_only=True),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[clock],
    )  # fmt: skip
    collate = trainer.data_collator

    def counted(items: list[Any]) -> dict[str, Any]:
        collated: dict[str, Any] = collate(items)
        COUNT["tokens"] += int(collated["attention_mask"].sum())
        return collated

    trainer.data_collator = counted
    trainer.train()
    sys.stdout.write(
        "\n"
        + json.dumps(
            {
                "tokens": COUNT["tokens"],
                "seconds": clock.ended - clock.started,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
