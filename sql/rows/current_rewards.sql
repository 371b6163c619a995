-- A row is the score, by the reward model that CAR uses, of a current response, under today's settings.
SELECT rewards_today.*
FROM rewards_today
SEMI JOIN current_responses ON current_responses.response_id = rewards_today.response_id
