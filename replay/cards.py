"""Card numbers in text: digits that an issuer gives out, as long as they may be, whose check digit is right.

Issuers' prefixes and lengths are those the networks publish (ISO/IEC 7812-1 leaves them to the networks); the check digit is
the formula of ISO/IEC 7812-1, annex B (Luhn, US patent 2,950,048). Digits stand together or in the groups that are printed
on cards. A number that is part of a longer one, of a word or of a fraction is none.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

# Where a number that may be one begins: what a search in any text looks for first.
CANDIDATE = (
    rb"(?:[^0-9.]|[^0-9]\.|\\u[0-9a-fA-F]{4})[2-6][0-9]{3}(?:%(gap)s)?[0-9]{4,6}(?:%(gap)s)?[0-9]{4,5}"
    % {b"gap": rb"[ +.-]|%20|%2[dDbB]|\\u00(?:20|2[dD]|[aA]0)|\xc2\xa0"}
)

_RUN = re.compile(rb"[0-9]+(?:(?:[ +.-]|\xc2\xa0)[0-9]+)*+")
_GROUP = re.compile(rb"[0-9]+")
_RUN_MIN = 13  # bytes
_RUN_GROUPS_MAX = 7  # longer runs are lists of numbers
_GROUPINGS = frozenset({(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4), (4, 4, 4, 1), (6, 13)})
_APART = (b"", b" ", b"+", b"\xc2\xa0")  # what may stand between a card number and another number
_WORD_BEFORE = re.compile(rb"(?:[0-9A-Za-z_]|[0-9A-Za-z_]-)\Z")
_WORD_AFTER = re.compile(rb"[0-9A-Za-z_]|-[0-9A-Za-z_]")

# (first prefix, last prefix, lengths)
_ISSUERS: tuple[tuple[str, str, Sequence[int]], ...] = (
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("300", "305", (14, 16, 19)),  # Diners Club
    ("3095", "3095", (14, 16, 19)),
    ("36", "36", (14, 16, 19)),
    ("38", "39", (14, 16, 19)),
    ("3528", "3589", (16, 17, 18, 19)),  # JCB
    ("6011", "6011", (16, 19)),  # Discover
    ("644", "649", (16, 19)),
    ("65", "65", (16, 19)),
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("81", "81", (16, 17, 18, 19)),
    ("2200", "2204", (16, 17, 18, 19)),  # Mir
    ("50", "50", (16, 17, 18, 19)),  # Maestro; its shorter numbers are not told from others
    ("56", "58", (16, 17, 18, 19)),
    ("63", "63", (16, 17, 18, 19)),
    ("67", "67", (16, 17, 18, 19)),
)


def cards(text: bytes) -> Iterator[tuple[int, int]]:
    """The spans of the card numbers in a text, with what parts their groups."""
    for run in _RUN.finditer(text):
        start, end = run.span()
        if end - start < _RUN_MIN or _WORD_BEFORE.search(text[max(0, start - 2) : start]):
            continue
        groups = [group.span() for group in _GROUP.finditer(text, start, end)]
        if len(groups) <= _RUN_GROUPS_MAX and not _WORD_AFTER.match(text[end : end + 2]):
            yield from _in_groups(text, groups)


def is_card(digits: str) -> bool:
    """Whether these digits are a card number."""
    return any(
        first <= digits[: len(first)] <= last and len(digits) in lengths for first, last, lengths in _ISSUERS
    ) and is_checked(digits)


def is_checked(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (Luhn)."""
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(map(int, odd)) + sum(sum(divmod(2 * int(digit), 10)) for digit in even)) % 10 == 0


def _in_groups(text: bytes, groups: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    gaps = [text[end:start] for (_, end), (start, _) in pairwise(groups)]
    first = 0
    while first < len(groups):
        for last in range(len(groups), first, -1):
            if _is_number(gaps, first, last) and _is_card(text, groups[first:last]):
                yield groups[first][0], groups[last - 1][1]
                first = last - 1
                break
        first += 1


def _is_number(gaps: Sequence[bytes], first: int, last: int) -> bool:
    """Whether the groups `[first:last]` stand apart from their neighbours, and alike together."""
    before = gaps[first - 1] if first else b""
    after = gaps[last - 1] if last <= len(gaps) else b""
    return before in _APART and after in _APART and len(set(gaps[first : last - 1])) <= 1


def _is_card(text: bytes, groups: Sequence[tuple[int, int]]) -> bool:
    sizes = tuple(end - start for start, end in groups)
    if len(sizes) > 1 and sizes not in _GROUPINGS:
        return False
    return is_card(b"".join(text[start:end] for start, end in groups).decode())
