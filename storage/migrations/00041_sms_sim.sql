-- +goose Up
-- The simulated carrier's own books: what a real one would keep in its house.
CREATE TABLE sim_text (
	id          TEXT   PRIMARY KEY,
	message_id  TEXT   NOT NULL,
	phone_hash  TEXT   NOT NULL,
	phone       BYTEA  NOT NULL,
	body        TEXT   NOT NULL,
	segments    BIGINT NOT NULL,
	state       TEXT   NOT NULL CHECK (state IN ('accepted', 'delivered', 'failed')),
	code        TEXT   NOT NULL DEFAULT '',
	accepted_at BIGINT NOT NULL,
	deliver_at  BIGINT NOT NULL,
	done_at     BIGINT
);
CREATE INDEX sim_text_phone ON sim_text (phone_hash, accepted_at);
CREATE INDEX sim_text_message ON sim_text (message_id);
CREATE INDEX sim_text_waiting ON sim_text (deliver_at) WHERE state = 'accepted';

-- Receipts to be handed over, each once; a duplicate is a second row.
CREATE TABLE sim_receipt (
	id      TEXT   PRIMARY KEY,
	text_id TEXT   NOT NULL REFERENCES sim_text (id),
	state   TEXT   NOT NULL,
	code    TEXT   NOT NULL DEFAULT '',
	due     BIGINT NOT NULL,
	done_at BIGINT
);
CREATE INDEX sim_receipt_due ON sim_receipt (due) WHERE done_at IS NULL;

-- What residents have typed on the simulated handset.
CREATE TABLE sim_reply (
	id         TEXT   PRIMARY KEY,
	phone_hash TEXT   NOT NULL,
	phone      BYTEA  NOT NULL,
	body       TEXT   NOT NULL,
	at         BIGINT NOT NULL,
	due        BIGINT NOT NULL,
	done_at    BIGINT
);
CREATE INDEX sim_reply_due ON sim_reply (due) WHERE done_at IS NULL;
CREATE INDEX sim_reply_phone ON sim_reply (phone_hash, at);

CREATE TABLE sim_setting (
	id    BIGINT PRIMARY KEY CHECK (id = 1),
	value TEXT   NOT NULL
);

-- +goose Down
DROP TABLE sim_setting;
DROP TABLE sim_reply;
DROP TABLE sim_receipt;
DROP TABLE sim_text;
