"""What a request itself says of a client, for those that say nothing: its `User-Agent`, read by ua-parser."""

import re
from functools import lru_cache

import ua_parser

from replay.client import Client

USER_AGENT_MAX = 1000  # characters that are looked at
_TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk|Android(?!.*Mobile)")
_MOBILE = re.compile(r"Mobi|iPhone|iPod|Phone")


@lru_cache(maxsize=1024)
def client_of_user_agent(user_agent: str) -> Client:
    """Browser, operating system, and whether the device is a desktop, a mobile or a tablet. The first call takes longer."""
    user_agent = user_agent[:USER_AGENT_MAX]
    found = ua_parser.parse(user_agent)
    browser, system = found.user_agent, found.os
    return Client(
        browser.family if browser else None,
        _version(browser.major, browser.minor, browser.patch, browser.patch_minor) if browser else None,
        system.family if system else None,
        _version(system.major, system.minor, system.patch, system.patch_minor) if system else None,
        _device_type(user_agent) if system else None,
    )


def _version(*parts: str | None) -> str | None:
    return ".".join(part for part in parts if part) or None


def _device_type(user_agent: str) -> str:
    if _TABLET.search(user_agent):
        return "tablet"
    return "mobile" if _MOBILE.search(user_agent) else "desktop"
