"""The protocol of Arena-Hard's judge: two games in swapped order, with the category's prompt."""

from dataclasses import replace

from preceptor.evaluation.arena_hard.categories import OWN_BASELINE
from preceptor.evaluation.arena_hard.verdicts import SPELLINGS, outcome
from preceptor.evaluation.judging.ask import Case, Shown
from preceptor.evaluation.judging.judge import Protocol, protocol_of
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.judging.prompt_file import PromptFile, read_prompt
from preceptor.judging.question import Question
from preceptor.study.evaluation import ArenaHard
from preceptor.study.judges import PromptedJudge

PROMPT, WITHOUT_OWN_ANSWER = "arena_hard", "arena_hard_creative"


def protocol(evaluation: ArenaHard) -> Protocol:
    """The judge's protocol.

    Raises BenchmarkError for a prompt file with other verdicts than the five, and where the study has its own
    prompt, but none for creative writing.
    """
    if evaluation.judge.order != "both":
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: Arena-Hard always plays two games in swapped order: remove the"
            " judge's 'order'"
        )
    main = _asked(evaluation.judge, PROMPT)
    own = {
        category: _asked(*how)
        for category in evaluation.categories
        if (how := _own_words(evaluation, category)) is not None
    }
    if not own:
        return main

    def question(case: Case, shown: Shown, draw: int) -> Question:
        return own.get(f"{case.item.task}", main).question(case, shown, draw)

    prompts = {category: words.identity["prompt"] for category, words in own.items()}
    named = (
        f"; {category}: prompt {p['name']} v{p['version']} {p['hash']}" for category, p in prompts.items()
    )
    identity = {**main.identity, "prompts": prompts}
    return replace(main, question=question, identity=identity, words=main.words + "".join(named))


def _own_words(evaluation: ArenaHard, category: str) -> tuple[PromptedJudge, str] | None:
    """The judge with the category's prompt, and the built-in default; None for the benchmark's prompt."""
    path = evaluation.categories[category].prompt
    if path is not None:
        return evaluation.judge.model_copy(update={"prompt": path}), PROMPT
    if category != OWN_BASELINE:
        return None
    if evaluation.judge.prompt is not None:
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}, categories.{category}: v2.0 uses another prompt for this"
            " category, without the judge's own answer: set its 'prompt' too (the judge's path, for the same)"
        )
    return evaluation.judge, WITHOUT_OWN_ANSWER


def _asked(judge: PromptedJudge, built_in: str) -> Protocol:
    _refuse_verdicts(read_prompt(judge.prompt, built_in))
    return protocol_of(judge, built_in)


def _refuse_verdicts(prompt: PromptFile) -> None:
    for label, worth in prompt.labels.items():
        if label not in SPELLINGS or outcome(SPELLINGS[label], "A") != worth:
            raise BenchmarkError(
                f"prompt file {prompt.name!r}: label {label!r} with value {worth:g} is not Arena-Hard's: use"
                f" {', '.join(SPELLINGS)}, with 1 where A wins, 0.5 for a tie, 0 where B wins"
            )
