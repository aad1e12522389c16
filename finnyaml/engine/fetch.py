"""Files from the network: fetched once into the store, in pieces where the connection breaks, and checked."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from finnyaml.errors import FinnyamlError
from finnyaml.files import make_folder
from finnyaml.recipe.model import Download
from finnyaml.recipe.words import dotted
from finnyaml.store import CACHE, Store
from finnyaml.store.streams import chunks_of

TRIES = 4
"""So often a connection may break before it is given up; each time it goes on from what has come."""

SILENCE = 60.0
"""So long (seconds) a server may say nothing."""

PIECE = 1 << 18

Told = Callable[[int, int | None], None]
"""Called when bytes begin to come: how many are there already, and how many there will be, if the server says so."""


class NotFetched(FinnyamlError):
    """A file from the network that is not here and does not come."""


def fetch(wanted: Download, store: Store, told: Told, *, offline: bool = False) -> None:
    """Bring a file into the store, where it is not there.

    Raises:
        NotFetched: it is not there and does not come, or what comes is another file.
    """
    if store.has(wanted.sha256):
        return
    with store.lock(f"fetch-{wanted.sha256}"):
        if store.has(wanted.sha256):
            return  # another build has fetched it meanwhile
        where = urlsplit(wanted.url)
        if where.scheme == "file":
            _take(wanted, Path(unquote(where.path)), store)
            return
        if offline:
            hint = f"build once without `--offline`, or put the file beside the recipe and name it in {_key(wanted)}"
            raise NotFetched(f"{wanted.shown} is not in the store, and nothing may be fetched (--offline)", hint=hint)
        part = store.root / CACHE / "fetch" / f"{wanted.sha256}-{os.getuid()}"  # another user could not go on with it
        make_folder(part.parent)
        _download(wanted, part, told)
        try:
            _take(wanted, part, store)
        finally:
            part.unlink(missing_ok=True)


def _take(wanted: Download, path: Path, store: Store) -> None:
    """Put a file into the store, if it is the right one."""
    try:
        digest = hashlib.sha256()
        for chunk in chunks_of(path):
            digest.update(chunk)
    except OSError as error:
        raise NotFetched(f"cannot read {wanted.shown}: {error.strerror}", hint=_look(wanted)) from None
    if digest.hexdigest() != wanted.sha256:
        message = f"{wanted.shown} is another file than the recipe means: its SHA-256 is {digest.hexdigest()}, "
        message += f"not {wanted.sha256}"
        hint = (
            f"it has changed there, or the `sha256` of {_key(wanted)} is wrong: write the new one if you trust the file"
        )
        raise NotFetched(message, hint=hint)
    store.put_file(path)


def _download(wanted: Download, part: Path, told: Told) -> None:
    """Write what the URL gives to `part`, behind what is there of an earlier try."""
    problem = ""
    for _ in range(TRIES):
        try:
            if _go_on(wanted, part, told):
                return
            problem = "the connection broke off"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                raise NotFetched(
                    f"{wanted.shown} cannot be fetched: {error.code} {error.reason}", hint=_look(wanted)
                ) from None
            problem = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: redirected to what is no URL
            problem = str(getattr(error, "reason", "") or error or type(error).__name__)
    hint = f"{_look(wanted)}; what has come is kept, and the next build goes on from there"
    raise NotFetched(f"{wanted.shown} cannot be fetched: {problem} ({TRIES} times)", hint=hint)


def _go_on(wanted: Download, part: Path, told: Told) -> bool:
    """One connection; whether the file is whole after it."""
    there = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "finnyaml", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    request = urllib.request.Request(wanted.url, headers=headers)  # noqa: S310 - the schema lets http and https pass
    try:
        answer = _opener().open(request, timeout=SILENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        part.unlink()  # there is no more, or it is another file by now: from the start
        return _go_on(wanted, part, told)
    with answer, part.open("ab") as file:
        start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if answer.status != 206 or start is None or int(start[1]) != there:
            there = 0
            file.truncate(0)
        length = answer.headers.get("Content-Length")
        size = there + int(length) if length and length.isdecimal() else None
        told(there, size)
        while piece := answer.read(PIECE):
            file.write(piece)
    return size is None or part.stat().st_size >= size


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """To http and https only, and never back to a connection that anybody can read."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            raise urllib.error.URLError(f"it leads to {new}:, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """What opens http and https, and nothing else; with the proxies of the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _SafeRedirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _key(wanted: Download) -> str:
    return dotted(wanted.pointer)


def _look(wanted: Download) -> str:
    return f"look whether the `url` of {_key(wanted)} is right; a file beside the recipe does as well"
