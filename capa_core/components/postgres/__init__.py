"""PostgreSQL: pub/sub in one schema of a database, through psycopg 3."""
