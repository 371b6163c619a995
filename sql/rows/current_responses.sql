-- A row is a response of one of the study's teachers to one of its instructions, with the current settings.
SELECT
    responses.*,
    study_teachers.teacher_index
FROM responses
INNER JOIN study_teachers
    ON study_teachers.teacher = responses.teacher
    AND study_teachers.response_fingerprint = responses.fingerprint
SEMI JOIN raw_instructions ON raw_instructions.instruction_id = responses.instruction_id
