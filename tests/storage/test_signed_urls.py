"""What a URL that a local directory signs allows, and what it withstands."""

from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.directory import DRAFTS
from storage.protocol import Storage
from storage.signing import Grant, Signer
from tests.storage.deck import BASE_URL, SECRET, assert_problem, client_of, open_for_test, sign
from tests.storage.objects import DATA, files, new_name, put

FAR_FUTURE = 4_000_000_000


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
async def test_a_url_to_read_cannot_write(client: httpx.AsyncClient, url: str, method: str) -> None:
    response = await client.request(method, url, content=b"evil")
    assert_problem(response, 405, "wrong_method")
    assert response.headers["allow"] == "GET, HEAD"
    assert (await client.get(url)).content == DATA


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_a_url_to_write_cannot_read(client: httpx.AsyncClient, local: Storage, method: str) -> None:
    name = new_name()
    await put(local, name, DATA)
    response = await client.request(method, local.sign_put(name, ttl_s=60))
    assert response.status_code == 405
    assert response.headers["allow"] == "PUT"


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_url_expires(client: httpx.AsyncClient, local: Storage, root: Path, method: str) -> None:
    name = new_name()
    limit = 1000 if method == "PUT" else None
    expired = sign(method, name, expires_in_s=-1, max_bytes=limit)
    assert_problem(await client.request(method, expired, content=b"x"), 403, "bad_url")
    assert files(root) == []


async def test_another_deck_s_key_signs_nothing_here(client: httpx.AsyncClient) -> None:
    response = await client.put(sign("PUT", new_name(), max_bytes=9, secret="t" * 32), content=b"x")
    assert_problem(response, 403, "bad_url")


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("method=PUT", "method=GET"),
        ("max_bytes=1000000", "max_bytes=1000001"),
        ("&max_bytes=1000000", ""),
        ("max_bytes=1000000", "max_bytes=01000000"),
        ("max_bytes=1000000", "max_bytes=-1"),
        ("expires=", "expires=9"),
        ("expires=", "expires=%20"),
        ("expires=", "expires=%D9%A1"),
        ("&signature=", "&signatur="),
        ("signature=", "signature=0"),
        ("signature=", "signature=%C3%A4"),
        ("?", "?extra=1&"),
        ("?", "?method=PUT&"),
        ("?method", "?&method"),
        ("video.webm", "video.webm.html"),
        ("video.webm", "video%00.webm"),
        ("recordings/", "recordings/%2e%2e/recordings/"),
        ("recordings/", "recordings%2f..%2Frecordings/"),
        ("recordings/", "recordings\\..\\recordings\\"),
        ("recordings/", "%2Fetc/"),
        ("recordings/", f"{DRAFTS}/"),
    ],
)
async def test_a_changed_url_is_403_and_writes_nothing(
    client: httpx.AsyncClient, local: Storage, root: Path, was: str, becomes: str
) -> None:
    url = local.sign_put("recordings/1/video.webm", ttl_s=60)
    assert was in url
    response = await client.request("PUT", url.replace(was, becomes, 1), content=b"x")
    assert_problem(response, 403, "bad_url")
    assert files(root) == []


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("content_type=video%2Fwebm", "content_type=text%2Fhtml"),
        ("content_type=video%2Fwebm", "content_type="),
        ("&content_type=video%2Fwebm", ""),
        ("content_type=video%2Fwebm", "max_bytes=1"),
    ],
)
async def test_a_url_s_content_type_cannot_be_changed(
    client: httpx.AsyncClient, local: Storage, was: str, becomes: str
) -> None:
    name = new_name()
    await put(local, name, DATA)
    url = local.sign_get(name, ttl_s=60, content_type="video/webm")
    assert was in url
    assert_problem(await client.get(url.replace(was, becomes)), 403, "bad_url")
    plain = local.sign_get(name, ttl_s=60)
    for added in ("&content_type=text%2Fhtml", "&content_type="):
        assert_problem(await client.get(plain + added), 403, "bad_url")


async def test_a_url_without_its_query_is_403(client: httpx.AsyncClient, url: str) -> None:
    assert_problem(await client.get(url.partition("?")[0]), 403, "bad_url")
    assert_problem(await client.get(f"{BASE_URL}/storage/"), 403, "bad_url")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(data=st.data())
async def test_no_other_url_passes(client: httpx.AsyncClient, data: st.DataObject) -> None:
    path = "recordings/1/a.webm"
    query = Signer(SECRET, BASE_URL).url(Grant("PUT", path, FAR_FUTURE, 9)).partition("?")[2]
    place = data.draw(st.integers(0, len(query) - 1))
    other = data.draw(
        st.characters(codec="ascii", exclude_characters=query[place] + "#").filter(str.isprintable)
    )
    changed = query[:place] + other + query[place + 1 :]
    response = await client.put(f"{BASE_URL}/storage/{path}?{changed}", content=b"x")
    assert response.status_code == 403


async def test_preflight_needs_no_signature(client: httpx.AsyncClient) -> None:
    headers = {
        "origin": "chrome-extension://abcdef",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,content-type",
    }
    response = await client.options(f"{BASE_URL}/storage/recordings/1/a", headers=headers)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert "PUT" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == "authorization,content-type"
    assert "access-control-allow-credentials" not in response.headers


async def test_any_origin_may_read_the_answer_and_its_etag(client: httpx.AsyncClient, url: str) -> None:
    response = await client.get(url, headers={"origin": "https://app.test"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "ETag" in response.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in response.headers


async def test_named_origins_alone_may_when_they_are_named(root: Path) -> None:
    local = open_for_test(root.as_uri(), cors_origins=("https://app.test", "chrome-extension://abc"))
    name = new_name()
    await put(local, name, DATA)
    async with client_of(local) as client:
        for origin, allowed in [
            ("chrome-extension://abc", "chrome-extension://abc"),
            ("https://evil.test", None),
        ]:
            response = await client.get(local.sign_get(name, ttl_s=60), headers={"origin": origin})
            assert response.headers.get("access-control-allow-origin") == allowed
            assert response.headers["vary"] == "Origin"
