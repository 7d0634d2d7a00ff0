"""Settings: a wrong or missing value is one line that names it."""

from ipaddress import ip_network

import pytest

import settings
from settings import SettingsError

GOOD = {
    "DATABASE_URL": "postgresql://user:word@127.0.0.1:5432/tapedeck",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "STORAGE_URL": "gs://bucket",
    "TAPEDECK_SECRET_KEY": "a secret key that only tests know, long enough",
}


@pytest.fixture(autouse=True)
def good(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with nothing wrong."""
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_a_good_environment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEDECK_CORS_ORIGINS", "https://app.example.com/, chrome-extension://abc")
    monkeypatch.setenv("TAPEDECK_PUBLIC_URL", "https://tapes.example.com/")
    monkeypatch.setenv("TAPEDECK_TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::/32,")
    loaded = settings.load()
    assert loaded.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert loaded.cors_origins == ("https://app.example.com", "chrome-extension://abc")
    assert loaded.base_url == "https://tapes.example.com"


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_value_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=f"^{name}: is not set$"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://127.0.0.1/x"),
        ("DATABASE_URL", "postgresql://127.0.0.1:port/x"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("STORAGE_URL", "file://relative"),
        ("STORAGE_URL", "s3://bucket"),
        ("PORT", "70000"),
        ("PORT", "many"),
        ("TAPEDECK_SECRET_KEY", "short"),
        ("TAPEDECK_LEASE_S", "0"),
        ("TAPEDECK_MAX_BODY_BYTES", "lots"),
        ("TAPEDECK_CORS_ORIGINS", "everybody"),
        ("TAPEDECK_PUBLIC_URL", "tapes.example.com"),
        ("TAPEDECK_LOG_FORMAT", "xml"),
        ("TAPEDECK_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TAPEDECK_TRUSTED_PROXIES", "a proxy"),
        ("TAPEDECK_SIGN_IN_IDLE_S", "0"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as wrong:
        settings.load()
    message = str(wrong.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
