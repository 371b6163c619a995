-- A row is a random instruction with one random response of the teachers. The same seed gives the same rows.
WITH drawn AS (
    SELECT *
    FROM candidates
    QUALIFY row_number() OVER (PARTITION BY instruction_id ORDER BY md5($seed || response_id)) = 1
)

SELECT
    response_id,
    instruction_id,
    teacher,
    sample,
    NULL::DOUBLE AS value,
    'drawn at random with seed ' || $seed AS why
FROM drawn
ORDER BY md5($seed || instruction_id)
LIMIT $rows
