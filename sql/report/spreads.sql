-- A row is the distribution of one quantity over a teacher's usable responses. A loss is under one base, in nats per
-- token.
WITH measured AS (
    SELECT
        'characters' AS quantity,
        NULL AS base,
        teacher_index,
        characters::DOUBLE AS value
    FROM current_responses
    WHERE error IS NULL
    UNION ALL
    SELECT
        'reward' AS quantity,
        NULL AS base,
        study_teachers.teacher_index,
        current_rewards.reward AS value
    FROM current_rewards
    INNER JOIN study_teachers ON study_teachers.teacher = current_rewards.teacher
    UNION ALL
    SELECT
        'loss' AS quantity,
        current_losses.base,
        study_teachers.teacher_index,
        current_losses.nll_sum / current_losses.tokens AS value
    FROM current_losses
    INNER JOIN study_teachers ON study_teachers.teacher = current_losses.teacher
    WHERE current_losses.error IS NULL
),

-- Sums depend on the order of their terms in the last digits; a page shall not change with the threads.
spread AS (
    SELECT
        quantity,
        base,
        teacher_index,
        count(*) AS n,
        round(avg(value), 9) AS mean,
        quantile_cont(value, [0.05, 0.25, 0.5, 0.75, 0.95]) AS quantiles
    FROM measured
    WHERE value IS NOT NULL
    GROUP BY quantity, base, teacher_index
)

SELECT
    spread.quantity,
    spread.base,
    study_teachers.teacher,
    spread.n,
    spread.mean,
    spread.quantiles[1] AS q05,
    spread.quantiles[2] AS q25,
    spread.quantiles[3] AS q50,
    spread.quantiles[4] AS q75,
    spread.quantiles[5] AS q95
FROM spread
INNER JOIN study_teachers ON study_teachers.teacher_index = spread.teacher_index
LEFT JOIN study_bases ON study_bases.base = spread.base
ORDER BY spread.quantity, study_bases.base_index, spread.teacher_index
