"""Somebody with a browser that knows no JavaScript: follows links, sends forms, reads what is there."""

from html.parser import HTMLParser
from typing import Any

import httpx
from argon2 import PasswordHasher

from models import administration
from models.db import Database
from models.tenancy import Scope
from tests.factories import Deckhand

EMAIL, PASSWORD = "ops@example.com", "correct horse battery"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)  # as fast as it can be


async def make_operator(
    db: Database, hand: Deckhand, *, email: str = EMAIL, scopes: tuple[Scope, ...] = (Scope.OPERATE,)
) -> None:
    """A user who may sign in with PASSWORD."""
    project = hand.api_key.project_id
    await administration.create_user(db, email=email, project_id=project, scopes=scopes, password_hash=HASH)


class Sheet(HTMLParser):
    """A page that was read: its text, links and forms."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.links: list[str] = []
        self.forms: list[dict[str, Any]] = []
        self._texts: list[str] = []
        self._main = 0
        self._ids: list[str] = []
        self._told: list[tuple[str, list[str]]] = []
        self.feed(html)

    @property
    def text(self) -> str:
        """What is in `<main>`, with single spaces."""
        return " ".join(" ".join(self._texts).replace("\u2009", " ").split())

    def told(self, what: str, within: str) -> str:
        """What is marked `data-is`, after the element with this id."""
        (found,) = [texts for name, texts in self._told if name == f"{within} {what}"]
        return " ".join(" ".join(found).replace("\u2009", " ").split())

    def form(self, action: str) -> dict[str, Any]:
        """The form that goes there."""
        (found,) = [form for form in self.forms if form["action"] == action]
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._main += tag == "main"
        if "id" in given:
            self._ids.append(given["id"])
        if "data-is" in given:
            self._told.append((f"{self._ids[-1]} {given['data-is']}", []))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "form":
            self.forms.append({"action": given.get("action", ""), "fields": {}})
        elif tag == "input" and self.forms and "name" in given:
            self.forms[-1]["fields"][given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "span") and self._told:
            self._told.append(("", []))
        self._main -= tag == "main"

    def handle_data(self, data: str) -> None:
        if self._told:
            self._told[-1][1].append(data)
        if self._main:
            self._texts.append(data)


class Visitor:
    """A person with a browser; `client` keeps the cookies."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def sign_in(
        self, email: str = EMAIL, password: str = PASSWORD, *, to: str = "/ops"
    ) -> httpx.Response:
        asked = Sheet((await self.client.get("/sign-in", params={"to": to})).text)
        fields = asked.form("/sign-in")["fields"] | {"email": email, "password": password}
        return await self.client.post("/sign-in", data=fields)

    async def see(self, path: str, **params: Any) -> Sheet:
        """A page that is there."""
        answer = await self.client.get(path, params=params or None, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return Sheet(answer.text)

    async def send(self, sheet: Sheet, action: str, **fields: str) -> Sheet:
        """Send a form of the page, and see what comes of it."""
        answer = await self.client.post(
            action, data=sheet.form(action)["fields"] | fields, follow_redirects=True
        )
        assert answer.status_code == 200, answer.text
        return Sheet(answer.text)
