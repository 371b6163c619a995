-- A row is a response of a ranked teacher with the source of its instruction, null if the instruction is from
-- another version. The tables are attached at the versions that the ranking read.
SELECT
    responses.teacher,
    responses.response_id,
    raw_instructions.source
FROM responses
SEMI JOIN car_table ON car_table.teacher = responses.teacher
LEFT JOIN raw_instructions ON raw_instructions.instruction_id = responses.instruction_id
