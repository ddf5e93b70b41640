-- issuers are the URLs of all providers: whose tokens are looked at, whatever organization they
-- are sent to.
CREATE TABLE IF NOT EXISTS issuers (
    url  TEXT NOT NULL,
    slug TEXT NOT NULL,
    PRIMARY KEY (url, slug)
);

-- replays are tokens that were exchanged, with token.single_use; until is in seconds since 1970.
CREATE TABLE IF NOT EXISTS replays (
    key   TEXT   NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
