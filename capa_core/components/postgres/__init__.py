"""PostgreSQL: pub/sub, state and locks in one schema of a database, through psycopg 3."""
