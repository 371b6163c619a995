-- A row is the loss of a current response under one of the study's bases, with the current settings.
SELECT losses_today.*
FROM losses_today
SEMI JOIN current_responses ON current_responses.response_id = losses_today.response_id
