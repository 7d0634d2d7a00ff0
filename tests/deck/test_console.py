"""What a deck says on the terminal."""

import os

from app.console import ROOM, Console


def test_a_pipe_that_nobody_reads_stops_nobody() -> None:
    source, sink = os.pipe()
    with os.fdopen(sink, "w") as stream:
        console = Console(stream)
        for number in range(3 * ROOM):
            console.say("web", f"line {number} {'x' * 100}")
        os.close(source)  # and then it is gone
        console.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sink)  # for what is left in the stream's buffer


def test_lines_say_who_says_them() -> None:
    source, sink = os.pipe()
    with os.fdopen(source) as reader, os.fdopen(sink, "w") as writer:
        console = Console(writer)
        console.say("web", "hello")
        console.say("dispatcher", "there")
        console.close()
        writer.close()
        assert reader.read().splitlines() == ["web        | hello", "dispatcher | there"]
