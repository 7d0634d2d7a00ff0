"""How a command ends that cannot do what it was asked."""


class Exit(Exception):
    """The message is one line for the person at the terminal; `status` the exit status."""

    status = 1

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
