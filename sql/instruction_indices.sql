-- A row is one instruction of the study and the integer that stands for it in this session.
SELECT
    instruction_id,
    (row_number() OVER (ORDER BY instruction_id) - 1)::INTEGER AS instruction_index
FROM raw_instructions
