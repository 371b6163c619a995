-- A row is one reason for failed rows of a table: the number of these rows, and of all current rows of the table.
-- Digits in reasons are replaced, so that "… in scores.csv:12" and "… :57" are one reason.
WITH counted AS (
    SELECT
        'responses' AS table_name,
        error
    FROM current_responses
    UNION ALL
    SELECT
        'rewards' AS table_name,
        error
    FROM current_rewards
    UNION ALL
    SELECT
        'base_losses' AS table_name,
        error
    FROM current_losses
    UNION ALL
    SELECT
        'eval_results' AS table_name,
        eval_results.error
    FROM eval_results
    SEMI JOIN study_runs ON study_runs.run = eval_results.run
    SEMI JOIN study_benchmarks ON study_benchmarks.benchmark = eval_results.benchmark
),

reasons AS (
    SELECT
        table_name,
        regexp_replace(error, '\d+', '…', 'g') AS reason,
        count(*) AS found
    FROM counted
    GROUP BY ALL
)

SELECT
    table_name,
    sum(found) OVER (PARTITION BY table_name)::BIGINT AS total,
    found AS rows,
    reason
FROM reasons
ORDER BY table_name, reason IS NULL, found DESC, reason
