-- A row is a current response as one of the study's bases sees it, under today's settings.
SELECT
    base_losses.*,
    study_bases.base_index
FROM base_losses
INNER JOIN study_bases
    ON study_bases.base = base_losses.base
    AND study_bases.loss_fingerprint = base_losses.fingerprint
SEMI JOIN current_responses ON current_responses.response_id = base_losses.response_id
