-- A row is a response of the one teacher among the candidates; a seeded draw where fewer are wanted, by
-- instruction, so that teachers that answered each once are drawn the same ones.
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
