"""Contenders take turns, medians are compared, and both table and JSON say what came of it."""

import re
from collections.abc import AsyncIterator
from io import StringIO

import msgspec
from rich.console import Console

from benchmarks import report
from benchmarks.harness import (
    Comparison,
    Contender,
    Figures,
    Measure,
    Options,
    Result,
    Role,
    Target,
    Unavailable,
    run,
)

TIME = Measure("time", "ms", higher_is_better=False)


class Turns:
    """A benchmark of three contenders, one of which is not there."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def contender(self, name: str, role: Role, *times: float) -> Contender:
        left = list(times)

        async def run() -> Figures:
            self.taken.append(name)
            if not left:
                raise Unavailable("not installed")
            return {"time": left.pop(0)}

        return Contender(name, role, run)

    async def benchmark(self) -> AsyncIterator[Comparison]:
        yield Comparison(
            "think",
            [TIME],
            [
                self.contender("we", Role.OURS, 99, 2, 9, 3),
                self.contender("they", Role.USUAL, 99, 30, 30, 1),
                self.contender("nobody", Role.FLOOR),
            ],
            targets=[
                Target("time", "they", at_least=9),
                Target("time", at_most=2),
                Target("time", "nobody", at_least=0.5),
            ],
            rounds=3,
        )


async def _result(turns: Turns) -> Result:
    [result] = [one async for one in run("thinking", turns.benchmark(), Options())]
    return result


async def test_contenders_take_turns_after_a_round_that_does_not_count() -> None:
    turns = Turns()
    result = await _result(turns)
    assert turns.taken == ["we", "they", "nobody", *["we", "they"] * 3]
    assert result.repetitions["we"] == [{"time": 2}, {"time": 9}, {"time": 3}]
    assert result.unavailable == {"nobody": "not installed"}


async def test_medians_are_compared_and_held_against_the_targets() -> None:
    document = msgspec.json.decode(
        msgspec.json.encode(report.document([await _result(Turns())], {}, seconds=1))
    )
    [comparison] = document["comparisons"]
    assert [one["medians"]["time"] for one in comparison["contenders"]] == [3, 30, None]
    assert comparison["contenders"][1]["ours_times_as_good"] == {"time": 10}
    assert [target["reached"] for target in comparison["targets"]] == [True, False, None]
    assert document["machine"]["cores"] >= 1


async def test_the_table_says_what_was_reached_and_what_is_missing() -> None:
    shown, output = report.table(), StringIO()
    report.add(shown, await _result(Turns()))
    Console(file=output, width=200).print(shown)
    we, they, nobody = output.getvalue().splitlines()[1:4]
    assert says(we, "3.00 ms", "2.00 - 9.00", "≤ 2", "missed")
    assert says(they, "30.0 ms", "10.0 x", "≥ 9 x", "reached")
    assert says(nobody, "floor", "not installed")


def says(line: str, *parts: str) -> bool:
    """Whether a line of the table has these, in this order."""
    return re.search(".*".join(map(re.escape, parts)), line) is not None
