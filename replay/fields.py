"""Which values of an event are masked, for what is known of its page."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from replay.elements import RESOURCE_ATTRIBUTES, TEXT_ATTRIBUTES, Attributes, Hidden, is_typed_into
from replay.nodes import Data, Drawn, Node, NodeId
from replay.pages import NO_MARK, Page

_DRAWS_TEXT = ("fillText", "strokeText")
_list = msgspec.json.Decoder(list[Raw])

Field = tuple[Raw, str]  # the value, and the rule by which it is masked


def fields(data: Data, page: Page, *, strict: bool) -> Iterator[Field]:
    """The values to mask in one event: strings, or whole JSON values of canvas calls. `strict`: all text and input."""
    if not (strict or page.hides_elements):
        yield from _secrets(data, page)
        return
    if data.node is not None:
        yield from _nodes(data.node, page, strict)
    for added in data.adds or ():
        if added.node is not None:
            yield from _nodes(added.node, page, strict)
    for text in data.texts or ():
        if rule := _text_rule(text.id, page, strict):
            yield text.value, rule
    for changed in data.attributes or ():
        if changed.attributes:
            yield from _attributes(changed.id, None, changed.attributes, page, strict)
    if rule := _input_rule(data.id, page, strict):
        yield data.text, rule
    mark = page.mark(data.id)
    for drawn in (Drawn(data.property, data.args), *(data.commands or ())):
        if mark:
            yield drawn.args, mark.rule
        elif strict and drawn.property in _DRAWS_TEXT and (text_drawn := _first(drawn.args)):
            yield text_drawn, "text"


def _secrets(data: Data, page: Page) -> Iterator[Field]:
    """The same where only the values of some inputs are to be masked: most of an event is passed over."""
    waiting = [added.node for added in data.adds or () if added.node is not None]
    if data.node is not None:
        waiting.append(data.node)
    while waiting:
        node = waiting.pop()
        if node.attributes and "value" in node.attributes and (rule := page.secret(node.id)):
            yield node.attributes["value"], rule
        if node.children:
            waiting += node.children
    for changed in data.attributes or ():
        if changed.attributes and "value" in changed.attributes and (rule := page.secret(changed.id)):
            yield changed.attributes["value"], rule
    if rule := page.secret(data.id):
        yield data.text, rule


def _nodes(root: Node, page: Page, strict: bool) -> Iterator[Field]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.tag is None:
            if rule := _text_rule(node.id, page, strict):
                yield node.text, rule
        elif node.attributes:
            yield from _attributes(node.id, node.tag.lower(), node.attributes, page, strict)
        waiting += node.children or ()


def _text_rule(node: NodeId, page: Page, strict: bool) -> str | None:
    if node in page.styles:
        return None
    if mark := page.mark(node):
        return mark.rule
    return "text" if strict else None


def _input_rule(node: NodeId, page: Page, strict: bool) -> str | None:
    if rule := page.secret(node):
        return rule
    if mark := page.mark(node):
        return mark.rule
    return "input" if strict else None


def _attributes(
    element: NodeId, tag: str | None, attributes: Attributes, page: Page, strict: bool
) -> Iterator[Field]:
    """`tag` is None where an event does not say it: then it is the page's to know."""
    if "value" in attributes and (secret := page.secret(element)):
        yield attributes["value"], secret
    hidden, rule = page.mark(element) or NO_MARK
    if hidden is Hidden.NOT and not strict:
        return
    for name, value in attributes.items():
        if (name in TEXT_ATTRIBUTES and hidden) or (hidden is Hidden.ALL and name in RESOURCE_ATTRIBUTES):
            yield value, rule
        elif strict and name == "value":
            if is_typed_into(tag, attributes) if tag else page.may_be_input(element):
                yield value, "input"
        elif strict and name in TEXT_ATTRIBUTES:
            yield value, "text"


def _first(args: Raw) -> Raw | None:
    """The first of the arguments of a call, or all that is no list."""
    try:
        return next(iter(_list.decode(args)), None)
    except msgspec.DecodeError:
        return args
