-- A row is a current response as one of the study's bases sees it, under today's settings.
SELECT losses_today.*
FROM losses_today
SEMI JOIN current_responses ON current_responses.response_id = losses_today.response_id
