"""Batches that come twice, late and out of order: the tape has every event once, and none of them stops the others."""

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from replay.mask import Masker
from replay.plan import BadRecording, Plan
from replay.privacy import Masking, Privacy
from tests.replay.live import RRWEB_META, TIME_MS, live, planned
from tests.replay.recordings import decoded, stored

_TAGS = st.sampled_from(
    ["rrweb", "rrweb", "navigation", "input", "console", "network_request", "resize", "own"]
)
_TEXTS = st.sampled_from(
    [
        json.dumps(RRWEB_META),
        json.dumps({"type": 5, "data": {"tag": "input"}, "timestamp": TIME_MS}),
        json.dumps(
            {"type": 5, "data": {"tag": "input", "payload": {"type": "password"}}, "timestamp": TIME_MS}
        ),
        '{"type":"\ud83d password","value":[{"\\ud83d":1.5}, "x", null]}',
        json.dumps({"type": 3, "data": {"source": 3, "id": 1}, "timestamp": TIME_MS + 7}),
        json.dumps(json.dumps(RRWEB_META)),
        '{"type":3}',
        '{"a":"\ud83d","level":"error"}',
        "[" * 2000,
        '{"a":' + "[" * 2000 + "]" * 2000 + "}",
        "x\u009c",
        '{"to":"/a"}',
    ]
)
_EVENTS = st.builds(live, _TAGS, _TEXTS | st.text(), st.integers(0, 2 * TIME_MS), url=st.none() | st.text())
_ANCHOR = live("own", "anchor", TIME_MS)


def tape(plan: Plan) -> Counter[str]:
    return Counter(json.dumps(event) for event in json.loads(decoded(stored(plan).frame)))


def figures(plan: Plan) -> Any:
    return plan.summary, sorted(map(str, plan.navigations)), plan.duration_ms


@given(st.lists(_EVENTS, min_size=1, max_size=6), st.sampled_from(Masking))
def test_whatever_is_accepted_can_be_planned(events: list[dict[str, Any]], masking: Masking) -> None:
    try:
        account = planned(events, live=True, masker=Masker(Privacy(masking))).account
    except BadRecording as bad:
        assert bad.code == "no_valid_events"  # noqa: PT017  # or none is raised
        return
    assert account.received == len(events) == account.stored + account.rejected


@given(st.lists(st.lists(_EVENTS, min_size=1, max_size=3), min_size=1, max_size=4), st.randoms())
def test_batches_may_come_twice_and_in_any_order(batches: list[list[dict[str, Any]]], chance: Any) -> None:
    batches = [[_ANCHOR], *batches]
    once = planned(*batches, live=True)
    shuffled = [*batches, *batches]
    chance.shuffle(shuffled)
    again = planned(*shuffled, live=True)
    assert tape(again).keys() == tape(once).keys()
    assert again.account.received == 2 * once.account.received
    for account in (once.account, again.account):
        assert account.received == account.stored + account.duplicate + account.rejected
    twice = planned(*batches, *batches, live=True)
    assert tape(twice) == tape(once)
    assert figures(twice) == figures(once)
    assert twice.account.rejected == once.account.rejected


def test_what_cannot_be_read_as_an_rrweb_event_is_rejected_with_a_reason() -> None:
    texts = ["hello", "5", '{"type":4}', "{", '"x"', ""]
    account = planned([_ANCHOR, *(live("rrweb", text) for text in texts)], live=True).account
    assert (account.stored, account.rejected) == (1, len(texts))
