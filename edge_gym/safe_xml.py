"""XML of strangers, read by events: no DOCTYPE, no entities, no instructions, bounded depth and memory.

(The parsers of the standard library expand entities, and networkx hands files straight to them.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn
from xml.parsers import expat

from edge_gym.errors import MISSING, EdgeGymInputError

MAX_DEPTH = 32
MAX_TOKEN = 4 * 2**20  # bytes of one tag or comment
CHUNK = 2**16


class XmlReader:
    """Base of readers: override `start`, `end`, `characters` and `comment` as needed.

    Names of elements come without their namespace if it is that of the format, else as "namespace name".

    Attributes:
        where: Name of the file, for messages.
        stack: Names of the open elements.
    """

    root = ""  # name of the outermost element
    namespace = ""  # that of the format starts like this; none is accepted as well

    def __init__(self, where: str):
        self.where = where
        self.stack: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.characters
        self.parser.CommentHandler = self.comment
        self.parser.StartDoctypeDeclHandler = self._declaration
        self.parser.EntityDeclHandler = self._declaration
        self.parser.UnparsedEntityDeclHandler = self._declaration
        self.parser.ProcessingInstructionHandler = lambda target, data: self.refuse("", MISSING, "without instructions")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Takes the start of an element."""

    def end(self, name: str) -> None:
        """Takes the end of an element."""

    def characters(self, text: str) -> None:
        """Takes a piece of text."""

    def comment(self, text: str) -> None:
        """Takes a comment."""

    def refuse(self, field: str, value: Any, allowed: str, hint: str = "") -> NoReturn:
        """Raises an error about the present line."""
        raise EdgeGymInputError(field, value, allowed, f"{self.where}:{self.parser.CurrentLineNumber}", hint)

    def read(self, chunks: Iterable[bytes]) -> None:
        """Reads a whole document.

        Raises:
            EdgeGymInputError: Names file and line.
        """
        fed = 0
        try:
            for chunk in chunks:
                fed += len(chunk)
                self.parser.Parse(chunk, False)
                if fed - self.parser.CurrentByteIndex > MAX_TOKEN:
                    self.refuse("", MISSING, f"made of tags and comments of at most {MAX_TOKEN} bytes")
            self.parser.Parse(b"", True)
        except expat.ExpatError as error:
            reason = f"column {error.offset + 1}: {expat.ErrorString(error.code)}"
            raise EdgeGymInputError("", MISSING, "valid XML", f"{self.where}:{error.lineno}", reason) from None
        except EdgeGymInputError:
            raise
        except (ValueError, LookupError) as error:  # an encoding that Python does not know
            raise EdgeGymInputError("encoding", MISSING, "UTF-8 or UTF-16", self.where, str(error)) from None

    def _declaration(self, *_: Any) -> NoReturn:
        self.refuse("", MISSING, "plain XML", "DOCTYPE and ENTITY declarations are not allowed")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        self.stack.append(name if not space or space.startswith(self.namespace) else tag)
        if len(self.stack) > MAX_DEPTH:
            self.refuse("", MISSING, f"nested at most {MAX_DEPTH} deep")
        if len(self.stack) == 1 and self.stack[0] != self.root:
            self.refuse("element", name, self.root)
        self.start(self.stack[-1], attributes)

    def _end(self, tag: str) -> None:
        self.end(self.stack.pop())


def split(data: bytes) -> Iterable[bytes]:
    """Yields `data` in pieces."""
    return (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))
