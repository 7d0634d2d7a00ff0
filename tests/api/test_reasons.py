"""What sidecars say is remembered."""

import pytest

from app.reasons import Reasons


class Sidecars:
    """Says which were read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    async def __call__(self, name: str) -> dict[str, int]:
        self.read.append(name)
        if name == "away":
            raise OSError("away")
        return {name: 1}


async def test_the_ones_that_were_asked_for_last_are_known() -> None:
    sidecars, reasons = Sidecars(), Reasons(most=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        assert await reasons.find(name, sidecars) == {name: 1}
    assert sidecars.read == ["a", "b", "c", "b"]


async def test_what_could_not_be_read_is_read_again() -> None:
    sidecars, reasons = Sidecars(), Reasons()
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await reasons.find("away", sidecars)
    assert sidecars.read == ["away"] * 2
