"""The command `edge-gym`. What a command needs is imported when it runs, so that help and mistakes answer at once."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

from edge_gym.cli.arguments import parse
from edge_gym.errors import EdgeGymError, EdgeGymInputError, Unavailable, printable

MAX_LINES = 10  # of an error message
FAILED, WRONG_INPUT, UNAVAILABLE, INTERRUPTED, TERMINATED = 1, 2, 3, 130, 143
EXIT_CODES = ((EdgeGymInputError, WRONG_INPUT), (Unavailable, UNAVAILABLE), (Exception, FAILED))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        Exit code: 0 fine, 1 something failed, 2 the input was wrong, 3 a service is unavailable,
        130 or 143 stopped by a signal.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character must not stop anything
    debug = "--debug" in arguments
    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminate) if main_thread else None
    try:
        return _run(arguments, debug)
    except _Terminated:
        return _fail(_stopped(arguments), TERMINATED)
    except KeyboardInterrupt:
        return _fail(_stopped(arguments), INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; point stdout at nothing, or Python complains when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        if main_thread:
            signal.signal(signal.SIGTERM, before)


def _run(arguments: list[str], debug: bool) -> int:
    try:
        options = parse(arguments)
        command = import_module(f"edge_gym.cli.{options.name.replace('-', '_')}")
        code = command.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except (EdgeGymError, OSError) as error:
        if debug:
            raise
        return _fail(_said(error), next(code for kind, code in EXIT_CODES if isinstance(error, kind)))


class _Terminated(BaseException):
    """SIGTERM came."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the second one does not ask
    raise _Terminated


def _stopped(arguments: list[str]) -> str:
    keeps = arguments[:1] in (["bench"], ["train"])
    if keeps and any(word == "--out" or word.startswith("--out=") for word in arguments):
        return "stopped; what was finished is kept, go on with --resume"
    return "stopped"


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        return f"{error}: where results go, or where compiled code is kept; edge-gym doctor says how much room is there"
    return str(error)


def _fail(message: str, code: int) -> int:
    lines = [printable(line) for line in message.splitlines()]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"... and {len(lines) - MAX_LINES + 1} more"]
    if not lines[0].startswith("edge-gym"):
        lines[0] = f"edge-gym: {lines[0]}"
    print("\n".join(lines), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
