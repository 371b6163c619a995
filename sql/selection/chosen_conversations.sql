-- A row is a response that a recipe chose, as a conversation to tune on. $recipe names the recipe. $teachers names
-- the teachers of the chosen responses, so that other teachers' files are not read.
SELECT
    selected_subset.response_id,
    selected_subset.instruction_id,
    selected_subset.teacher,
    raw_instructions.system,
    raw_instructions.turns AS user,
    responses.turns,
    responses.finish_reason,
    selected_subset.cut_left_out
FROM selected_subset
INNER JOIN responses ON responses.response_id = selected_subset.response_id
INNER JOIN raw_instructions ON raw_instructions.instruction_id = selected_subset.instruction_id
WHERE selected_subset.recipe = $recipe AND list_contains($teachers, responses.teacher)
ORDER BY selected_subset.instruction_id, selected_subset.response_id
