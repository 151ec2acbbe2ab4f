-- +goose Up
-- Polls (民意测评). No statement of these tables, and no two rows of them, tell who gave which answer once a poll is closed (I20):
-- while it is open answers are sealed for a key that is not in the database and is destroyed at the end; then invitations go,
-- and the answers are written anew, in the order of random keys, without a time.
CREATE TABLE poll (
	id         TEXT   PRIMARY KEY,
	version    BIGINT NOT NULL,
	state      TEXT   NOT NULL CHECK (state IN ('DRAFT', 'OPEN', 'CLOSED', 'DISCARDED')),
	title      TEXT   NOT NULL,
	intro      TEXT   NOT NULL,
	questions  TEXT   NOT NULL, -- JSON
	smallest   BIGINT NOT NULL, -- k: nothing is told of fewer answers
	public_key BYTEA,           -- answers are sealed for it (RFC 9180)
	author     TEXT   NOT NULL,
	made_at    BIGINT NOT NULL,
	opener     TEXT   NOT NULL,
	opened_at  BIGINT,
	closes_at  BIGINT,
	closer     TEXT   NOT NULL,
	closed_at  BIGINT,
	invited    BIGINT NOT NULL DEFAULT 0, -- counts that stay when the invitations are gone
	delivered  BIGINT NOT NULL DEFAULT 0,
	answered   BIGINT NOT NULL DEFAULT 0,
	kept       BIGINT NOT NULL DEFAULT 0  -- answers that could be read and were enough to be told of
);
CREATE INDEX poll_state ON poll (state, closes_at);

CREATE TABLE poll_invitation (
	id         TEXT    PRIMARY KEY,
	poll_id    TEXT    NOT NULL REFERENCES poll (id),
	phone_hash TEXT    NOT NULL,
	token_hash TEXT    NOT NULL UNIQUE,
	part       TEXT    NOT NULL, -- group of the person: a district, a line of business
	sms_id     TEXT    NOT NULL,
	used       BOOLEAN NOT NULL DEFAULT FALSE,
	UNIQUE (poll_id, phone_hash)
);

CREATE TABLE poll_ballot (
	id      TEXT  PRIMARY KEY, -- random
	poll_id TEXT  NOT NULL REFERENCES poll (id),
	sealed  BYTEA NOT NULL     -- all of one length
);
CREATE INDEX poll_ballot_poll ON poll_ballot (poll_id);

CREATE TABLE poll_answer (
	id      TEXT PRIMARY KEY, -- random
	poll_id TEXT NOT NULL REFERENCES poll (id),
	part    TEXT NOT NULL,    -- groups of fewer than k are together
	choices TEXT NOT NULL     -- JSON: options by question
);
CREATE INDEX poll_answer_poll ON poll_answer (poll_id);

CREATE TABLE poll_words (
	id       TEXT   PRIMARY KEY, -- random; no answer's
	poll_id  TEXT   NOT NULL REFERENCES poll (id),
	question BIGINT NOT NULL,
	text     TEXT   NOT NULL     -- numbers and names hidden
);
CREATE INDEX poll_words_poll ON poll_words (poll_id, question);

-- +goose Down
DROP TABLE poll_words;
DROP TABLE poll_answer;
DROP TABLE poll_ballot;
DROP TABLE poll_invitation;
DROP TABLE poll;
