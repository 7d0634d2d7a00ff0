"""Google's upload in one request: https://cloud.google.com/storage/docs/json_api/v1/how-tos/multipart-upload."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

from storage.source import Source


class Multipart:
    """The body of a multipart upload, made while it is sent; requests iterates it anew when it sends it again."""

    def __init__(self, resource: dict[str, Any], source: Source, content_type: str) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/related; boundary={boundary}"
        self._source = source
        self._head = (
            f"--{boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{json.dumps(resource)}\r\n"
            f"--{boundary}\r\ncontent-type: {content_type}\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self._source.size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        yield from self._source  # raises when the bytes are wrong or late: the request stays unfinished
        yield self._tail
