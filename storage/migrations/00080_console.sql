-- +goose Up
CREATE TABLE session (
	token  TEXT   PRIMARY KEY, -- SHA-256 of the cookie's token: a stolen copy of the table opens no session
	data   TEXT   NOT NULL,    -- base64
	expiry BIGINT NOT NULL
);
CREATE INDEX session_expiry ON session (expiry);

-- What a request with an Idempotency-Key answered, so that a repeat is answered the same.
CREATE TABLE idempotency (
	owner   TEXT   NOT NULL,
	key     TEXT   NOT NULL,
	request TEXT   NOT NULL, -- SHA-256 of the body: the same key with another body is refused
	ref     TEXT   NOT NULL, -- what was made
	at      BIGINT NOT NULL,
	PRIMARY KEY (owner, key)
);

-- +goose Down
DROP TABLE idempotency;
DROP TABLE session;
