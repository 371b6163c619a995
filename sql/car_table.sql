-- A row is one teacher for one base: mean reward, mean loss, CAR, its interval and rank, and what is missing.
-- CAR = r / (1 + β·L), or r · (1 + β·L) in the product form (arXiv 2411.07133). Sums of decimals are exact, so
-- that threads cannot change a digit.
WITH size AS (
    SELECT count(*) AS expected
    FROM instruction_indices
),

response_counts AS (
    SELECT
        teacher,
        count(*) FILTER (error IS NULL) AS answers,
        count(DISTINCT instruction_id) FILTER (error IS NULL) AS answered
    FROM responses
    GROUP BY teacher
),

reward_counts AS (
    SELECT
        teacher,
        count(reward) AS rewarded
    FROM rewards
    WHERE reward_model = $reward_model
    GROUP BY teacher
),

loss_counts AS (
    SELECT
        base,
        teacher,
        count(*) FILTER (error IS NULL) AS scored,
        sum(tokens) / nullif(sum(response_tokens), 0) AS tokens_scored
    FROM base_losses
    GROUP BY base, teacher
),

available AS (
    SELECT
        base_index,
        teacher_index,
        count(*) AS available
    FROM car_cells
    GROUP BY base_index, teacher_index
),

means AS (
    SELECT
        base_index,
        teacher_index,
        avg(reward::DECIMAL(38, 18)) AS mean_reward,
        avg(loss::DECIMAL(38, 18)) AS mean_loss,
        count(*) AS instructions
    FROM car_used_cells
    GROUP BY base_index, teacher_index
)

SELECT
    study_bases.base,
    study_teachers.teacher,
    car_intervals.rank,
    car_intervals.rank_low,
    car_intervals.rank_high,
    means.mean_reward
    * CASE $form
        WHEN 'ratio' THEN 1 / (1 + $beta * means.mean_loss)
        ELSE 1 + $beta * means.mean_loss
    END AS car,
    car_intervals.car_low,
    car_intervals.car_high,
    means.mean_reward,
    means.mean_loss,
    coalesce(means.instructions, 0) AS instructions,
    coalesce(available.available, 0) AS available,
    size.expected,
    size.expected - coalesce(response_counts.answered, 0) AS without_response,
    coalesce(response_counts.answers, 0) - coalesce(reward_counts.rewarded, 0) AS without_reward,
    coalesce(response_counts.answers, 0) - coalesce(loss_counts.scored, 0) AS without_loss,
    loss_counts.tokens_scored,
    CASE
        WHEN means.instructions IS NOT NULL THEN NULL
        WHEN coalesce(response_counts.answers, 0) = 0 THEN 'no responses'
        WHEN coalesce(reward_counts.rewarded, 0) = 0 THEN 'no rewards from ' || $reward_model
        WHEN coalesce(loss_counts.scored, 0) = 0 THEN 'no losses under ' || study_bases.base
        ELSE 'no response with both a reward and a loss'
    END AS missing,
    $reward_model AS reward_model,
    $beta AS beta,
    $form AS form
FROM study_bases
CROSS JOIN study_teachers
CROSS JOIN size
LEFT JOIN means
    ON means.base_index = study_bases.base_index AND means.teacher_index = study_teachers.teacher_index
LEFT JOIN available
    ON available.base_index = study_bases.base_index AND available.teacher_index = study_teachers.teacher_index
LEFT JOIN car_intervals
    ON car_intervals.base_index = study_bases.base_index
    AND car_intervals.teacher_index = study_teachers.teacher_index
LEFT JOIN response_counts ON response_counts.teacher = study_teachers.teacher
LEFT JOIN reward_counts ON reward_counts.teacher = study_teachers.teacher
LEFT JOIN loss_counts ON loss_counts.base = study_bases.base AND loss_counts.teacher = study_teachers.teacher
ORDER BY study_bases.base_index, car_intervals.rank NULLS LAST, study_teachers.teacher
