"""What Google does in a rewrite and fake-gcs-server does not, before a real one: it does not overwrite where it is told
not to (412), and takes several calls for a long copy, joined by tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from litestar import Litestar, Request, Response, route

from tests.storage.deck import listening

TOKEN = "go on"


@dataclass
class Strict:
    """Where it listens. `calls`: the parameters of each call to rewrite that it has seen."""

    host: str = ""
    parts: int = 1
    lost_answers: int = 0
    calls: list[dict[str, str]] = field(default_factory=list)


@asynccontextmanager
async def strict_google(upstream: str) -> AsyncIterator[Strict]:
    """In front of the emulator at `upstream`: copies take `parts` calls, the next `lost_answers` end in 503 though done."""
    strict = Strict()
    async with httpx.AsyncClient(base_url=upstream, trust_env=False) as emulator:

        @route("/{path:path}", http_method=["GET", "POST", "PUT", "DELETE"])
        async def serve(request: Request[Any, Any, Any]) -> Response[bytes]:
            target = request.scope["raw_path"].decode()
            if "/rewriteTo/" in target:
                parameters = dict(request.query_params.items())
                strict.calls.append(parameters)
                bucket, _, name = target.partition("/rewriteTo/b/")[2].partition("/o/")
                there = await emulator.get(f"/storage/v1/b/{bucket}/o/{name}")
                if parameters.get("ifGenerationMatch") == "0" and there.is_success:
                    return Response(b"{}", status_code=412)
                if len(strict.calls) < strict.parts:
                    step = b'{"done": false, "rewriteToken": "%s", "totalBytesRewritten": "1", "objectSize": "9"}'
                    return Response(step % TOKEN.encode(), status_code=200, media_type="application/json")
            query = request.scope["query_string"].decode()
            headers = {"content-type": request.headers.get("content-type", "application/json")}
            answer = await emulator.request(
                request.method, f"{target}?{query}", content=await request.body(), headers=headers
            )
            if "/rewriteTo/" in target and strict.lost_answers:
                strict.lost_answers -= 1
                return Response(b"", status_code=503)
            return Response(
                answer.content, status_code=answer.status_code, media_type=answer.headers.get("content-type")
            )

        app = Litestar([serve], openapi_config=None, logging_config=None)
        async with listening(app) as host:
            strict.host = host
            yield strict
