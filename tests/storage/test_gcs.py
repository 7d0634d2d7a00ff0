"""The bucket's own hazards: outages, faults on the wire, missing buckets, credentials."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import storage.gcs
from storage.protocol import Refused, Storage, Unavailable
from tests.gcs_emulator import Emulator
from tests.storage.deck import open_for_test
from tests.storage.flaky import Answers, Flaky, LosesAnswer, flaky_proxy
from tests.storage.objects import CALLS, Call, new_name, put, read

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture
async def flaky(emulator: Emulator) -> AsyncIterator[Flaky]:
    async with flaky_proxy(emulator.host) as proxy:
        yield proxy


@pytest.fixture
async def bucket(emulator: Emulator, flaky: Flaky) -> AsyncIterator[Storage]:
    """The emulator's bucket, behind the proxy."""
    opened = open_for_test(emulator.storage_url, emulator_host=flaky.host)
    yield opened
    await opened.close()


@every_call
async def test_a_missing_bucket_is_refused_not_absent(emulator: Emulator, call: Call) -> None:
    nowhere = open_for_test("gs://no-such-bucket", emulator_host=emulator.host)
    with pytest.raises(Refused, match="no bucket gs://no-such-bucket"):
        await call(nowhere)
    await nowhere.close()


@every_call
async def test_a_server_that_is_gone_is_unavailable(
    own_emulator: Emulator, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.gcs, "PATIENCE_S", 0.3)
    bucket = open_for_test(own_emulator.storage_url, emulator_host=own_emulator.host)
    await put(bucket, new_name(), b"while it was there")
    own_emulator.stop()
    with pytest.raises(Unavailable):
        await call(bucket)
    await bucket.close()


@every_call
async def test_a_server_that_answers_nothing_is_unavailable(
    own_emulator: Emulator, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.gcs, "PATIENCE_S", 0.1)
    monkeypatch.setattr(storage.gcs, "ANSWER_S", 0.2)
    bucket = open_for_test(own_emulator.storage_url, emulator_host=own_emulator.host)
    own_emulator.freeze()
    with pytest.raises(Unavailable):
        await call(bucket)
    await bucket.close()


async def test_a_put_to_a_server_that_answers_nothing_stops_at_its_deadline(own_emulator: Emulator) -> None:
    bucket = open_for_test(own_emulator.storage_url, emulator_host=own_emulator.host)
    own_emulator.freeze()
    with pytest.raises(Unavailable):
        await put(bucket, new_name(), b"x", deadline_s=0.3)
    await bucket.close()


async def test_a_short_outage_is_waited_out(emulator: Emulator) -> None:
    async with flaky_proxy(emulator.host) as gone:
        pass
    bucket = open_for_test(emulator.storage_url, emulator_host=gone.host)
    name = new_name()
    waiting = asyncio.create_task(put(bucket, name, b"patient"))
    with pytest.raises(Unavailable):
        await bucket.check()
    async with flaky_proxy(emulator.host, int(gone.host.rpartition(":")[2])):
        await waiting
        assert await read(bucket, name) == b"patient"
        await bucket.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_passing_errors_are_tried_again(bucket: Storage, flaky: Flaky, status: int) -> None:
    name = new_name()
    flaky.faults.extend([Answers(status)] * 2)
    await put(bucket, name, b"in the end")
    flaky.faults.append(Answers(status))
    assert await read(bucket, name) == b"in the end"


@pytest.mark.parametrize("status", [429, 500, 503])
@every_call
async def test_errors_that_do_not_pass_are_unavailable(
    bucket: Storage, flaky: Flaky, call: Call, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.gcs, "PATIENCE_S", 0.2)
    flaky.faults.extend([Answers(status)] * 20)
    with pytest.raises(Unavailable, match=str(status)):
        await call(bucket)


@pytest.mark.parametrize("status", [400, 403])
@every_call
async def test_a_no_is_refused_at_once(bucket: Storage, flaky: Flaky, call: Call, status: int) -> None:
    flaky.faults.extend([Answers(status)] * 2)
    with pytest.raises(Refused, match=str(status)):
        await call(bucket)
    assert len(flaky.faults) == 1


async def test_check_tries_once(bucket: Storage, flaky: Flaky) -> None:
    flaky.faults.extend([Answers(503)] * 2)
    with pytest.raises(Unavailable):
        await bucket.check()
    assert len(flaky.faults) == 1


@pytest.mark.parametrize("after", [0, 20])
async def test_a_put_whose_answer_was_lost_has_succeeded(bucket: Storage, flaky: Flaky, after: int) -> None:
    name = new_name()
    flaky.faults.append(LosesAnswer(after))
    stored = await put(bucket, name, b"stored the first time")
    assert await bucket.stat(name) == stored


async def test_a_stream_that_is_cut_goes_on_where_it_was(
    emulator: Emulator, bucket: Storage, flaky: Flaky
) -> None:
    name, data = new_name(), os.urandom(6 * 1024 * 1024)
    await put(bucket, name, data)
    await bucket.close()  # and with it the connection that has no fault
    again = open_for_test(emulator.storage_url, emulator_host=flaky.host)
    flaky.faults.extend([LosesAnswer(1_000_000), LosesAnswer(5_000_000)])
    assert await read(again, name) == data
    await again.close()


async def test_an_emulator_needs_no_scheme_and_no_proxy(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    bucket = open_for_test(emulator.storage_url, emulator_host=emulator.host.removeprefix("http://"))
    await bucket.check()
    await bucket.close()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def service_account(key: rsa.RSAPrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Credentials with a key of their own, as Google issues them."""
    email = "deck@project.iam.gserviceaccount.com"
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {"type": "service_account", "project_id": "project", "private_key_id": "1", "private_key": pem,
               "client_email": email, "token_uri": "http://127.0.0.1:9/token"}  # fmt: skip
    _use_credentials(account, tmp_path, monkeypatch)
    return email


def _use_credentials(credentials: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "credentials.json"
    file.write_text(json.dumps(credentials))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)


@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_urls_are_signed_v4_with_the_account_s_key(
    service_account: str, key: rsa.RSAPrivateKey, method: str
) -> None:
    bucket = open_for_test("gs://recordings")
    url = (bucket.sign_put if method == "PUT" else bucket.sign_get)("incoming/a.webm", ttl_s=600)
    await bucket.close()
    parts = urlsplit(url)
    query = {field: values[0] for field, values in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc, parts.path) == (
        "https",
        "storage.googleapis.com",
        "/recordings/incoming/a.webm",
    )
    assert query["X-Goog-Expires"] == "600"
    assert query["X-Goog-SignedHeaders"] == "host"  # bound to no content type
    assert query["X-Goog-Credential"].startswith(service_account)
    signature = bytes.fromhex(query.pop("X-Goog-Signature"))
    signed_query = "&".join(f"{name}={quote(query[name], safe='')}" for name in sorted(query))
    request = f"{method}\n{parts.path}\n{signed_query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashes.Hash(hashes.SHA256())
    digest.update(request.encode())
    scope = query["X-Goog-Credential"].partition("/")[2]
    message = f"GOOG4-RSA-SHA256\n{query['X-Goog-Date']}\n{scope}\n{digest.finalize().hex()}"
    key.public_key().verify(signature, message.encode(), padding.PKCS1v15(), hashes.SHA256())


async def test_a_url_signs_the_content_type_of_its_answer(service_account: str) -> None:
    bucket = open_for_test("gs://recordings")
    url = bucket.sign_get("videos/a", ttl_s=600, content_type="video/webm")
    await bucket.close()
    assert parse_qs(urlsplit(url).query)["response-content-type"] == ["video/webm"]


async def test_a_token_server_that_is_away_is_unavailable(
    service_account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.gcs, "PATIENCE_S", 0.1)
    bucket = open_for_test("gs://recordings")
    with pytest.raises(Unavailable):
        await bucket.check()
    await bucket.close()


def test_credentials_that_cannot_sign_are_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c",
            "quota_project_id": "d"}  # fmt: skip
    _use_credentials(user, tmp_path, monkeypatch)
    with pytest.raises(Refused, match="cannot sign URLs; point GOOGLE_APPLICATION_CREDENTIALS"):
        open_for_test("gs://recordings")


def test_missing_credentials_are_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(Refused, match="no credentials; set GOOGLE_APPLICATION_CREDENTIALS"):
        open_for_test("gs://recordings")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"type": "service_account"}'])
def test_broken_credentials_are_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(Refused, match="GOOGLE_APPLICATION_CREDENTIALS"):
        open_for_test("gs://recordings")


@pytest.mark.parametrize(
    "url", ["", "gs://", "gs://a/b", "s3://a", "file://host/path", "file:///", "/path", "file:path"]
)
def test_a_url_that_names_no_storage_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="STORAGE_URL must be"):
        open_for_test(url)
