-- A row is a current response as one base sees it: its reward, its mean NLL (null where it has none), and how
-- many of its tokens were scored.
SELECT
    study_bases.base_index,
    car_responses.teacher_index,
    car_responses.instruction_index,
    car_responses.reward,
    CASE WHEN base_losses.error IS NULL THEN base_losses.nll_sum / base_losses.tokens END AS loss,
    base_losses.tokens,
    base_losses.response_tokens
FROM base_losses
INNER JOIN study_bases
    ON study_bases.base = base_losses.base
    AND study_bases.loss_fingerprint = base_losses.fingerprint
INNER JOIN car_responses ON car_responses.response_id = base_losses.response_id
