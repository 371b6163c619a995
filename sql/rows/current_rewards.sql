-- A row is the score of a current response by the reward model that CAR uses, with the current settings.
SELECT rewards_today.*
FROM rewards_today
SEMI JOIN current_responses ON current_responses.response_id = rewards_today.response_id
