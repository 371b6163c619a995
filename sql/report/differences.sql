-- A row compares two runs of one base, or a run and its untuned base, by item on one of the study's benchmarks.
SELECT
    eval_differences.*,
    study_benchmarks.higher_is_better,
    first_runs.recipe AS first_recipe,
    second_runs.recipe AS second_recipe
FROM eval_differences
INNER JOIN study_benchmarks ON study_benchmarks.benchmark = eval_differences.benchmark
INNER JOIN study_runs AS first_runs ON first_runs.run = eval_differences.first_run
INNER JOIN study_runs AS second_runs ON second_runs.run = eval_differences.second_run
ORDER BY
    study_benchmarks.benchmark_index, eval_differences.base, eval_differences.untuned,
    eval_differences.p_value, first_runs.run_index,
    second_runs.run_index
