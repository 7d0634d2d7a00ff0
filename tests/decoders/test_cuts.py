"""Any cut equals the cut of the whole, in every decoder at hand."""

import pytest
from playwright.async_api import BrowserContext

import replay.tape
from tests.decoders.decoders import DECODERS, Decoder, chromium_fetch
from tests.decoders.tapes import recorded, repeated, tape, windows, without_separators

Cuts = dict[str, tuple[bytes, bytes]]
SMALL = ("login.json", "shop.json", "shop-legacy.json", "tabs.json", "activity.json", "everything.json")
SPLICES_EVERY = 700
"""Bytes: parts so small that a cut has many splices, also between events that share nothing."""


@pytest.fixture(scope="module")
def cuts() -> Cuts:
    """By name: the body of a cut, and the JSON that it must decode to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay.tape, "PART_BYTES", SPLICES_EVERY)
        tapes = {
            f"{name}-{level}": tape(recorded(name), level=level) for name in SMALL for level in (1, 3, 19)
        }
        return {
            f"{name}-{n}": (whole.cut(low, high, align=align), whole.expected(low, high, align=align))
            for name, whole in tapes.items()
            for n, (low, high, align) in enumerate(windows(whole, 12, seed=7))
        }


@pytest.fixture(scope="module")
def large() -> Cuts:
    """Parts of the real size, with matches megabytes back."""
    flood = tape(repeated(recorded("flood.json.gz"), 12), level=3)
    assert len(flood.index.parts) == 3
    limits = [
        (None, None, False),
        (1, None, False),
        (None, 9000, False),
        (700, 9000, False),
        (5000, None, True),
    ]
    return {
        f"flood-{n}": (flood.cut(a, b, align=c), flood.expected(a, b, align=c))
        for n, (a, b, c) in enumerate(limits)
    }


async def agrees(decoder: Decoder, cuts: Cuts) -> None:
    decoded = await decoder({name: body for name, (body, _) in cuts.items()})
    wrong = [name for name, (_, expected) in cuts.items() if without_separators(decoded[name]) != expected]
    assert wrong == []


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.__name__)
async def test_every_cut_equals_the_cut_of_the_whole(decoder: Decoder, cuts: Cuts) -> None:
    await agrees(decoder, cuts)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.__name__)
async def test_cuts_of_large_parts_decode(decoder: Decoder, large: Cuts) -> None:
    await agrees(decoder, large)


async def test_chromium_reads_every_cut(browser: BrowserContext, cuts: Cuts) -> None:
    await agrees(chromium_fetch(browser), cuts)


async def test_chromium_reads_cuts_of_large_parts(browser: BrowserContext, large: Cuts) -> None:
    await agrees(chromium_fetch(browser), large)
