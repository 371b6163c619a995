-- A row is a response of a ranked teacher for one base: its text, the source of its instruction, and the score and
-- loss that CAR averages (null if missing). The tables are attached at the versions that the ranking read.
SELECT
    car_table.base,
    car_table.teacher,
    responses.response_id,
    responses.instruction_id,
    responses.sample,
    raw_instructions.source,
    raw_instructions.place,
    raw_instructions.system,
    raw_instructions.turns AS user,
    responses.turns,
    rewards.reward,
    base_losses.nll_sum,
    base_losses.tokens
FROM car_table
INNER JOIN responses ON responses.teacher = car_table.teacher
LEFT JOIN raw_instructions ON raw_instructions.instruction_id = responses.instruction_id
LEFT JOIN rewards
    ON rewards.response_id = responses.response_id
    AND rewards.teacher = car_table.teacher
    AND rewards.reward_model = car_table.reward_model
LEFT JOIN base_losses
    ON base_losses.response_id = responses.response_id
    AND base_losses.teacher = car_table.teacher
    AND base_losses.base = car_table.base
ORDER BY car_table.base, car_table.rank NULLS LAST, car_table.teacher, responses.instruction_id, responses.sample
