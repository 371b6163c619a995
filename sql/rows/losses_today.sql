-- A row is a response as one of the study's bases sees it, under today's settings of the base; the response may be
-- of others.
SELECT
    base_losses.*,
    study_bases.base_index
FROM base_losses
INNER JOIN study_bases
    ON study_bases.base = base_losses.base
    AND study_bases.loss_fingerprint = base_losses.fingerprint
