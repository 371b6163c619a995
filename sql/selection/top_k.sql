-- A row is one of the k best responses by one column, at most one per instruction. An instruction-following
-- difficulty above 1 says that the instruction made the response no likelier: its authors drop such rows.
WITH valued AS (
    SELECT
        *,
        CASE $column
            WHEN 'reward' THEN reward
            WHEN 'mean_nll' THEN mean_nll
            WHEN 'perplexity' THEN perplexity
            WHEN 'ifd' THEN ifd
            WHEN 'ifd_of_perplexities' THEN ifd_of_perplexities
            WHEN 'rank_surprisal_ratio' THEN rank_surprisal_ratio
            WHEN 'response_tokens' THEN response_tokens
        END AS value,
        CASE $order WHEN 'highest' THEN -value ELSE value END AS place
    FROM candidates
),

best AS (
    SELECT *
    FROM valued
    WHERE isfinite(value) AND (value <= 1 OR $column NOT IN ('ifd', 'ifd_of_perplexities'))
    QUALIFY row_number() OVER (PARTITION BY instruction_id ORDER BY place, response_id) = 1
)

SELECT
    response_id,
    instruction_id,
    teacher,
    sample,
    value,
    printf('number %d by %s %s (%.4g)',
        row_number() OVER (ORDER BY place, response_id), $order, $column, value) AS why
FROM best
ORDER BY place, response_id
LIMIT $rows
