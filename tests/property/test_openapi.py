"""
No request that the description of the interface allows, or forbids, gives a 500.

Requests are made by schemathesis from ``/openapi.json``, with the terminal's key: known edge cases, random ones, and
chains in which one answer names what the next request is about. ``HOMEGROUND_TEST_EXAMPLES`` makes more of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.serving import API_KEY, serving

EXAMPLES = os.environ.get("HOMEGROUND_TEST_EXAMPLES", "5")
PHASES = os.environ.get("HOMEGROUND_TEST_PHASES", "fuzzing,stateful")


def test_no_request_gives_a_500(tmp_path: Path) -> None:
    with serving(tmp_path / "data", requests_per_minute=1_000_000) as live:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{live.url}/openapi.json"]
        options = {"--header": f"Authorization: Bearer {API_KEY}", "--checks": "not_a_server_error"}
        options |= {"--phases": PHASES, "--max-examples": EXAMPLES, "--request-timeout": "900", "--warnings": "off"}
        ended = subprocess.run(
            [*command, *(part for option in options.items() for part in option), "--no-color"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
        assert live.client.get("/readyz").status_code == 200
