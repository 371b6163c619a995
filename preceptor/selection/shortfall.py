"""Why a recipe chose fewer rows than it asks for, in words: students of unlike many rows compare badly."""

from preceptor.study.recipes import AnyRecipe, BestOfN, BestTeacher, OneTeacher, Random, TopK


def shortfall(recipe: AnyRecipe, chosen: int, cut: int, above_one: int) -> str:
    """What was asked for, what was got, and why; nothing where the recipe got what it asks for.

    `cut` and `above_one` are the responses left out for these reasons, as `selected_subset` counts them.
    """
    if recipe.rows is None or chosen >= recipe.rows:
        return ""
    why = f"{_exhausted(recipe)}, and all of them are taken"
    if cut:
        why += f"; {cut:,} more were left out since they were cut at the limit of tokens (cut_responses: keep"
        why += " takes them)"
    if above_one:
        why += f"; {above_one:,} more were left out since they are above 1"
    return (
        f"recipe {recipe.name} asks for {recipe.rows:,} rows and got {chosen:,},"
        f" {recipe.rows - chosen:,} fewer: {why}"
    )


def _exhausted(recipe: AnyRecipe) -> str:
    match recipe:
        case OneTeacher(teacher=teacher):
            return f"{teacher} has no more usable responses"
        case BestTeacher(base=base):
            return f"the teacher that is first for {base} has no more usable responses"
        case TopK(column=column):
            return f"no more instructions have a usable response with a value of {column}"
        case Random() | BestOfN():
            return "no more instructions have a usable response"
