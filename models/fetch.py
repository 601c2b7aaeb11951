"""
``python -m models.fetch``: bring models in. The only program of this project that uses the network.

A model is put together in a directory of its own below ``.incoming``, checked, written to disk for good, and appears
under its name by one rename. A fetch that is killed leaves nothing half-made, and the next one continues its download.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import filelock
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from models import catalog, command, convert, hub, store, vetting, wheel
from models.base import ModelError
from models.catalog import CATALOG_PATH, Catalog, Entry, HubSource, ModelRole, WheelSource
from models.manifest import Manifest, list_files, read_manifest, write_manifest
from models.store import Model
