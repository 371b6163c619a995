-- A row is the loss of a response under one of the study's bases, with the base's current settings. The response may
-- be from older settings.
SELECT
    base_losses.*,
    study_bases.base_index
FROM base_losses
INNER JOIN study_bases
    ON study_bases.base = base_losses.base
    AND study_bases.loss_fingerprint = base_losses.fingerprint
