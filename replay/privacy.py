"""What is masked of a recording: a project's policy, and rules of its own.

A file of rules is a JSON object; every member may be missing::

    {"patterns": [{"name": "order", "pattern": "ORD-[0-9]{6}"}],
     "selectors": [".salary", "[data-pii]"],
     "keys": ["ssn", "date_of_birth"]}

- `patterns`: regular expressions in the syntax of RE2 (linear in time whatever the input); what they match in any string
  value of an event or a log is masked. `name` is how they are counted.
- `selectors`: CSS selectors (`replay.selectors` says which); the text and the values of the elements that they match, and of
  all that these hold, are masked.
- `keys`: names of JSON members, URL parameters and form fields, whatever their case; their values are masked.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec
import re2
from msgspec import Meta

from replay.selectors import BadSelector, Selector

PATTERN_MAX = 1000  # characters
RULES_MAX = 100  # of each kind
REGEX_MEMORY = 8 << 20  # bytes that RE2 may take for one pattern
_PROBES = ("a", "7", "Lorem ipsum dolor", "2026-05-04", "\u00e9")  # what nobody means to mask whole

# Members of rrweb's own events: without their values there is nothing left to play.
STRUCTURE = frozenset(
    {
        *("type", "data", "timestamp", "source", "node", "id", "rootid", "parentid", "nextid", "previousid"),
        *("childnodes", "tagname", "attributes", "adds", "removes", "texts", "positions", "x", "y", "href"),
        *("width", "height", "timeoffset", "plugin", "payload", "tag", "class", "style", "rel"),
    }
)


T = TypeVar("T")


class Masking(StrEnum):
    """A project's policy."""

    STRICT = "strict"  # what DEFAULT masks, and all text and all input values
    DEFAULT = "default"  # secrets by their nature, and what the page marks
    OFF = "off"  # only what the project's own rules name


class IpAddresses(StrEnum):
    """What is kept of the addresses that `client_info` holds."""

    FULL = "full"
    TRUNCATED = "truncated"  # IPv4 to its /24, IPv6 to its /48
    OFF = "off"


class BadRules(Exception):
    """Rules that cannot be used. `field` is the path of what is wrong; the message says why, and what would be right."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class Pattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A regular expression, and the name under which its matches are counted."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,40}$")]
    pattern: Annotated[str, Meta(min_length=1, max_length=PATTERN_MAX)]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is masked beside what the policy says."""

    patterns: Annotated[tuple[Pattern, ...], Meta(max_length=RULES_MAX)] = ()
    selectors: Annotated[
        tuple[Annotated[str, Meta(max_length=PATTERN_MAX)], ...], Meta(max_length=RULES_MAX)
    ] = ()
    keys: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...], Meta(max_length=RULES_MAX)
    ] = ()

    def __bool__(self) -> bool:
        return bool(self.patterns or self.selectors or self.keys)


class Privacy(msgspec.Struct, frozen=True):
    """All that decides what is masked."""

    masking: Masking = Masking.DEFAULT
    rules: Rules = Rules()
    ip_addresses: IpAddresses = IpAddresses.FULL

    def with_rules(self, more: Iterable[Rules]) -> "Privacy":
        """The same, with these rules too."""
        return msgspec.structs.replace(self, rules=merge([self.rules, *more]))


UNMASKED = Privacy(Masking.OFF)


def parse_rules(text: bytes | str) -> Rules:
    """The rules in a file, checked. Raises BadRules."""
    rules = decoded(text, Rules)
    check_rules(rules)
    return rules


def decoded(text: bytes | bytearray | str, shape: type[T]) -> T:
    """A JSON text that rules are in. Raises BadRules."""
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        message, _, path = str(error).replace("`", "'").partition(" - at '$")
        raise BadRules(path.removesuffix("'").lstrip("."), message) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRules("", f"not JSON: {error}") from None


def check_rules(rules: Rules) -> None:
    """Raises BadRules unless every rule can be used, and masks less than everything."""
    for i, pattern in enumerate(rules.patterns):
        _check_storable(f"patterns[{i}].pattern", pattern.pattern)
        _check_pattern(f"patterns[{i}].pattern", pattern.pattern)
    for i, selector in enumerate(rules.selectors):
        _check_storable(f"selectors[{i}]", selector)
        try:
            Selector(selector)
        except BadSelector as error:
            raise BadRules(f"selectors[{i}]", str(error)) from None
    for i, key in enumerate(rules.keys):
        if not key.strip() or not key.isprintable():
            raise BadRules(f"keys[{i}]", "must be printable characters, not only white space")
        if key.lower() in STRUCTURE:
            raise BadRules(f"keys[{i}]", f"{key} is part of rrweb's own events: without it nothing plays")


def compile_pattern(pattern: str) -> "re2._Regexp[str]":
    """Raises re2.error."""
    options = re2.Options()
    options.max_mem = REGEX_MEMORY
    options.log_errors = False
    return re2.compile(pattern, options)


def merge(rules: Iterable[Rules]) -> Rules:
    """All of them, each rule once."""
    all_of = list(rules)

    def joined(name: str) -> tuple[object, ...]:
        return tuple(dict.fromkeys(one for each in all_of for one in getattr(each, name)))

    return Rules(**{name: joined(name) for name in Rules.__struct_fields__})  # type: ignore[arg-type]


def _check_storable(field: str, text: str) -> None:
    if "\0" in text:
        raise BadRules(field, "must not contain NUL")


def _check_pattern(field: str, pattern: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except re2.error as error:
        reason = error.args[0]
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise BadRules(field, f"no regular expression of RE2's: {said}") from None
    if compiled.search("") is not None:
        raise BadRules(
            field, "matches nothing at all, and so everywhere: let it match at least one character"
        )
    if all(compiled.fullmatch(probe) for probe in _PROBES):
        raise BadRules(field, "matches everything: use the policy strict instead")
