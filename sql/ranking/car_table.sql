-- A row is one teacher for one base: CAR, its interval and rank, what it is made of, and what is missing.
-- CAR = r / (1 + β·L), or r · (1 + β·L) in the product form (arXiv 2411.07133). The means come with the
-- intervals, from one sum in a fixed order, so that threads cannot change a digit. Counts and estimates are
-- registered by preceptor/suitability/table.py.
SELECT
    study_bases.base,
    study_teachers.teacher,
    car_estimates.rank,
    car_estimates.rank_low,
    car_estimates.rank_high,
    car_estimates.mean_reward
    * CASE $form
        WHEN 'ratio' THEN 1 / (1 + $beta * car_estimates.mean_loss)
        ELSE 1 + $beta * car_estimates.mean_loss
    END AS car,
    car_estimates.car_low,
    car_estimates.car_high,
    car_estimates.mean_reward,
    car_estimates.mean_loss,
    coalesce(car_estimates.instructions, 0) AS instructions,
    coalesce(loss_counts.available, 0) AS available,
    $expected AS expected,
    $expected - coalesce(response_counts.answered, 0) AS without_response,
    coalesce(response_counts.answers, 0) - coalesce(response_counts.rewarded, 0) AS without_reward,
    coalesce(response_counts.answers, 0) - coalesce(loss_counts.scored, 0) AS without_loss,
    loss_counts.tokens / nullif(loss_counts.response_tokens, 0) AS tokens_scored,
    CASE
        WHEN car_estimates.instructions IS NOT NULL THEN NULL
        WHEN study_teachers.lost IS NOT NULL THEN study_teachers.lost
        WHEN study_bases.lost IS NOT NULL THEN study_bases.lost
        WHEN coalesce(response_counts.answers, 0) = 0 THEN 'no responses'
        WHEN coalesce(response_counts.rewarded, 0) = 0 THEN 'no rewards from ' || $reward_model
        WHEN coalesce(loss_counts.scored, 0) = 0 THEN 'no losses under ' || study_bases.base
        ELSE 'no response with both a reward and a loss'
    END AS missing,
    $reward_model AS reward_model,
    $beta AS beta,
    $form AS form
FROM study_bases
CROSS JOIN study_teachers
LEFT JOIN car_estimates
    ON car_estimates.base_index = study_bases.base_index
    AND car_estimates.teacher_index = study_teachers.teacher_index
LEFT JOIN response_counts ON response_counts.teacher_index = study_teachers.teacher_index
LEFT JOIN loss_counts
    ON loss_counts.base_index = study_bases.base_index
    AND loss_counts.teacher_index = study_teachers.teacher_index
ORDER BY study_bases.base_index, car_estimates.rank NULLS LAST, study_teachers.teacher
