-- A row is a cell of an instruction for which every teacher that the base can rank has a cell, so that all
-- means of a base are taken over the same instructions.
WITH ranked AS (
    SELECT
        base_index,
        count(DISTINCT teacher_index) AS teachers
    FROM car_cells
    GROUP BY base_index
),

common AS (
    SELECT
        car_cells.base_index,
        car_cells.instruction_index
    FROM car_cells
    INNER JOIN ranked ON ranked.base_index = car_cells.base_index
    GROUP BY car_cells.base_index, car_cells.instruction_index, ranked.teachers
    HAVING count(*) = ranked.teachers
)

SELECT car_cells.*
FROM car_cells
INNER JOIN common
    ON common.base_index = car_cells.base_index AND common.instruction_index = car_cells.instruction_index
