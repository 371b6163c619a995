-- A row is one usable response with its reward and its losses under one base, null if missing. If the base is empty,
-- only the reward is read. The columns of preceptor/suitability/metrics.py and the `value` that the recipe chooses by
-- are added later.
SELECT
    losses_today.* EXCLUDE (response_id, instruction_id, teacher, sample), -- noqa: RF02
    current_responses.response_id,
    current_responses.instruction_id,
    current_responses.teacher,
    current_responses.sample,
    current_responses.finish_reason,
    rewards_today.reward
FROM current_responses
LEFT JOIN rewards_today ON rewards_today.response_id = current_responses.response_id
LEFT JOIN losses_today
    ON losses_today.response_id = current_responses.response_id
    AND losses_today.base = $base
    AND losses_today.error IS NULL
WHERE
    current_responses.error IS NULL
    AND list_contains($teachers, current_responses.teacher)
    AND NOT current_responses.blank
