"""All kinds of evaluation, by their names in a study."""

from typing import Any

from preceptor.evaluation import checked, grades
from preceptor.evaluation.arena_hard import benchmark as arena_hard
from preceptor.evaluation.held_out import benchmark as held_out
from preceptor.evaluation.held_out import ranking_benchmark as ranking
from preceptor.evaluation.human import benchmark as human
from preceptor.evaluation.humaneval import benchmark as humaneval
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.lm_eval import benchmark as lm_eval
from preceptor.evaluation.pairwise import benchmark as pairwise

KINDS: dict[str, Kind[Any]] = {
    "checkers": checked.KIND,
    "pairwise": pairwise.KIND,
    "grades": grades.KIND,
    "arena_hard": arena_hard.KIND,
    "lm_eval": lm_eval.KIND,
    "humaneval": humaneval.KIND,
    "response_ranking": ranking.KIND,
    "held_out_loss": held_out.KIND,
    "human_ratings": human.KIND,
}
