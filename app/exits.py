"""How a command ends that cannot do what it was asked."""

REFUSED = 1
USAGE = 2
UNREACHABLE = 3
EXIT_STATUS = (
    "Exit status: 0 done; 1 the deck said no, or the recording failed; 2 the command, its configuration or a file it "
    "was given is wrong; 3 the deck cannot be reached, or is too busy."
)


class Exit(Exception):
    """The message is one line for the person at the terminal; `status` the exit status."""

    status = 1

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
