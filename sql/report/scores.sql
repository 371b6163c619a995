-- A row is one metric of one of the study's runs, or of an untuned base, on one of its benchmarks.
SELECT
    eval_scores.*,
    study_runs.base,
    study_runs.recipe,
    study_runs.teacher,
    study_runs.untuned,
    study_benchmarks.higher_is_better,
    (
        eval_scores.metric = study_benchmarks.main_metric
        AND eval_scores.category = study_benchmarks.main_category
    ) AS main
FROM eval_scores
INNER JOIN study_runs ON study_runs.run = eval_scores.run
INNER JOIN study_benchmarks ON study_benchmarks.benchmark = eval_scores.benchmark
ORDER BY study_benchmarks.benchmark_index, main DESC, eval_scores.category, eval_scores.metric, study_runs.run_index
