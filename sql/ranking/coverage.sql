-- A row is one teacher for one base: the number of instructions and responses for its means, and why it cannot be
-- ranked (null if it can). preceptor/suitability/table.py registers the counts and estimates.
-- $expected is the study's number of instructions.
WITH ranked AS (
    SELECT DISTINCT
        base_index,
        teacher_index
    FROM estimates
)

SELECT
    study_bases.base,
    study_bases.base_index,
    study_teachers.teacher,
    study_teachers.teacher_index,
    coalesce(loss_counts.available, 0) AS available,
    $expected AS expected,
    $expected - coalesce(response_counts.answered, 0) AS without_response,
    coalesce(response_counts.answers, 0) - coalesce(response_counts.rewarded, 0) AS without_reward,
    coalesce(response_counts.answers, 0) - coalesce(loss_counts.scored, 0) AS without_loss,
    loss_counts.tokens / nullif(loss_counts.response_tokens, 0) AS tokens_scored,
    CASE
        WHEN ranked.base_index IS NOT NULL THEN NULL
        WHEN study_teachers.lost IS NOT NULL THEN study_teachers.lost
        WHEN study_bases.lost IS NOT NULL THEN study_bases.lost
        WHEN coalesce(response_counts.answers, 0) = 0 THEN 'no responses'
        WHEN coalesce(response_counts.rewarded, 0) = 0 THEN 'no rewards from ' || $reward_model
        WHEN coalesce(loss_counts.scored, 0) = 0 THEN 'no losses under ' || study_bases.base
        ELSE 'no response with both a reward and a loss'
    END AS missing,
    $reward_model AS reward_model
FROM study_bases
CROSS JOIN study_teachers
LEFT JOIN ranked
    ON ranked.base_index = study_bases.base_index
    AND ranked.teacher_index = study_teachers.teacher_index
LEFT JOIN response_counts ON response_counts.teacher_index = study_teachers.teacher_index
LEFT JOIN loss_counts
    ON loss_counts.base_index = study_bases.base_index
    AND loss_counts.teacher_index = study_teachers.teacher_index
