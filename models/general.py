"""Plain text that no task is about: what forgetting, and what rounding costs, are measured on."""

from __future__ import annotations

from pathlib import Path

from models.base import ConfigError

GENERAL_TEXT = Path(__file__).with_name("general.txt")


def paragraphs(path: Path = GENERAL_TEXT) -> list[str]:
    """
    Return the paragraphs of a text, which empty lines separate.

    Raises:
        ConfigError: it cannot be read as UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text ({type(error).__name__}).") from error
    return [paragraph.strip() for paragraph in text.split("\n\n") if paragraph.strip()]
