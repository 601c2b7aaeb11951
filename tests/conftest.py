"""What every test gets: no network beyond loopback, no settings of the machine, weights only where they are fetched."""

from __future__ import annotations

import os

import pytest
from pytest_socket import socket_allow_hosts

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(autouse=True)
def _loopback_only() -> None:
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith("HOMEGROUND_") and variable != "HOMEGROUND_MODELS_DIR":
            monkeypatch.delenv(variable)
