"""The machine as administrators see it: what takes how much disk, and who waits for an answer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from models import adapter_store
from rag.access.principal import shown
from rag.api.service import AdministratorDep, ServiceDep
from rag.runs.folder import FOLDER

router = APIRouter(prefix="/api")


@router.get("/machine")
def read_machine(service: ServiceDep, _: AdministratorDep) -> dict[str, Any]:
    """Return bytes on disk by what they are for, what is free, and the generation queue in its order."""
    data_dir = service.workspace.settings.data_dir
    parts = {
        "documents": sum(_size(path) for path in data_dir.glob("homeground.sqlite*")),
        "indexes": _size(data_dir / "indexes"),
        "runs": _size(data_dir / FOLDER),
        "adapters": _size(adapter_store.adapters_dir()),
    }
    return {
        "storage": parts | {"free": shutil.disk_usage(data_dir).free},
        "queue": [
            {"who": shown(who), "running": running, "seconds": round(seconds, 1)}
            for who, running, seconds in service.worker.jobs()
        ],
    }


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(found.stat().st_size for found in path.rglob("*") if found.is_file() and not found.is_symlink())
