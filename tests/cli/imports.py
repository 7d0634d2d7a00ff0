"""What the tests of `tapedeck import` share: small recordings, and archives of them."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import zstandard

START_MS = 1_700_000_000_000


def recording(number: int = 0, count: int = 3) -> bytes:
    """A bare array of events, another one for each number."""
    events = [
        {"type": 5, "data": {"tag": "n", "payload": number}, "timestamp": START_MS + at}
        for at in range(count)
    ]
    return json.dumps(events).encode()


def tarred(members: Mapping[str, bytes], **more: Any) -> bytes:
    """A tar of these members; `more` changes their headers."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size, header.mtime = len(content), START_MS // 1000
            for key, value in more.items():
                setattr(header, key, value)
            archive.addfile(header, io.BytesIO(content))
    return made.getvalue()


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
}
