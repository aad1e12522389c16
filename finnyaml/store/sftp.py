"""SFTP with hosts as `ssh` knows them (`known_hosts`, `config`); fsspec's own takes whatever key a host shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem


class KnownHosts(SFTPFileSystem):  # type: ignore[misc]
    """Speaks only with hosts whose key is known."""

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        self.client.load_system_host_keys()
        own = _of_config(self.host)
        self.client.connect(**{**own, **self.ssh_kwargs, "hostname": own.get("hostname", self.host)})
        self.ftp = self.client.open_sftp()


def _of_config(host: str) -> dict[str, Any]:
    """What `~/.ssh/config` says of a host, as paramiko wants it."""
    file = Path.home() / ".ssh" / "config"
    if not file.is_file():
        return {}
    said = paramiko.SSHConfig.from_path(str(file)).lookup(host)
    words = {"hostname": "hostname", "user": "username", "identityfile": "key_filename"}
    found: dict[str, Any] = {ours: said[theirs] for theirs, ours in words.items() if theirs in said}
    if "port" in said:
        found["port"] = int(said["port"])
    return found
