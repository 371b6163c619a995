-- A row is the score, by the reward model that CAR uses, of a current response, under today's settings.
SELECT rewards.*
FROM rewards
INNER JOIN study_teachers
    ON study_teachers.teacher = rewards.teacher
    AND study_teachers.reward_model = rewards.reward_model
    AND study_teachers.reward_fingerprint = rewards.fingerprint
SEMI JOIN current_responses ON current_responses.response_id = rewards.response_id
