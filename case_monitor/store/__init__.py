"""The results database: PostgreSQL or SQLite. Only this package translates between records and rows."""
