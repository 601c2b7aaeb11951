"""Who may use the server, and for what: principals, their credentials, their rights, and what they did."""

from rag.access.authority import Authority
from rag.access.credentials import (
    ADDRESS_FILE,
    KEY_FILE,
    KEY_VARIABLE,
    MAX_SECRET_CHARACTERS,
    SESSION_S,
    Access,
    load_api_key,
)
from rag.access.log import AccessLog
from rag.access.principal import Level, Principal

__all__ = [
    "ADDRESS_FILE",
    "KEY_FILE",
    "KEY_VARIABLE",
    "MAX_SECRET_CHARACTERS",
    "SESSION_S",
    "Access",
    "AccessLog",
    "Authority",
    "Level",
    "Principal",
    "load_api_key",
]
