-- A row is a response of the teacher that CAR ranks first for the base; a seeded draw if fewer rows are asked for.
WITH best AS (
    SELECT
        teacher,
        car,
        rank_high,
        count(*) OVER () AS ranked
    FROM car_table
    WHERE base = $base AND missing IS NULL
    ORDER BY rank, teacher
    LIMIT 1
)

SELECT
    candidates.response_id,
    candidates.instruction_id,
    candidates.teacher,
    candidates.sample,
    best.car AS value,
    printf(
        '%s is first of %d teachers for %s (CAR %.4g, rank 1 to %d)',
        best.teacher, best.ranked, $base, best.car, best.rank_high
    ) AS why
FROM candidates
INNER JOIN best ON best.teacher = candidates.teacher
ORDER BY md5($seed || candidates.response_id)
LIMIT $rows
