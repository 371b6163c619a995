-- A row is a cell, whether other teachers have one for its instruction or not: means are then unpaired.
SELECT *
FROM car_cells
