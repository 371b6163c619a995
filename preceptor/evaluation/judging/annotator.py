"""Annotators of alpaca-eval, with its prompts, order and parsers, but with requests from our client.

alpaca-eval's client drops unreadable answers, retries for ever or gives up silently, and stores no texts.
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
# Settings of alpaca-eval's own clients and their costs. They are not part of a request.
UNSENT = {"model_name", "price_per_token", "num_procs", "client_kwargs", "client_function_name", "is_strip"}
UNSENT |= {"requires_chatml", "is_chatml_prompt", "model_kwargs", "batch_size", "n_retries"}
DEFAULTS = {"temperature": 0.7, "max_tokens": 2048}  # of alpaca-eval's client
SWITCH = "is_switched_outputs"


@dataclass(frozen=True)
class Annotator:
    """A configuration folder of alpaca-eval. If it has several annotators, one is drawn by instruction."""

    judge: AnnotatorJudge

    @cached_property
    def folder(self) -> Path:
        """The configuration's folder. Raises BenchmarkError for an unknown name."""
        from alpaca_eval.constants import EVALUATORS_CONFIG_DIR

        named = self.judge.annotator
        folder = Path(named) if named.startswith("/") else Path(EVALUATORS_CONFIG_DIR) / named
        if not (folder / "configs.yaml").is_file():
            known = sorted(file.parent.name for file in Path(EVALUATORS_CONFIG_DIR).glob("*/configs.yaml"))
            raise BenchmarkError(
                f"judge {self.judge.name!r}: annotator {named!r} has no configs.yaml: use a folder with one,"
                f" or one of alpaca-eval's: {', '.join(known)}"
            )
        return folder

    @cached_property
    def configurations(self) -> dict[str, dict[str, Any]]:
        """The configuration's annotators, by name. Raises BenchmarkError for an unsupported one."""
        from alpaca_eval.utils import load_configs

        found: dict[str, dict[str, Any]] = load_configs(self.folder / "configs.yaml")
        for name, settings in found.items():
            unknown = settings.get("completions_kwargs", {}).keys() - ANNOTATED - UNSENT - {*LENGTHS}
            if settings.get("batch_size", 1) != 1:
                raise self._refused(
                    name,
                    "asks about several items at once (batch_size), so verdicts are not independent",
                )
            if unknown:
                raise self._refused(
                    name, f"sets {', '.join(sorted(unknown))}, which only alpaca-eval's own client supports"
                )
        return found

    def _refused(self, name: str, why: str) -> BenchmarkError:
        return BenchmarkError(
            f"judge {self.judge.name!r}: {name!r} of annotator {self.judge.annotator!r} {why}: choose another"
        )

    @cached_property
    def annotators(self) -> dict[str, "SinglePairwiseAnnotator"]:
        """alpaca-eval's own annotator objects, by name."""
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
        """What changes a verdict besides the model: configuration, prompts, alpaca-eval's version."""
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
        """Make a trial question. Raises BenchmarkError for an unusable configuration."""
        texts = {"instruction": "an instruction", "first": "one answer", "second": "another answer"}
        item = Item("trial", None, (texts["instruction"],), reference=(texts["second"],))
        try:
            asked = self.question(Case(item, 0, (texts["first"],)), "response_first")
        except BenchmarkError:
            raise
        except Exception as error:  # alpaca-eval raises many types for unexpected files
            raise BenchmarkError(
                f"judge {self.judge.name!r}: alpaca-eval cannot use {self.folder / 'configs.yaml'}:"
                f" {type(error).__name__}: {error}"
            ) from error
        prompt = " ".join(message["content"] for message in asked.body["messages"])
        if lacking := [text for text in texts.values() if text not in prompt]:
            raise BenchmarkError(
                f"judge {self.judge.name!r}: the prompt of {self.folder} lacks {' and '.join(lacking)}: it"
                " needs {instruction}, {output_1} and {output_2}"
            )

    def orders(self, instruction: str) -> tuple[Shown, ...]:
        """The orders to ask in: the one that alpaca-eval draws by instruction, or both with `both`."""
        from alpaca_eval.utils import random_seeded_choice

        if self.judge.order == "both" or not self._chosen(instruction).is_randomize_output_order:
            return DUEL if self.judge.order == "both" else DUEL[:1]
        switched = random_seeded_choice(f"{SWITCH}{instruction}{self.judge.seed}", [False, True])
        return (DUEL[int(switched)],)

    def question(self, case: Case, shown: Shown) -> Question:
        """The question about a case in one order."""
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
    """A configuration's completion settings as parameters of a chat request."""
    limits = [settings[name] for name in LENGTHS if name in settings]
    sent = {**DEFAULTS, **{name: settings[name] for name in ANNOTATED if name in settings}}
    return sent | {"max_tokens": limits[0]} if limits else sent


def _not_sent(*_: object, **__: object) -> None:
    """Replaces alpaca-eval's clients, some of which need further packages."""


def _messages(template: str) -> list[dict[str, str]]:
    """The template's messages. It is split before it is filled, because an answer may contain turn marks."""
    from alpaca_eval.utils import prompt_to_chatml

    template = template.strip()
    if template.startswith("<|im_start|>"):
        found: list[dict[str, str]] = prompt_to_chatml(template)
        return found
    # Claude's old text interface: one message, without the marks of the turns at both ends.
    content = template.removeprefix("Human:").removesuffix("Assistant:").strip()
    return [{"role": "user", "content": content}]


def _filled(template: str, texts: dict[str, str]) -> str:
    """Fill a message's text with alpaca-eval's own function, which ignores other braces."""
    import pandas as pd
    from alpaca_eval.utils import make_prompts

    prompts, _ = make_prompts(df=pd.DataFrame([texts]), template=template, batch_size=1)
    return str(prompts[0]).strip()


def _read(annotator: "SinglePairwiseAnnotator", completion: "Completion", shown: Shown) -> Reading | None:
    """The preference from alpaca-eval's parser: 1 is the first answer, 2 the second, 0 and 1.5 a draw."""
    from math import isnan

    whole = {**completion.choice, "text": completion.text}
    by_key = {"completions": completion.text or " ", "completions_all": whole}
    try:
        (preference,) = annotator.fn_completion_parser(by_key[annotator.completion_key])
        value = float(preference)
    except Exception:  # parsers raise many types for unknown texts
        return None
    if isnan(value) or not (value == 0 or 1 <= value <= 2):
        return None
    second = 0.5 if value == 0 else value - 1
    return Reading(f"{value:.6g}", second if shown == "reference_first" else 1 - second)
