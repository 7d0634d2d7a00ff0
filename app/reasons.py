"""Why events were rejected, of the recordings that were looked at last: an open page asks again every two seconds."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping

MOST = 256  # a handful of reasons each


class Reasons:
    """Remembers what sidecars say. Sidecars never change: what is masked anew gets another one."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[str, Mapping[str, int]] = OrderedDict()

    async def find(
        self, sidecar_name: str, read: Callable[[str], Awaitable[Mapping[str, int]]]
    ) -> Mapping[str, int]:
        """The reasons, with how many events each; `read` from the sidecar if need be. Raises what `read` raises."""
        if (found := self._known.get(sidecar_name)) is None:
            found = self._known[sidecar_name] = await read(sidecar_name)
        self._known.move_to_end(sidecar_name)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return found
