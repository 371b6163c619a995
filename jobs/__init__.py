"""When and how assets are materialized."""
