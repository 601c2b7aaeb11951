"""The machines that a bundle can be made for: what pip calls them, and what requirement markers see there."""

from __future__ import annotations

import platform
import re
import sys

from models.base import ConfigError
from scripts.bundle.manifest import Target

MANYLINUX = range(28, 4, -1)
"""glibc 2.x of the wheels that run on every Linux with glibc 2.28 or newer (since 2018), best first."""

MACOS = "14_0"
MANYLINUX_ALIASES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def _linux(machine: str) -> tuple[str, ...]:
    tags = [f"manylinux_2_{minor}_{machine}" for minor in MANYLINUX]
    tags += [f"{alias}_{machine}" for minor, alias in MANYLINUX_ALIASES.items() if machine == "x86_64" or minor == 17]
    return (*tags, f"linux_{machine}")


TAGS = {
    "linux-x86_64": _linux("x86_64"),
    "linux-aarch64": _linux("aarch64"),
    "macos-arm64": (f"macosx_{MACOS}_arm64",),
    "windows-x86_64": ("win_amd64",),
}
"""pip's names of each platform, by ours."""

MARKERS = {
    "linux-x86_64": ("posix", "linux", "Linux", "x86_64"),
    "linux-aarch64": ("posix", "linux", "Linux", "aarch64"),
    "macos-arm64": ("posix", "darwin", "Darwin", "arm64"),
    "windows-x86_64": ("nt", "win32", "Windows", "AMD64"),
}
"""``os_name``, ``sys_platform``, ``platform_system``, ``platform_machine``."""

PYTHON = re.compile(r"3\.(1[1-3])\.\d{1,2}")
ACCELERATORS = ("cpu", "cuda")


def check(target: Target) -> Target:
    """
    Return the target if bundles can be made for it.

    Raises:
        ConfigError: they cannot.
    """
    if not PYTHON.fullmatch(target.python):
        raise ConfigError(f"no bundle can be made for Python {target.python!r}; expected a release, such as 3.11.7.")
    for value, known in ((target.platform, tuple(TAGS)), (target.accelerator, ACCELERATORS)):
        if value not in known:
            raise ConfigError(f"no bundle can be made for {value!r}; known are {', '.join(known)}.")
    if target.accelerator == "cuda" and not target.platform.startswith("linux"):
        raise ConfigError(
            f"a bundle with CUDA can be made for Linux, not for {target.platform}; use --accelerator cpu."
        )
    return target


def here() -> str:
    """Return what this machine is called among the platforms."""
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    return f"{system}-{platform.machine().lower().replace('amd64', 'x86_64')}"


def environment(target: Target) -> dict[str, str]:
    """Return what the markers of requirements are judged by on the target."""
    os_name, sys_platform, system, machine = MARKERS[target.platform]
    return {
        "implementation_name": "cpython",
        "implementation_version": target.python,
        "os_name": os_name,
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": target.python,
        "python_version": target.python.rpartition(".")[0],
        "sys_platform": sys_platform,
    }


def pip_options(target: Target) -> list[str]:
    """Return the options that let pip choose wheels for the target."""
    platforms = [option for tag in TAGS[target.platform] for option in ("--platform", tag)]
    return ["--only-binary=:all:", "--implementation", "cp", "--python-version", target.python, *platforms]
