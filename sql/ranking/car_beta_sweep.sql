-- A row is one ranked teacher for one base at one β: how sensitive the ranking is to a setting whose published value
-- could not be verified.
SELECT
    coverage.base,
    coverage.teacher,
    estimates.beta,
    estimates.value AS car,
    estimates.rank,
    estimates.low AS car_low,
    estimates.high AS car_high,
    estimates.rank_low,
    estimates.rank_high
FROM estimates
INNER JOIN coverage
    ON coverage.base_index = estimates.base_index
    AND coverage.teacher_index = estimates.teacher_index
ORDER BY coverage.base, estimates.beta, estimates.rank, coverage.teacher
