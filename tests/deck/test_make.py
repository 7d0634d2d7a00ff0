"""`make up`, from the checkout that these tests run in."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deck.recording import outcome, send
from tests.deck.run import Up, clean_environment, client, gone

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def make_up(up: Callable[..., Up]) -> Callable[[], Up]:
    """Starts `make up`, where make has already made the environment."""
    plan = subprocess.run(
        ["make", "-n", "up"],
        cwd=CHECKOUT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    if len(plan.stdout.splitlines()) > 1:
        pytest.skip("this environment was not made by make, or is older than uv.lock")
    return lambda: up(argv=["make", "up"], cwd=CHECKOUT)


@pytest.mark.parametrize(("number", "order"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
async def test_a_deck_ends_with_its_make(
    make_up: Callable[[], Up], number: signal.Signals, order: bool
) -> None:
    deck = make_up()
    async with client(await deck.ready()) as http:
        assert (await outcome(http, await send(http)))["status"] == "ready"
    started = deck.tree()
    await deck.end(number)
    await gone(started)
    assert ("database system is shut down" in deck.said().split("ready at")[1]) is order
