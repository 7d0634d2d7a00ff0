"""What the processes of a deck expose to Prometheus, each on a port of its own; and that alerts and dashboard ask for nothing else."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import promql_parser as promql
import pytest
import yaml

from app.embedded.places import free_port
from tests.deck import Deck
from tests.exposition import Samples, samples_of, scraped
from tests.factories import upload

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "tapedeck.rules.yml").read_text())
DASHBOARD = json.loads((DEPLOY / "grafana" / "tapedeck.json").read_text())
OF_PROMETHEUS = {"instance", "job", "le"}
INTERVAL = "5m"  # Grafana's $__rate_interval

MakeDeck = Callable[..., Deck]


async def exposed(first_port: int, processes: int) -> list[Samples]:
    """Of the processes that serve from this port on, once so many do."""
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            found = []
            for port in range(first_port, first_port + 8):
                try:
                    found.append(samples_of((await client.get(f"http://127.0.0.1:{port}/metrics")).text))
                except httpx.HTTPError:
                    continue
            if len(found) >= processes:
                return found
            await asyncio.sleep(0.1)


async def at_work(make_deck: MakeDeck) -> tuple[Deck, int]:
    """A deck that has made four recordings ready, and the first port of its metrics."""
    port = free_port()
    deck = make_deck(TAPEDECK_METRICS_PORT=str(port), TAPEDECK_CONSERVATION_S="0.2")
    await deck.start()
    async with deck.client() as api:
        ids = [(await api.post("/api/v1/recordings", content=upload())).json()["id"] for _ in range(4)]
        for id_ in ids:
            while (await api.get(f"/api/v1/recordings/{id_}")).json()["status"] != "ready":
                await asyncio.sleep(0.05)
    return deck, port


def total(of: Sequence[Samples], name: str, **labels: str) -> float:
    return sum(samples.value(name, **labels) for samples in of)


async def test_each_process_tells_what_it_did(make_deck: MakeDeck) -> None:
    _, port = await at_work(make_deck)
    kind = {"kind": "process"}
    while True:
        found = await exposed(port, 3)  # two workers, and the dispatcher
        counted = total(found, "tapedeck_conservation_check_timestamp_seconds") > 0
        if counted and total(found, "tapedeck_job_run_seconds_count", **kind) == 4:
            break
    assert total(found, "tapedeck_job_attempts_total", outcome="done", **kind) == 4
    assert total(found, "tapedeck_job_wait_seconds_count", **kind) == 4
    assert total(found, "tapedeck_jobs_rung_total", **kind) >= 4
    assert total(found, "tapedeck_jobs_running") == 0
    builds = [labels for samples in found for name, labels in samples.values if name == "tapedeck_build_info"]
    assert sorted(dict(labels)["process"] for labels in builds) == ["dispatcher", "worker", "worker"]


async def test_alerts_and_dashboard_ask_for_what_there_is(make_deck: MakeDeck) -> None:
    deck, port = await at_work(make_deck)
    found = await exposed(port, 3)
    async with deck.client() as client:
        found.append(await scraped(client))
    names = {name for samples in found for name, _ in samples.values}
    values: dict[str, dict[str, set[str]]] = {}
    for samples in found:
        for name, labels in samples.values:
            for label, value in labels:
                values.setdefault(name, {}).setdefault(label, set()).add(value)
    for expression in expressions():
        for name, matched in selectors(promql.parse(expression)):
            assert name in names, expression
            for label, value in matched.items():
                assert label in values[name], expression
                assert value is None or label == "status" or value in values[name][label], expression
        labels = {label for name, _ in selectors(promql.parse(expression)) for label in values.get(name, ())}
        assert grouped(expression) <= labels | OF_PROMETHEUS, expression


@pytest.mark.parametrize("rule", RULES["groups"][0]["rules"], ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert used <= grouped(rule["expr"]) | set(re.findall(r"(\w+)=", rule["expr"]))


def expressions() -> Iterator[str]:
    """Everything that the rules and the dashboard ask Prometheus."""
    for group in RULES["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in DASHBOARD["panels"]:
        yield from (
            target["expr"].replace("$__rate_interval", INTERVAL) for target in panel.get("targets", [])
        )


def selectors(expression: Any) -> Iterator[tuple[str, dict[str, str | None]]]:
    """The metrics that an expression names, with the labels it asks them for; a value where one is asked for exactly."""
    if isinstance(expression, promql.VectorSelector):
        exactly = promql.MatchOp.Equal
        yield (
            expression.name,
            {one.name: one.value if one.op == exactly else None for one in expression.matchers.matchers},
        )
        return
    for part in ("lhs", "rhs", "expr", "vector_selector", "param"):
        if (inner := getattr(expression, part, None)) is not None:
            yield from selectors(inner)
    for inner in getattr(expression, "args", ()):
        yield from selectors(inner)


def grouped(expression: str) -> set[str]:
    """The labels that an expression groups by."""
    lists = re.findall(r"\bby \(([\w, ]*)\)", expression)
    return {label.strip() for one in lists for label in one.split(",") if label.strip()}
