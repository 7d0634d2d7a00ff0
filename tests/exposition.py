"""What a process exposes to Prometheus, read as Prometheus reads it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Samples:
    """The samples of one scrape, by name and labels."""

    values: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float:
        """Of the sample with these labels, all of them; 0 when there is none yet."""
        return self.values.get((name, frozenset(labels.items())), 0)

    def labels(self) -> dict[str, set[str]]:
        """The names there are, with the labels that their samples have."""
        found: dict[str, set[str]] = {}
        for name, labels in self.values:
            found.setdefault(name, set()).update(label for label, _ in labels)
        return found


def samples_of(exposed: str) -> Samples:
    """The samples in Prometheus's text format."""
    return Samples(dict(_read(exposed)))


async def scraped(client: httpx.AsyncClient, url: str = "/metrics") -> Samples:
    """Scrape a process."""
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return samples_of(answer.text)


def _read(exposed: str) -> Iterator[tuple[tuple[str, frozenset[tuple[str, str]]], float]]:
    for family in text_string_to_metric_families(exposed):
        for sample in family.samples:
            yield (sample.name, frozenset(sample.labels.items())), sample.value
