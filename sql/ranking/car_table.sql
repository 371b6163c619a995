-- A row is one teacher for one base: CAR, its interval and rank, its mean reward and loss, and what is missing.
-- Means and intervals come from one sum in a fixed order, so that the number of threads cannot change a digit.
SELECT
    coverage.base,
    coverage.teacher,
    cars.rank,
    cars.rank_low,
    cars.rank_high,
    cars.value AS car,
    cars.low AS car_low,
    cars.high AS car_high,
    rewards.value AS mean_reward,
    losses.value AS mean_loss,
    coalesce(cars.instructions, 0) AS instructions,
    coverage.available,
    coverage.expected,
    coverage.without_response,
    coverage.without_reward,
    coverage.without_loss,
    coverage.tokens_scored,
    coverage.missing,
    coverage.reward_model,
    $beta AS beta,
    $form AS form
FROM coverage
LEFT JOIN estimates AS cars
    ON cars.base_index = coverage.base_index
    AND cars.teacher_index = coverage.teacher_index
    AND cars.metric = $metric
LEFT JOIN estimates AS rewards
    ON rewards.base_index = coverage.base_index
    AND rewards.teacher_index = coverage.teacher_index
    AND rewards.metric = 'mean_reward'
LEFT JOIN estimates AS losses
    ON losses.base_index = coverage.base_index
    AND losses.teacher_index = coverage.teacher_index
    AND losses.metric = 'mean_loss'
ORDER BY coverage.base_index, cars.rank NULLS LAST, coverage.teacher
