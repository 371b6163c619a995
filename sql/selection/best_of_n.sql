-- A row per instruction: the sample of one teacher with the best (or worst) reward among its first n.
WITH judged AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY instruction_id) AS samples,
        CASE $order WHEN 'best' THEN -reward ELSE reward END AS place
    FROM candidates
    WHERE reward IS NOT NULL AND ($n IS NULL OR sample < $n)
)

SELECT
    response_id,
    instruction_id,
    teacher,
    sample,
    reward AS value,
    printf('%s reward of %d samples (%.4g)', $order, samples, reward) AS why
FROM judged
QUALIFY row_number() OVER (PARTITION BY instruction_id ORDER BY place, response_id) = 1
ORDER BY instruction_id
