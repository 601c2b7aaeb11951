"""The list of what a bundle contains (CycloneDX 1.6): every package, model and adapter with its licence and hashes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, Literal
from urllib.parse import quote

from models.base import InputError
from scripts.bundle.manifest import describe
from scripts.bundle.wheelhouse import Wheel

NAMESPACE = uuid.UUID("6d1f3f1e-5c5b-5f0e-9a55-0b6a2f1c7d11")
MAX_LICENCE_CHARACTERS = 100
"""A longer one is the licence's text, put where its name belongs."""

SPDX = {
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD-2-Clause": "BSD-2-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MPL-2.0": "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Identifiers of the names that packages give; a name that is not here is kept as it is."""

Kind = Literal["library", "machine-learning-model"]


@dataclass(frozen=True, slots=True)
class Part:
    """
    A model or an adapter in the list.

    Attributes:
        version: what tells two of one name apart: a weights hash, for a model.
        properties: more about it, by name.
        hashes: SHA-256 of its files, by path in the bundle.
    """

    kind: Kind
    name: str
    version: str
    licence: str
    properties: Mapping[str, str]
    hashes: Mapping[str, str]


def compose(
    version: str, created: str, wheels: Iterable[Wheel], parts: Iterable[Part], licences: Mapping[str, str]
) -> bytes:
    """
    Return the list as JSON, the same bytes for the same contents.

    Args:
        version: of Homeground.
        created: when the bundle is made, UTC, ISO 8601.
        wheels: the packages.
        parts: models and adapters.
        licences: by name, of packages that do not state their own.

    Raises:
        InputError: one of them does not say under which licence it stands.
    """
    components = [*(_package(wheel, licences) for wheel in wheels), *map(_part, parts)]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "component": {"type": "application", "bom-ref": "homeground", "name": "homeground", "version": version},
        },
        "components": components,
    }
    content["serialNumber"] = f"urn:uuid:{uuid.uuid5(NAMESPACE, json.dumps(content, sort_keys=True))}"
    return (json.dumps(content, sort_keys=True, indent=1) + "\n").encode()


def _package(wheel: Wheel, licences: Mapping[str, str]) -> dict[str, Any]:
    address = f"pkg:pypi/{wheel.name}@{quote(wheel.version)}"
    return {
        "type": "library",
        "bom-ref": address,
        "purl": address,
        "name": wheel.name,
        "version": wheel.version,
        "licenses": _package_licences(wheel.name, wheel.metadata, licences.get(wheel.name)),
        "hashes": [{"alg": "SHA-256", "content": describe(wheel.path).sha256}],
    }


def _package_licences(name: str, metadata: Message, given: str | None) -> list[dict[str, Any]]:
    if expression := metadata["License-Expression"]:
        return [{"expression": str(expression)}]
    stated = str(metadata["License"] or "").strip()
    heading = "License :: "
    classifiers = (str(line) for line in metadata.get_all("Classifier", ()))
    classes = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith(heading)]
    if stated and "\n" not in stated and len(stated) <= MAX_LICENCE_CHARACTERS and "::" not in stated:
        return [_licence(stated)]
    if classes := classes or ([given] if given else []):
        return [_licence(one) for one in sorted(classes)]
    raise _unlicensed(name)


def _part(part: Part) -> dict[str, Any]:
    if part.licence in ("", "unknown"):
        raise _unlicensed(part.name)
    properties = [*part.properties.items(), *((f"sha256:{path}", digest) for path, digest in part.hashes.items())]
    return {
        "type": part.kind,
        "bom-ref": f"homeground:{part.kind}/{part.name}",
        "name": part.name,
        "version": part.version,
        "licenses": [_licence(part.licence)],
        "properties": [{"name": f"homeground:{name}", "value": value} for name, value in sorted(properties)],
    }


def _licence(name: str) -> dict[str, Any]:
    return {"license": {"id": SPDX[name]} if name in SPDX else {"name": name}}


def _unlicensed(name: str) -> InputError:
    return InputError(
        f"{name!r} does not say under which licence it stands; look it up and give it, for example "
        f"`--licence {name}=Apache-2.0`."
    )
