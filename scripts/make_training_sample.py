"""
``python -m scripts.make_training_sample``: write the training sample, dispatches of the ferries and how they are filed.

Sentences are put together from parts, so that there are enough of them; training and held-out rows never share one.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "samples" / "house-style"
SYSTEM = "File the dispatch as JSON."
HARBOURS = ("Pelloray", "Skarvik", "North Holm", "Tarn Quay", "Ennis Point", "Gull Rock")
REASONS = ("fog", "a strong swell", "an engine fault", "ice on the ramp", "a late coach party", "crew sickness")
ROWS = {"train": 240, "dev": 60}

DELAYED = (
    "The {time} from {start} to {end} leaves {minutes} minutes late because of {reason}.",
    "Expect a wait of {minutes} minutes for the {time} {start}–{end}: {reason}.",
    "{reason} is holding up the {time} sailing {start} to {end}, about {minutes} minutes.",
    "Please tell passengers at {start} that the {time} for {end} is {minutes} min behind, reason {reason}.",
)
CANCELLED = (
    "The {time} from {start} to {end} does not sail today because of {reason}.",
    "{start} to {end} at {time} is off: {reason}.",
    "We had to cancel the {time} {start}–{end} owing to {reason}.",
    "No {time} boat to {end} from {start}, {reason}.",
)
ON_TIME = (
    "The {time} from {start} to {end} is back on schedule.",
    "{start}–{end} at {time} leaves as planned.",
    "All fine with the {time} sailing to {end}, it leaves {start} on the minute.",
)


def dispatch(source: random.Random) -> dict[str, str]:
    """Return one row: what was said, and what is filed."""
    start, end = source.sample(HARBOURS, 2)
    facts = {
        "time": f"{source.randrange(6, 22):02}:{source.randrange(0, 60, 5):02}",
        "start": start,
        "end": end,
        "reason": source.choice(REASONS),
        "minutes": source.randrange(5, 95, 5),
    }
    status = source.choice(("delayed", "cancelled", "on_time"))
    sentences = {"delayed": DELAYED, "cancelled": CANCELLED, "on_time": ON_TIME}[status]
    said = source.choice(sentences).format(**facts)
    filed: dict[str, object] = {"sailing": f"{start} > {end}", "time": facts["time"], "status": status}
    if status == "delayed":
        filed["minutes"] = facts["minutes"]
    if status != "on_time":
        filed["reason"] = facts["reason"]
    prompt = said[0].upper() + said[1:]
    return {"system": SYSTEM, "prompt": prompt, "completion": json.dumps(filed)}


def main() -> None:
    """Write both files."""
    source = random.Random(0)  # noqa: S311 - a sample, no secret
    seen: set[str] = set()
    for name, count in ROWS.items():
        rows: list[dict[str, str]] = []
        while len(rows) < count:
            row = dispatch(source)
            if row["prompt"] not in seen:
                seen.add(row["prompt"])
                rows.append(row)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (FOLDER / f"{name}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
