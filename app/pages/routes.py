"""Where the pages are: everything under `/ops` needs an operator's session, and every form proves where it is from."""

from litestar import Router, get, post
from litestar.params import FromPath

from app.errors import ApiError, Code
from app.pages import access, actions, assets, failures, faults, find, job, jobs, overview, queues
from app.pages.forms import check_form
from app.pages.page import PageRequest

PATH = "/ops"


@get("/{_rest:path}", include_in_schema=False)
async def nothing_here(_rest: FromPath[str]) -> None:
    """What is no page is none only for operators: everybody else is asked to sign in first. Raises ApiError."""
    raise ApiError(Code.NOT_FOUND)


_leave = post("/sign-out", include_in_schema=False, status_code=303)(access.leave)

PAGES = Router(
    PATH,
    route_handlers=[
        *overview.HANDLERS,
        *queues.HANDLERS,
        *jobs.HANDLERS,
        *job.HANDLERS,
        *failures.HANDLERS,
        *actions.HANDLERS,
        *find.HANDLERS,
        _leave,
        nothing_here,
    ],
    guards=[access.operators_only],
    before_request=check_form,
    request_class=PageRequest,
    exception_handlers={Exception: faults.answer},
    include_in_schema=False,
)
WAY_IN = Router(
    "/",
    route_handlers=[*access.HANDLERS, assets.serve],
    request_class=PageRequest,
    exception_handlers={Exception: faults.answer},
    include_in_schema=False,
)


def is_page(path: str) -> bool:
    """Whether somebody who asks for this path wants a page."""
    return path == PATH or path.startswith(PATH + "/")
