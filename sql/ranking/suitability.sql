-- A row is one teacher for one base by one metric: its value, interval and rank, or why there is none.
-- `metrics` has the metrics of preceptor/suitability/metrics.py.
SELECT
    coverage.base,
    coverage.teacher,
    metrics.metric,
    estimates.value,
    estimates.low,
    estimates.high,
    estimates.rank,
    estimates.rank_low,
    estimates.rank_high,
    metrics.better,
    estimates.beta,
    coalesce(estimates.instructions, 0) AS instructions,
    CASE
        WHEN estimates.instructions IS NULL
            THEN coalesce(coverage.missing, 'no instruction with a value of ' || metrics.reads)
    END AS missing
FROM coverage
CROSS JOIN metrics
LEFT JOIN estimates
    ON estimates.base_index = coverage.base_index
    AND estimates.teacher_index = coverage.teacher_index
    AND estimates.metric = metrics.metric
ORDER BY coverage.base_index, metrics.metric_index, estimates.rank NULLS LAST, coverage.teacher
