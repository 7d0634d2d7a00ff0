"""Decks of real processes: `Deck` for any test, and the tests of `tapedeck up` itself."""

from tests.deck.processes import Deck as Deck
