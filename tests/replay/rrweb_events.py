"""Events for these tests as raw JSON: rrweb's structures, and what hostile or merely new clients make of them.

Every member of every structure is now and then missing, null, of another type, beyond what columns hold, or there twice.
"""

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.replay.recordings import raw_object, strings, times, values

Json = st.SearchStrategy[bytes]

numbers = st.sampled_from(
    [b"0", b"1", b"-1", b"17", b"2.5", b"-0.25", b"1e-7", b"1E+2", b"3.0", b"-0", b"-0.0", b"0.10", b"668.9500122070312",
     b"0.30000000000000004", b"0.1000000000000000055", b"9007199254740992", b"9007199254740993", b"9223372036854775807",
     b"9223372036854775808", b"12345678901234567890123", b"1e999", b"-1e-999", b"5e-324", b"1" * 5000, b"1e99999999999999999999"]
)  # fmt: skip
flags = st.sampled_from([b"true", b"false"])
null = st.just(b"null")
_spaces = st.sampled_from([b"", b"", b" ", b"\n"])


def usually(usual: Json) -> Json:
    return st.integers(0, 9).flatmap(lambda n: values if n == 0 else usual)


@st.composite
def struct(draw: st.DrawFn, members: dict[str, Json], optional: Sequence[str] = ()) -> bytes:
    """An object with these members, mostly."""
    pairs = []
    for name, value in members.items():
        chance = draw(st.integers(0, 19))
        if chance == 0 or (name in optional and chance < 10):
            continue
        key = b'"%b"' % name.encode()
        if chance == 1:
            pairs.append((key, draw(values)))  # of two the last counts
        pairs.append((key, draw(usually(value)) if chance != 2 else b"null"))
    if draw(st.integers(0, 9)) == 0:
        pairs += draw(st.lists(st.tuples(strings, values), max_size=2))
        pairs = draw(st.permutations(pairs))
    return raw_object(pairs, draw(_spaces))


def arrays(items: Json, max_size: int = 3) -> Json:
    return st.lists(items, max_size=max_size).map(lambda each: b"[" + b",".join(each) + b"]")


def entries(names: Json, inner: Json) -> Json:
    return st.lists(st.tuples(names, inner), max_size=3).map(raw_object)


def numbered(last: int) -> Json:
    return st.integers(0, last).map(lambda n: b"%d" % n)


attribute_values = st.one_of(strings, strings, flags, null, numbers)
_style = entries(
    strings, st.one_of(strings, flags, st.tuples(strings, strings).map(lambda pair: b"[%b,%b]" % pair))
)
_rule = struct({"rule": strings, "index": st.one_of(numbers, arrays(numbers))}, ["index"])
_rules = arrays(_rule)


def _node(children: Json) -> Json:
    return struct(
        {
            "type": numbered(6), "id": numbers, "tagName": strings, "attributes": entries(strings, attribute_values),
            "childNodes": children, "textContent": strings, "isStyle": flags, "isSVG": flags, "isShadowHost": flags,
            "isShadow": flags, "isCustom": flags, "needBlock": flags, "rootId": numbers, "name": strings,
            "publicId": strings, "systemId": strings, "compatMode": strings,
        },
        ["tagName", "attributes", "childNodes", "textContent", "isStyle", "isSVG", "isShadowHost", "isShadow", "isCustom",
         "needBlock", "rootId", "name", "publicId", "systemId", "compatMode"],
    )  # fmt: skip


nodes = st.recursive(_node(st.just(b"[]")), lambda inner: _node(arrays(inner)), max_leaves=8)

_position = struct({"x": numbers, "y": numbers, "id": numbers, "timeOffset": numbers})
_positions: dict[str, Json] = {"positions": arrays(_position), "pointerId": numbers}
_range = struct({"start": numbers, "startOffset": numbers, "end": numbers, "endOffset": numbers})
_command = struct({"property": strings, "args": arrays(values), "setter": flags}, ["setter"])
_log = {"level": strings, "payload": arrays(strings), "trace": arrays(strings), "timestamp": numbers}
_request = struct(
    {"url": strings, "name": strings, "method": strings, "status": numbers, "startTime": numbers, "isInitial": flags,
     "requestHeaders": values, "requestBody": strings},
)  # fmt: skip

_data: dict[int, tuple[dict[str, Json], list[str]]] = {
    0: (
        {
            "texts": arrays(struct({"id": numbers, "value": st.one_of(strings, null)})),
            "attributes": arrays(
                struct({"id": numbers, "attributes": entries(strings, st.one_of(attribute_values, _style))})
            ),
            "removes": arrays(struct({"parentId": numbers, "id": numbers, "isShadow": flags}, ["isShadow"])),
            "adds": arrays(
                struct({"parentId": numbers, "previousId": numbers, "nextId": st.one_of(numbers, null), "node": nodes})
            ),
            "isAttachIframe": flags,
        },
        ["isAttachIframe"],
    ),
    1: (_positions, ["pointerId"]),
    2: ({"type": numbered(11), "id": numbers, "x": numbers, "y": numbers, "pointerType": numbered(3)}, ["x", "y"]),
    3: ({"id": numbers, "x": numbers, "y": numbers}, []),
    4: ({"width": numbers, "height": numbers}, []),
    5: ({"id": numbers, "text": strings, "isChecked": flags, "userTriggered": flags}, ["userTriggered"]),
    6: (_positions, ["pointerId"]),
    7: (
        {"type": numbered(5), "id": numbers, "currentTime": numbers, "volume": numbers, "muted": flags, "loop": flags,
         "playbackRate": numbers},
        [],
    ),
    8: (
        {"id": numbers, "styleId": numbers, "adds": _rules, "removes": _rules, "replace": strings, "replaceSync": strings},
        ["styleId", "adds", "removes", "replace", "replaceSync"],
    ),
    9: (
        {"id": numbers, "type": numbered(3), "commands": arrays(_command), "property": strings, "args": arrays(values),
         "setter": flags},
        ["commands", "property", "args", "setter"],
    ),
    10: (
        {"family": strings, "fontSource": strings, "buffer": flags, "descriptors": entries(strings, strings)},
        ["descriptors"],
    ),
    11: (_log, ["timestamp"]),
    12: (_positions, ["pointerId"]),
    13: (
        {"id": numbers, "styleId": numbers, "index": arrays(numbers), "remove": struct({"property": strings}),
         "set": struct({"property": strings, "value": strings, "priority": strings}, ["priority"])},
        ["id", "styleId", "set", "remove"],
    ),
    14: ({"ranges": arrays(_range)}, []),
    15: (
        {"id": numbers, "styleIds": arrays(numbers), "styles": arrays(struct({"styleId": numbers, "rules": _rules}))},
        ["styles"],
    ),
    16: ({"define": struct({"name": strings})}, []),
    17: ({"id": numbers}, []),
}  # fmt: skip

increments = st.sampled_from(sorted(_data)).flatmap(
    lambda source: struct({"source": st.just(b"%d" % source), **_data[source][0]}, _data[source][1])
)
_console = struct({"plugin": st.just(b'"rrweb/console@1"'), "payload": struct(_log, ["timestamp"])})
_network = struct(
    {
        "plugin": st.just(b'"rrweb/network@1"'),
        "payload": struct({"requests": arrays(_request), "isInitial": flags}, ["isInitial"]),
    }
)
_of_type: dict[int, Json] = {
    0: st.just(b"{}"),
    1: st.just(b"{}"),
    2: struct({"node": nodes, "initialOffset": struct({"left": numbers, "top": numbers})}),
    3: increments,
    4: struct({"href": strings, "width": numbers, "height": numbers}),
    5: struct({"tag": strings, "payload": values, "url": strings}, ["payload", "url"]),
    6: st.one_of(_console, _network, struct({"plugin": strings, "payload": values})),
    7: values,
    8: values,
}

events = st.sampled_from([0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8]).flatmap(
    lambda kind: struct(
        {
            "type": st.just(b"%d" % kind), "timestamp": st.one_of(times, numbers), "data": _of_type[kind],
            "delay": numbers, "windowId": strings,
        },
        ["delay", "windowId"],
    )
)  # fmt: skip
