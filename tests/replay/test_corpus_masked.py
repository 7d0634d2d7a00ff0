"""Every recording at hand, masked: the same recording, but for strings that no longer say anything."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from replay.mask import Masker
from replay.plan import Claims, Plan, plan
from replay.privacy import Masking, Privacy
from replay.remask import remask
from tests.replay.recordings import MIB, decoded, payload, sidecar_json, stored
from tests.replay.test_corpus import ENVELOPE, FIXTURES, batches, files

FILLERS = frozenset("*/·•\N{BLACK SQUARE BUTTON}1")


def planned(file: Path, masking: Masking) -> Plan:
    masker = Masker(Privacy(masking))
    sent = (payload(ENVELOPE % batch, 65_536) for batch in batches(file))
    return plan(sent, Claims(), masker=masker, max_bytes=512 * MIB)


@pytest.fixture(scope="module", params=files(), ids=lambda file: file.name)
def file(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.mark.parametrize("masking", [Masking.DEFAULT, Masking.STRICT])
def test_only_strings_and_numbers_change_and_keep_their_length(file: Path, masking: Masking) -> None:
    open_, closed = planned(file, Masking.OFF), planned(file, masking)
    before, after = decoded(stored(open_).frame), decoded(stored(closed).frame)
    assert len(before) == len(after)
    assert open_.account == closed.account
    assert open_.summary == closed.summary
    _check_same(json.loads(before), json.loads(after))


def test_masking_what_was_kept_gives_what_masking_at_once_gives(file: Path) -> None:
    kept = planned(file, Masking.OFF)
    tape, sidecar = bytearray(decoded(stored(kept).frame)), bytearray(sidecar_json(kept))
    again, at_once = remask(tape, sidecar, Masker(Privacy())), planned(file, Masking.DEFAULT)
    assert b"".join(again.tape()) == stored(at_once).object
    assert again.masked == at_once.masked


@pytest.mark.skipif(
    not os.environ.get("TAPEDECK_CORPUS"), reason="TAPEDECK_CORPUS names no folder of recordings"
)
def test_no_number_of_the_corpus_is_taken_for_a_card_number() -> None:
    others = [file for file in files() if FIXTURES not in file.parents]
    found = {file.name: planned(file, Masking.DEFAULT).masked.get("card_number", 0) for file in others}
    assert {name: count for name, count in found.items() if count} == {}


def _check_same(before: Any, after: Any) -> None:
    """The same values, but for masked ones."""
    waiting = [(before, after)]
    while waiting:
        one, other = waiting.pop()
        assert type(one) is type(other) or isinstance(one, int | float)
        if isinstance(one, dict):
            assert list(one) == list(other)
            waiting += [(one[name], other[name]) for name in one]
        elif isinstance(one, list):
            assert len(one) == len(other)
            waiting += list(zip(one, other, strict=True))
        elif one != other and isinstance(one, str):
            assert len(one) == len(other)
            assert all(new in FILLERS or new == old for old, new in zip(one, other, strict=True))
