-- A row is a score, by the reward model that CAR uses, made under today's settings; its response may be of others.
SELECT rewards.*
FROM rewards
INNER JOIN study_teachers
    ON study_teachers.teacher = rewards.teacher
    AND study_teachers.reward_model = rewards.reward_model
    AND study_teachers.reward_fingerprint = rewards.fingerprint
