-- A row is a current response with a reward, to an instruction whose right answer is known.
SELECT
    current_responses.teacher,
    current_responses.turns[-1] AS response,
    raw_instructions.answer,
    raw_instructions."check",
    current_rewards.reward
FROM current_responses
INNER JOIN raw_instructions ON raw_instructions.instruction_id = current_responses.instruction_id
INNER JOIN current_rewards ON current_rewards.response_id = current_responses.response_id
WHERE
    current_responses.error IS NULL
    AND current_rewards.reward IS NOT NULL
    AND raw_instructions.answer IS NOT NULL
    AND raw_instructions."check" IS NOT NULL
ORDER BY current_responses.teacher_index, current_responses.response_id
