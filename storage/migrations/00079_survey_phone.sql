-- +goose Up

-- How a question was put: by text, or by telephone to whom no text reaches.
ALTER TABLE survey_ask ADD COLUMN via TEXT NOT NULL DEFAULT 'sms';

-- People who are asked by telephone about one service, and what became of it. Their numbers stand in survey_record alone.
CREATE TABLE survey_phone (
	id         TEXT   PRIMARY KEY,
	record_id  TEXT   NOT NULL UNIQUE REFERENCES survey_record (id),
	ask_id     TEXT   NOT NULL DEFAULT '', -- of a text that did not arrive; of the others once they are reached
	day        TEXT   NOT NULL,            -- of the run that decided about the record
	class      TEXT   NOT NULL,
	unit       TEXT   NOT NULL,
	phone_hash TEXT   NOT NULL,
	why        TEXT   NOT NULL,            -- fixed_line, undelivered, wish
	state      TEXT   NOT NULL CHECK (state IN ('waiting', 'calling', 'rated', 'unrated', 'unreached', 'dropped', 'expired')),
	outcome    TEXT   NOT NULL DEFAULT '', -- of the last call, or why nobody is rung
	tries      BIGINT NOT NULL DEFAULT 0,
	due        BIGINT NOT NULL,            -- waiting: not before; calling: end of the lease
	not_after  BIGINT NOT NULL,
	node       TEXT   NOT NULL DEFAULT '', -- that rings
	call_id    TEXT   NOT NULL DEFAULT '', -- of the last call
	added_by   TEXT   NOT NULL,
	added_at   BIGINT NOT NULL,
	done_at    BIGINT
);
CREATE INDEX survey_phone_due ON survey_phone (state, due);
CREATE INDEX survey_phone_number ON survey_phone (phone_hash);
CREATE INDEX survey_phone_last_call ON survey_phone (call_id);

-- Each call of the list: how many there were in the last hour is counted here.
CREATE TABLE survey_phone_call (
	call_id  TEXT   PRIMARY KEY,
	entry_id TEXT   NOT NULL REFERENCES survey_phone (id),
	at       BIGINT NOT NULL,
	outcome  TEXT   NOT NULL DEFAULT '' -- '' while it is up
);
CREATE INDEX survey_phone_call_at ON survey_phone_call (at);
CREATE INDEX survey_phone_call_entry ON survey_phone_call (entry_id, at);

-- Whether people are rung; one row, which whoever takes the next of the list locks.
CREATE TABLE survey_phone_switch (
	id     BIGINT  PRIMARY KEY,
	paused BOOLEAN NOT NULL,
	reason TEXT    NOT NULL,
	actor  TEXT    NOT NULL,
	at     BIGINT
);
INSERT INTO survey_phone_switch (id, paused, reason, actor) VALUES (1, FALSE, '', '');

-- +goose Down
DROP TABLE survey_phone_switch;
DROP TABLE survey_phone_call;
DROP TABLE survey_phone;
ALTER TABLE survey_ask DROP COLUMN via;
