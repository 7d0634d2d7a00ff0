"""Tools that tests borrow from the machine: Chromium, and packages of npm.

Locally a missing tool skips its tests. With `CI=true` a missing Chromium fails them.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable() -> str:
    """The path of Chromium (or Chrome), else the test is skipped or, in CI, fails."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse(f"none of {', '.join(BROWSERS)} is installed")
    return found


@asynccontextmanager
async def chromium(*, extension: Path | None = None) -> AsyncIterator[BrowserContext]:
    """A fresh profile in a Chromium of its own, with an unpacked extension if one is given."""
    path = executable()
    extra = [f"--disable-extensions-except={extension}", f"--load-extension={extension}"] if extension else []
    with tempfile.TemporaryDirectory(prefix="tapedeck-chromium-", ignore_cleanup_errors=True) as profile:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile,
                executable_path=path,
                args=[*FLAGS, *extra],
                headless=False,  # FLAGS say so: Playwright's own headless mode loads no extensions
                ignore_default_args=["--disable-extensions"] if extension else None,
            )
            try:
                yield context
            finally:
                await context.close()


@asynccontextmanager
async def chromiums() -> AsyncIterator[Browser]:
    """A Chromium for any number of contexts, each a browser of somebody else."""
    path = executable()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


def npm(*packages: str) -> Path:
    """A `node_modules` with these packages (`name@version`), fetched once per machine; skips when npm can't."""
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    cached = Path(tempfile.gettempdir()) / f"tapedeck-npm-{os.getuid()}-{key}"
    if not cached.is_dir():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        # Into a folder of our own first: tests run in parallel, and an install that broke must not stay.
        fresh = Path(tempfile.mkdtemp(prefix="tapedeck-npm-"))
        install = [
            "npm",
            "install",
            "--prefix",
            str(fresh),
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            *packages,
        ]
        done = subprocess.run(install, capture_output=True, text=True, timeout=100, check=False)
        if done.returncode != 0:
            shutil.rmtree(fresh)
            pytest.skip(f"npm could not fetch {' '.join(packages)}: {done.stderr.strip()[-200:]}")
        try:
            fresh.rename(cached)
        except OSError:
            shutil.rmtree(fresh)  # another process was first
    return cached / "node_modules"
