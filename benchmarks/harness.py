"""Benchmarks that compare: what they are made of, and how their repetitions are run.

A benchmark is a module of this folder with an async generator:

    async def benchmark(options: Options) -> AsyncIterator[Comparison]:
        '''One line that says what is measured.'''
        async with whatever_all_contenders_need() as it:
            yield Comparison(
                "accept 1 MB",
                [Measure("rate", "req/s")],
                [
                    Contender("Tapedeck", Role.OURS, ours),
                    Contender("FastAPI", Role.USUAL, usual),
                    Contender("one INSERT", Role.FLOOR, floor),
                ],
                targets=[Target("rate", "FastAPI", at_least=12), Target("rate", "one INSERT", at_least=0.6)],
            )

A contender is a coroutine function that does one repetition and returns its figures, one for each measure. Repetitions are
interleaved (ours, usual, floor, ours, usual, floor, …), so that a machine that gets slower meanwhile is unfair to nobody;
what counts is the median. What a comparison needs is ready when it is yielded, and may be closed after that.
"""

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Figures = Mapping[str, float]
"""What one repetition measured, by the name of the measure."""


class Role(StrEnum):
    """What a contender is there for."""

    OURS = "ours"
    USUAL = "usual"  # what people use instead
    FLOOR = "floor"  # the least that must be done


class Unavailable(Exception):
    """This contender cannot run on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Options:
    """What the command line asks of a benchmark. `quick` means small: does it work, rather than how fast."""

    quick: bool = False
    rounds: int | None = None
    install: bool = False  # may system packages be installed, by root?


@dataclass(frozen=True)
class Measure:
    """Something that each repetition of each contender measures."""

    name: str
    unit: str
    higher_is_better: bool = True

    def times_as_good(self, ours: float, theirs: float) -> float:
        """How many times as good `ours` is: 2 is twice the rate, or half the time."""
        better, worse = (ours, theirs) if self.higher_is_better else (theirs, ours)
        return better / worse if worse else float("inf")


@dataclass(frozen=True)
class Contender:
    """Someone who does the work once and returns its figures. Raises Unavailable when it cannot be done here.

    The first contender with the role OURS is the one that the others are compared with.
    """

    name: str
    role: Role
    run: Callable[[], Awaitable[Figures]]


@dataclass(frozen=True)
class Target:
    """How good ours has to be in one measure.

    With `against`, the name of a contender: how many times as good as that one. Without: the figure itself.
    """

    measure: str
    against: str | None = None
    at_least: float | None = None
    at_most: float | None = None

    def is_reached(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )


@dataclass(frozen=True)
class Comparison:
    """One thing that several contenders do. The first measure is the one that matters most."""

    title: str
    measures: Sequence[Measure]
    contenders: Sequence[Contender]
    targets: Sequence[Target] = ()
    rounds: int = 5
    warm_up: bool = True  # one more repetition of each before, which does not count

    @property
    def ours(self) -> Contender:
        return next(contender for contender in self.contenders if contender.role is Role.OURS)


@dataclass
class Result:
    """The repetitions of a comparison, by contender; `unavailable` says why some have none."""

    benchmark: str
    comparison: Comparison
    repetitions: dict[str, list[Figures]]
    unavailable: dict[str, str] = field(default_factory=dict)
    seconds: float = 0

    def median(self, contender: str, measure: str) -> float | None:
        """None when this contender measured no such thing."""
        figures = [one[measure] for one in self.repetitions.get(contender, []) if measure in one]
        return statistics.median(figures) if figures else None

    def times_as_good(self, measure: Measure, against: str) -> float | None:
        """How many times as good ours is, median against median; None where either is missing."""
        ours = self.median(self.comparison.ours.name, measure.name)
        theirs = self.median(against, measure.name)
        return None if ours is None or theirs is None else measure.times_as_good(ours, theirs)

    def value(self, target: Target) -> float | None:
        """What a target is about: a ratio or a figure. None when it was not measured."""
        if target.against is None:
            return self.median(self.comparison.ours.name, target.measure)
        measure = next(measure for measure in self.comparison.measures if measure.name == target.measure)
        return self.times_as_good(measure, target.against)


async def run(
    name: str,
    benchmark: AsyncIterator[Comparison],
    options: Options,
    progress: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Result]:
    """Run the comparisons of a benchmark, one result each. `progress` hears what is being done."""
    progress(f"{name}: preparing")
    async for comparison in benchmark:
        yield await _compare(name, comparison, options, progress)
        progress(f"{name}: preparing")


async def _compare(
    name: str, comparison: Comparison, options: Options, progress: Callable[[str], None]
) -> Result:
    began = time.perf_counter()
    result = Result(name, comparison, {contender.name: [] for contender in comparison.contenders})
    rounds = options.rounds or (1 if options.quick else comparison.rounds)
    first = 0 if comparison.warm_up and not options.quick else 1
    for number in range(first, rounds + 1):
        for contender in comparison.contenders:
            if contender.name in result.unavailable:
                continue
            turn = f"{number}/{rounds}" if number else "warming up"
            progress(f"{name}: {comparison.title}: {contender.name} {turn}")
            try:
                figures = await contender.run()
            except Unavailable as error:
                result.unavailable[contender.name] = str(error)
                continue
            if number:
                result.repetitions[contender.name].append(figures)
    result.seconds = time.perf_counter() - began
    return result
