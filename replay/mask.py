"""Masking: nothing that a policy calls a secret is left in what is stored.

Two passes over what was received, both in place, so that no length changes and nothing is held twice:

1. as each batch comes, everything that is a secret by itself (`replay.scan`), and a project's own patterns;
2. once all events are there, in playing order, what is a secret because of the node that holds it (`replay.pages`,
   `replay.fields`): values of password inputs, text and values of elements that the page or the project marks, and with the
   policy `strict` all text and all input. Only pages on which the first pass has seen a mark are looked at.

What is masked is counted by rule and said to nobody.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import Raw

from replay import splice
from replay.detect import Detector
from replay.elements import HIDING_MARKS, SECRET_MARKS, TEXT_ATTRIBUTES
from replay.events import Rejected
from replay.fill import fill_value
from replay.ip import masked_ips
from replay.patterns import Patterns
from replay.privacy import UNMASKED, IpAddresses, Masking, Privacy, check_rules
from replay.scan import Found, Marked, Scanner
from replay.selectors import Selector
from replay.unpack import unpack_string

_VALUES = re.compile(
    rb'"(?:text|textContent|%b)"\s*:\s*(?=["\[{0-9-])' % "|".join(sorted(TEXT_ATTRIBUTES)).encode()
)
_STRING = ord('"')


def _unheard(*_: object) -> None:
    pass


class Masker:
    """What masks by one policy, ready to use for any number of recordings. Raises BadRules."""

    def __init__(self, privacy: Privacy) -> None:
        rules = privacy.rules
        check_rules(rules)
        self.builtin = builtin = privacy.masking is not Masking.OFF
        self.strict = privacy.masking is Masking.STRICT
        self.ip_addresses = privacy.ip_addresses
        self.selectors = [Selector(css) for css in rules.selectors]
        self.patterns = Patterns(rules.patterns)
        self.scanner = Scanner(
            Detector(rules.keys, builtin=builtin), (*SECRET_MARKS, *HIDING_MARKS) if builtin else ()
        )
        self.is_idle = not (builtin or rules or privacy.ip_addresses is not IpAddresses.FULL)

    def string(self, text: str) -> str:
        """A text that stands by itself, such as a URL, without its secrets."""
        if self.is_idle:
            return text
        json = bytearray(msgspec.json.encode(text))
        self.mask(json, 0, len(json), _unheard, _unheard)
        return msgspec.json.decode(json, type=str)

    def mask(self, text: bytearray, start: int, end: int, found: Found, marked: Marked) -> None:
        """Mask what is a secret by itself in `text[start:end]`, whole values of a JSON text."""
        self.scanner.mask(text, start, end, found, marked)
        self.patterns.mask(text, start, end, found)


NOTHING = Masker(UNMASKED)


@lru_cache(maxsize=32)
def masker_of(privacy: Privacy) -> Masker:
    """The masker of a policy: made once, and kept while it is used often. Raises BadRules."""
    return Masker(privacy)


class Mask:
    """What is masked of one recording."""

    def __init__(self, masker: Masker = NOTHING) -> None:
        self.masker = masker
        self.counts: Counter[str] = Counter()

    def within(self, name: str, text: bytearray, values: Sequence[Raw]) -> None:
        """What is masked from here on is of these slices of a text, which together have that name."""

    def found(self, rule: str, at: int) -> None:
        """A value was masked, at that offset of its text."""
        self.counts[rule] += 1

    def values(self, text: bytearray, start: int, end: int, marked: Marked) -> None:
        """Mask what is a secret by itself in `text[start:end]`, whole values of a JSON text."""

        def found(rule: str, at: int) -> None:
            self.found(rule, at)
            if rule == "card_number":  # typed, it is told by what was there before its last digit, too
                marked(at, b"")

        self.masker.mask(text, start, end, found, marked)

    def event(self, event: bytes | Raw, marked: Marked) -> bytes | Raw:
        """An event that came packed, without what is a secret by itself; the same object when it has none."""
        if self.masker.is_idle:
            return event
        text, before = bytearray(event), self.counts.total()
        self.values(text, 0, len(text), marked)
        return bytes(text) if self.counts.total() > before else event

    def masked_again(self, event: bytes | Raw) -> bytes:
        """As `event` made it before; nothing is counted."""
        text = bytearray(event)
        self.masker.mask(text, 0, len(text), _unheard, _unheard)
        return bytes(text)

    def rejected(self, event: Raw) -> Raw:
        """An event that is kept for what is wrong with it, not for what it holds: without all text and all values.

        It is masked already as a part of its batch. One that cannot be unpacked is nothing that could be looked into.
        """
        if self.masker.is_idle:
            return event
        if memoryview(event)[0] != _STRING:
            text = bytearray(event)
            if b'"cv"' in text and (data := splice.members(bytes(text)).get("data")):
                self._fill(text, data.start)  # its packed members may hold anything
            self.blank(text, 0, len(text))
            return Raw(bytes(text))
        try:
            text = bytearray(unpack_string(event))
        except Rejected:
            text = bytearray(event)
            self._fill(text, 0)
        else:
            self.values(text, 0, len(text), _unheard)
            self.blank(text, 0, len(text))
        return Raw(bytes(text))

    def blank(self, text: bytearray, start: int, end: int) -> int:
        """Mask all text and all values of an event of which nobody knows what it is. Returns how many changed."""
        total = 0
        while member := _VALUES.search(text, start, end):
            start, changed = self._fill(text, member.end())
            total += changed
        return total

    def _fill(self, text: bytearray, at: int) -> tuple[int, int]:
        end, changed = fill_value(text, at)
        if changed:
            self.found("unreadable", at)
        return end, changed

    def client_info(self, client_info: Raw) -> Raw:
        """What is kept of a client's own words about itself: addresses as the policy says."""
        kept, changed = masked_ips(client_info, self.masker.ip_addresses)
        if changed:
            self.counts["ip_address"] += changed
        return kept
