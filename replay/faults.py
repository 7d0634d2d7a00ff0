"""What is wrong with a body, field by field, told once it is known that something is.

Each function yields (path, message) pairs; `refusal` makes them that of the body.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import msgspec
from msgspec import Raw

from replay import surrogates
from replay.envelope import BadEnvelope, malformed, wrong_type
from replay.live_event import text_of

FAULTS_MAX = 20  # that are told of one body

Fault = tuple[str, str]
Members = dict[str, Raw]

NULL = Raw(b"null")  # stands for what is missing, too

_OBJECT, _ARRAY, _STRING = b'{["'
_INTEGER = re.compile(rb"-?[0-9]+")
_DIGITS_MAX = 20  # more are more than any bound
_EVENT_STARTS = (_OBJECT, _STRING)
_members = msgspec.json.Decoder(Members)
_items = msgspec.json.Decoder(list[Raw])


class Misfit(Exception):
    """Something is wrong with a body, whatever it is."""


def refusal(body: bytearray, find: Callable[[Members], Iterable[Fault]], error: Exception) -> BadEnvelope:
    """Why a body is refused that could not be taken because of `error`: for what can be found in it, at most FAULTS_MAX."""
    try:
        told = list(islice(find(surrogates.decode(_members, body)), FAULTS_MAX))
    except msgspec.ValidationError as no_object:
        return wrong_type(no_object)
    except msgspec.DecodeError as no_json:
        return malformed(no_json, len(body))
    except RecursionError:
        return BadEnvelope("nested too deeply")
    if told:
        return BadEnvelope.of(told)
    return wrong_type(error) if isinstance(error, msgspec.ValidationError) else BadEnvelope("cannot be read")


def members_of(value: Raw | bytes | bytearray) -> Members:
    """The members of a JSON object; of what is none, none."""
    try:
        return surrogates.decode(_members, value)
    except msgspec.ValidationError:
        return {}


def items_of(value: Raw) -> list[Raw]:
    """The items of a JSON array; of what is none, none."""
    return surrogates.decode(_items, value) if _first(value) == _ARRAY else []


def array(path: str, value: Raw) -> Iterator[Fault]:
    """An array that must not be empty."""
    if is_missing(value):
        yield path, "must not be empty"
    elif _first(value) != _ARRAY:
        yield path, "must be an array"
    elif not items_of(value):
        yield path, "must not be empty"


def events(path: str, value: Raw) -> Iterator[Fault]:
    """An array of rrweb events."""
    yield from array(path, value)
    for i, event in enumerate(items_of(value)):
        if _first(event) not in _EVENT_STARTS:
            yield f"{path}[{i}]", "must be an object, or a string that holds a packed event"


def objects(path: str, value: Raw) -> Iterator[Fault]:
    """An array of objects, if there is one."""
    if not is_missing(value) and _first(value) != _ARRAY:
        yield path, "must be an array"
    for i, item in enumerate(items_of(value)):
        if _first(item) != _OBJECT:
            yield f"{path}[{i}]", "must be an object"


def name(path: str, value: Raw, longest: int, *, storable: bool = False) -> Iterator[Fault]:
    """A text that says something; `storable`: as Postgres takes it."""
    if is_missing(value):
        yield path, "must not be blank"
        return
    if _first(value) != _STRING:
        yield path, "must be a string"
        return
    text = text_of(value)
    if is_blank(text):
        yield path, "must not be blank"
    elif len(text) > longest:
        yield path, f"must not be longer than {longest} characters"
    elif storable and surrogates.storable(text) != text:
        yield path, "must not contain NUL or unpaired surrogates"


def text(path: str, value: Raw, *, optional: bool = False) -> Iterator[Fault]:
    """A string, whatever it says."""
    if is_missing(value):
        if not optional:
            yield path, "is required"
    elif _first(value) != _STRING:
        yield path, "must be a string"


def whole_number(path: str, value: Raw, largest: int) -> Iterator[Fault]:
    """An integer from 0 on."""
    if is_missing(value):
        yield path, "is required"
        return
    token = bytes(value)
    if not _INTEGER.fullmatch(token):
        yield path, "must be an integer"
    elif token.startswith(b"-") and token != b"-0":
        yield path, "must not be negative"
    elif len(token) > _DIGITS_MAX or int(token) > largest:
        yield path, f"must not be greater than {largest}"


def boolean(path: str, value: Raw) -> Iterator[Fault]:
    """true or false, if anything."""
    if not is_missing(value) and bytes(value) not in (b"true", b"false"):
        yield path, "must be true or false"


def is_missing(value: Raw) -> bool:
    """It is not there, or null."""
    return value == NULL


def is_blank(text: str) -> bool:
    """It shows nothing: white space at most."""
    return not text or text.isspace()


def _first(value: Raw) -> int:
    return memoryview(value)[0]
