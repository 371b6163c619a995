"""The checkers on real reference answers: GSM8K's 8,792, right as they stand and wrong when off by one."""

import gzip
import json

import pytest

from preceptor.evaluation.checkers import number, refusal
from tests.conftest import REAL_DATA

FILES = [REAL_DATA / "gsm8k" / f"{part}.jsonl.gz" for part in ("train", "test")]
pytestmark = pytest.mark.skipif(not FILES[0].is_file(), reason=f"no real data at {REAL_DATA}")


def test_every_reference_of_gsm8k_is_right_however_it_is_said_and_wrong_off_by_one():
    lines = b"".join(gzip.decompress(path.read_bytes()) for path in FILES).splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 7473 + 1319
    for row in rows:
        solution, answer = (part.strip() for part in row["answer"].split("####"))
        off = int(answer.replace(",", "")) + 1
        assert refusal("number", answer) is None
        for said in (
            row["answer"],
            f"{solution} The answer is {answer}.",
            f"{solution}\n**Answer:** ${answer}",
        ):
            assert number(said, answer)
        assert not number(f"{solution}\nThe answer is {off}.", answer)
