-- A row is one of the study's teachers for one of its bases at one β.
SELECT car_beta_sweep.*
FROM car_beta_sweep
INNER JOIN study_bases ON study_bases.base = car_beta_sweep.base
INNER JOIN study_teachers ON study_teachers.teacher = car_beta_sweep.teacher
ORDER BY study_bases.base_index, study_teachers.teacher_index, car_beta_sweep.beta
