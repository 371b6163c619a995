-- A row is a response that a checkpoint's recipe chose, with its text and the source of its instruction.
-- The tables are attached at the versions that the checkpoint's manifest names. $recipe names the recipe.
SELECT
    selected_subset.response_id,
    selected_subset.instruction_id,
    selected_subset.teacher,
    selected_subset.sample,
    selected_subset.why,
    raw_instructions.source,
    raw_instructions.place,
    raw_instructions.system,
    raw_instructions.turns AS user,
    responses.turns,
    responses.finish_reason
FROM selected_subset
LEFT JOIN responses
    ON responses.response_id = selected_subset.response_id
    AND responses.teacher = selected_subset.teacher
LEFT JOIN raw_instructions ON raw_instructions.instruction_id = selected_subset.instruction_id
WHERE selected_subset.recipe = $recipe
ORDER BY selected_subset.instruction_id, selected_subset.response_id
