"""How an operation is described in the OpenAPI document, beyond what its handler's signature says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema

from app.openapi_complete import Shown, header_objects


def also(status: int, shape: type[Any], description: str, example: dict[str, Any]) -> dict[int, ResponseSpec]:
    """Another success of an operation."""
    examples: list[Example] = [Shown(id="example", value=example)]
    return {status: ResponseSpec(shape, generate_examples=False, description=description, examples=examples)}


def operation(
    summary: str,
    *,
    description: str,
    success: HTTPStatus = HTTPStatus.OK,
    headers: Sequence[str] = (),
    content: Mapping[str, OpenAPIMediaType] | None = None,
    more: Mapping[int, str] | None = None,
    body: RequestBody | None = None,
) -> type[Operation]:
    """A class for `operation_class`. `content` completes the success, `more` adds answers without a body."""

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            self.summary = summary
            self.request_body = body or self.request_body
            responses: dict[str, Any] = {
                status: response
                for status, response in (self.responses or {}).items()
                if status != "400"
                or any(one.examples for one in _content(response).values())  # not Litestar's own
            }
            answer = responses[str(int(success))]
            answer.description, answer.headers = description, header_objects(headers)
            if success is HTTPStatus.NO_CONTENT:
                answer.content = None
            for media_type, found in (content or {}).items():
                schema = found.schema or _content(answer)[media_type].schema
                _content(answer)[media_type] = OpenAPIMediaType(schema=schema, examples=found.examples)
            for status, text in (more or {}).items():
                kept = [name for name in headers if not name.startswith("Content-")]
                responses[str(status)] = OpenAPIResponse(text, headers=header_objects(kept))
            self.responses = responses

    return Described


def _content(response: Any) -> dict[str, OpenAPIMediaType]:
    if response.content is None:
        response.content = {}
    content: dict[str, OpenAPIMediaType] = response.content
    return content


def shown(schema: Schema | None = None, **examples: Any) -> OpenAPIMediaType:
    """A media type with an example for each keyword, named after it."""
    return OpenAPIMediaType(
        schema=schema, examples={name: Shown(value=value) for name, value in examples.items()}
    )
