-- A row is one of the k best responses by `value`, at most one per instruction. Values above $at_most are never
-- chosen: an instruction-following difficulty above 1 means that the instruction did not make the response likelier.
WITH best AS (
    SELECT
        *,
        CASE $order WHEN 'highest' THEN -value ELSE value END AS place
    FROM candidates
    WHERE isfinite(value) AND value <= $at_most
    QUALIFY row_number() OVER (PARTITION BY instruction_id ORDER BY place, response_id) = 1
)

SELECT
    response_id,
    instruction_id,
    teacher,
    sample,
    value,
    printf(
        'number %d by %s %s (%.4g)',
        row_number() OVER (ORDER BY place, response_id), $order, $column, value
    ) AS why
FROM best
ORDER BY place, response_id
LIMIT $rows
