-- A row is one metric of one run tuned on one teacher's rows, with the teacher's prediction before tuning.
-- If a benchmark does not pool its categories, each category has its own row.
WITH lengths AS (
    SELECT
        teacher,
        sum(characters) / count(*) AS mean_characters
    FROM current_responses
    WHERE error IS NULL
    GROUP BY teacher
)

SELECT
    study_runs.base,
    study_runs.teacher,
    study_runs.run,
    eval_scores.benchmark,
    eval_scores.metric || CASE WHEN eval_scores.category = '' THEN '' ELSE ' on ' || eval_scores.category END AS metric,
    (
        eval_scores.metric = study_benchmarks.main_metric
        AND eval_scores.category = study_benchmarks.main_category
    ) AS main,
    eval_scores.value,
    eval_scores.low,
    eval_scores.high,
    eval_scores.n,
    eval_scores.unit,
    study_benchmarks.higher_is_better,
    car_table.car,
    car_table.rank AS car_rank,
    car_table.mean_reward,
    car_table.mean_loss,
    lengths.mean_characters,
    against_base.p_adjusted <= 0.05 AS differs
FROM study_runs
INNER JOIN eval_scores ON eval_scores.run = study_runs.run
INNER JOIN study_benchmarks ON study_benchmarks.benchmark = eval_scores.benchmark
LEFT JOIN car_table ON car_table.base = study_runs.base AND car_table.teacher = study_runs.teacher
LEFT JOIN lengths ON lengths.teacher = study_runs.teacher
LEFT JOIN eval_differences AS against_base
    ON against_base.untuned
    AND against_base.first_run = study_runs.run
    AND against_base.benchmark = eval_scores.benchmark
WHERE
    study_runs.teacher IS NOT NULL
    AND (eval_scores.category = '' OR study_benchmarks.main_category <> '')
ORDER BY study_runs.run_index, study_benchmarks.benchmark_index, main DESC, metric
