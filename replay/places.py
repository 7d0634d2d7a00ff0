"""Where in a JSON text something stands, in words: `[12].data.attributes[0].value`."""

import re

import msgspec

from replay import surrogates

_TOKEN = re.compile(
    rb'(?P<key>"[^"\\]*+(?:\\.[^"\\]*+)*+"(?=\s*:))|"[^"\\]*+(?:\\.[^"\\]*+)*+"|(?P<punctuation>[{}\[\],])',
    re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*\Z")
_name = msgspec.json.Decoder(str)


def path(text: bytes | bytearray, start: int, at: int) -> str:
    """The way from the JSON value that begins at `start` to the one that holds `text[at]`."""
    way: list[str | int] = []
    for token in _TOKEN.finditer(text, start):
        if token.start() > at:
            break
        if token["key"] is not None:
            way[-1] = surrogates.decode(_name, token["key"])
        elif token["punctuation"] in (b"{", b"["):
            way.append("" if token["punctuation"] == b"{" else 0)
        elif token["punctuation"] in (b"}", b"]"):
            way.pop()
        elif token["punctuation"] == b"," and way:
            last = way[-1]
            way[-1] = last + 1 if isinstance(last, int) else ""
    return "".join(map(_step, way))


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _NAME.match(step) else f"[{msgspec.json.encode(step).decode()}]" if step else ""
