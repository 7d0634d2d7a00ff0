"""rrweb's own player plays what we store: without a complaint, to the page that the visitor saw last."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zstandard
from playwright.async_api import BrowserContext

from replay.mask import Masker
from replay.plan import Claims, plan
from replay.privacy import Masking, Privacy
from tests.browser.player import Player, player
from tests.decoders.tapes import recorded, tape
from tests.fixtures import manifest, read

PLAYABLE = [name for name, known in manifest().items() if known["wrapper"] == "array"]
EXPECTED_COMPLAINTS = ("OTS parsing error", "Not allowed to load local resource: blob:")
"""Of the browser, about a font of four bytes and an audio that lived in the recorded page."""


ELEMENTS = "[...replayer.iframe.contentDocument.querySelectorAll('*')].map(element => element.tagName)"


@pytest.fixture
async def rrweb(browser: BrowserContext, player_modules: Path) -> AsyncIterator[Player]:
    async with player(browser, player_modules) as playing:
        yield playing


def normalized(name: str, masking: Masking = Masking.OFF) -> str:
    """A fixture's events as a client would read them back."""
    envelope = b'{"started_at": "2026-01-01T00:00:00Z", "events": ' + read(name) + b"}"
    masker = Masker(Privacy(masking))
    planned = plan([[zstandard.compress(envelope)]], Claims(), masker=masker, max_bytes=1 << 30)
    assert planned.playable
    return decoded(b"".join(planned.tape()))


def decoded(body: bytes) -> str:
    return zstandard.ZstdDecompressor().decompressobj().decompress(body).decode()


@pytest.mark.parametrize("name", PLAYABLE)
async def test_every_fixture_plays_to_its_end(rrweb: Player, name: str) -> None:
    shown = await rrweb.play(normalized(name))
    assert manifest()[name]["ends"] in shown
    assert [text for text in rrweb.complaints if not text.startswith(EXPECTED_COMPLAINTS)] == []


@pytest.mark.parametrize(
    "name", ["login.json", "shop.json", "shop-legacy.json", "flood.json.gz", "everything.json"]
)
async def test_the_player_shows_what_it_shows_of_the_events_as_sent(rrweb: Player, name: str) -> None:
    await rrweb.play(read(name).decode())
    sent = await rrweb.html()
    assert manifest()[name]["ends"] in sent
    await rrweb.play(normalized(name))
    assert await rrweb.html() == sent


@pytest.mark.parametrize("masking", [Masking.DEFAULT, Masking.STRICT])
@pytest.mark.parametrize("name", PLAYABLE)
async def test_what_is_masked_plays_and_lays_out_as_before(
    rrweb: Player, name: str, masking: Masking
) -> None:
    before, elements = await rrweb.play(normalized(name)), await rrweb.page.evaluate(ELEMENTS)
    after = await rrweb.play(normalized(name, masking))
    assert await rrweb.page.evaluate(ELEMENTS) == elements
    assert re.sub(r"\S", "*", after) == re.sub(r"\S", "*", before)
    assert [text for text in rrweb.complaints if not text.startswith(EXPECTED_COMPLAINTS)] == []
    if masking is Masking.STRICT:
        assert manifest()[name]["ends"] not in after or not manifest()[name]["ends"]


async def test_frames_and_shadow_roots_show_what_was_recorded(rrweb: Player) -> None:
    await rrweb.play(normalized("everything.json"))
    seen = await rrweb.page.evaluate(
        """() => {
          const page = replayer.iframe.contentDocument;
          const inner = page.querySelector("#outer").contentDocument.querySelector("#inner").contentDocument;
          const host = page.querySelector("#host").shadowRoot;
          return {
            inner: inner.body.textContent,
            shadow: host.querySelector("p").textContent,
            field: page.querySelector("#field").value,
          };
        }"""
    )
    assert seen == {
        "inner": "changed two frames down",
        "shadow": "in the shadow  grows",
        "field": "typed \ud83d by script",
    }


async def test_a_cut_aligned_to_a_snapshot_plays_on_its_own(rrweb: Player) -> None:
    whole = tape(recorded("shop-checkouts.json"), level=3)
    length = whole.events[-1].time - whole.events[0].time
    late = whole.cut(length * 3 / 4, align=True)
    assert len(late) < whole.index.frame_bytes
    assert "Order received." in await rrweb.play(decoded(late))
    assert rrweb.complaints == []
