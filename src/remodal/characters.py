"""Characters that nobody sees and that steer what is seen: they are never written as they are.

Names of files, classes and methods come from strangers. Written to a terminal raw, they could clear it, colour it,
answer for its user, or turn the order of what is read.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from io import TextIOWrapper

# Unicode's control characters (C0, C1), line and paragraph separators, marks and overrides of direction, characters of
# no width, tags, and lone surrogates (bytes of a file name that aren't UTF-8). The joiners U+200C and U+200D stay:
# Persian, the scripts of India and emoji are written with them.
STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)

ESCAPED = "remodal.escaped"
"""How streams name the way in which they write what their encoding lacks."""


def printable(text: str) -> str:
    r"""``text`` with each steering character as the escape that JSON has for it; in JSON it says the same as before.

    >>> printable("caf\u00e9"), printable("\x1b[2J"), printable("one\nline")
    ('café', '\\u001b[2J', 'one\\nline')
    """
    return STEERING.sub(lambda found: _escaped(found[0]), text)


def write_what_can_be_shown() -> None:
    """Have standard output and errors write a character that their encoding lacks as the escape that JSON has for it.

    So no name can end a command, whatever the terminal or the pipe takes: cp1252, ASCII, strict UTF-8.
    """
    codecs.register_error(ESCAPED, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=ESCAPED)


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _escaped(error.object[error.start : error.end]), error.end
