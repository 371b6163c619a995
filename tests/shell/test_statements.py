"""The end of a typed statement, and DuckDB's messages as sentences."""

import pytest

from preceptor.shell.statements import is_blank, is_complete, sentence, without_end


@pytest.mark.parametrize(
    "text",
    [
        "select 1;",
        "select ';';",
        "select 'it''s; fine';",
        'select ";" ;  ',
        "select $$ ; $$;",
        "select $a$ ; $$ $a$;",
        "select 1; -- and a comment;",
        "select 5 - 3 / 2;",
        "select $1;",
        "select 1; /* ; */\n",
    ],
)
def test_a_statement_ends_at_a_semicolon(text):
    assert is_complete(text)


@pytest.mark.parametrize(
    "text",
    ["", "select 1", "select ';", 'select ";', "select 1 -- ;", "select 1 /* ;", "select $$ ; ", "/* ; */"],
)
def test_quotes_and_comments_hide_a_semicolon(text):
    assert not is_complete(text)


def test_comments_and_blanks_alone_are_no_statement():
    assert is_blank(" -- nothing;\n /* here */ ;")
    assert not is_blank("'a'")


def test_text_after_the_last_statement_is_removed():
    assert without_end("select 1; -- x;\n /* y */ ") == "select 1;"
    assert without_end("-- x") == ""


def test_messages_become_one_sentence_with_a_fix():
    assert sentence('Binder Error: no "x"\nDid you mean "y"\n\nLINE 1: select x\n   ^') == (
        'Binder Error: no "x" Did you mean "y"'
    )
    assert "reads the lake's tables only" in sentence("file system operations are disabled by configuration")
    assert ".refresh" in sentence("IO Error: /lake/a.parquet: No such file or directory")
