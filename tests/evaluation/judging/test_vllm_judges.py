"""Every judge path against the real vLLM server on a CPU: random verdicts, but valid ones, row by row."""

import json

import pytest
import yaml

from preceptor.endpoint.errors import EndpointError
from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.job import Engines, EvaluationJob
from preceptor.judging.judge import EndpointJudge
from preceptor.lake.schemas import EVAL_SCORES, JUDGMENTS
from preceptor.study.evaluation import ArenaHard, Grades, Pairwise
from preceptor.study.fields import Sampling
from preceptor.study.judges import AnnotatorJudge, PromptedJudge
from tests.endpoint.vllm_server import mortal_vllm_server, vllm_server
from tests.evaluation.benchmarks import Student, checkpoint, duels, forbidden, write_lines

pytestmark = [pytest.mark.slow, pytest.mark.story]
pytest.importorskip("vllm")
CONTEXT = 16384  # in the demo's tiny vocabulary a prompt of alpaca-eval has thousands of tokens
COUNT = 10


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with vllm_server(tmp_path_factory.mktemp("vllm") / "log.txt", CONTEXT) as address:
        yield address


def brief(tmp_path, protocol: str, **change) -> str:
    """A built-in prompt without reasons: the tiny model would write them for ever."""
    from preceptor.judging.prompt_file import BUILT_IN

    prompt = yaml.safe_load((BUILT_IN / f"{protocol}.yaml").read_text())
    path = tmp_path / f"{protocol}.yaml"
    path.write_text(yaml.safe_dump(prompt | {"reasoning": False} | change))
    return str(path)


def prompted(url: str, prompt: str, **settings) -> PromptedJudge:
    endpoint = {"model": "scripted", "base_url": url, "prices": {"prompt": 1.0, "response": 2.0}}
    return PromptedJudge(
        **{"name": "tiny", "engine": "openai", "prompt": prompt, "max_tokens": 200, **endpoint, **settings}
    )


def run(lake, evaluation, rows=4):
    student = Student(lambda instruction: f"My answer to {instruction}.")
    using = Engines(student.load, forbidden, EndpointJudge, forbidden, forbidden)
    return evaluate(EvaluationJob(lake, "run", evaluation, checkpoint(), using, rows))


def questions(tmp_path) -> dict[str, str]:
    asked = [
        {"uid": f"q{n}", "category": ["maths", "code"][n % 2], "subcategory": "x", "prompt": f"task {n}"}
        for n in range(COUNT)
    ]
    answered = [
        {
            "uid": row["uid"],
            "model": "baseline",
            "messages": [
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": {"answer": "theirs " * (n + 1)}},
            ],
        }
        for n, row in enumerate(asked)
    ]
    return {
        "path": write_lines(tmp_path / "questions.jsonl", asked),
        "answers": write_lines(tmp_path / "answers.jsonl", answered),
    }


def test_duels_in_both_orders(lake, tmp_path, url):
    path = write_lines(tmp_path / "duels.jsonl", duels(COUNT))
    judge = prompted(url, brief(tmp_path, "duel"))
    found = run(lake, Pairwise(name="d", kind="pairwise", path=path, judge=judge))
    rows = lake.read(JUDGMENTS, {"run": "run", "benchmark": "d"})
    assert (rows.height, rows["error"].count()) == (2 * COUNT, 0)
    assert set(rows["verdict"]) <= {"A", "B", "tie"}
    assert all(
        json.loads(raw)["verdict"] == label for raw, label in rows.select("raw", "verdict").iter_rows()
    )
    assert rows["prompt_tokens"].min() > 500 and rows["price"].min() > 0
    assert str(found.account) == f"{COUNT} judged + 0 failed + 0 filtered = {COUNT}, expected {COUNT}"
    assert {"position_bias", "win_share"} <= set(found.scores.rows["metric"])
    again = run(lake, Pairwise(name="d", kind="pairwise", path=path, judge=judge))
    assert (again.judgments.computed, again.scores.computed) == (0, 0)


def test_several_draws_tell_how_consistent_the_judge_is(lake, tmp_path, url):
    path = write_lines(tmp_path / "duels.jsonl", duels(COUNT))
    judge = prompted(url, brief(tmp_path, "duel"), n=3, temperature=1.0)
    found = run(lake, Pairwise(name="d", kind="pairwise", path=path, judge=judge))
    assert found.judgments.rows.height == 6 * COUNT
    consistency = found.scores.rows.filter(metric="self_consistency").row(0, named=True)
    assert 0 <= consistency["low"] <= consistency["value"] <= consistency["high"] <= 1


def test_arena_hard_has_two_games_and_five_verdicts(lake, tmp_path, url):
    judge = prompted(url, brief(tmp_path, "arena_hard"))
    found = run(lake, ArenaHard(name="a", kind="arena_hard", judge=judge, **questions(tmp_path)))
    assert set(found.judgments.rows["verdict"]) <= {"A>>B", "A>B", "A=B", "B>A", "B>>A"}
    assert found.judgments.rows.height == 2 * COUNT
    scores = found.scores.rows
    assert scores.row(0, named=True)["metric"] == "win_rate"
    assert set(scores.filter(metric="win_rate")["category"]) == {
        "maths",
        "code",
    }  # each with a baseline of its own
    assert scores.filter(metric="win_rate")["value"].is_between(0, 1).all()


def test_grades_of_several_answers(lake, tmp_path, url):
    path = write_lines(tmp_path / "prompts.jsonl", [{"instruction": f"say {n}"} for n in range(4)])
    judge = prompted(url, brief(tmp_path, "grade"))
    sampling = Sampling(n=3, temperature=0.7)
    found = run(lake, Grades(name="g", kind="grades", path=path, judge=judge, sampling=sampling))
    assert (found.items.rows.height, found.account.judged) == (12, 12)
    assert set(found.items.rows["outcome"]) <= {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}
    grade = found.scores.rows.row(0, named=True)
    assert (grade["metric"], grade["unit"], grade["n"], grade["expected"]) == ("grade", "grade", 4, 12)
    assert 1 <= grade["value"] <= 6


def annotator(tmp_path, url: str, **settings) -> AnnotatorJudge:
    """alpaca-eval's weighted annotator, whose two letters a grammar keeps the tiny model to."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "p.txt").write_text(
        "<|im_start|>user\nWhich is better, m or M?\n{instruction}\nm: {output_1}\nM: {output_2}<|im_end|>"
    )
    configuration = {
        "prompt_template": "own/p.txt",
        "fn_completions": "openai_completions",
        "completions_kwargs": {
            "max_tokens": 1,
            "temperature": 1,
            "logprobs": True,
            "top_logprobs": 5,
            "structured_outputs": {"choice": ["m", "M"]},
        },
        "fn_completion_parser": "logprob_parser",
        "completion_parser_kwargs": {
            "numerator_token": "m",
            "denominator_tokens": ["m", "M"],
            "is_binarize": False,
        },
        "completion_key": "completions_all",
        "batch_size": 1,
    } | settings
    (folder / "configs.yaml").write_text(yaml.safe_dump({"own": configuration}))
    return AnnotatorJudge(
        name="w", engine="alpaca_eval", annotator=str(folder), model="scripted", base_url=url
    )


def test_alpaca_evals_weighted_annotator_reads_token_probabilities(lake, tmp_path, url):
    path = write_lines(tmp_path / "duels.jsonl", duels(COUNT))
    judge = annotator(tmp_path, url)
    found = run(lake, Pairwise(name="ae", kind="pairwise", path=path, judge=judge))
    rows = found.judgments.rows
    assert (rows.height, rows["error"].count()) == (COUNT, 0)
    assert all("top_logprobs" in raw for raw in rows["raw"])
    assert rows["outcome"].is_between(0, 1).all()
    assert rows["outcome"].n_unique() > 2  # weighted, not only won or lost
    score = lake.read(EVAL_SCORES, {"run": "run"}).row(0, named=True)
    assert score["judge"].startswith(f"w (scripted at {url}; ") and "alpaca-eval 0.6.6" in score["judge"]


def test_alpaca_evals_function_annotator_reads_a_call(lake, tmp_path, url):
    schema = {
        "type": "object",
        "properties": {"best": {"type": "string", "enum": ["m", "M"]}},
        "required": ["best"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "choose", "parameters": schema}}
    parsers = [
        {"parser_to_use": "json_parser", "annotation_key": "best"},
        {"parser_to_use": "replace_parser", "replacer": {"m": 1, "M": 2}},
    ]
    judge = annotator(
        tmp_path,
        url,
        completions_kwargs={
            "max_tokens": 400,
            "temperature": 0,
            "tools": [tool],
            "tool_choice": {"type": "function", "function": {"name": "choose"}},
        },
        fn_completion_parser="pipeline_meta_parser",
        completion_parser_kwargs={"parsers_to_kwargs": {p.pop("parser_to_use"): p for p in parsers}},
        completion_key="completions",
    )
    path = write_lines(tmp_path / "duels.jsonl", duels(COUNT))
    found = run(lake, Pairwise(name="fn", kind="pairwise", path=path, judge=judge))
    assert found.judgments.rows["error"].to_list() == [None] * COUNT
    assert set(found.items.rows["outcome"]) <= {0.0, 1.0}


def test_alpaca_evals_ranking_annotator_is_asked_in_both_orders(lake, tmp_path, url):
    """AlpacaEval 1's own parser, on one of the two rankings that the grammar leaves the tiny model."""
    ranking = "[{{'model': 'model_{}', 'rank': 1}}, {{'model': 'model_{}', 'rank': 2}}]"
    choice = [ranking.format(first, 3 - first) for first in (1, 2)]
    judge = annotator(
        tmp_path,
        url,
        completions_kwargs={
            "max_tokens": 200,
            "temperature": 1,
            "structured_outputs": {"choice": choice},
        },
        fn_completion_parser="ranking_parser",
        completion_parser_kwargs={},
        completion_key="completions",
    ).model_copy(update={"order": "both"})
    path = write_lines(tmp_path / "duels.jsonl", duels(COUNT))
    found = run(lake, Pairwise(name="r", kind="pairwise", path=path, judge=judge))
    rows = found.judgments.rows
    assert (rows.height, rows["error"].count()) == (2 * COUNT, 0)
    assert set(rows["raw"]) <= set(choice)
    first = rows["raw"] == choice[0]
    response_first = rows["shown"] == "response_first"
    assert rows["outcome"].to_list() == (first == response_first).cast(float).to_list()
    assert {"position_bias", "verdict_flips"} <= set(found.scores.rows["metric"])


def test_a_pattern_finds_the_label_in_free_words_in_one_order_by_item(lake, tmp_path, url):
    """No grammar: the label is the first letter of whatever the tiny model writes, if it comes to an end."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    labels = {letter: (number + 0.5) / len(letters) for number, letter in enumerate(letters)}
    words = {"user": "{data}\nSay a letter.", "labels": labels, "pattern": "([a-z])"}
    judge = prompted(url, brief(tmp_path, "duel", **words), order="random", temperature=1.0, attempts=6)
    path = write_lines(tmp_path / "duels.jsonl", duels(2 * COUNT))
    found = run(lake, Pairwise(name="p", kind="pairwise", path=path, judge=judge))
    rows = found.judgments.rows
    assert rows.height == 2 * COUNT == rows["item_id"].n_unique()
    assert set(rows["shown"]) == {"response_first", "reference_first"}
    read = rows.drop_nulls("verdict")
    assert read.height > COUNT // 2, rows["error"].to_list()
    for row in read.iter_rows(named=True):
        assert row["verdict"] == next(letter for letter in row["raw"] if letter in letters)
        worth = labels[row["verdict"]]
        assert row["outcome"] == (worth if row["shown"] == "response_first" else 1 - worth)
    assert found.account.judged == read.height and found.account.balanced


def test_a_judge_that_finds_no_end_fails_loudly_and_is_counted(lake, tmp_path, url):
    path = write_lines(tmp_path / "duels.jsonl", duels(4))
    judge = prompted(url, brief(tmp_path, "duel", reasoning=True), max_tokens=20, attempts=1)
    found = run(lake, Pairwise(name="d", kind="pairwise", path=path, judge=judge))
    assert found.account.failed > 0 and found.account.balanced
    failed = found.judgments.rows.drop_nulls("error")
    assert failed["error"].str.contains("(cut off)", literal=True).all() and failed["raw"].null_count() == 0


def test_a_server_that_dies_loses_no_verdict_and_resuming_asks_only_the_rest(lake, tmp_path):
    path = write_lines(tmp_path / "duels.jsonl", duels(40))  # more than are answered ahead
    prompt = brief(tmp_path, "duel")

    def evaluation(address):
        judge = prompted(address, prompt, served_as="tiny", attempts=2, concurrency=1)
        return Pairwise(name="d", kind="pairwise", path=path, judge=judge)

    with mortal_vllm_server(tmp_path / "first.txt", CONTEXT) as (address, kill):

        class Dying(EndpointJudge):
            def stream(self, questions):
                for asked, answer in enumerate(super().stream(questions)):
                    yield answer
                    if asked == 4:
                        kill()

        using = Engines(Student(str.upper).load, forbidden, Dying, forbidden, forbidden)
        with pytest.raises(EndpointError):
            evaluate(EvaluationJob(lake, "run", evaluation(address), checkpoint(), using, 2))
    with vllm_server(tmp_path / "second.txt", CONTEXT) as address:
        using = Engines(forbidden, forbidden, EndpointJudge, forbidden, forbidden)
        found = evaluate(EvaluationJob(lake, "run", evaluation(address), checkpoint(), using, 2))
    assert found.account.judged == 40
    assert 4 <= found.judgments.reused < 80
