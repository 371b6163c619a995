-- A row is the mean outcome of one recipe's runs on one base for one kind of item of a benchmark. The recipe is null
-- for the untuned base.
SELECT
    eval_results.benchmark,
    study_runs.base,
    study_runs.recipe,
    eval_results.task,
    round(avg(eval_results.outcome), 9) AS value,
    count(eval_results.outcome) AS n,
    count(eval_results.error) AS failed
FROM eval_results
INNER JOIN study_runs ON study_runs.run = eval_results.run
INNER JOIN study_benchmarks ON study_benchmarks.benchmark = eval_results.benchmark
WHERE eval_results.task IS NOT NULL
GROUP BY eval_results.benchmark, study_runs.base, study_runs.recipe, eval_results.task
ORDER BY min(study_benchmarks.benchmark_index), min(study_runs.run_index), eval_results.task
