"""Where the server may listen: beyond this machine only with users, and not in the clear unless that is asked for."""

from __future__ import annotations

from ipaddress import ip_address

from models.base import ConfigError
from rag.config import ServerSettings


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def require_safe(server: ServerSettings, *, has_users: bool) -> None:
    """
    Refuse to listen where other machines can reach while anybody may do everything, or passwords travel in the clear.

    Args:
        server: where it would listen, and how.
        has_users: whether there are accounts.

    Raises:
        ConfigError: it may not listen there.
    """
    if (server.certificate is None) != (server.private_key is None):
        raise ConfigError("server.certificate and server.private_key belong together; give both or none.")
    if is_loopback(server.host):
        return
    if not has_users:
        raise ConfigError(
            f"the server cannot listen on {server.host!r}: there are no users, so only this machine may reach it. Make "
            "one with `python -m rag.users add NAME --admin`, or use --host 127.0.0.1 and an SSH tunnel from elsewhere."
        )
    if server.certificate is None and not server.plain_http:
        raise ConfigError(
            f"the server would listen on {server.host!r} without encryption; give server.certificate and "
            "server.private_key, or set server.plain_http where something in front of it encrypts."
        )
