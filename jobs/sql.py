"""`python -m jobs.sql STUDY`: read-only SQL over a study's tables, also while runs are under way."""

import argparse
import logging
import os
import sys
from pathlib import Path

from preceptor.lake.store import Lake, LakeError, store_root
from preceptor.study.load import StudyError, load_study
from preceptor.study.schema import Study

SQL = Path(__file__).parent.parent / "sql"


def main() -> None:
    """Open a prompt, or run --command. The exit status is 1 if a statement fails."""
    options = _options()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")  # to stderr: stdout is for rows
    try:
        study = load_study(options.study)
        lake = Lake(store_root(), study.name)
        sys.exit(_session(options, lake, study))
    except (StudyError, LakeError, ValueError) as error:
        sys.exit(str(error))
    except BrokenPipeError:  # the reader, such as `head`, closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="SQL over a study's tables: a prompt, or one command.")
    parser.add_argument("study", help="the study's YAML file")
    parser.add_argument("--command", metavar="SQL", help="run this statement and exit")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="with --command")
    parser.add_argument(
        "--current",
        action="store_true",
        help="add views of rows that match today's settings: reads all models' files",
    )
    return parser.parse_args()


def _session(options: argparse.Namespace, lake: Lake, study: Study) -> int:
    from preceptor.shell.output import write_result
    from preceptor.shell.prompt import Prompt, read_line, table_lines
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


if __name__ == "__main__":
    main()
