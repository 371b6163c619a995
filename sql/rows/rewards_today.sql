-- A row is a score by the reward model that CAR uses, with its current settings. The response may be from older ones.
SELECT rewards.*
FROM rewards
INNER JOIN study_teachers
    ON study_teachers.teacher = rewards.teacher
    AND study_teachers.reward_model = rewards.reward_model
    AND study_teachers.reward_fingerprint = rewards.fingerprint
