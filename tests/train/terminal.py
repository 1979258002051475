"""A terminal for tests: run a program in one, and render what it drew."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

ROOT = Path(__file__).parents[2]
CODES = re.compile(r"\x1b\[(\??)(\d*)(?:;\d+)*([A-Za-z])|(.)", flags=re.DOTALL)


@dataclass
class Screen:
    """The lines of a terminal and its cursor; knows what tqdm and rich send, and nothing else.

    Attributes:
        columns: how wide it is.
        lines: what stands on it.
        widest: the longest line that was ever drawn.
    """

    columns: int = 80
    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0
    hidden: bool = False
    widest: int = 0

    def feed(self, text: str) -> None:
        for private, number, command, character in CODES.findall(text):
            if character:
                self._put(character)
            elif private:
                assert (number, command) in {("25", "l"), ("25", "h")}, (number, command)
                self.hidden = command == "l"
            elif command == "A":
                self.row = max(0, self.row - int(number or 1))
            elif command == "K":
                kept = "" if number == "2" else self.lines[self.row][: self.column]
                self.lines[self.row] = kept
            else:
                assert command == "m", command

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._down()
        else:
            if self.column == self.columns:
                self.column = 0
                self._down()
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1
            self.widest = max(self.widest, len(self.lines[self.row].rstrip()))

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def text(self) -> list[str]:
        """What can be read, without blanks at the right and empty lines at the end."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip().split("\n")


def run(code: str, *, columns: int = 80, interrupt: str | None = None, **environment: str) -> str:
    """What a program sends to a terminal.

    Args:
        code: the program.
        columns: of the terminal.
        interrupt: a text after which Ctrl-C is pressed.
        **environment: more variables.
    """
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, bytes([24, 0, columns, 0, 0, 0, 0, 0]))
    # The new session has no terminal yet, and takes the first one that it opens: Ctrl-C then arrives.
    start = f"import os; os.close(os.open({os.ttyname(theirs)!r}, os.O_RDWR))\n"
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", start + code],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**variables, **environment}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    sent = b""
    end = monotonic() + 60.0
    while monotonic() < end and select.select([ours], [], [], 60.0)[0]:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so that nobody holds the other side
            break
        if not piece:
            break
        sent += piece
        if interrupt is not None and interrupt.encode() in sent:
            sleep(0.1)  # until the program waits
            os.write(ours, b"\x03")
            interrupt = None
    os.close(ours)
    process.wait(60.0)
    return sent.decode("utf-8")
