"""
What training costs and what it achieves, measured: beside TRL on the same rows, and on tasks with known results.

TRL has an environment of its own, because its pins are not ours:

    python3.11 -m venv ~/trl
    ~/trl/bin/pip install -c constraints.txt trl==1.16.0 transformers peft accelerate datasets psutil torch
    python -m scripts.bench.training.speed --trl-python ~/trl/bin/python
    python -m scripts.bench.training.tasks snips
"""
