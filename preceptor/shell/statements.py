"""Finds where a typed statement ends, and shortens DuckDB's error messages to one sentence."""

import re

PART = re.compile(
    r"""
    (?P<blank> \s+ | --[^\n]* | /\*.*?\*/ )
    | (?P<text> '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<mark>\w*)\$.*?\$(?P=mark)\$ )
    | (?P<open> ' | " | /\* | \$\w*\$ )
    | (?P<end> ; )
    | (?P<other> \w+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
REACHED_A_FILE = re.compile(r"operations are disabled|extensions is disabled|configuration has been locked")
# Python's traceback if it cannot open a table's file for DuckDB. Only its last line is kept.
TRACEBACK = re.compile(r"^(?:Error: )?Traceback .*File \"[^\"]*\", line \d+, in \S+ (?:\w+: )?")
GONE = re.compile(r"No such file|NoSuchKey|not found.*\.parquet|\.parquet.*not found", re.IGNORECASE)


def is_complete(text: str) -> bool:
    """Whether the text ends with a `;` outside of quotes and comments."""
    last = None
    for part in PART.finditer(text):
        if part.lastgroup == "open":
            return False
        if part.lastgroup != "blank":
            last = part.lastgroup
    return last == "end"


def is_blank(text: str) -> bool:
    """Whether the text contains only blanks, comments and semicolons."""
    return all(part.lastgroup in ("blank", "end") for part in PART.finditer(text))


def without_end(text: str) -> str:
    """The text without blanks and comments after its last statement, which DuckDB 2.0's parser refuses."""
    return text[: max((p.end() for p in PART.finditer(text) if p.lastgroup != "blank"), default=0)]


def sentence(message: str) -> str:
    """DuckDB's message in one line, without the excerpt of the statement, and with a fix if there is one."""
    line = " ".join(re.split(r"\n\s*LINE \d+:", message)[0].split())
    line = TRACEBACK.sub("", line)
    if REACHED_A_FILE.search(line):
        return f"{line}. This session reads the lake's tables only: redirect --command's output to a file."
    if GONE.search(line):
        return f"{line}. This version's files were removed in the meantime: .refresh attaches the newest."
    return line
