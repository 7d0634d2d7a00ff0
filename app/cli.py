"""The `tapedeck` command: which module has which sub-command, and what becomes of errors.

A module is imported when its command runs, so that `tapedeck send` need not wait for the web framework.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.exits import EXIT_STATUS, Exit
from settings import SettingsError

# name: the module whose function `command` it is
COMMANDS = {
    "up": "app.up",
    "web": "app.web",
    "migrate": "app.migrate",
    "send": "app.commands.send",
    "import": "app.commands.import_recordings",
    "show": "app.commands.show",
    "list": "app.commands.list",
    "events": "app.commands.events",
    "logs": "app.commands.logs",
    "video": "app.commands.video",
    "retry": "app.commands.retry",
    "mask": "app.commands.mask",
    "relate": "app.commands.relate",
    "delete": "app.commands.delete",
    "hold": "app.commands.hold",
    "erase": "app.commands.erase",
    "sql": "app.commands.sql",
    "doctor": "app.commands.doctor",
}
# name: the module whose COMMANDS are its sub-commands
GROUPS = {
    "tenants": "app.commands.tenants",
    "projects": "app.commands.projects",
    "users": "app.commands.users",
    "keys": "app.commands.keys",
    "ops": "app.commands.ops",
}


class Lazily(TyperGroup):
    """A group that imports its commands one by one, when somebody asks for them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in GROUPS:
            return _group(cmd_name, import_module(GROUPS[cmd_name]))
        if cmd_name not in COMMANDS:
            return None
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name, epilog=EXIT_STATUS)(import_module(COMMANDS[cmd_name]).command)
        return typer.main.get_command(single)


def _group(name: str, module: ModuleType) -> Any:
    group = typer.Typer(
        name=name,
        help=module.HELP,
        epilog=EXIT_STATUS,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for sub_command, function in module.COMMANDS.items():
        group.command(sub_command, epilog=EXIT_STATUS)(function)
    return typer.main.get_group(group)


app = typer.Typer(
    cls=Lazily, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, name="tapedeck"
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tapedeck {version('tapedeck')}")
        raise typer.Exit


@app.callback(epilog=EXIT_STATUS)
def tapedeck(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """A backend for browser session recordings: accepted in milliseconds, never lost, never stuck."""


def main() -> None:
    """Run the command that the arguments name. Expected errors are one line on standard error."""
    try:
        app()
    except SettingsError as error:
        _fail(str(error), 2)
    except Exit as error:
        _fail(str(error), error.status)


def _fail(message: str, status: int) -> None:
    sys.stderr.write(f"tapedeck: {message}\n")
    sys.exit(status)
