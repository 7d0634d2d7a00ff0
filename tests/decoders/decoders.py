"""Every zstd decoder at hand behind one signature: bodies in by name, decoded bytes out by name.

A decoder that this machine lacks skips its test.
"""

import base64
import io
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import zstandard
from playwright.async_api import BrowserContext

from tests.browser.tools import npm
from tests.decoders.server import serving

Bodies = Mapping[str, bytes]
Decoder = Callable[[Bodies], Awaitable[dict[str, bytes]]]

DECODE = Path(__file__).with_name("decode.mjs")
LACKING = 77
"""What decode.mjs exits with when Node lacks the decoder."""
LARGEST = 256 * 1024 * 1024
"""Bytes that a one-shot decoder may make of one body: a tape does not say its size in the frame header."""


async def zstandard_one_shot(bodies: Bodies) -> dict[str, bytes]:
    return {
        name: zstandard.ZstdDecompressor().decompress(body, max_output_size=LARGEST)
        for name, body in bodies.items()
    }


async def zstandard_object(bodies: Bodies) -> dict[str, bytes]:
    """Fed in pieces of a size that no block ends at; the frame must end exactly where the body does."""

    def decode(body: bytes) -> bytes:
        one = zstandard.ZstdDecompressor().decompressobj()
        decoded = b"".join(one.decompress(body[at : at + 1021]) for at in range(0, len(body), 1021))
        assert one.eof
        assert one.unused_data == b""
        return decoded

    return {name: decode(body) for name, body in bodies.items()}


async def zstandard_stream_reader(bodies: Bodies) -> dict[str, bytes]:
    return {
        name: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)).read()
        for name, body in bodies.items()
    }


async def httpx_response(bodies: Bodies) -> dict[str, bytes]:
    with serving(bodies) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            return {name: (await client.get(name)).content for name in bodies}


async def zstd_command(bodies: Bodies) -> dict[str, bytes]:
    with workplace("zstd", bodies) as (sources, out):
        run("zstd", "--decompress", "--quiet", "--output-dir-flat", out, *sources)
        return {name: (out / name).read_bytes() for name in bodies}


async def curl_compressed(bodies: Bodies) -> dict[str, bytes]:
    with workplace("curl", bodies) as (_, out), serving(bodies) as url:
        if "zstd" not in run("curl", "--version"):
            pytest.skip("this curl was built without zstd")
        run("curl", "--silent", "--fail", "--noproxy", "*", "--compressed", "--remote-name-all", "--output-dir", out, *(f"{url}/{name}" for name in bodies))  # fmt: skip
        return {name: (out / name).read_bytes() for name in bodies}


async def node_zlib(bodies: Bodies) -> dict[str, bytes]:
    with workplace("node", bodies) as (sources, out):
        return node("zlib", out, sources, bodies)


async def node_fetch(bodies: Bodies) -> dict[str, bytes]:
    with workplace("node", bodies) as (_, out), serving(bodies) as url:
        return node("fetch", out, [f"{url}/{name}" for name in bodies], bodies)


async def fzstd(bodies: Bodies) -> dict[str, bytes]:
    """Pure JavaScript: what a page without native zstd would use."""
    with workplace("node", bodies) as (sources, out):
        return node(npm("fzstd@0.1.1") / "fzstd" / "esm" / "index.mjs", out, sources, bodies)


def chromium_fetch(context: BrowserContext) -> Decoder:
    """`fetch` in a page, decoded by the browser's network stack (window at most 8 MiB)."""

    async def decode(bodies: Bodies) -> dict[str, bytes]:
        with serving(bodies) as url:
            page = await context.new_page()
            await page.goto(url)
            encoded = {name: await page.evaluate(FETCH_AS_BASE64, name) for name in bodies}
            await page.close()
        return {name: base64.b64decode(text) for name, text in encoded.items()}

    return decode


FETCH_AS_BASE64 = """async (name) => {
  const reader = new FileReader();
  const read = new Promise((done) => reader.addEventListener("load", done));
  reader.readAsDataURL(await (await fetch(name)).blob());
  await read;
  return reader.result.split(",", 2)[1];
}"""

DECODERS: tuple[Decoder, ...] = (
    zstandard_one_shot,
    zstandard_object,
    zstandard_stream_reader,
    httpx_response,
    zstd_command,
    curl_compressed,
    node_zlib,
    node_fetch,
    fzstd,
)


@contextmanager
def workplace(program: str, bodies: Bodies) -> Iterator[tuple[list[Path], Path]]:
    """A folder with each body as `<name>.zst` (given as paths), and an empty one for what comes out."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    with tempfile.TemporaryDirectory(prefix="tapedeck-decoders-") as folder:
        sources, out = [], Path(folder, "out")
        out.mkdir()
        for name, body in bodies.items():
            sources.append(Path(folder, f"{name}.zst"))
            sources[-1].write_bytes(body)
        yield sources, out


def node(how: str | Path, out: Path, sources: Sequence[str | Path], bodies: Bodies) -> dict[str, bytes]:
    done = subprocess.run(
        ["node", DECODE, how, out, *sources], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode == LACKING:
        pytest.skip("this Node has no zstd")
    assert done.returncode == 0, done.stderr
    return {name: (out / name).read_bytes() for name in bodies}


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
