"""alpaca-eval's full length control, by its own entry point, with files like the hub's in its place."""

import socket
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from alpaca_eval.metrics import get_length_controlled_winrate, glm_winrate
from scipy.special import expit

from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.items import Item, read_items
from preceptor.evaluation.pairwise import difficulty as module
from preceptor.evaluation.pairwise.difficulty import FILES, Difficulty, difficulty_of, fetched
from preceptor.evaluation.pairwise.length_control import (
    FULL,
    METHODS,
    METRICS,
    MINIMAL,
    formula,
    length_controlled,
)
from preceptor.evaluation.pairwise.metrics import check
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.study.judges import PromptedJudge
from preceptor.text import digest
from tests.evaluation.benchmarks import (
    NOTHING_LOADED,
    Grader,
    Student,
    duels,
    engines,
    job,
    pairwise,
)

COUNT = 120


def hub_files(folder: Path, seed: int = 0) -> Path:
    """Two gamed baselines with a judgment of every instruction, a few of them missing."""
    draw = np.random.default_rng(seed)
    hard = draw.normal(0, 1, COUNT)
    gamed = pd.DataFrame(
        {
            "model": np.repeat(["concise", "verbose"], COUNT),
            "index": np.tile(np.arange(COUNT), 2),
            "preference": draw.random(2 * COUNT),
            "std_delta_len": np.concatenate([draw.normal(-1, 0.4, COUNT), draw.normal(1, 0.4, COUNT)]),
            "instruction_difficulty": np.tile(hard, 2),
            "not_gamed_baseline": False,
        }
    )
    gamed.loc[[3, 150], "preference"] = np.nan
    folder.mkdir(exist_ok=True)
    gamed.to_csv(folder / FILES[0], index=False)
    pd.Series(hard, name="instruction_difficulty").to_csv(folder / FILES[1])
    return folder


def drawn(seed: int = 1) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    references = draw.integers(50, 900, COUNT)
    characters = (references * draw.uniform(0.5, 2, COUNT)).astype(int)
    delta = references - characters
    outcomes = expit(-0.5 - 1.1 * np.tanh(delta / delta.std(ddof=1)) + draw.normal(0, 1, COUNT))
    items = [f"i{n}" for n in range(COUNT)]
    return pl.DataFrame(
        {
            "item_id": items,
            "outcome": outcomes,
            "characters": characters,
            "reference_characters": references,
        }
    )


def numbered(folder: Path) -> Difficulty:
    return Difficulty(folder, {f"i{n}": n for n in range(COUNT)})


@pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")  # alpaca-eval's own call, without our wrapper
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_alpaca_evals_own_published_formula(tmp_path, monkeypatch, seed):
    folder, rows = hub_files(tmp_path / "files", seed), drawn(seed + 10)
    monkeypatch.setattr(glm_winrate, "hf_hub_download", lambda filename, **_: folder / filename)
    annotations = pd.DataFrame(
        {
            "index": range(COUNT),
            "preference": rows["outcome"].to_numpy() + 1,
            "output_1": ["x" * n for n in rows["reference_characters"]],
            "output_2": ["x" * n for n in rows["characters"]],
            "generator_1": "reference",
            "generator_2": "model",
            "annotator": "a",
        }
    )
    theirs = get_length_controlled_winrate(annotations, save_weights_dir=None, is_warn_extreme_changes=False)
    ours = length_controlled(rows, numbered(folder))
    assert ours.value == pytest.approx(theirs["length_controlled_winrate"] / 100, abs=1e-12)
    assert ours.low < ours.value < ours.high
    assert abs(ours.value - length_controlled(rows).value) > 1e-3  # the formula is another


def test_the_interval_of_the_full_formula_holds_the_spread_of_new_instructions(tmp_path):
    """Standard deviation over redrawn outcomes against the interval's half width, within a third."""
    found = numbered(hub_files(tmp_path / "files"))
    estimates = [length_controlled(drawn(seed), found) for seed in range(40)]
    spread = np.std([estimate.value for estimate in estimates], ddof=1)
    half_width = np.mean([(estimate.high - estimate.low) / 2 for estimate in estimates]) / 1.96
    assert 2 / 3 < half_width / spread < 3 / 2


@pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")
def test_an_item_that_failed_leaves_the_others_their_own_difficulty(tmp_path, monkeypatch):
    """alpaca-eval goes by the rows' labels: ours is its value where these are the instructions' own numbers.

    A file without the lost row, as it is read, has new numbers, and so other instructions' difficulties.
    """
    folder = hub_files(tmp_path / "files")
    monkeypatch.setattr(glm_winrate, "hf_hub_download", lambda filename, **_: folder / filename)
    rows = drawn().with_row_index("number").filter(pl.col("number") != 5)
    annotations = pd.DataFrame(
        {
            "preference": rows["outcome"].to_numpy() + 1,
            "output_1": ["x" * n for n in rows["reference_characters"]],
            "output_2": ["x" * n for n in rows["characters"]],
            "generator_1": "reference",
            "generator_2": "model",
        },
        index=rows["number"].to_list(),
    )
    own, renumbered = (
        get_length_controlled_winrate(frame, save_weights_dir=None, is_warn_extreme_changes=False)
        for frame in (annotations, annotations.reset_index(drop=True))
    )
    found = length_controlled(rows, numbered(folder)).value
    assert found == pytest.approx(own["length_controlled_winrate"] / 100, abs=1e-12)
    assert abs(found - renumbered["length_controlled_winrate"] / 100) > 1e-4


def test_files_that_come_later_make_length_control_the_main_metric(lake, tmp_path, monkeypatch, reward_model):
    rows = duels(COUNT)
    monkeypatch.setattr(module, "IN_ORDER", digest(*(row["instruction"] for row in rows)))
    monkeypatch.setattr(module, "_download", lambda place: False)
    benchmark = pairwise(tmp_path, rows, reward_model)
    student = Student(lambda instruction: "word " * (int(instruction.split()[1]) * 7 % 60 + 1))
    first = evaluate(job(lake, benchmark, engines(student, Grader(lambda text: len(text) / 100))))
    assert first.scores.rows["metric"].to_list()[:2] == ["win_rate", "minimal_lc_win_rate"]

    def download(place):
        place.mkdir(parents=True)
        hub_files(place)
        return True

    monkeypatch.setattr(module, "_download", download)
    assert difficulty_of(lake, benchmark, read_items(benchmark)) is not None
    second = evaluate(job(lake, benchmark, NOTHING_LOADED))
    assert second.scores.rows["metric"].to_list()[:2] == ["lc_win_rate", "win_rate"]
    assert "in place of" not in second.scores.rows["method"][1]


def test_the_method_names_the_formula(tmp_path):
    assert (formula(numbered(tmp_path)), formula(None)) == (FULL, MINIMAL)
    assert "length_controlled_v1" in METHODS[FULL]
    assert "without instruction difficulty" in METHODS[MINIMAL]
    assert METRICS == {FULL: "lc_win_rate", MINIMAL: "minimal_lc_win_rate"}


def alpaca_items(monkeypatch, count=4) -> list[Item]:
    items = [Item(str(n), None, (f"say {n}",)) for n in range(count)]
    monkeypatch.setattr(module, "IN_ORDER", digest(*(item.user[0] for item in items)))
    return items


def test_only_alpaca_evals_instructions_in_its_order_have_a_difficulty(lake, tmp_path, monkeypatch):
    items = alpaca_items(monkeypatch)
    given = pairwise(tmp_path, duels(4), "unused", length_control=str(hub_files(tmp_path / "files")))
    assert difficulty_of(lake, given, items).number == {"0": 0, "1": 1, "2": 2, "3": 3}
    assert difficulty_of(lake, given, items[::-1]) is None
    assert difficulty_of(lake, given, items[:3]) is None


def test_the_files_are_fetched_once_into_the_store(lake, tmp_path, monkeypatch):
    asked = []
    folder = hub_files(tmp_path / "files")

    def download(repository, name, repo_type):
        asked.append((repository, name, repo_type))
        return folder / name

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    items, benchmark = alpaca_items(monkeypatch), pairwise(tmp_path, duels(4), "unused")
    first = difficulty_of(lake, benchmark, items)
    again = difficulty_of(lake, benchmark, items)
    assert asked == [("tatsu-lab/alpaca_eval", name, "dataset") for name in FILES]
    assert first.folder == again.folder and str(first.folder).startswith(lake.home)
    assert all((first.folder / name).read_bytes() == (folder / name).read_bytes() for name in FILES)


def test_without_a_hub_nothing_is_known_and_nothing_half_fetched_stays(lake, tmp_path, monkeypatch, caplog):
    def broken(repository, name, repo_type):
        if name == FILES[1]:
            raise OSError("no route")
        return hub_files(tmp_path / "files") / name

    monkeypatch.setattr("huggingface_hub.hf_hub_download", broken)
    items, benchmark = alpaca_items(monkeypatch), pairwise(tmp_path, duels(4), "unused")
    assert difficulty_of(lake, benchmark, items) is None
    assert "no route" in caplog.text
    assert fetched(lake) is None
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda r, name, repo_type: tmp_path / "files" / name
    )
    assert difficulty_of(lake, benchmark, items) is not None


def test_offline_nothing_is_asked_of_any_network(lake, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert difficulty_of(lake, pairwise(tmp_path, duels(4), "unused"), alpaca_items(monkeypatch)) is None


def test_a_folder_that_lacks_a_file_is_named(lake, tmp_path, monkeypatch):
    folder = hub_files(tmp_path / "files")
    (folder / FILES[1]).unlink()
    benchmark = pairwise(tmp_path, duels(4), "unused", length_control=str(folder))
    with pytest.raises(BenchmarkError, match=r"length_control: .*files lacks instruction_difficulty.csv"):
        difficulty_of(lake, benchmark, alpaca_items(monkeypatch))


def test_other_instructions_never_fetch(lake, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.hf_hub_download", None)
    benchmark = pairwise(tmp_path, duels(4), "unused")
    assert difficulty_of(lake, benchmark, read_items(benchmark)) is None


def test_files_that_cannot_know_the_instructions_are_refused_before_anything_runs(tmp_path):
    judge = PromptedJudge(name="j", engine="openai", model="m", base_url="http://localhost/v1")
    folder = str(hub_files(tmp_path / "files"))
    benchmark = pairwise(tmp_path, duels(4), "unused", judge=judge, length_control=folder)
    with pytest.raises(BenchmarkError, match=r"length_control: .* know only AlpacaEval's 805"):
        check(benchmark)


@pytest.mark.parametrize("lines", [0, 1, 60, 121, 200])
def test_a_file_that_was_cut_is_refused_and_gives_no_other_figure(tmp_path, lines):
    folder = hub_files(tmp_path)
    whole = (folder / FILES[0]).read_text().splitlines(keepends=True)
    difficulty = Difficulty(folder, {f"i{n}": n for n in range(COUNT)})
    assert len(difficulty.gamed()) == 2 * COUNT
    (folder / FILES[0]).write_text("".join(whole[:lines]))
    with pytest.raises(BenchmarkError, match=r"df_gamed\.csv: .*: fetch it again"):
        difficulty.gamed()
