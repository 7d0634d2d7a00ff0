"""rrweb's own player in a page: gives it events and looks at what it made of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, Route

PLAY = """async (text) => {
  const events = JSON.parse(text);
  globalThis.replayer?.destroy();
  const replayer = new rrweb.Replayer(events, { root: document.body, mouseTail: false });
  const finished = new Promise((done) => replayer.on("finish", done));
  window.replayer = replayer;
  // Everything but the last event at once, the last one played: only then does the player say that it has finished.
  const { totalTime } = replayer.getMetaData();
  replayer.play(Math.max(0, totalTime - 1));
  await finished;
  return { text: replayer.iframe.contentDocument.body.textContent, totalTime };
}"""

HTML = """() => {
  const roots = [replayer.iframe.contentDocument];
  for (const root of roots)
    for (const element of root.querySelectorAll("*")) roots.push(...[element.contentDocument, element.shadowRoot].filter(Boolean));
  return roots.map((root) => root.documentElement?.outerHTML ?? root.innerHTML).join("\\n");
}"""


@dataclass
class Player:
    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings, the player's and the browser's."""

    async def play(self, events: str) -> str:
        """Play a JSON array of events to its end; gives the text of the last page."""
        played = await self.page.evaluate(PLAY, events)
        text: str = played["text"]
        return text

    async def html(self) -> str:
        """The last page as it stands, frames and shadow roots included."""
        html: str = await self.page.evaluate(HTML)
        return html


@asynccontextmanager
async def player(context: BrowserContext, node_modules: Path) -> AsyncIterator[Player]:
    """A page with the player, cut off from the network: recordings name addresses that do not exist."""
    page = await context.new_page()
    player = Player(page)

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            player.complaints.append(message.text)

    def fail(error: Error) -> None:
        player.complaints.append(str(error))

    page.on("console", hear)
    page.on("pageerror", fail)
    await page.route("**/*", nothing)
    await page.goto("https://player.example/")
    await page.add_script_tag(path=node_modules / "rrweb" / "dist" / "rrweb.umd.min.cjs")
    try:
        yield player
    finally:
        await page.close()


async def nothing(route: Route) -> None:
    await route.fulfill(status=200, content_type="text/html", body="<!doctype html><title>player</title>")
