-- A row is the reward of a current response by one of the study's reward models.
SELECT
    study_rewards.reward_model_index,
    current_responses.teacher_index,
    current_responses.instruction_id,
    rewards.response_id,
    rewards.reward
FROM rewards
INNER JOIN study_rewards
    ON study_rewards.reward_model = rewards.reward_model
    AND study_rewards.teacher = rewards.teacher
    AND study_rewards.fingerprint = rewards.fingerprint
INNER JOIN current_responses ON current_responses.response_id = rewards.response_id
WHERE rewards.reward IS NOT NULL
