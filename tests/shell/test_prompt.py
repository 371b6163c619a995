"""The prompt, with scripted input; output as CSV and JSON."""

import csv
import io
import json
from pathlib import Path

import pytest

from preceptor.lake.schemas import REWARDS
from preceptor.shell.output import write_result
from preceptor.shell.prompt import FIRST, NEXT, Prompt
from preceptor.shell.session import Session
from tests.lake.samples import partition, rewards

SQL = Path(__file__).parents[2] / "sql"


@pytest.fixture
def session(lake):
    lake.publish(REWARDS, rewards(4), partition("a"), "f1")
    with Session(lake, None, SQL) as session:
        yield session


def typed(session, *lines):
    """The prompt's output and the prompts shown. Exceptions among the lines are raised."""
    waiting, shown, out = list(lines), [], io.StringIO()

    def ask(prompt):
        shown.append(prompt)
        if not waiting:
            raise EOFError
        line = waiting.pop(0)
        if isinstance(line, str):
            return line
        raise line

    Prompt(session, ask, out).run()
    return out.getvalue(), shown


def test_a_statement_may_span_several_lines(session):
    text, shown = typed(session, "select 'a;", "b' as x,", " count(*) as n from rewards; -- done")
    assert shown == [FIRST, NEXT, NEXT, FIRST]
    assert "a;\\nb" in text and "│     4 │" in text


def test_several_statements_on_a_line_all_run(session):
    text, _ = typed(session, "create table t as select 7 as seven; select * from t; select 8 as eight;")
    assert "seven" in text and "eight" in text


def test_an_error_is_one_line_and_the_prompt_continues(session):
    text, _ = typed(session, "selec 1;", "select nope from rewards;", "select 41 + 1 as answer;")
    first, second, *rest = text.splitlines()
    assert first.startswith("Parser Error") and second.startswith("Binder Error")
    assert "42" in "\n".join(rest)


def test_ctrl_c_discards_the_typed_text(session):
    text, shown = typed(session, "select 1 as", KeyboardInterrupt(), "select 2 as two;")
    assert shown == [FIRST, NEXT, FIRST, FIRST]
    assert "two" in text and "Error" not in text


def test_the_end_of_input_leaves_the_prompt_and_reports_an_unfinished_statement(session):
    assert typed(session)[0] == ""
    assert "was not run" in typed(session, "select 1")[0]


def test_commands(session, lake):
    text, shown = typed(session, ".tables", ".schema rewards", ".nonsense x", ".help", ".quit", "select 1;")
    assert len(shown) == 5
    assert "rewards            version 1" in text and "never NaN" in text
    assert "unknown command .nonsense x" in text and ".refresh" in text
    lake.publish(REWARDS, rewards(2), partition("b"), "f1")
    text, _ = typed(session, ".refresh", ".refresh", "select count(*) as n from rewards;")
    assert text.startswith("rewards is now at version 2\nall tables ") and "│     6 │" in text


def written(session, text, form):
    out = io.StringIO()
    for statement in session.statements(text):
        write_result(session, statement, form, out, None)
    return out.getvalue()


ODD = """
select 'a,"b"
' as text, [1, null] as list, 'nan'::double as nan, date '2020-01-02' as day, null as none
"""


def test_csv_holds_every_row_and_lists_as_json(session):
    (row,) = csv.DictReader(io.StringIO(written(session, ODD, "csv")))
    assert row == {"text": 'a,"b"\n', "list": "[1, null]", "nan": "nan", "day": "2020-01-02", "none": ""}
    assert len(written(session, "from range(20000)", "csv").splitlines()) == 20_001


def test_json_is_one_list_without_nan(session):
    (row,) = json.loads(written(session, ODD, "json"))
    assert row == {"text": 'a,"b"\n', "list": [1, None], "nan": None, "day": "2020-01-02", "none": None}
    assert json.loads(written(session, "select 1 as a where false", "json")) == []


def test_plans_are_text(session):
    assert "Projection" in written(session, "explain select 1", "table")
