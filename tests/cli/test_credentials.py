"""Which deck the command talks to."""

import json
import stat
from pathlib import Path
from uuid import uuid4

import pytest

from app.embedded.places import free_port
from tests.cli.conftest import Tapedeck
from tests.cli.scripted import Answer, serving

EMPTY_PAGE = Answer(body=b'{"recordings":[],"next_cursor":null}')


def write_credentials(folder: Path, url: str) -> None:
    path = folder / "home" / "credentials.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"url": url, "api_key": "tdk_file", "ingest_key": None, "operator": {}}))
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)


async def test_the_running_deck_is_found_through_its_home(tapedeck: Tapedeck, tmp_path: Path) -> None:
    with serving(EMPTY_PAGE) as (url, asked):
        write_credentials(tmp_path, url)
        assert (await tapedeck("list", "--json")).json == {"recordings": []}
    assert asked[0].headers["authorization"] == "Bearer tdk_file"


async def test_options_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    write_credentials(tmp_path, f"http://127.0.0.1:{free_port()}")
    with serving(EMPTY_PAGE, EMPTY_PAGE) as (url, asked):
        told = Tapedeck(tmp_path, TAPEDECK_URL=url, TAPEDECK_API_KEY="tdk_environment")
        assert (await told("list")).status == 0
        assert (await told("list", "--api-key", "tdk_option", "--url", f"{url}/")).status == 0
    assert [request.headers["authorization"][7:] for request in asked] == ["tdk_environment", "tdk_option"]


async def test_the_file_s_key_is_not_told_to_another_deck(tapedeck: Tapedeck, tmp_path: Path) -> None:
    write_credentials(tmp_path, f"http://127.0.0.1:{free_port()}")
    with serving(EMPTY_PAGE) as (url, asked):
        said = await tapedeck("list", "--url", url)
    assert (said.status, asked) == (2, [])
    assert said.err == f"tapedeck: no API key for {url}: use --api-key or set TAPEDECK_API_KEY\n"


async def test_without_any_deck_the_command_says_how_to_get_one(tapedeck: Tapedeck) -> None:
    said = await tapedeck("show", uuid4())
    assert said.status == 2
    assert "--url" in said.err
    assert "make up" in said.err


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("deck.example", "tdk_x"),
        ("ftp://deck.example", "tdk_x"),
        ("http://[", "tdk_x"),
        ("http://deck.example", "tdk_\u00e4"),
    ],
)
async def test_what_cannot_be_an_address_or_a_key_is_a_usage_error(
    url: str, key: str, tapedeck: Tapedeck
) -> None:
    said = await tapedeck("list", "--url", url, "--api-key", key)
    assert said.status == 2
    assert said.err.startswith("tapedeck: ")
    assert said.err.count("\n") == 1


async def test_a_deck_that_does_not_answer_is_status_3(tapedeck: Tapedeck) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = await tapedeck(
        "send", "--retry-for", "0", "-", "--url", url, "--api-key", "tdk_x", stdin=b'[{"type":4}]'
    )
    assert said.status == 3
    assert f"cannot reach {url}" in said.err


async def test_an_unreadable_credentials_file_is_named(tapedeck: Tapedeck, tmp_path: Path) -> None:
    path = tmp_path / "home" / "credentials.json"
    path.parent.mkdir()
    path.write_text("{")
    said = await tapedeck("list")
    assert said.status == 2
    assert str(path) in said.err
