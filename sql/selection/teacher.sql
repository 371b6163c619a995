-- A row is a candidate response of the one teacher; a seeded draw of instructions if fewer rows are asked for.
-- Teachers that answered each instruction once get the same instructions.
SELECT
    response_id,
    instruction_id,
    teacher,
    sample,
    NULL::DOUBLE AS value,
    'a response of ' || teacher || ', drawn with seed ' || $seed AS why
FROM candidates
ORDER BY md5($seed || instruction_id), sample
LIMIT $rows
