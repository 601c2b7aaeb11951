"""
``python -m finetune.export NAME --out DIRECTORY``: base model and adapter become one model, for other runtimes.

Merged in float32, checked against base plus adapter on a sample text, and written as safetensors with tokenizer and
settings, so that it is a complete model directory. No kept library turns such a directory into GGUF; llama.cpp's own
converter does.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models import command
from models.adapter_store import locate as locate_adapter
from models.adapters import WEIGHTS, Adapter
from models.base import InputError, ModelError
from models.store import Model, locate

if TYPE_CHECKING:
    import torch

TOLERANCE = 1e-3
"""
Largest difference of a logit that is let pass. In float32, merged and separate products round differently: over 30
layers of SmolLM2-135M logits of about 20 differ by up to 1e-4.
"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def export(adapter: Adapter, model: Model, directory: Path) -> float:
    """
    Write the model that an adapter and its base make together.

    Args:
        adapter: verified before it is merged.
        model: its base.
        directory: must not exist, or be empty.

    Returns:
        The largest difference of a logit between the merged model and base plus adapter.

    Raises:
        ModelError: the adapter does not fit the model, or the merged model computes something else.
        InputError: the directory holds something.
    """
    if directory.exists() and any(directory.iterdir()):
        raise InputError(f"{directory} is not empty; name a new directory.")
    import torch
    from peft import LoraConfig, LoraModel, set_peft_model_state_dict
    from safetensors.torch import load_file

    from models.lora import verifier
    from models.network import load_network
    from models.tokenizer import ChatTokenizer

    tokenizer = ChatTokenizer(model)
    verifier(model, tokenizer)(adapter)
    network = load_network(model, torch.float32)
    lora = LoraModel(network, LoraConfig.from_pretrained(str(adapter.directory), local_files_only=True), "default")
    set_peft_model_state_dict(network, load_file(adapter.directory / WEIGHTS))
    sample = torch.tensor([tokenizer.token_ids(adapter.golden_text)])
    separate = _logits(network, sample)
    merged = lora.merge_and_unload(safe_merge=True)
    difference = float((_logits(merged, sample) - separate).abs().max())
    if not difference <= TOLERANCE:
        raise ModelError(
            f"the merged model computes other values than {adapter.name!r} on {model.name!r}: a logit differs by "
            f"{difference:.2g}, at most {TOLERANCE:g} is allowed. Nothing was written."
        )
    merged.save_pretrained(str(directory))
    tokenizer.save(str(directory))
    for licence in model.directory.glob("LICEN[CS]E*"):
        shutil.copy(licence, directory / licence.name)
    return difference


def _logits(network: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.inference_mode():
        logits: torch.Tensor = network.eval()(input_ids=ids).logits
    return logits


@app.command()
def main(
    name: Annotated[str, typer.Argument(help="the adapter")],
    out: Annotated[Path, typer.Option(file_okay=False, help="directory of the merged model")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Merge an adapter into its base model."""
    adapter = locate_adapter(name)
    difference = export(adapter, locate(adapter.base, "generator"), out)
    if as_json:
        sys.stdout.write(json.dumps({"directory": str(out), "largest_logit_difference": difference}) + "\n")
    else:
        sys.stdout.write(f"{out}: merged; logits differ by at most {difference:.1g} from base plus adapter\n")


if __name__ == "__main__":
    command.run(app)
