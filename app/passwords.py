"""Checking passwords (argon2id), so that the time it takes tells nothing."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE = 2  # each takes 64 MiB and a core for some 50 ms


class Passwords:
    """Checks passwords in threads, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._nobodys = self._hasher.hash("")
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether this is the password. Without a hash nothing is, and finding that out takes the same time."""
        async with self._turn:
            return await asyncio.to_thread(self._fits, password, password_hash)

    def _fits(self, password: str, password_hash: str | None) -> bool:
        try:
            return self._hasher.verify(password_hash or self._nobodys, password) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False
