"""`python -m jobs.sql STUDY`: SQL over a study's tables, while runs go on; nothing typed can change them."""

import argparse
import logging
import os
import shutil
import sys
from pathlib import Path

from preceptor.lake.store import Lake, LakeError, store_root
from preceptor.study.load import StudyError, load_study
from preceptor.study.schema import Study

SQL = Path(__file__).parent.parent / "sql"


def main() -> None:
    """Open a prompt, or run --command; status 1 for a statement that fails, 2 for wrong options."""
    options = _options()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")  # on stderr: rows go to stdout
    try:
        study = load_study(options.study)
        lake = Lake(store_root(), study.name)
        sys.exit(
            _own_program(options, lake) if options.duckdb or options.ui else _session(options, lake, study)
        )
    except (StudyError, LakeError, ValueError) as error:
        sys.exit(str(error))
    except BrokenPipeError:  # the reader had enough, say `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="SQL over a study's tables: a prompt, or one command.")
    parser.add_argument("study", help="the study's YAML file")
    parser.add_argument("--command", metavar="SQL", help="run this and end")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="of --command")
    parser.add_argument(
        "--current", action="store_true", help="also views of what counts today: reads all models' files"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--duckdb", action="store_true", help="DuckDB's own program instead of the prompt")
    other.add_argument("--ui", action="store_true", help="DuckDB's UI in a browser, where it is installed")
    options = parser.parse_args()
    if (options.duckdb or options.ui) and (options.command or options.current):
        parser.error("--duckdb and --ui go with neither --command nor --current")
    return options


def _session(options: argparse.Namespace, lake: Lake, study: Study) -> int:
    from preceptor.shell.listing import table_lines
    from preceptor.shell.output import write_result
    from preceptor.shell.prompt import Prompt, read_line
    from preceptor.shell.session import Session, SqlError

    with Session(lake, study, SQL, options.current) as session:
        if options.command is None:
            print(f"{study.name} in {lake.home}", *table_lines(session), ".help lists commands", sep="\n")
            Prompt(session, read_line(), sys.stdout).run()
            return 0
        try:
            for statement in session.statements(options.command):
                write_result(session, statement, options.format, sys.stdout, None)
        except SqlError as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            return 130
    return 0


def _own_program(options: argparse.Namespace, lake: Lake) -> int:
    from preceptor.shell.program import ProgramError, run_program, serve_ui

    try:
        if options.ui:
            serve_ui(lake, lambda: input("DuckDB's UI: http://localhost:4213 (Enter ends it) "))
            return 0
        program = shutil.which("duckdb")
        if program is None:
            sys.exit("no program named duckdb is on PATH; without --duckdb there is a prompt that needs none")
        return run_program(program, lake)
    except ProgramError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
