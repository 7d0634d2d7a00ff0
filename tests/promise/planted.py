"""Recordings full of secrets, each of them unique, and a search for them in whatever was made of the recordings."""

import base64
import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from replay.cards import is_checked
from tests.factories import START_MS

HEADERS = ("Authorization", "cookie", "SET-COOKIE", "X-API-Key", "x-auth-token", "X-SeeStack-Key")
PARAMETERS = ("token", "key", "secret", "password", "auth", "api_key", "accessToken", "client_secret")
MARKS = ("rr-mask", "rr-block", "ph-no-capture", "sentry-mask", "sentry-block", "seestack-mask", "fs-mask")
ALPHABET = "BCDFGHJKLMNPQRSTVWXZbcdfghjkmnpqrstvwxz"


class Planted:
    """Makes secrets and remembers them, with what they are and where they were put."""

    def __init__(self) -> None:
        self._random = random.Random(20261125)
        self.needles: dict[str, str] = {}

    def word(self, what: str, length: int = 14) -> str:
        """A secret that only its place makes one."""
        made = "".join(self._random.choices(ALPHABET, k=length))
        self.needles[made] = what
        return made

    def card(self, what: str, gap: str = "") -> str:
        """A card number of its own."""
        body = "4" + "".join(self._random.choices("0123456789", k=14))
        digits = next(body + check for check in "0123456789" if is_checked(body + check))
        groups = [digits[at : at + 4] for at in range(0, 16, 4)]
        made = gap.join(groups)
        self.needles[made] = what
        return made

    def by_form(self, place: str) -> Iterator[str]:
        """Texts that hold a secret of each kind that is one by its form."""
        for gap in ("", " ", "-"):
            yield f"paid with {self.card(f'card in {place}', gap)}, thanks"
        yield f"curl -H 'x: Bearer {self.word(f'bearer in {place}')}7'"
        user = base64.b64encode(f"me:{self.word(f'basic in {place}')}".encode()).decode()
        self.needles[user.rstrip("=")[4:-4]] = f"basic in {place}"
        yield f"then Basic {user}"
        body = base64.urlsafe_b64encode(self.word(f"jwt in {place}").encode()).decode().rstrip("=")
        self.needles[body] = f"jwt in {place}"
        yield f"see eyJhbGciOiJIUzI1NiJ9.{body}.{self.word(f'jwt in {place}')}"
        yield f"-----BEGIN RSA PRIVATE KEY-----\n{self.word(f'private key in {place}', 60)}\n-----END RSA PRIVATE KEY-----"
        for name in PARAMETERS:
            yield f"https://x.example/?a=1&{name}={self.word(f'?{name}= in {place}')}&b=2"
        hidden = base64.b64encode(f"/?token={self.word(f'data URL in {place}')}".encode()).decode()
        yield f"data:text/plain;base64,{hidden}"

    def found_in(self, text: str) -> dict[str, str]:
        """The secrets that can be read in a text, whatever it is encoded with: each with what it is."""
        read = list(_decodings(text))
        return {needle: what for needle, what in self.needles.items() if any(needle in one for one in read)}


def _decodings(text: str) -> Iterator[str]:
    for _ in range(3):
        yield text
        text = unquote(text)
        for escape in {part[:4] for part in text.split("\\u")[1:]}:
            if all(digit in "0123456789abcdefABCDEF" for digit in escape) and len(escape) == 4:
                text = text.replace(f"\\u{escape}", chr(int(escape, 16)))
        text = text.replace('\\"', '"').replace("\\\\", "\\")


def escaped(text: str) -> str:
    """JSON in which every letter and digit of a text is written as an escape."""
    return '"' + "".join(f"\\u{ord(char):04x}" for char in text) + '"'


def percent(text: str) -> str:
    """A URL that holds a text with each of its characters percent-encoded."""
    return "/to?next=" + "".join(f"%{byte:02X}" for byte in text.encode())


def nested(text: str) -> str:
    """JSON in a string, twice."""
    return json.dumps({"inner": json.dumps({"text": text})})


PLACES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "custom payload": lambda value: {"type": 5, "data": {"tag": "note", "payload": {"said": [value]}}},
    "console plugin": lambda value: {
        "type": 6,
        "data": {"plugin": "rrweb/console@1", "payload": {"level": "log", "payload": [json.dumps(value)], "trace": []}},
    },
    "network plugin": lambda value: {
        "type": 6,
        "data": {"plugin": "rrweb/network@1", "payload": {"requests": [{"url": "/", "requestBody": value, "status": 200}]}},
    },
    "text node": lambda value: _snapshot(_element(6, "p", {"class": "open"}, {"type": 3, "textContent": value, "id": 7})),
    "link": lambda value: _snapshot(_element(6, "a", {"href": value, "title": value})),
    "text mutation": lambda value: _mutation(texts=[{"id": 7, "value": value}]),
    "attribute mutation": lambda value: _mutation(attributes=[{"id": 6, "attributes": {"data-note": value}}]),
    "added node": lambda value: _mutation(
        adds=[{"parentId": 6, "nextId": None, "node": {"type": 3, "textContent": value, "id": 8}}]
    ),
    "Meta": lambda value: {"type": 4, "data": {"href": value, "width": 800, "height": 600}},
    "typed": lambda value: {"type": 3, "data": {"source": 5, "id": 90, "text": value, "isChecked": False}},
    "legacy log": lambda value: {"type": 3, "data": {"source": 11, "level": "log", "payload": [value], "trace": []}},
    "unknown type": lambda value: {"type": 42, "data": {"any": {"thing": value}}},
    "rejected": lambda value: {"type": "no", "data": {"note": value}},
}  # fmt: skip


def recordings(planted: Planted) -> Iterator[bytes]:
    """Bodies of uploads: every kind of secret in every place, as it is, escaped, percent-encoded, nested and packed."""
    for encode in (
        json.dumps,
        escaped,
        lambda text: json.dumps(percent(text)),
        lambda text: json.dumps(nested(text)),
    ):
        events = [
            _event(place(_Hole), i).replace(_HOLE, encode(text))
            for name, place in PLACES.items()
            for i, text in enumerate(planted.by_form(name))
        ]
        pages = [_event(event, 1000 + i) for i, event in enumerate(_by_node(planted))]
        broken = [json.dumps(event) for event in _by_node(planted)]  # without a timestamp: rejected
        yield _body([*events, *pages, *broken], **_logs(planted))
    packed = [
        json.dumps(
            zlib.compress(json.dumps({**json.loads(_event(event, i)), "v": "v1"}).encode()).decode("latin-1")
        )
        for i, event in enumerate(
            [*_by_node(planted), *(PLACES["custom payload"](text) for text in planted.by_form("packed"))]
        )
    ]
    yield _body(packed)
    yield _body([json.dumps(_cv(event, i)) for i, event in enumerate(_by_node(planted))])
    url = f"/?token={planted.word('navigation of a video')}"
    yield _body(
        [],
        has_video=True,
        navigations=[{"url": url, "timestamp_ms": 0}],
        name=f"paid with {planted.card('name')}",
    )


def complete_session(planted: Planted) -> bytes:
    """The body of POST /api/save-replay, full of secrets."""
    href = f"https://x.example/{'0123456789abcdef' * 4}.html?token={planted.word('?token= of a session')}"
    logs = _logs(planted)
    session = {
        "events": [{"type": 4, "data": {"href": href, "width": 800, "height": 600}, "timestamp": START_MS}]
        + [{**event, "timestamp": START_MS + i} for i, event in enumerate(_by_node(planted))],
        "consoleLogs": logs["console_logs"],
        "networkLogs": logs["network_logs"],
        "clientInfo": {
            **logs["client_info"],
            "browser": {"name": f"Chrome {planted.card('browser')}", "version": "1"},
        },
    }
    return json.dumps(session).encode()


_Hole = "\N{BLACK SQUARE}"
_HOLE = json.dumps(_Hole)


def _event(event: dict[str, Any], i: int) -> str:
    return json.dumps({**event, "timestamp": event.get("timestamp", START_MS + i)})


def _body(events: list[str], **members: Any) -> bytes:
    head = json.dumps({"started_at": "2023-11-14T22:13:20Z", **members})
    return f'{head[:-1]}, "events": [{",".join(events)}]}}'.encode()


def _element(node: int, tag: str, attributes: dict[str, Any], *children: Any) -> dict[str, Any]:
    return {"type": 2, "tagName": tag, "attributes": attributes, "childNodes": list(children), "id": node}


def _snapshot(*nodes: Any) -> dict[str, Any]:
    page = _element(4, "html", {}, _element(5, "body", {}, *nodes))
    return {
        "type": 2,
        "data": {"node": {"type": 0, "childNodes": [page], "id": 1}, "initialOffset": {"top": 0, "left": 0}},
    }


def _mutation(**data: Any) -> dict[str, Any]:
    return {
        "type": 3,
        "data": {"source": 0, "texts": [], "attributes": [], "removes": [], "adds": [], **data},
    }


def _typed(node: int, value: str) -> dict[str, Any]:
    return {"type": 3, "data": {"source": 5, "id": node, "text": value, "isChecked": False}}


def _by_node(planted: Planted) -> list[dict[str, Any]]:
    """A page whose nodes make secrets of what they hold: passwords in every place, marked elements, their subtrees."""
    word = planted.word
    marked = [
        _element(
            100 + 10 * i,
            "div",
            {"class": f"a {mark}"} if not mark.startswith("data-") else {mark: ""},
            _element(101 + 10 * i, "p", {"title": word(f"title in {mark}")}, {"type": 3, "textContent": word(f"text in {mark}"), "id": 102 + 10 * i}),
            _element(103 + 10 * i, "input", {"type": "text", "value": word(f"value in {mark}")}),
        )
        for i, mark in enumerate([*MARKS, "data-private-mask", "data-mask"])
    ]  # fmt: skip
    password = _element(
        6, "input", {"type": "password", "name": "pw", "value": word("password in a snapshot")}
    )
    later = _element(
        7, "input", {"type": "text", "name": "later", "value": word("password before it is one")}
    )
    changes = [
        event
        for i in range(len(marked))
        for event in (
            _mutation(texts=[{"id": 102 + 10 * i, "value": word("new text in a marked element")}]),
            _typed(103 + 10 * i, word("typed in a marked element")),
            _mutation(adds=[{"parentId": 101 + 10 * i, "nextId": None, "node": {"type": 3, "textContent": word("added to a marked element"), "id": 104 + 10 * i}}]),
        )
    ]  # fmt: skip
    return [
        {"type": 4, "data": {"href": "https://x.example/", "width": 800, "height": 600}},
        _snapshot(password, later, *marked),
        _typed(6, word("typed password")),
        _typed(7, word("typed before it is a password")),
        _mutation(attributes=[{"id": 6, "attributes": {"value": word("password in an attribute mutation")}}]),
        _mutation(attributes=[{"id": 7, "attributes": {"type": "password"}}]),
        _mutation(attributes=[{"id": 6, "attributes": {"type": "text"}}]),
        _typed(6, word("typed while it is shown")),
        _mutation(adds=[{"parentId": 5, "nextId": None, "node": _element(8, "input", {"type": "PASSWORD", "value": word("password in an added node")})}]),
        _typed(8, word("typed into an added password input")),
        *changes,
    ]  # fmt: skip


def _logs(planted: Planted) -> dict[str, Any]:
    texts = [*planted.by_form("console log")]
    requests = [
        {
            "url": f"/?{name}={planted.word(f'?{name}= of a request')}",
            "requestHeaders": {header: planted.word(f"{header} as an object") for header in HEADERS},
            "responseHeaders": [
                {"name": header, "value": planted.word(f"{header} in a list")} for header in HEADERS
            ],
            "raw": "".join(f"{header}: {planted.word(f'{header} in lines')}\r\n" for header in HEADERS),
            "pairs": [[header, planted.word(f"{header} in pairs")] for header in HEADERS],
            "flat": [
                part for header in HEADERS for part in (header, planted.word(f"{header} in a flat list"))
            ],
            "body": json.dumps({"user": "me", "password": planted.word("password in a body")}),
            "form": f"user=me&password={planted.word('password in a form')}",
            "status": 200,
        }
        for name in PARAMETERS
    ]
    return {
        "console_logs": [{"level": "log", "args": texts, "timestamp": START_MS}],
        "network_logs": requests,
        "client_info": {
            "note": [*planted.by_form("client info")],
            "cookie": planted.word("cookie in client info"),
        },
    }


def _cv(event: dict[str, Any], i: int) -> dict[str, Any]:
    """The event as PostHog packs it."""

    def packed(value: Any) -> str:
        return gzip.compress(json.dumps(value).encode()).decode("latin-1")

    event = {**event, "timestamp": START_MS + i}
    if event["type"] == 2:
        return {**event, "cv": "2024-10", "data": packed(event["data"])}
    if event["type"] == 3 and event["data"]["source"] == 0:
        members = {name: packed(event["data"][name]) for name in ("texts", "attributes", "removes", "adds")}
        return {**event, "cv": "2024-10", "data": {**event["data"], **members}}
    return event
