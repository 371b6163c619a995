"""Annotators of alpaca-eval: its prompts, its order, its parsers; only the request is sent by our client.

Its own client drops what it cannot read, asks for ever or gives up in silence, and keeps no answers' texts.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preceptor.evaluation.items import Item
from preceptor.evaluation.judging.ask import DUEL, Case, Shown
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.fingerprint import file_identity
from preceptor.judging.question import Question, Reading
from preceptor.study.judges import ANNOTATED, AnnotatorJudge

if TYPE_CHECKING:
    from alpaca_eval.annotators.pairwise_evaluator import SinglePairwiseAnnotator

    from preceptor.endpoint.completion import Completion

LENGTHS = ("max_tokens", "max_new_tokens", "max_tokens_to_sample")  # OpenAI's, Hugging Face's, Anthropic's
# What says how alpaca-eval's own clients work, or what they cost: no request holds it.
UNSENT = {"model_name", "price_per_token", "num_procs", "client_kwargs", "client_function_name", "is_strip"}
UNSENT |= {"requires_chatml", "is_chatml_prompt", "model_kwargs", "batch_size", "n_retries"}
DEFAULTS = {"temperature": 0.7, "max_tokens": 2048}  # of alpaca-eval's client
SWITCH = "is_switched_outputs"


@dataclass(frozen=True)
class Annotator:
    """A configuration folder of alpaca-eval, read; several annotators in it are drawn from by instruction."""

    judge: AnnotatorJudge

    @cached_property
    def folder(self) -> Path:
        """The configuration's folder. Raises BenchmarkError for a name that alpaca-eval does not know."""
        from alpaca_eval.constants import EVALUATORS_CONFIG_DIR

        named = self.judge.annotator
        folder = Path(named) if named.startswith("/") else Path(EVALUATORS_CONFIG_DIR) / named
        if not (folder / "configs.yaml").is_file():
            known = sorted(file.parent.name for file in Path(EVALUATORS_CONFIG_DIR).glob("*/configs.yaml"))
            raise BenchmarkError(
                f"judge {self.judge.name!r}: annotator {named!r} has no configs.yaml; alpaca-eval brings"
                f" {', '.join(known)}"
            )
        return folder

    @cached_property
    def configurations(self) -> dict[str, dict[str, Any]]:
        """The configuration's annotators, by name. Raises BenchmarkError for one that cannot be asked."""
        from alpaca_eval.utils import load_configs

        found: dict[str, dict[str, Any]] = load_configs(self.folder / "configs.yaml")
        for name, settings in found.items():
            unknown = settings.get("completions_kwargs", {}).keys() - ANNOTATED - UNSENT - {*LENGTHS}
            if settings.get("batch_size", 1) != 1:
                raise self._refused(
                    name,
                    "asks about several items at once (batch_size), so that no verdict stands for itself",
                )
            if unknown:
                raise self._refused(
                    name, f"asks for {', '.join(sorted(unknown))}, which needs its own client"
                )
        return found

    def _refused(self, name: str, why: str) -> BenchmarkError:
        return BenchmarkError(
            f"judge {self.judge.name!r}: {name!r} of annotator {self.judge.annotator!r} {why}: choose another"
        )

    @cached_property
    def annotators(self) -> dict[str, "SinglePairwiseAnnotator"]:
        """alpaca-eval's own objects, which make prompts, switch outputs and parse completions."""
        from alpaca_eval.annotators.pairwise_evaluator import SinglePairwiseAnnotator

        return {
            name: SinglePairwiseAnnotator(
                seed=self.judge.seed,
                base_dir=self.folder.parent,
                **{**settings, "fn_completions": _not_sent},
            )
            for name, settings in self.configurations.items()
        }

    @property
    def identity(self) -> dict[str, Any]:
        """Whatever changes a verdict besides the model: the configuration, its prompts, alpaca-eval."""
        from importlib.metadata import version

        templates = {settings["prompt_template"] for settings in self.configurations.values()}
        files = [self.folder.parent / template for template in sorted(templates)]
        return {
            "alpaca_eval": version("alpaca-eval"),
            "configuration": file_identity(self.folder / "configs.yaml"),
            "prompts": [file_identity(file) for file in files],
            **self.judge.model_dump(include={"order", "seed"}),
        }

    def check(self) -> None:
        """Make a question. Raises BenchmarkError for a configuration that alpaca-eval cannot use."""
        texts = {"instruction": "an instruction", "first": "one answer", "second": "another answer"}
        item = Item("trial", None, (texts["instruction"],), reference=(texts["second"],))
        try:
            asked = self.question(Case(item, 0, (texts["first"],)), "response_first")
        except BenchmarkError:
            raise
        except Exception as error:  # alpaca-eval fails as it likes on a file that is not as it expects
            raise BenchmarkError(
                f"judge {self.judge.name!r}: alpaca-eval cannot use {self.folder / 'configs.yaml'}:"
                f" {type(error).__name__}: {error}"
            ) from error
        said = " ".join(message["content"] for message in asked.body["messages"])
        if lacking := [text for text in texts.values() if text not in said]:
            raise BenchmarkError(
                f"judge {self.judge.name!r}: the prompt of {self.folder} does not show the judge"
                f" {' nor '.join(lacking)}: it needs {{instruction}}, {{output_1}} and {{output_2}}"
            )

    def orders(self, instruction: str) -> tuple[Shown, ...]:
        """What is shown first: alpaca-eval draws it by the instruction; `both` asks in either order."""
        from alpaca_eval.utils import random_seeded_choice

        if self.judge.order == "both" or not self._chosen(instruction).is_randomize_output_order:
            return DUEL if self.judge.order == "both" else DUEL[:1]
        switched = random_seeded_choice(f"{SWITCH}{instruction}{self.judge.seed}", [False, True])
        return (DUEL[int(switched)],)

    def question(self, case: Case, shown: Shown) -> Question:
        """The question about a case, in one order."""
        instruction = "\n\n".join(case.item.user)
        response, reference = "\n\n".join(case.turns), "\n\n".join(case.item.reference)
        pair = (reference, response) if shown == "reference_first" else (response, reference)
        annotator = self._chosen(instruction)
        asked = "\n\n".join(case.item.asked)
        texts = {"instruction": asked, "output_1": pair[0], "output_2": pair[1]}
        messages = [
            {**message, "content": _filled(message["content"], texts)}
            for message in _messages(annotator.prompt_template)
        ]
        return Question(
            {"messages": messages, "seed": self.judge.seed, **_parameters(annotator.completions_kwargs)},
            lambda completion: _read(annotator, completion, shown),
            f"preference that alpaca-eval's {self.judge.annotator} parses",
        )

    def _chosen(self, instruction: str) -> "SinglePairwiseAnnotator":
        from alpaca_eval.utils import random_seeded_choice

        seed = f"annotator{instruction}{self.judge.seed}"
        return self.annotators[random_seeded_choice(seed, list(self.annotators))]


def _parameters(settings: dict[str, Any]) -> dict[str, Any]:
    """A configuration's completion settings as a chat request has them."""
    limits = [settings[name] for name in LENGTHS if name in settings]
    sent = {**DEFAULTS, **{name: settings[name] for name in ANNOTATED if name in settings}}
    return sent | {"max_tokens": limits[0]} if limits else sent


def _not_sent(*_: object, **__: object) -> None:
    """alpaca-eval's clients are not loaded: some need packages of their own."""


def _messages(template: str) -> list[dict[str, str]]:
    """The template's messages. It is split before texts fill it: an answer may hold the marks of a turn."""
    from alpaca_eval.utils import prompt_to_chatml

    template = template.strip()
    if template.startswith("<|im_start|>"):
        found: list[dict[str, str]] = prompt_to_chatml(template)
        return found
    # Claude's old text interface: one message, without the marks of whose turn it is at its two ends.
    content = template.removeprefix("Human:").removesuffix("Assistant:").strip()
    return [{"role": "user", "content": content}]


def _filled(template: str, texts: dict[str, str]) -> str:
    """A message's text by alpaca-eval's own rule, which leaves other braces alone."""
    import pandas as pd
    from alpaca_eval.utils import make_prompts

    prompts, _ = make_prompts(df=pd.DataFrame([texts]), template=template, batch_size=1)
    return str(prompts[0]).strip()


def _read(annotator: "SinglePairwiseAnnotator", completion: "Completion", shown: Shown) -> Reading | None:
    """The preference by alpaca-eval's parser: 1 is the first shown, 2 the second, 0 and 1.5 a draw."""
    from math import isnan

    whole = {**completion.choice, "text": completion.text}
    by_key = {"completions": completion.text or " ", "completions_all": whole}
    try:
        (preference,) = annotator.fn_completion_parser(by_key[annotator.completion_key])
        value = float(preference)
    except Exception:  # a parser fails as it likes on what it does not know
        return None
    if isnan(value) or not (value == 0 or 1 <= value <= 2):
        return None
    second = 0.5 if value == 0 else value - 1
    return Reading(f"{value:.6g}", second if shown == "reference_first" else 1 - second)
