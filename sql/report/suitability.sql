-- A row is one of the study's teachers for one of its bases by one metric.
SELECT suitability.*
FROM suitability
INNER JOIN study_bases ON study_bases.base = suitability.base
INNER JOIN study_teachers ON study_teachers.teacher = suitability.teacher
ORDER BY study_bases.base_index, study_teachers.teacher_index, suitability.metric
