"""The views show what the custom events of live sessions say, as they show rrweb's own."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from models import reader, relating
from models.job import JobKind
from models.reading import reader as reading
from models.recording import Source
from tests.factories import START_MS, Deckhand, accepted, upload
from tests.models.steps import claimed
from tests.models.test_views import rows, tools
from workers.process import process
from workers.relate import relate
from workers.tools import Tools

__all__ = ["tools"]

URL = "https://shop.example/cart?a=1"


def custom(ms: int, tag: str, payload: Any, **data: Any) -> dict[str, Any]:
    return {
        "type": 5,
        "data": {"tag": tag, "payload": payload, "url": URL, **data},
        "timestamp": START_MS + ms,
    }


DONE = [
    custom(0, "mouse_click", {"x": 10.5, "y": 20, "selector": "#buy"}),
    custom(1, "mouse_click", {"clientX": 1, "clientY": "2"}),
    custom(2, "mouse_click", "odd", url=None),
    custom(3, "input", {"selector": "#name", "value": "Ada", "checked": False}),
    custom(4, "input", "typed"),
    custom(5, "navigation", {"from": "/cart", "to": "/pay"}),
    custom(6, "navigation", {"to": "//b.example/"}),
    custom(7, "navigation", {"to": "https://c.example/"}),
    custom(8, "navigation", {"to": "/pay"}, url=None),
    custom(9, "navigation", None),
    custom(10, "console", {"level": "error", "args": ["boom", 7]}),
    custom(11, "error", {"message": "gone", "stack": "a\nb"}),
    custom(12, "network_request", {"url": "/api", "method": "GET", "status": 500, "duration": 7}),
    custom(13, "network_request", {"url": "/api", "status": 200}),
]


async def related(tools: Tools, hand: Deckhand, source: Source) -> UUID:
    id_ = await accepted(tools.db, hand, upload(DONE))
    connection = await asyncpg.connect(
        tools.db.engine.url.render_as_string(hide_password=False).replace("+asyncpg", "")
    )
    await connection.execute("UPDATE recording SET source = $2 WHERE id = $1", id_, source)
    await connection.close()
    await process(await claimed(tools.db, id_, JobKind.PROCESS), tools)
    await relating.ask(tools.db, hand.tenant_id, id_)
    await relate(await claimed(tools.db, id_, JobKind.RELATE), tools)
    return id_


async def test_what_a_live_session_says_is_in_the_views(tools: Tools, hand: Deckhand) -> None:
    id_ = await related(tools, hand, Source.STREAM)
    async with reading(tools.db, hand.tenant_id, timeout_s=5) as one:
        assert await rows(one, "SELECT offset_ms, url, x, y, node_id FROM click ORDER BY 1") == [
            ("0", URL, "10.5", "20", None),
            ("1", URL, "1", None, None),
            ("2", None, None, None, None),
        ]
        assert await rows(one, "SELECT offset_ms, url, text, is_checked FROM input ORDER BY 1") == [
            ("3", URL, "Ada", "false"),
            ("4", URL, "typed", None),
        ]
        assert await rows(one, "SELECT offset_ms, url, previous_url FROM navigation ORDER BY 1") == [
            ("5", "https://shop.example/pay", "/cart"),
            ("6", "//b.example/", None),
            ("7", "https://c.example/", None),
            ("8", "/pay", None),
            ("9", URL, None),
        ]
        assert await rows(one, "SELECT offset_ms, message, trace FROM console_error ORDER BY 1") == [
            ("10", "boom 7", None),
            ("11", "gone", "{a,b}"),
        ]
        assert await rows(one, "SELECT offset_ms, url, method, status, duration FROM failed_request") == [
            ("12", "/api", "GET", "500", "7")
        ]
        for view in reader.VIEWS:
            assert await rows(one, f"SELECT DISTINCT replay_id FROM {view}") == [(str(id_),)]


@pytest.mark.parametrize("view", ["click", "input", "console_error", "failed_request"])
async def test_an_upload_s_own_custom_events_say_nothing(tools: Tools, hand: Deckhand, view: str) -> None:
    await related(tools, hand, Source.UPLOAD)
    async with reading(tools.db, hand.tenant_id, timeout_s=5) as one:
        assert await rows(one, f"SELECT count(*) FROM {view}") == [("0",)]
