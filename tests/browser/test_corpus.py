"""Other people's recordings: rrweb's player shows of our tape what it shows of the file. Needs `TAPEDECK_CORPUS`."""

import gzip
import os
from pathlib import Path

import pytest
import zstandard
from playwright.async_api import BrowserContext, Error

from replay.plan import BadRecording, Claims, plan
from tests.browser.player import player

CORPUS = os.environ.get("TAPEDECK_CORPUS")
FILES = (
    sorted(path for path in Path(CORPUS).rglob("*.json*") if path.suffix in (".json", ".gz"))
    if CORPUS
    else []
)


@pytest.mark.timeout(300)
@pytest.mark.skipif(not FILES, reason="TAPEDECK_CORPUS names no folder of recordings")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
async def test_the_player_shows_what_it_shows_of_the_file(
    browser: BrowserContext, player_modules: Path, path: Path
) -> None:
    sent = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if not sent.lstrip().startswith(b"["):
        pytest.skip("not an array of events")
    envelope = b'{"started_at": "2026-01-01T00:00:00Z", "events": ' + sent + b"}"
    try:
        planned = plan([[zstandard.compress(envelope)]], Claims(), max_bytes=1 << 30)
    except BadRecording as bad:
        pytest.skip(bad.message)
    stored = zstandard.ZstdDecompressor().decompressobj().decompress(b"".join(planned.tape()))
    packed = sent.lstrip(b"[ \r\n\t").startswith(b'"')  # the player would wait for these without an end
    before = None if packed else await shown(browser, player_modules, sent)
    after = await shown(browser, player_modules, stored)
    assert after or not planned.playable
    assert before in (after, None)


async def shown(browser: BrowserContext, player_modules: Path, events: bytes) -> str | None:
    """The last page, or None when the player cannot play these."""
    async with player(browser, player_modules) as rrweb:
        try:
            await rrweb.play(events.decode())
        except Error:
            return None
        return await rrweb.html()
