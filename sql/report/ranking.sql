-- A row is one of the study's teachers for one of its bases, with its rank or the reason why it has none.
SELECT car_table.*
FROM car_table
INNER JOIN study_bases ON study_bases.base = car_table.base
INNER JOIN study_teachers ON study_teachers.teacher = car_table.teacher
ORDER BY study_bases.base_index, car_table.rank NULLS LAST, study_teachers.teacher_index
