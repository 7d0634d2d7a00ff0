"""Is this UTF-8? Asked in steps: one str of a large text may take four bytes for each of its characters."""

import codecs

_STEP = 1 << 14  # bytes; what fits a cache is decoded fastest


def first_error(text: bytes | bytearray | memoryview) -> int | None:
    """The offset of the first byte that is no UTF-8, or None."""
    at, view = 0, memoryview(text)
    while at < len(view):
        try:
            at += codecs.utf_8_decode(view[at : at + _STEP], "strict", at + _STEP >= len(view))[1]
        except UnicodeDecodeError as error:
            return at + error.start
    return None
