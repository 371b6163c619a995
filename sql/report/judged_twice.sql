-- A row is an answer that two benchmarks compared with the same reference's answer, with both outcomes.
SELECT
    one.benchmark,
    other.benchmark AS other_benchmark,
    one.run,
    one.item_id,
    one.sample,
    one.outcome,
    other.outcome AS other_outcome
FROM eval_results AS one
INNER JOIN eval_results AS other
    ON other.run = one.run
    AND other.item_id = one.item_id
    AND other.sample = one.sample
    AND other.response = one.response
    AND other.reference = one.reference
INNER JOIN study_benchmarks AS first_benchmarks ON first_benchmarks.benchmark = one.benchmark
INNER JOIN study_benchmarks AS second_benchmarks ON second_benchmarks.benchmark = other.benchmark
INNER JOIN study_runs ON study_runs.run = one.run
WHERE
    first_benchmarks.benchmark_index < second_benchmarks.benchmark_index
    AND list_contains($compared, one.benchmark)
    AND list_contains($compared, other.benchmark)
    AND one.outcome IS NOT NULL
    AND other.outcome IS NOT NULL
ORDER BY
    first_benchmarks.benchmark_index, second_benchmarks.benchmark_index, study_runs.run_index, one.item_id, one.sample
