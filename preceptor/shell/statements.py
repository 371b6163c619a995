"""Where a statement that somebody types ends, and what went wrong with it in a sentence."""

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
# What Python says where it opens a table's file for DuckDB: of it the last line counts.
TRACEBACK = re.compile(r"^(?:Error: )?Traceback .*File \"[^\"]*\", line \d+, in \S+ (?:\w+: )?")
GONE = re.compile(r"No such file|NoSuchKey|not found.*\.parquet|\.parquet.*not found", re.IGNORECASE)


def is_complete(text: str) -> bool:
    """Whether the text ends with a `;` that stands outside of quotes and comments."""
    last = None
    for part in PART.finditer(text):
        if part.lastgroup == "open":
            return False
        if part.lastgroup != "blank":
            last = part.lastgroup
    return last == "end"


def is_blank(text: str) -> bool:
    """Whether the text holds nothing but blanks, comments and semicolons."""
    return all(part.lastgroup in ("blank", "end") for part in PART.finditer(text))


def without_end(text: str) -> str:
    """The text without blanks and comments behind its last statement: DuckDB 2.0's parser refuses these."""
    return text[: max((p.end() for p in PART.finditer(text) if p.lastgroup != "blank"), default=0)]


def sentence(message: str) -> str:
    """DuckDB's message in a line without the statement's excerpt, and what to do where that helps."""
    line = " ".join(re.split(r"\n\s*LINE \d+:", message)[0].split())
    line = TRACEBACK.sub("", line)
    if REACHED_A_FILE.search(line):
        return f"{line}. This session reads the lake's tables only: redirect --command's output to a file."
    if GONE.search(line):
        return f"{line}. Old versions of the table were removed meanwhile: .refresh attaches the newest."
    return line
