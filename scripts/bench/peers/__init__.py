"""
Homeground beside LangChain, LlamaIndex, Haystack and txtai: retrieval quality and ingest, with the same embedder.

The others have an environment of their own, because their dependencies are not ours (their DOCX converters need
LibreOffice on the path for txtai):

    python3.11 -m venv ~/peers
    ~/peers/bin/pip install -r scripts/bench/peers/requirements.txt
    python -m scripts.bench.peers --help

Every system is one module with two functions, ``index`` and ``ingest``, and runs as a process of its own
(:mod:`scripts.bench.peers.contract`); Homeground too. Nothing is tuned: each does what its own quick start does.
"""
