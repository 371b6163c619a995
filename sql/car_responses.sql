-- A row is a current response: whose, to which instruction, whether it can be used, and its mapped reward.
-- Indices stand for names, which keeps ten million rows quick to join and group.
SELECT
    current_responses.response_id,
    current_responses.teacher_index,
    instruction_indices.instruction_index,
    current_responses.error IS NULL AS usable,
    CASE $map
        WHEN 'sigmoid' THEN 1 / (1 + exp(-rewards.reward))
        WHEN 'affine' THEN $shift + $scale * rewards.reward
        ELSE rewards.reward
    END AS reward
FROM current_responses
INNER JOIN instruction_indices ON instruction_indices.instruction_id = current_responses.instruction_id
INNER JOIN study_teachers ON study_teachers.teacher_index = current_responses.teacher_index
LEFT JOIN rewards
    ON rewards.response_id = current_responses.response_id
    AND rewards.reward_model = study_teachers.reward_model
    AND rewards.fingerprint = study_teachers.reward_fingerprint
