-- Each statement does nothing where it has been done before: all files run at each start.

-- settings is an organization as the file and the admin API have it, in JSON.
CREATE TABLE IF NOT EXISTS organizations (
    slug     TEXT NOT NULL PRIMARY KEY,
    settings TEXT NOT NULL
);
