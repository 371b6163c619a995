-- A row is one instruction that one teacher answered, as one base sees it: mapped reward and mean NLL, each
-- averaged over the teacher's samples. Only samples that have both count. Indices stand for names, which
-- keeps ten million rows quick to group. Sums of decimals are exact, so that threads cannot change a digit.
WITH answered AS (
    SELECT
        responses.response_id,
        study_teachers.teacher_index,
        instruction_indices.instruction_index
    FROM responses
    INNER JOIN study_teachers ON study_teachers.teacher = responses.teacher
    INNER JOIN instruction_indices ON instruction_indices.instruction_id = responses.instruction_id
    WHERE responses.error IS NULL
),

rewarded AS (
    SELECT
        answered.response_id,
        answered.teacher_index,
        answered.instruction_index,
        CASE $map
            WHEN 'sigmoid' THEN 1 / (1 + exp(-rewards.reward))
            WHEN 'affine' THEN $shift + $scale * rewards.reward
            ELSE rewards.reward
        END AS reward
    FROM answered
    INNER JOIN rewards ON rewards.response_id = answered.response_id
    WHERE rewards.reward_model = $reward_model AND rewards.reward IS NOT NULL
)

SELECT
    study_bases.base_index,
    rewarded.teacher_index,
    rewarded.instruction_index,
    avg(rewarded.reward::DECIMAL(38, 18)) AS reward,
    avg((base_losses.nll_sum / base_losses.tokens)::DECIMAL(38, 18)) AS loss
FROM base_losses
INNER JOIN study_bases ON study_bases.base = base_losses.base
INNER JOIN rewarded ON rewarded.response_id = base_losses.response_id
WHERE base_losses.error IS NULL
GROUP BY ALL
